"""What a ConCat model is made of: every size and switch, with the reason for each value that is not obvious."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self

GRAPHWAVE_FEATURES: Final = 40
"""Two heat-kernel scales x ten points of the characteristic function x (cos, sin)."""


@dataclass(frozen=True, slots=True)
class ConCatConfig:
    """Architecture and training of one ConCat model (arXiv 2409.16623; sizes of its published Weibo runs)."""

    side_features: bool = False
    """False: the paper's protocol strictly, the observed events only. True: the rolling model, any age, with counts."""

    event_cap: int = 100
    """Events the sequence sees; the papers' models see the earliest 100."""
    recent_events: int = 0
    """How many of ``event_cap`` are the latest ones when a cascade is longer; 0 as in the paper."""

    state_size: int = 64
    dynamics: Literal["linear", "deep"] = "linear"
    global_features: int = 0
    """Width of the users' global embedding beside the 40 GraphWave features; 0 leaves that half of the encoder out."""

    attention_heads: int = 2
    attention_head_size: int = 32
    feed_forward_size: int = 64
    dropout: float = 0.1
    side_hidden: int = 64
    """Width of the two layers that read the side features."""

    likelihood_weight: float = 0.1
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 1e-6
    epochs: int = 30
    """Length of the cosine schedule. Published: 100 and patience 15; 30 keep a run at about two minutes of one core."""
    patience: int = 8
    batch_size: int = 64
    warm_up_epochs: int = 12
    """Epochs of the side network alone, seconds in all, before the sequence joins in."""
    warm_up_cuts: int = 24
    """Further random ages of each training cascade in these: side features cost little to prepare."""
    side_rate: float = 0.1
    """Learning rate of the side network once the sequence has joined, relative to the others': it is nearly done."""
    max_gradient_norm: float = 5.0
    """The likelihood term spikes for a burst within one second; clipping keeps such a batch from undoing an epoch."""

    @classmethod
    def rolling(cls) -> Self:
        """The shipped rolling model; its sequence is short, first and latest events, since counts are told apart."""
        return cls(
            side_features=True,
            event_cap=50,
            recent_events=25,
            learning_rate=1e-3,
            epochs=10,
            patience=4,
            batch_size=128,
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
        if "betas" in values:
            first, second = values["betas"]
            values["betas"] = (float(first), float(second))
        return cls(**values)
