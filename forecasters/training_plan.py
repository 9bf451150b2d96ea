"""What a training run is told, and the command line that repeats it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast, get_args

from forecasters.dataset import MIN_EVENTS, SplitKind
from graph.durations import format_duration
from graph.errors import UserError

Device = Literal["auto", "cpu", "cuda"]


def device_named(text: str) -> Device:
    """The device called ``text``; raises `UserError` that names them for any other."""
    if text not in get_args(Device):
        raise UserError(f"unknown device {text!r}; use {', '.join(get_args(Device))}")
    return cast("Device", text)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to train on which cuts; ``observe_seconds`` empty means rolling: random ages up to the horizon."""

    model: str
    """``name`` or ``name:variant``."""
    horizon_seconds: float
    observe_seconds: tuple[float, ...] = ()
    split: SplitKind = "random"
    seed: int = 0
    """Of the split and the cuts."""
    seeds: tuple[int, ...] = ()
    """Of the trainings; empty: ``seed`` alone."""
    epochs: int | None = None
    min_events: int = MIN_EVENTS
    device: Device = "auto"
    max_cascades: int | None = None
    """How many cascades of each file were read; None: all."""

    @property
    def rolling(self) -> bool:
        """Whether the model must answer at any age."""
        return not self.observe_seconds

    @property
    def training_seeds(self) -> tuple[int, ...]:
        return self.seeds or (self.seed,)

    def command(self, files: Sequence[str]) -> str:
        """The command line that repeats this training on the ``files``."""
        parts = [f"cascadecast train {self.model}", *(f"--data {name}" for name in files)]
        ages = ",".join(format_duration(age) for age in self.observe_seconds)
        parts += [f"--observe {ages}" if ages else "--rolling", f"--horizon {format_duration(self.horizon_seconds)}"]
        parts += [f"--split {self.split} --seed {self.seed}"]
        if self.seeds:
            parts.append(f"--seeds {','.join(map(str, self.seeds))}")
        if self.epochs is not None:
            parts.append(f"--epochs {self.epochs}")
        if self.min_events != MIN_EVENTS:
            parts.append(f"--min-events {self.min_events}")
        if self.max_cascades is not None:
            parts.append(f"--max-cascades {self.max_cascades}")
        if self.device != "auto":
            parts.append(f"--device {self.device}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that was trained on: its name, its hash (`forecasters.dataset.data_hash`) and its cascades."""

    name: str
    xxh3_128: str
    cascades: int

    def record(self) -> dict[str, Any]:
        """What a version's config.json and card say of it."""
        return asdict(self)
