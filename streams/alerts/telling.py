"""What the champion said of a round, on its way to the alerts of the partitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.engine.inference import ModelRun
from streams.engine.lineup import Lineup, Role
from streams.engine.partition import Partition
from streams.records import ForecastRecord


def tell_partitions(partitions: Iterable[Partition], runs: Sequence[ModelRun], lineup: Lineup) -> None:
    """Tell each partition the forecasts of the first model of the lineup, whichever version of it spoke."""
    name = lineup.seats[0].tenures[-1].model.name
    champions: dict[tuple[str, float], ForecastRecord] = {}
    for run in runs:
        if run.role is Role.CHAMPION and run.model == name:
            for record in run.records:
                champions.setdefault((record.cascade, record.as_of), record)
    for partition in partitions:
        partition.tell_alerts(champions)
