"""A partition with models that disagree and truths that come within hours: what learning tests run on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.blend import BlendForecaster
from forecasters.blend.experts import Expert
from graph import Cascade, Event
from streams.engine.answers import give_to_learners
from streams.engine.due import Due
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.records import ForecastRecord
from streams.scoring.kept import Truth
from streams.scoring.scores import ScoreRecord, score_records
from streams.settings import Settings
from tests.streams.conftest import Doubling, random_stream

HOUR = 3600.0


class Tenfold(Forecaster):
    """Forecasts ten times what `Doubling` does."""

    name = "tenfold"
    needs_training = False
    version = "1"

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        return Doubling().prepare(graph, as_of, horizon_seconds)

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        said = Doubling().forecast(examples)
        return times(said, np.full(len(examples), 10.0))

    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        return self

    def save(self, directory: Path) -> None:
        raise NotImplementedError

    @classmethod
    def load(cls, directory: Path) -> Self:
        return cls()


class Swayed(Tenfold):
    """Forecasts the more, the more posts of the stream had many reshares."""

    name = "swayed"

    @property
    def tells_populations(self) -> bool:
        return True

    def votes(self, examples: Sequence[Example]) -> list[str]:
        return ["many" if example.observed > 4 else "few" for example in examples]

    def in_stream(self, example: Example, votes: Mapping[str, float]) -> Example:
        share = votes.get("many", 0.0) / max(sum(votes.values()), 1.0)
        return replace(example, inputs={"share": np.array(share)})

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        said = Doubling().forecast(examples)
        return times(said, np.array([10.0 * (1.0 + float(example.inputs["share"])) for example in examples]))


def times(said: Forecasts, factors: NDArray[np.float64]) -> Forecasts:
    """The forecasts (B), each so many times."""
    return replace(
        said, increment=factors * said.increment, low=factors * said.low, high=factors * said.high,
        trajectory_increments=factors[:, None] * said.trajectory_increments,
    )  # fmt: skip


def blend(other: type[Tenfold] = Tenfold) -> BlendForecaster:
    """Of `Doubling`, which a lineup may hold itself, and another, which it does not."""
    found = BlendForecaster([Expert(Doubling(), stored=True), Expert(other(), stored=True)])
    found.fitted, found.version = True, "3"
    return found


def service(settings: Settings, other: type[Tenfold] = Tenfold) -> ForecastService:
    return ForecastService([blend(other), Doubling()], settings.horizon_seconds)


def learning_settings(**changes: object) -> Settings:
    """Cascades mature within two hours and are learned from every ten minutes."""
    defaults: dict[str, object] = {
        "models": ("doubling",), "allowed_lateness_seconds": 0, "forecast_delay_seconds": 30, "shed": False,
        "horizon_seconds": 2 * HOUR, "retention_grace_seconds": 600, "learn_every_seconds": 600,
        "score_ages_seconds": (60, 600, 1800), "inference_batch": 8, "partitions": 1,
    }  # fmt: skip
    return Settings(**{**defaults, **changes})  # type: ignore[arg-type]


def long_stream(seed: int, cascades: int = 25) -> list[Event]:
    """Cascades that begin over six hours, so that early ones mature while late ones are forecast."""
    return random_stream(seed, cascades, span=6 * HOUR)


@dataclass
class Out:
    """What came out of a partition, by id; a repeat must say the same."""

    forecasts: dict[str, ForecastRecord] = field(default_factory=dict)
    scores: dict[str, ScoreRecord] = field(default_factory=dict)
    truths: list[Truth] = field(default_factory=list)
    repeats: int = 0

    def add(self, forecasts: Iterable[ForecastRecord], scores: Iterable[ScoreRecord]) -> None:
        for known, records in ((self.forecasts, forecasts), (self.scores, scores)):
            for record in records:
                if record.id in known:
                    self.repeats += 1
                    assert known[record.id] == record
                known[record.id] = record


def take(
    partition: Partition, models: ForecastService, config: Settings, limit: int, out: Out, *, acknowledged: bool = True
) -> list[Due]:
    """One round; its forecasts are not acknowledged yet, its scores may be."""
    dues = partition.take_due(limit)
    truths = partition.take_truths()
    out.truths += truths
    runs = models.forecast(dues)
    give_to_learners(dues, [answer for run in runs for answer in run.answers], config.horizon_seconds)
    scores = [record for truth in truths for record in score_records(truth, config.horizon_seconds)]
    out.add([record for run in runs for record in run.records], scores)
    if acknowledged:
        partition.scored(truths)
    return dues


def finish(partition: Partition, models: ForecastService, config: Settings, out: Out, limit: int = 64) -> None:
    while partition.has_due():
        for due in take(partition, models, config, limit, out):
            partition.published(due)


def play(
    events: Sequence[Event], cuts: Sequence[int], config: Settings, limit: int = 64, other: type[Tenfold] = Tenfold
) -> tuple[Out, Partition]:
    """Apply the events in batches cut where told, and everything that is due after each."""
    models, partition, out = service(config, other), Partition(0, config), Out()
    edges = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(edges):
        partition.apply_events(events[start:end])
        finish(partition, models, config, out, limit)
    partition.watermark.advance_to(max(event.time for event in events) + 4 * HOUR)
    finish(partition, models, config, out, limit)
    return out, partition
