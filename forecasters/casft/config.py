"""What a CasFT model is made of: every size and switch, with the reason for each value that is not obvious."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

from forecasters.concat.config import ConCatConfig
from forecasters.context import ContextConfig

TrendSource = Literal["diffusion", "regression", "latent", "none"]
"""Where the trend comes from: drawn by diffusion; regressed on the cues (no diffusion); an MLP on the cues that never
sees a true trend (MLP instead); or no trend at all."""

FusedTrend = Literal["samples", "estimate"]
"""What the head is trained on: the mean of sampled trends, as when forecasting, or the denoiser's one-step estimate."""


@dataclass(frozen=True, slots=True)
class CasFTConfig:
    """Architecture and training of one CasFT model (arXiv 2409.16619)."""

    context: ContextConfig | None = None
    """None: the paper's form strictly, the sequence only. Else what forecasts first, and the sequence corrects it."""
    taught: bool = False
    """Whether the context, a summary of the first events, learns from `forecasters.taught_summary`'s labels."""

    event_cap: int = 100
    """Events the sequence sees; the papers' models see the earliest 100."""
    recent_events: int = 0
    """How many of ``event_cap`` are the latest ones when a cascade is longer; 0 as in the paper."""

    state_size: int = 64
    dynamics: Literal["linear", "deep"] = "linear"
    global_features: int = 40
    """Width of the users' global embedding beside the 40 GraphWave features; 0 leaves that half of the encoder out."""
    attention_heads: int = 2
    attention_head_size: int = 32
    feed_forward_size: int = 64
    dropout: float = 0.1

    intervals: int = 8
    """l, into which the time from observation to horizon is cut. Published for Weibo: 32 (0.5 h) and 4 (1 h)."""
    ode_cues: bool = True
    """Whether the ODE is propagated to the horizon and its Lambda conditions the trend; else h(t_o) alone does."""
    trend: TrendSource = "diffusion"
    fused: FusedTrend = "samples"
    """On Weibo validation cascades both forecast equally well (MSLE 1.185 and 1.181, two seeds); the intervals of the
    samples are 8 % narrower: the head is trained on what it will be given. See docs/casft.md."""

    diffusion_steps: int = 1000
    """T, as published for Twitter and APS."""
    denoiser_width: int = 64
    sampling_steps: int = 16
    """DDIM steps, of a forecast and of the samples the head is trained on. Published: 100; against those, 16 draw 80 %
    intervals 2 % narrower, 8 draw them 10 % and 4 draw them 20 % narrower."""
    samples: int = 16
    """Trends drawn for a forecast, in antithetic pairs: their mean then hardly depends on the noise."""
    training_samples: int = 4

    likelihood_weight: float = 0.1
    """Of the ODE intensity's likelihood, as ConCat's."""
    trend_weight: float = 0.5
    """gamma, as published."""
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 1e-6
    epochs: int = 10
    """Length of the cosine schedule."""
    patience: int = 5
    batch_size: int = 16
    """As ConCat's: with 64 the first ten epochs learn nearly nothing."""
    training_cases: int = 12_000
    """At most so many cases for the sequence, drawn at random: the context has learned from all before."""
    averaging: float = 0.995
    """See `forecasters.training_loop.Optimisation`."""
    max_gradient_norm: float = 5.0
    members: int = 1
    """Networks of different random beginnings, trained together, whose forecasts are averaged."""

    def __post_init__(self) -> None:
        if self.samples % 2 or self.training_samples % 2:
            raise ValueError("samples and training_samples come in antithetic pairs: give even numbers")

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """The protocol of the paper, and a mean of three networks, as ConCat's."""
        form: dict[str, Any] = {"members": 3}
        return cls(**(form | changes))

    @classmethod
    def paper_summary(cls) -> Self:
        """What the paper's protocol lets be seen, read twice: as numbers, and as events that correct these."""
        return cls(context=ContextConfig.summary(), learning_rate=1e-3, epochs=2)

    @classmethod
    def paper_taught(cls) -> Self:
        """The same, its numbers learned from better labels."""
        return replace(cls.paper_summary(), taught=True)

    @classmethod
    def full(cls) -> Self:
        """The model for any age; its sequence is short, first and latest events, since the context has the counts."""
        return cls(
            context=ContextConfig(),
            global_features=0,
            event_cap=50,
            recent_events=25,
            learning_rate=1e-3,
            epochs=4,
            patience=2,
            batch_size=128,
            averaging=0.98,
        )

    @property
    def encoder(self) -> ConCatConfig:
        """The settings of the encoder, which is ConCat's."""
        return ConCatConfig(
            state_size=self.state_size,
            global_features=self.global_features,
            attention_heads=self.attention_heads,
            attention_head_size=self.attention_head_size,
            feed_forward_size=self.feed_forward_size,
            dropout=self.dropout,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build from `to_json`'s output; raises `ValueError` naming a key that this version does not know."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown CasFT settings: {', '.join(unknown)}")
        values = dict(values)
        if values.get("context") is not None:
            values["context"] = ContextConfig.from_json(values["context"])
        if "betas" in values:
            first, second = values["betas"]
            values["betas"] = (float(first), float(second))
        return cls(**values)
