"""What learning online is worth on a real stream: the blend against its experts, coverage before and after.

    python -m tests.benchmarks.learning --train weibo_ced.jsonl.zst --stream FILE ... [--spread-days 5]

Half of the first file's older cascades train a ridge and fit the prior of a blend of it with the shipped models; the
newest 15 % and the random test part of seed 0 are left alone. Each stream is then played in event time, forecast at
random ages, learned from a horizon later, by hourly slots. ``--spread-days`` lays roots evenly over so many days, for
files whose cascades all begin within one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasters.blend import BlendForecaster, OnlineBlend
from forecasters.blend.experts import Expert, stored_experts
from forecasters.dataset import increments, rolling_cases
from forecasters.learning_ages import BUCKET_NAMES, bucket_of
from forecasters.online_intervals import OnlineIntervals
from forecasters.registry import new_forecaster
from graph import Cascade
from graph.event_files import read_cascades

HORIZON, SLOT, BATCH = 86_400.0, 3600.0, 128
AGES = (150.0, 64_800.0)
PER_CASCADE = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--stream", type=Path, nargs="*", default=[])
    parser.add_argument("--experts", default="concat,casft,autocas,hawkes,seismic")
    parser.add_argument("--cascades", type=int, default=2000, help="of each stream at most")
    parser.add_argument("--spread-days", type=float)
    args = parser.parse_args()
    early, late = old_cascades(args.train)
    blend = fitted_blend(early, args.experts.split(","))
    print(json.dumps(simulate(args.train.name, blend, late[: args.cascades])))
    for path in args.stream:
        chosen = sample(list(read_cascades(str(path))), args.cascades)
        print(json.dumps(simulate(path.name, blend, chosen, args.spread_days)))


def old_cascades(path: Path) -> tuple[list[Cascade], list[Cascade]]:
    """The halves, by root time, of what is in neither test part."""
    found = sorted(read_cascades(str(path)), key=lambda c: (c.root_time, c.id))
    by_id = sorted(found, key=lambda c: c.id)
    order = np.random.default_rng(0).permutation(len(by_id))
    held_out = {by_id[i].id for i in order[round(0.85 * len(by_id)) :]}
    pool = [c for c in found[: round(0.85 * len(found))] if c.id not in held_out]
    return pool[: len(pool) // 2], pool[len(pool) // 2 :]


def fitted_blend(cascades: Sequence[Cascade], stored: Sequence[str]) -> BlendForecaster:
    """The stored models and a ridge trained on two thirds; weights from the rest."""
    cut = 2 * len(cascades) // 3
    train, validation = (rolling_cases(part, HORIZON, seed=3) for part in (cascades[:cut], cascades[cut:]))
    ridge = new_forecaster("ridge").fit(train, validation)
    return BlendForecaster([*stored_experts(stored), Expert(ridge, stored=True)]).fit(train, validation)


def sample(cascades: list[Cascade], count: int) -> list[Cascade]:
    """Cascades that grew at all and whose horizon lies within the file, in order of root time."""
    end = max(c.last_time for c in cascades)
    grown = [c for c in cascades if c.size >= 2]
    whole = [c for c in grown if c.root_time + HORIZON <= end] or grown
    chosen = np.sort(np.random.default_rng(5).permutation(len(whole))[:count])
    return sorted((whole[i] for i in chosen), key=lambda c: (c.root_time, c.id))


def simulate(
    name: str, blend: BlendForecaster, cascades: Sequence[Cascade], days: float | None = None
) -> dict[str, Any]:
    """MSLE and coverage, prequential: every forecast by what had matured before its slot."""
    cases, roots = [], []
    for number, cascade in enumerate(cascades):
        rng = np.random.default_rng((11, number))
        root = cascade.root_time if days is None else rng.uniform(0.0, days * 86_400.0)
        for case in rolling_cases([cascade], HORIZON, ages=sorted(np.exp(rng.uniform(*np.log(AGES), PER_CASCADE)))):
            cases.append(case)
            roots.append(root)
    truth, root = increments(cases), np.array(roots)
    age = np.array([case.as_of - case.graph.root_time for case in cases])
    increment, low, high = said_by_all(blend, cases)  # each (E + 1, n), the blend last and by its prior
    return {"stream": name, "forecasts": len(cases)} | prequential(blend, truth, age, root, increment, low, high)


def said_by_all(blend: BlendForecaster, cases: Sequence[Any]) -> NDArray[np.float64]:
    """Increment, low and high of each expert and of the blend, (3, E + 1, n)."""
    columns = []
    for first in range(0, len(cases), BATCH):
        examples = [blend.prepare_all(c.graph, c.as_of, c.horizon_seconds) for c in cases[first : first + BATCH]]
        said = [*blend.ask_all(examples), blend.forecast(examples)]
        columns.append([[getattr(one, name) for one in said] for name in ("increment", "low", "high")])
    return np.concatenate(columns, axis=2)


def prequential(
    blend: BlendForecaster, truth: NDArray[np.float64], age: NDArray[np.float64], root: NDArray[np.float64],
    increment: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64],
) -> dict[str, Any]:  # fmt: skip
    E = len(blend.experts)
    logs, y = np.log2(1 + increment[:E]).T, np.log2(1 + truth)
    errors = y[:, None] - logs
    online, offsets = OnlineBlend(E), [OnlineIntervals() for _ in range(E + 1)]
    slot, matures = np.floor((root + age) / SLOT), root + HORIZON
    by_maturity = np.argsort(matures, kind="stable")
    learned, weights = 0, blend.weights
    blended, own_low, own_high = np.empty(len(y)), np.empty(len(y)), np.empty(len(y))
    covered, aware = np.empty((E + 1, len(y)), bool), np.zeros(len(y), bool)
    for number in np.unique(slot):
        until = int(np.searchsorted(matures[by_maturity], number * SLOT))
        if until > learned:
            rows = by_maturity[learned:until]
            online.update(errors[rows], age[rows])
            weights = online.weights(blend.prior)
            for e in range(E):
                offsets[e].update(increment[e, rows], low[e, rows], high[e, rows], truth[rows], age[rows])
            offsets[E].update(np.exp2(blended[rows]) - 1, own_low[rows], own_high[rows], truth[rows], age[rows])
            learned = until
        rows = np.flatnonzero(slot == number)
        blended[rows] = weights.growth(logs[rows], age[rows])
        now = np.exp2(blended[rows]) - 1
        # the bounds of the blend as shipped, moved with its forecast
        moved = (1 + now) / (1 + increment[E, rows])
        own_low[rows] = np.clip((1 + low[E, rows]) * moved - 1, 0.0, now)
        own_high[rows] = np.maximum((1 + high[E, rows]) * moved - 1, now)
        for e in range(E + 1):
            said = (now, own_low[rows], own_high[rows]) if e == E else (increment[e, rows], low[e, rows], high[e, rows])
            lower, upper = offsets[e].bounds(*said, age[rows])
            covered[e, rows] = (lower <= truth[rows]) & (truth[rows] <= upper)
        aware[rows] = learned > 0
    names = [*(expert.forecaster.name for expert in blend.experts), "blend"]
    shipped = (low <= truth) & (truth <= high)
    buckets = bucket_of(age)
    return {
        "before_any_score": int((~aware).sum()),
        "msle": {name: round(float((errors[:, e] ** 2).mean()), 3) for e, name in enumerate(names[:E])},
        "blend": round(float(((y - blended) ** 2).mean()), 3),
        "blend_to_best": ratio(y - blended, errors, np.ones(len(y), bool)),
        "blend_to_best_once_scores_are_known": ratio(y - blended, errors, aware),
        "blend_without_learning": round(float(((y - np.log2(1 + increment[E])) ** 2).mean()), 3),
        "coverage_shipped": {n: by_bucket(shipped[e], buckets, aware) for e, n in enumerate(names)},
        "coverage_learned": {n: by_bucket(covered[e], buckets, aware) for e, n in enumerate(names)},
        "weights_at_the_end": dict(zip(names[:E], weights.weights.mean(axis=0).round(2).tolist(), strict=True)),
    }


def ratio(blended: NDArray[np.float64], errors: NDArray[np.float64], of: NDArray[np.bool_]) -> float | None:
    """MSLE of the blend over that of the best single expert of these cases in hindsight."""
    return round(float((blended[of] ** 2).mean() / (errors[of] ** 2).mean(axis=0).min()), 3) if of.any() else None


def by_bucket(covered: NDArray[np.bool_], buckets: NDArray[np.int64], of: NDArray[np.bool_]) -> dict[str, float]:
    """Coverage of the cases ``of`` by age."""
    return {
        name: round(float(covered[of & (buckets == number)].mean()), 3)
        for number, name in enumerate(BUCKET_NAMES)
        if (of & (buckets == number)).any()
    }


if __name__ == "__main__":
    main()
