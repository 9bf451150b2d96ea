"""What a forecast could take over from the last one of its cascade: inputs that stand, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.autocas import AutoCasForecaster
from forecasters.autocas.batching import place
from forecasters.base import Example, Forecaster
from forecasters.blend import BlendForecaster
from forecasters.concat import ConCatForecaster
from forecasters.concat.batching import collate as collate_events
from forecasters.model_lookup import load_forecaster
from graph import Cascade, CascadeView
from graph.features import feature_matrix
from streams.bench.graphwave import BATCH
from streams.bench.round_cost import EVENTS, due_in_time, unread
from streams.bench.rows import row
from streams.bench.throughput import Tell
from streams.bench.timing import fastest
from streams.engine.blending import FrozenCascade
from streams.engine.partition import Partition
from streams.settings import load_settings

PAIRS: Final = 256

Pair = tuple[CascadeView, CascadeView]
"""A cascade at a forecast, and at its next one."""


def run(tell: Tell, pairs: int = PAIRS, events: int = EVENTS) -> list[dict[str, Any]]:
    """Rows: the share of what the shipped models read that stands from a cascade's last forecast, and of AutoCas's
    processor time what reading those steps takes."""
    tell("what stands from one forecast to the next")
    settings = load_settings(models="blend").of_partitions(1)
    horizon = settings.horizon_seconds
    found = consecutive(Partition(0, settings), pairs, events)
    blend = load_forecaster("blend")
    assert isinstance(blend, BlendForecaster)
    experts = {expert.forecaster.name: expert.forecaster for expert in blend.experts}
    concat, autocas = experts["concat"], experts["autocas"]
    assert isinstance(concat, ConCatForecaster)
    assert isinstance(autocas, AutoCasForecaster)
    steps = [(_prepared(autocas, before, horizon), _prepared(autocas, now, horizon)) for before, now in found]
    kept = [_leading_equal(_observed(before), _observed(now)) for before, now in steps]
    told = np.array([len(_observed(now)) for _, now in steps])
    now = [view for _, view in found]
    whole = fastest(lambda: _forecast(autocas, unread(now), horizon), clock=time.process_time)
    saved = _reading_seconds(autocas, [example for _, example in steps], kept)
    return [
        row("concat, casft: numbers of the events that stand", _of_events(concat, found, horizon), "share"),
        row("trees: features that stand", _of_features(found, horizon), "share"),
        row("autocas: observed steps that stand", sum(kept) / told.sum(), "share"),
        row("autocas: processor time spent on steps that stand", saved / whole, "share"),
    ]


def consecutive(partition: Partition, count: int, events: int) -> list[Pair]:
    """Up to so many pairs of a cascade's forecasts, one right after the other, evenly over so many simulated events."""
    last: dict[str, CascadeView] = {}
    found: list[Pair] = []
    for due in due_in_time(partition, events):
        if (before := last.get(due.cascade)) is not None:
            found.append((before, due.view))
        last[due.cascade] = due.view
    return found[:: max(1, len(found) // count)][:count]


def _forecast(model: Forecaster, views: Sequence[CascadeView], horizon: float) -> None:
    for first in range(0, len(views), BATCH):
        model.forecast([_prepared(model, view, horizon) for view in views[first : first + BATCH]])


def _prepared(model: Forecaster, view: CascadeView, horizon: float) -> Example:
    return model.prepare(cast(Cascade, FrozenCascade(view)), view.as_of, horizon)


def _of_events(concat: ConCatForecaster, pairs: Sequence[Pair], horizon: float) -> float:
    """Times and GraphWave, as the networks read them, of the events after the root that both forecasts know."""
    same = numbers = 0
    for pair in pairs:
        before, now = (_rows(_prepared(concat, view, horizon)) for view in pair)
        both = min(len(before), len(now))
        same += int((before[1:both] == now[1:both]).sum())
        numbers += before[1:both].size
    return same / numbers


def _rows(example: Example) -> NDArray[Any]:
    """(events, 1 + GRAPHWAVE_FEATURES)."""
    batch = collate_events([example])  # of one: no event is absent
    rows: NDArray[Any] = np.column_stack([batch.times[0].numpy(), batch.graphwave[0].numpy()])
    return rows


def _of_features(pairs: Sequence[Pair], horizon: float) -> float:
    before, now = (feature_matrix(views, horizon) for views in zip(*pairs, strict=True))
    return float((before == now).mean())


def _observed(example: Example) -> NDArray[Any]:
    """Tokens of the steps that were observed, (n, TOKEN_SIZE)."""
    tokens: NDArray[Any] = example.inputs["tokens"][: int(example.inputs["observed_steps"])]
    return tokens


def _leading_equal(before: NDArray[Any], now: NDArray[Any]) -> int:
    """How many tokens are equal from the first on: only these have the same keys and values."""
    both = min(len(before), len(now))
    same = (before[:both] == now[:both]).all(axis=1)
    return both if same.all() else int(np.argmin(same))


def _reading_seconds(autocas: AutoCasForecaster, examples: Sequence[Example], kept: Sequence[int]) -> float:
    """What reading all observed steps takes beyond reading only those that do not stand."""
    every = [_observed(example) for example in examples]
    changed = [tokens[min(n, len(tokens) - 1) :] for tokens, n in zip(every, kept, strict=True)]
    return max(0.0, _read_seconds(autocas, every) - _read_seconds(autocas, changed))


def _read_seconds(autocas: AutoCasForecaster, rows: Sequence[NDArray[Any]]) -> float:
    batches = [
        place(some, [len(tokens) for tokens in some])
        for some in (rows[first : first + BATCH] for first in range(0, len(rows), BATCH))
    ]

    def read() -> None:
        with torch.inference_mode():
            for net in autocas.nets:
                for batch in batches:
                    net.begin(batch.tokens, batch.present)

    return fastest(read, clock=time.process_time)
