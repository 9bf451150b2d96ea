"""A forecaster so simple that every test can work out its answers, and streams of events to feed it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self
from unittest.mock import patch

import msgspec
import numpy as np
import pytest

from forecasters.base import TRAJECTORY_POINTS, Case, Example, Forecaster, Forecasts
from graph import Cascade, Event, Kind
from streams.engine.changes import Changes
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.state.store import MemorySegmentStore


@pytest.fixture(scope="session", autouse=True)
def stores_are_copies() -> Iterator[None]:
    """Stores in memory stand for a worker's copies, behind which the changelog is: a log that lacks its first records
    is refused, in whatever way it came to lack them."""
    with patch.object(MemorySegmentStore, "is_all_there_is", return_value=False):
        yield


class Doubling(Forecaster):
    """Forecasts that what was observed comes once more."""

    name = "doubling"
    needs_training = False
    version = "1"

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        if view.cascade.startswith("indigestible"):
            raise RuntimeError("a cascade this model cannot digest")
        return Example(view.cascade, as_of, view.age_seconds, horizon_seconds, view.size)

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        observed = np.array([example.observed for example in examples], dtype=float)
        ages = np.array([np.linspace(e.age_seconds, e.horizon_seconds, TRAJECTORY_POINTS) for e in examples])
        steps = np.linspace(0, 1, TRAJECTORY_POINTS)
        return Forecasts(
            increment=observed,
            low=observed / 2,
            high=observed * 2,
            trajectory_ages=ages.reshape(len(examples), TRAJECTORY_POINTS),
            trajectory_increments=observed[:, None] * steps,
            supercritical=np.zeros(len(examples), dtype=bool),
        )

    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        return self

    def save(self, directory: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, directory: Path) -> Self:
        return cls()


@pytest.fixture
def engine_settings() -> Settings:
    return Settings(models=("doubling",), allowed_lateness_seconds=0, forecast_delay_seconds=60, inference_batch=8)


@pytest.fixture
def doubling_service(engine_settings: Settings) -> ForecastService:
    return ForecastService([Doubling()], engine_settings.horizon_seconds)


def cascade_events(cascade: str, start: float, delays: Sequence[float]) -> list[Event]:
    """A post at ``start`` and its reposts after the given delays."""
    root = Event(id=cascade, cascade=cascade, kind=Kind.POST, time=start, user="author")
    reposts = [
        Event(id=f"{cascade}/{n}", cascade=cascade, kind=Kind.REPOST, time=start + delay, user=f"u{n}", parent=cascade)
        for n, delay in enumerate(delays)
    ]
    return [root, *reposts]


def apply(partition: Partition, events: Sequence[Event], start: int, broker_time: float = 0.0) -> Changes:
    """Apply events as records of consecutive offsets, which a worker hears again after a crash."""
    records = [
        Record(msgspec.json.encode(event), offset=start + at, timestamp=broker_time + start + at)
        for at, event in enumerate(events)
    ]
    return partition.apply_records(records, check_keys=False)


def random_stream(seed: int, cascades: int = 40, span: float = 7200.0) -> list[Event]:
    """Cascades of all sizes in order of event time."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    for number in range(cascades):
        start = float(np.round(1_400_000_000 + rng.uniform(0, span), 3))
        delays = np.round(rng.exponential(1800, int(rng.geometric(0.1))), 3)
        events += cascade_events(f"c{number}", start, [float(delay) for delay in delays])
    return sorted(events, key=lambda event: event.time)
