"""What the context network reads, its sizes, and how long it learns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.context.features import CONTEXT_SIZE, PAYLOAD_SIZE, context_features, payload_features
from forecasters.context.summary import SUMMARY_SIZE, summary_features
from graph import CascadeView


@dataclass(frozen=True, slots=True)
class ContextConfig:
    """Chosen by four-fold cross-validation on Weibo cascades outside every test part; see docs/forecasters.md."""

    reads: Literal["everything", "first-events"] = "everything"
    """All that was observed, or what follows from the earliest 100 events alone: the papers' restriction."""
    members: int = 6
    """Networks of each population whose forecasts are averaged: past four another one changes little."""
    width: int = 64
    """Of both hidden layers; 128 and half the epochs forecast unseen cascades as well, at twice the cost."""
    dropout: float = 0.1
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    batch_size: int = 256
    epochs: int = 24
    teachers: int = 2
    """Networks of each teacher of `forecasters.context.later_ages`; 0: learn from the truth alone."""
    teachers_epochs: int = 12
    """Fewer than of who learns from them: labels of the truth alone are sooner learned by heart."""
    cuts: int = 64
    """Random ages of each training cascade: features are cheap, and a cascade at another age is almost another case.
    With 48 instead of 24, and as many steps, errors on unseen Weibo cascades fell by 1 %."""
    most_cuts: int = 150_000
    """Of one population; where it has many cascades, each is cut at fewer ages."""
    age_span: float | None = None
    """How many times older or younger than its cascade's case a cut is at most; None: from a minute to the horizon."""
    nearer_horizons: float = 0.4
    """Share of these cuts with a random horizon before the one that is asked for, so that any horizon can be asked."""

    gate_width: int = 64
    """Of both hidden layers."""
    gate_epochs: int = 8

    @classmethod
    def summary(cls) -> Self:
        """Of the first events, for the age and horizon that are asked for: other ages teach only as they are near."""
        return cls(reads="first-events", cuts=32, age_span=5.0, epochs=6, teachers=0)

    @property
    def size(self) -> int:
        """F, how many numbers the networks read, those of the gate alone included."""
        return CONTEXT_SIZE + PAYLOAD_SIZE if self.reads == "everything" else SUMMARY_SIZE

    @property
    def of_gate_alone(self) -> int:
        """How many of them, the last ones, the gate alone reads: within a population they tell nothing."""
        return PAYLOAD_SIZE if self.reads == "everything" else 0

    def features(self, view: CascadeView, horizon_seconds: float) -> NDArray[np.float64]:
        """What the networks read of a view, (F,), raw and finite."""
        if self.reads == "first-events":
            return summary_features(view, horizon_seconds)
        return np.concatenate([context_features(view, horizon_seconds), payload_features(view)])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build from `to_json`'s output; raises `ValueError` naming a key that this version does not know."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown settings of the context: {', '.join(unknown)}")
        return cls(**values)
