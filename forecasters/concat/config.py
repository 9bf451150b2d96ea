"""What a ConCat model is made of: every size and switch, with the reason for each value that is not obvious."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, Self

from forecasters.context import ContextConfig

GRAPHWAVE_FEATURES: Final = 40
"""Two heat-kernel scales x ten points of the characteristic function x (cos, sin)."""


@dataclass(frozen=True, slots=True)
class ConCatConfig:
    """Architecture and training of one ConCat model (arXiv 2409.16623; sizes of its published Weibo runs)."""

    context: ContextConfig | None = None
    """None: the paper's form strictly, the sequence only. Else what forecasts first, and the sequence corrects it."""
    taught: bool = False
    """Whether the context, a summary of the first events, learns from `forecasters.taught_summary`'s labels."""
    ode: bool = True
    """False (ablation): the state stands still between events, and only the jumps are left."""
    point_process: bool = True
    """False (ablation): no likelihood in the loss, no Lambda in the head."""
    alignment: bool = True
    """False (ablation): each cascade's state is read right after its own last event, not at the observation time."""

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
    likelihood_weight: float = 0.1
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 1e-6
    epochs: int = 10
    """Length of the cosine schedule. Published: 100 and patience 15, with batches of 64; smaller ones need fewer."""
    patience: int = 5
    batch_size: int = 16
    """On Weibo cascades outside every test part, 1 h to 24 h: 1.45 with 64, 1.33 with 16 (validation MSLE)."""
    training_cases: int = 12_000
    """At most so many cases for the sequence, drawn at random: the context has learned from all before."""
    averaging: float = 0.995
    """See `forecasters.training_loop.Optimisation`."""
    members: int = 1
    """Networks of different random beginnings, trained together, whose forecasts are averaged."""
    max_gradient_norm: float = 5.0
    """The likelihood term spikes for a burst within one second; clipping keeps such a batch from undoing an epoch."""

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """The protocol of the paper, and a mean of three networks: a thousand cascades leave much to a network's
        random beginning, and the error of a mean is at most the mean of the errors."""
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
        """The shipped model; its sequence is short, first and latest events, since the context has the counts.

        Without the users' half: in a stream new users come every minute, and known ones tell nothing measurable.
        """
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
    def encoded_size(self) -> int:
        """Width of an encoded event: the local stack and, where there is one, the global stack."""
        return GRAPHWAVE_FEATURES + self.global_features

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build from `to_json`'s output; raises `ValueError` naming a key that this version does not know."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown ConCat settings: {', '.join(unknown)}")
        values = dict(values)
        if values.get("context") is not None:
            values["context"] = ContextConfig.from_json(values["context"])
        if "betas" in values:
            first, second = values["betas"]
            values["betas"] = (float(first), float(second))
        return cls(**values)
