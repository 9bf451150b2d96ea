"""AutoCas from events to forecasts with their trajectories, and its roll-out with and without a cache."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import torch

from forecasters.autocas import AutoCasConfig, AutoCasForecaster
from forecasters.autocas.batching import collate
from forecasters.autocas.model import AutoCasNet
from forecasters.autocas.rollout import roll_out
from forecasters.context.network import ContextNet
from graph import Cascade, Event, Kind
from streams.bench.graphwave import BATCH, OBSERVATION_SECONDS, weibo_like_batch
from streams.bench.timing import fastest

HORIZON_SECONDS: Final = 86_400.0
ROOT_TIME: Final = 1_700_000_000.0


def run(progress: Callable[[str], None] | None = None, batch: int = BATCH) -> list[dict[str, Any]]:
    """Rows: cascades a second from events to forecasts, tokens, context and trajectories included; and seconds of a
    roll-out beside one that reads everything again at each step. The weights are untrained, which costs the same."""
    say = progress or (lambda _: None)
    forecaster, cascades = untrained(), weibo_like_cascades(batch)
    later = itertools.count(1)

    def examples() -> list[Any]:
        as_of = ROOT_TIME + OBSERVATION_SECONDS + next(later)  # another view each round: none is remembered
        return [forecaster.prepare(cascade, as_of, HORIZON_SECONDS) for cascade in cascades]

    say(f"AutoCas, scratch, {batch} cascades from events to forecasts")
    whole = fastest(lambda: forecaster.forecast(examples()))
    say("AutoCas's roll-out, with a cache of keys and values and without")
    net, prepared = forecaster.nets[0], collate(examples(), forecaster.context)
    with torch.inference_mode():
        cached = fastest(lambda: roll_out(net, prepared))
        again = fastest(lambda: roll_out(net, prepared, cached=False))
    return [
        {
            "name": "autocas end to end",
            "value": round(batch / whole, 1),
            "unit": "cascades/s",
            "reference": None,
            "reference_value": None,
            "ratio": None,
        },
        {
            "name": "autocas roll-out",
            "value": round(cached, 6),
            "unit": "s a batch",
            "reference": "the same without a cache of keys and values",
            "reference_value": round(again, 6),
            "ratio": round(again / cached, 2),
        },
    ]


def untrained() -> AutoCasForecaster:
    """The rolling form as shipped, with random weights."""
    forecaster = AutoCasForecaster(AutoCasConfig.rolling())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        forecaster.context = ContextNet(forecaster.context_config.size, ("",), forecaster.context_config).eval()
        net = AutoCasNet(forecaster.config, None, forecaster.context.hidden_size).eval()
    forecaster.nets = (net,)
    return forecaster


def weibo_like_cascades(count: int) -> list[Cascade]:
    """The first hour of simulated posts as `weibo_like_batch` gives them, event by event."""
    found = []
    for number, (ages, parents) in enumerate(weibo_like_batch(count)):
        cascade = Cascade(f"p{number}")
        for i, (age, parent) in enumerate(zip(ages.tolist(), parents.tolist(), strict=True)):
            cascade.apply(
                Event(
                    id=f"p{number}.{i}" if i else f"p{number}",
                    cascade=f"p{number}",
                    kind=Kind.REPOST if i else Kind.POST,
                    time=ROOT_TIME + age,
                    user=f"u{i}",
                    parent=None if not i else f"p{number}.{parent}" if parent else f"p{number}",
                )
            )
        found.append(cascade)
    return found
