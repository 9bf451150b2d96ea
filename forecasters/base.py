"""The one contract that every forecaster, baseline and blend obeys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.errors import NotCalibratedError
from forecasters.intervals import ConformalIntervals
from forecasters.view_memo import once_per_view
from graph import Cascade, CascadeView

Floats = NDArray[np.float64]

TRAJECTORY_POINTS = 13
"""Points of a trajectory, the present and the horizon included: enough for a smooth sparkline, small on the
wire."""


@dataclass(frozen=True, slots=True)
class Example:
    """What one forecast needs, prepared from a cascade as it stood at ``as_of``; numpy only, safe to cache.

    ``inputs`` are the forecaster's own arrays. Everything else is the same for all forecasters.
    """

    cascade: str
    as_of: float  # event time, seconds since the epoch
    age_seconds: float  # as_of - root time, >= 0
    horizon_seconds: float  # the age at which popularity is forecast
    observed: int  # size at as_of
    inputs: dict[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: CascadeView, horizon_seconds: float, inputs: dict[str, NDArray[Any]]) -> Self:
        """The example of a view: its common part is read off, ``inputs`` are the forecaster's own."""
        age = max(view.age_seconds, 0.0)
        return cls(view.cascade, view.as_of, age, horizon_seconds, _size(view), inputs)


@once_per_view
def _size(view: CascadeView) -> int:
    return view.size


@dataclass(frozen=True, slots=True)
class Forecasts:
    """A batch of B forecasts of the increment size(horizon) - size(as_of).

    Shapes: increment, low, high (B,); trajectory_ages, trajectory_increments (B, TRAJECTORY_POINTS). Row b of
    ``trajectory_ages`` goes from age_seconds to horizon_seconds (log-spaced from the present);
    ``trajectory_increments`` rises monotonically from 0 to ``increment[b]``. ``supercritical`` marks cascades
    for which the model has no finite answer; their increment is the model's documented cap.
    """

    increment: Floats
    low: Floats
    high: Floats
    trajectory_ages: Floats
    trajectory_increments: Floats
    supercritical: NDArray[np.bool_]

    @classmethod
    def nothing(cls, count: int) -> Self:
        """``count`` forecasts that hold zeros and no more, ages too."""
        none, path = np.zeros(count), np.zeros((count, TRAJECTORY_POINTS))
        return cls(none, none, none, path, path, np.zeros(count, dtype=np.bool_))

    @classmethod
    def placed(cls, part: Self, rows: NDArray[np.int64], count: int) -> Self:
        """``count`` forecasts of which ``part`` are those at ``rows``; the others are of `nothing`."""

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            whole = np.zeros((count, *values.shape[1:]), values.dtype)
            whole[rows] = values
            return whole

        return cls(*(spread(getattr(part, one.name)) for one in fields(cls)))


@dataclass(frozen=True, slots=True)
class Case:
    """One cut of one cascade with its truth: a training or test example before any model prepared it."""

    graph: Cascade
    as_of: float
    horizon_seconds: float
    increment: int  # size at the horizon minus size at as_of


class Forecaster(ABC):
    """Forecasts how much a cascade will still grow.

    Promises, checked for every forecaster by ``tests/forecasters/test_contract.py``: deterministic given a
    seed; never NaN, never negative; ``low <= increment <= high``; a trajectory is monotone and ends in the
    increment; at or past the horizon the increment is 0; permuting a batch permutes the answers; what else is
    in the batch changes nothing.
    """

    name: ClassVar[str]
    needs_training: ClassVar[bool]
    kind: ClassVar[str] = ""
    """Trained forecasters of one kind, unless it is "", say nearly the same of a post."""
    version: str = "0"
    intervals: Any = None
    """What makes ``low`` and ``high``, of the model's own kind."""

    @classmethod
    def variants(cls) -> Mapping[str, Callable[[], Forecaster]]:
        """Other forms of this forecaster: name -> what makes an untrained one; written ``name:variant`` in commands.

        ``cls()`` is the form that answers at any age and horizon. Variants are a paper's own protocol (``paper``),
        which is made for one observation age and horizon, and its ablations (``paper-no-...``).
        """
        return {}

    @abstractmethod
    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        """The example of one cascade at one time; reads only what had been seen at ``as_of``."""

    @property
    def population_names(self) -> tuple[str, ...]:
        """The populations of posts that the model knows; none if it cannot tell which one a post resembles."""
        return ()

    @property
    def tells_populations(self) -> bool:
        """Whether `populations` answers at all: else to prepare an example for it would be in vain."""
        return bool(self.population_names)

    def populations(self, examples: Sequence[Example]) -> NDArray[np.int64] | None:
        """Which population each example resembles most, (B,), its place in `population_names`; None without them."""
        return None

    def votes(self, examples: Sequence[Example]) -> list[str] | None:
        """The name of the population that each example resembles most, taken by itself; None as in `populations`."""
        if not self.tells_populations:
            return None
        found = self.populations([self.in_stream(example, {}) for example in examples])
        return [] if found is None else [self.population_names[number] for number in found]

    def in_stream(self, example: Example, votes: Mapping[str, float]) -> Example:
        """The example, told how many earlier posts of its stream voted for each population (`votes`, by name).

        A topic holds the posts of one platform or two: what its other posts resemble says what to expect of this one.
        """
        return example

    @abstractmethod
    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        """Forecast a batch; any ages and horizons may be mixed. An empty batch gives empty arrays."""

    @abstractmethod
    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        """Fit to ``train``, choose by ``validation``; training-free forecasters only calibrate their
        interval."""

    def calibrate(self, examples: Sequence[Example], actual: Floats) -> Self:
        """Fit the intervals anew on ``examples`` (at least one) that the model was not fitted to; all else stays.

        ``actual`` (B,) are their true increments. Raises `NotCalibratedError` for a model whose intervals are of
        another kind.
        """
        intervals = self.intervals
        if not isinstance(intervals, ConformalIntervals):
            raise NotCalibratedError(f"{self.name} has no intervals that cases could calibrate")
        said = self.forecast(examples)
        self.intervals = ConformalIntervals.fit(
            said.increment,
            np.asarray(actual, dtype=np.float64),
            np.array([example.age_seconds for example in examples]),
            np.array([float(example.observed) for example in examples]),
            group=self.populations(examples),
            level=intervals.level,
        )
        return self

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write config.json (and model.safetensors where there are tensors) into an existing directory."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read back what `save` wrote; raises `ModelStoreError` naming the file when it is missing or
        damaged."""
