"""A slow, obvious reading of AutoCas's tokens, and small networks to test with."""

from __future__ import annotations

import math

import numpy as np
import torch

from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.model import AutoCasNet
from forecasters.autocas.tokens import DEEPEST_LEVEL, TOKEN_SIZE, WAVE_OCTAVES
from graph import CascadeView

SMALL = AutoCasConfig(width=16, layers=2, heads=2, prompts=3, batch_size=16, epochs=3, observed_steps=5, future_steps=4)
ROLLING = AutoCasConfig.rolling(width=16, layers=1, heads=2, prompts=3, batch_size=32, epochs=3)


def small_net(config: AutoCasConfig, seed: int = 0, context_hidden: int = 0) -> AutoCasNet:
    """A network whose heads are off their zero start: at zero anything is causal."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = AutoCasNet(config, None, context_hidden)
        for head in (net.next_step, net.total):
            torch.nn.init.normal_(head.weight, std=0.3)
            torch.nn.init.constant_(head.bias, 1.0)
    return net.eval()


def slow_tokens(
    view: CascadeView, ends: list[float], observed: int, config: AutoCasConfig, horizon: float
) -> np.ndarray:
    """Tokens event by event and step by step, as the docstring of `forecasters.autocas.tokens` tells them."""
    cap = len(view.ages) if config.event_cap is None else min(config.event_cap, len(view.ages))
    events = range(cap)
    children: dict[int, list[int]] = {i: [] for i in events}
    for i in events:
        if i > 0:
            children[int(view.parents[i])].append(i)
    edges = [0.0, *ends]

    def step_of(i: int) -> int:
        for k in range(observed):
            if view.ages[i] <= ends[k]:
                return k
        return observed - 1

    def binned(k: int) -> int:
        if config.event_cap is not None:
            return 0
        late = math.inf if k == observed - 1 else ends[k]
        minutes = zip(view.binned_ages, view.binned_counts, strict=True)
        return sum(int(count) for age, count in minutes if (k == 0 or age > ends[k - 1]) and age <= late)

    rows = []
    for k in range(max(observed, len(ends) - 1)):
        start, end = edges[k], edges[k + 1]
        width = end - start
        following = ends[k + 1] - end if k + 1 < len(ends) else 0.0
        row = [0.0] * 9
        if k < observed:
            mine = [i for i in events if i > 0 and step_of(i) == k]
            until = [i for i in events if step_of(i) <= k]
            new = sum(bool(view.reshares[i]) for i in mine) + binned(k)
            cumulative = sum(bool(view.reshares[i]) for i in until) + sum(binned(j) for j in range(k + 1))
            depth = [min(int(view.depths[i]), DEEPEST_LEVEL) for i in until]
            leaves = [i for i in until if not any(step_of(c) <= k for c in children[i])]
            level = max(depth.count(d) for d in set(depth))
            place = [min(max((view.ages[i] - start) / max(width, 1e-9), 0.0), 1.0) for i in mine]
            followers = 0.0
            if config.audience:
                all_mine = [i for i in events if step_of(i) == k]
                followers = sum(float(view.followers[i]) for i in all_mine if not math.isnan(view.followers[i]))
            row = [
                math.log2(1 + new),
                math.log2(1 + cumulative),
                math.log2(1 + np.mean([min(int(view.depths[i]), DEEPEST_LEVEL) for i in mine])) if mine else 0.0,
                float(np.mean([view.parents[i] == 0 for i in mine])) if mine else 0.0,
                float(np.mean(place)) if mine else 0.0,
                math.log2(1 + max(depth)),
                math.log2(1 + level),
                len(leaves) / len(until),
                math.log2(1 + followers),
            ]
        doublings = math.log2(1 + end / 60)
        row += (
            [doublings] + [math.log2(1 + s / 60) for s in (width, following, end + following)] + [float(k < observed)]
        )
        for octaves in WAVE_OCTAVES:
            row += [math.sin(2 * math.pi * doublings / octaves), math.cos(2 * math.pi * doublings / octaves)]
        if config.audience:
            hour = 2 * math.pi * ((view.root_time + end + following / 2) % 86_400.0) / 86_400.0
            row += [math.sin(hour), math.cos(hour)]
        else:
            row += [0.0, 0.0]
        rows.append(row)
    found = np.array(rows)
    assert found.shape[1] == TOKEN_SIZE
    return found
