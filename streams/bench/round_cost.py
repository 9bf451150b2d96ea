"""What one forecast by a model costs, by how many are made together: of simulated posts at the times they fall due."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from graph import CascadeView
from streams.bench.plan import PipelinePlan, events_of
from streams.bench.rows import row
from streams.bench.throughput import Tell
from streams.engine.due import Due
from streams.engine.inference import load_service
from streams.engine.partition import Partition
from streams.settings import load_settings

ROUNDS: Final = (1, 8, 64, 256)
EVENTS: Final = 20_000
FORECASTS: Final = 256
"""Of each size of round, so many at least are timed."""

APPLIED: Final = 500


def run(model: str, tell: Tell) -> list[dict[str, Any]]:
    """Processor time of a forecast, preparation and record included, of the shipped ``model``."""
    settings = load_settings(models=model).of_partitions(1)
    service = load_service(settings)
    tell(f"rounds of {model}")
    dues = due_in_time(Partition(0, settings))
    chance = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in ROUNDS:
        rounds = [_unseen(chance.sample(dues, number)) for _ in range(max(2, FORECASTS // number))]
        service.forecast(_unseen(rounds[0]))  # tables are made once
        began = time.process_time()
        for one in rounds:
            service.forecast(one)
        each = (time.process_time() - began) / (number * len(rounds))
        rows.append(row(f"{model}: processor time of a forecast, {number} at once", 1e3 * each, "ms"))
    return rows


def due_in_time(partition: Partition, count: int = EVENTS) -> list[Due]:
    """What falls due while so many simulated events come."""
    events = list(events_of(PipelinePlan(events=count)))
    dues: list[Due] = []
    for start in range(0, len(events), APPLIED):
        partition.apply_events(events[start : start + APPLIED])
        while partition.has_due():
            taken = partition.take_due(APPLIED)
            partition.tell_alerts({})
            partition.scored(partition.take_truths())
            for due in taken:
                partition.published(due)
            dues += taken
    return dues


def _unseen(dues: Sequence[Due]) -> list[Due]:
    return [replace(due, view=view) for due, view in zip(dues, unread([due.view for due in dues]), strict=True)]


def unread(views: Sequence[CascadeView]) -> list[CascadeView]:
    """The same as objects of their own: what a model remembers of a view costs nothing again."""
    return [replace(view) for view in views]
