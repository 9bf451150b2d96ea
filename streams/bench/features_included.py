"""ConCat and CasFT from events to forecasts, against the path of their authors: the same cascades, the same run.

The reference computes GraphWave by SciPy, one cascade after another, and solves every interval by adjoint dopri5; the
encoder, the heads and CasFT's sampler are the same on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from forecasters.base import Example
from forecasters.casft import CasFTConfig
from forecasters.casft.batching import batch_of
from forecasters.casft.model import Batch as TrendBatch
from forecasters.casft.model import CasFTNet
from forecasters.casft.reference import reference_cues
from forecasters.concat import ConCatConfig
from forecasters.concat.batching import collate
from forecasters.concat.config import GRAPHWAVE_FEATURES
from forecasters.concat.dynamics import perturb
from forecasters.concat.model import Batch, ConCatNet
from forecasters.concat.reference import solve_dopri5
from streams.bench.graphwave import OBSERVATION_SECONDS, Nodes, scipy_graphwave
from streams.bench.timing import fastest

HORIZON_SECONDS: Final = 86_400.0
REFERENCE: Final = "adjoint dopri5 at 1e-4 for every interval, SciPy GraphWave one cascade after another"
REFERENCE_ROUNDS: Final = 2


def full_cascades(count: int, events: int) -> list[Nodes]:
    """``count`` cascades of exactly ``events`` nodes within the observation, most of them early, on random trees."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        ages = np.concatenate([[0.0], np.sort(OBSERVATION_SECONDS * rng.random(events - 1) ** 3)])
        near_root = rng.random(events - 1) < 0.6
        parents = np.where(near_root, 0, (rng.random(events - 1) * np.arange(1, events)).astype(np.int64))
        found.append((ages, np.concatenate([[-1], parents]).astype(np.int32)))
    return found


def examples_of(cascades: list[Nodes]) -> list[Example]:
    """What a forecaster would have prepared of these cascades; their users are unknown."""
    return [
        Example(
            str(number),
            OBSERVATION_SECONDS,
            OBSERVATION_SECONDS,
            HORIZON_SECONDS,
            len(ages) - 1,
            {"ages": ages, "parents": parents, "users": np.zeros(len(ages), dtype=np.uint64)},
        )
        for number, (ages, parents) in enumerate(cascades)
    ]


def run(progress: Callable[[str], None] | None = None, batch: int = 64, events: int = 100) -> list[dict[str, Any]]:
    """Two rows: cascades a second of each model, features included, and of its reference path."""
    say = progress or (lambda _: None)
    cascades = full_cascades(batch, events)
    rows = []
    for name, fast, reference in (_concat(cascades), _casft(cascades)):
        say(f"{name} from events to forecasts, {batch} cascades of {events} events, fast path and reference")
        _assert_equal(name, fast(), reference())
        ours, theirs = fastest(fast), fastest(reference, REFERENCE_ROUNDS)
        rows.append(
            {
                "name": f"{name} features included",
                "value": round(batch / ours, 1),
                "unit": "cascades/s",
                "reference": REFERENCE,
                "reference_value": round(batch / theirs, 1),
                "ratio": round(theirs / ours, 1),
            }
        )
    return rows


Forecast = Callable[[], Tensor]


def _concat(cascades: list[Nodes]) -> tuple[str, Forecast, Forecast]:
    examples = examples_of(cascades)
    net = ConCatNet(ConCatConfig(global_features=0)).eval()
    perturb(net.dynamics, 1.0, torch.Generator().manual_seed(0))

    def fast() -> Tensor:
        with torch.inference_mode():
            growth: Tensor = net(collate(examples), likelihood=False).growth
            return growth

    def reference() -> Tensor:
        with torch.no_grad():
            batch = _with_scipy_graphwave(cascades)
            encoded = net.encoder(batch.graphwave, None, batch.times, batch.present).transpose(0, 1)
            events = encoded, batch.times.t(), batch.present.t()
            _, final, integral = solve_dopri5(net.dynamics, net.intensity, net.jump, net.initial, *events)
            hidden = net.state(torch.cat([final, torch.log1p(integral)[:, None]], dim=1))
            return nn.functional.softplus(net.head(hidden).squeeze(1))

    return "concat", fast, reference


def _casft(cascades: list[Nodes]) -> tuple[str, Forecast, Forecast]:
    examples = examples_of(cascades)
    config = CasFTConfig(global_features=0)
    net = CasFTNet(config).eval()
    perturb(net.cues.dynamics, 1.0, torch.Generator().manual_seed(0))
    noise = batch_of(examples, config, None).noise

    def fast() -> Tensor:
        with torch.inference_mode():
            growth: Tensor = net(batch_of(examples, config, None)).growth
            return growth

    def reference() -> Tensor:
        with torch.no_grad():
            observation = _with_scipy_graphwave(cascades)
            observed = torch.full((len(cascades),), OBSERVATION_SECONDS / HORIZON_SECONDS)
            cues = reference_cues(net.cues, observation, observed)
            return net.forecast_from(cues, TrendBatch(observation, observed, noise)).growth

    return "casft", fast, reference


def _with_scipy_graphwave(cascades: list[Nodes]) -> Batch:
    """ConCat's batch of cascades of one length."""
    times = np.stack([ages / OBSERVATION_SECONDS for ages, _ in cascades]).astype(np.float32)
    waves = np.empty((*times.shape, GRAPHWAVE_FEATURES), dtype=np.float32)
    for row, (ages, parents) in enumerate(cascades):
        waves[row] = scipy_graphwave(ages, parents, OBSERVATION_SECONDS)
    return Batch(torch.from_numpy(times), torch.ones(times.shape, dtype=torch.bool), torch.from_numpy(waves))


def _assert_equal(name: str, fast: Tensor, reference: Tensor) -> None:
    """A ratio between paths that disagree would mean nothing; 1e-2 log2 is GraphWave's 1e-3 and dopri5's 1e-4."""
    difference = float((fast - reference).abs().max())
    if difference > 1e-2:
        raise RuntimeError(f"the two paths of {name} forecast differently, by {difference:.3g} log2; mend this first")
