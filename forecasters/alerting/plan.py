"""What is judged, and which posts train and which test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from forecasters.alerting.growth_curves import GrowthCurves, Ints
from forecasters.dataset import DatasetError
from forecasters.selection import EvaluationSplit, chosen_models
from graph.errors import UserError

TRAINING_SHARE: Final = 0.7
RANKER: Final = "ranker"
RANKER_OF_POST: Final = "ranker:post"
"""Without what other posts tell of the people: the kind that a worker uses, so the kind that is stored."""
STORED: Final = "blend"
"""What stands beside today's rules where nothing is trained."""
LEAST_TEST_POSTS: Final = 20


@dataclass(frozen=True, slots=True)
class AlertPlan:
    """``models`` are rules beside those of today: rankers, or specs of forecasters, which rank by expected size."""

    observe_seconds: tuple[float, ...]
    horizon_seconds: float
    shares: tuple[float, ...]
    split: EvaluationSplit = "time"
    seeds: tuple[int, ...] = (0, 1, 2)
    models: tuple[str, ...] = (RANKER,)

    @property
    def rankers(self) -> tuple[str, ...]:
        """Those of the models that are rankers: with split "all" stored ones, as ``ranker`` or ``ranker@version``."""
        return tuple(model for model in self.models if is_ranker(model))

    @property
    def trains_ranker(self) -> bool:
        """Whether LightGBM is needed."""
        return self.split != "all" and bool(self.rankers)


def is_ranker(model: str) -> bool:
    """Whether it is one of the rankers, rather than a forecaster."""
    return model in (RANKER, RANKER_OF_POST) or model.partition("@")[0] == RANKER


def parse_shares(text: str) -> tuple[float, ...]:
    """Shares from ``1%,5%`` or ``0.01,0.05``, each once; raises `UserError` for one not between 0 and 1."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        number, percent = part.removesuffix("%"), part.endswith("%")
        try:
            share = round(float(number) / (100.0 if percent else 1.0), 12)
        except ValueError:
            share = 0.0
        if not 0.0 < share < 1.0:
            raise UserError(f"--top {text}: give shares of the posts such as 1%,5%,10%")
        found.append(share)
    return tuple(dict.fromkeys(found))


def chosen_rules(text: str | None, split: EvaluationSplit) -> tuple[str, ...]:
    """Rules beside today's from names with commas between; raises `UserError` for an unknown one."""
    if text is None:
        return (STORED,) if split == "all" else (RANKER,)
    names = [name.strip() for name in text.split(",")]
    for name in filter(is_ranker, names):
        if split == "all" and name == RANKER_OF_POST:
            raise UserError(f"--split all trains nothing; name a stored ranker: --models {RANKER}")
        if split != "all" and "@" in name:
            raise UserError(f"--split {split} trains its own; --split all judges the stored {name}")
    forecasters = [name for name in names if not is_ranker(name)]
    if forecasters:
        chosen_models(",".join(forecasters), split)
    return tuple(dict.fromkeys(names))


def parts(curves: GrowthCurves, plan: AlertPlan, seed: int) -> tuple[Ints, Ints]:
    """Places of the training and of the test posts, ascending: the earlier 70 % by root time and the rest, or drawn
    with ``seed``, or, where nothing is trained, all posts twice.

    Raises `DatasetError` for a test part of fewer than 20 posts.
    """
    n = len(curves)
    everything = np.arange(n)
    first = round(TRAINING_SHARE * n)
    if plan.split == "all":
        train, test = everything, everything
    elif plan.split == "time":
        train, test = everything[:first], everything[first:]
    else:
        drawn = np.random.default_rng(seed).permutation(n)
        train, test = np.sort(drawn[:first]), np.sort(drawn[first:])
    if len(test) < LEAST_TEST_POSTS:
        raise DatasetError(f"{len(test)} of {n} cascades to test on, {LEAST_TEST_POSTS} are needed; give a larger file")
    return train, test
