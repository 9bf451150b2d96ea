"""One round of forecasts, scores and alerts on its way from the models to the topics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streams.alerts.engine import AlertChange
from streams.alerts.records import AlertRecord
from streams.engine.due import Due
from streams.engine.inference import ModelRun
from streams.engine.lineup import Role
from streams.engine.partition import Partition
from streams.records import ForecastRecord, encode_record
from streams.scoring.kept import Truth
from streams.scoring.scores import ScoreRecord, score_records
from streams.worker.outputs import Output
from streams.worker.progress import OutputKey, OutputKind

FORECAST_TOPICS: Final = {Role.CHAMPION: "forecasts", Role.CHALLENGER: "forecasts.challenger"}
"""A challenger is heard by whoever compares, never by who acts on forecasts."""

SCORES_TOPIC: Final = "scores"
ALERTS_TOPIC: Final = "alerts"

Matured = tuple[Partition, list[Truth]]
"""What became known in one partition."""

Alerted = tuple[Partition, list[AlertChange]]
"""What is to be told of one partition's alerts."""


@dataclass(frozen=True, slots=True)
class Share:
    """A partition's part of a round: its outputs, each with the run, the score or the alert it comes from."""

    partition: Partition
    dues: list[Due]
    truths: list[Truth]
    changes: list[AlertChange]
    outputs: list[tuple[Output, ModelRun | ScoreRecord | AlertRecord]]

    def settle(self) -> None:
        """Tell the partition that all of it is out."""
        self.partition.scored(self.truths)
        self.partition.alerted(self.changes)
        for due in self.dues:
            self.partition.published(due)


def shares(
    dues: Sequence[Due],
    runs: Sequence[ModelRun],
    matured: Sequence[Matured],
    alerted: Sequence[Alerted],
    horizon_seconds: float,
) -> list[Share]:
    """The round parted by partition: each partition's outputs go out by themselves."""
    found: dict[int, Share] = {}

    def share(partition: Partition) -> Share:
        return found.setdefault(id(partition), Share(partition, [], [], [], []))

    for partition, truths in matured:
        one = share(partition)
        one.truths.extend(truths)
        for truth in truths:
            for record in score_records(truth, horizon_seconds):
                one.outputs.append((_score(record, truth.kept.matures), record))
    partition_of: dict[str, Share] = {}
    for due in dues:
        one = partition_of[due.cascade] = share(due.partition)
        one.dues.append(due)
    for run in runs:
        for forecast in run.records:
            output = _output(FORECAST_TOPICS[run.role], OutputKind.FORECAST, forecast, forecast.as_of)
            partition_of[forecast.cascade].outputs.append((output, run))
    for partition, changes in alerted:
        one = share(partition)
        one.changes.extend(changes)
        one.outputs.extend((_alert(change), change.record) for change in changes)
    return list(found.values())


def _score(record: ScoreRecord, matures: float) -> Output:
    return _output(SCORES_TOPIC, OutputKind.SCORE, record, matures)


def _alert(change: AlertChange) -> Output:
    at = change.record.as_of if change.fixed else math.nan
    return _output(ALERTS_TOPIC, OutputKind.ALERT, change.record, at)


def _output(topic: str, kind: OutputKind, record: ForecastRecord | ScoreRecord | AlertRecord, at: float) -> Output:
    """A record on its way to its topic; ``at``: the event time by which a restart knows whether it is out."""
    return Output(topic, (record.cascade.encode(), encode_record(record), []), OutputKey(kind, at, record.cascade))
