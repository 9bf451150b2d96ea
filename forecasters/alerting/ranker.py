"""`AlertRanker`: how likely a post is to end in the top share, at any age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.audience import Audience
from forecasters.alerting.chances import Chances
from forecasters.alerting.effects import EFFECT_NAMES, UserEffects, out_of_fold_features
from forecasters.alerting.features import FEATURE_NAMES, ranking_features
from forecasters.alerting.growth_curves import GrowthCurves, Ints
from forecasters.alerting.linear_score import LinearScore
from forecasters.dataset import DatasetError
from forecasters.errors import ModelStoreError
from forecasters.gradient_boosting import lightgbm_module
from forecasters.model_files import CARD_FILE, TENSORS_FILE, read_config, read_tensors, write_config, write_tensors
from forecasters.promotions import replace_text
from forecasters.trees import TreeArrays

Floats = NDArray[np.float64]

LEAST_POSTS: Final = 100
YOUNGEST_SECONDS: Final = 60.0
OLDEST_SECONDS: Final = 21_600.0
"""Ages a training post is seen at. Older cuts made posts of an hour rank worse, without them posts of many hours do."""
MOST_CUTS: Final = 14
"""Ages at which one training post is seen: more are too much alike to teach more."""
LEAST_CUTS: Final = 4
MOST_ROWS: Final = 150_000
ROUNDS: Final = 200
CALIBRATION_SHARE: Final = 0.2
"""The newest training posts, on which the chances are fitted to scores that have not seen them."""
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "regression",
    "learning_rate": 0.04,
    "num_leaves": 8,  # larger trees ranked later posts worse on every set but one
    "max_depth": 4,  # so many steps take any row to its leaf
    "min_data_in_leaf": 80,  # many cuts of one post are alike: a leaf must hold several posts
    "feature_fraction": 0.4,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums of several threads differ in their last bits
    "verbosity": -1,
}


class AlertRanker:
    """Boosted trees and a ridge regression of the *tail score* of a post's final size, -log(share of posts that are
    larger), on its growth, its people and the clock; then the chance of each top share by a logistic fit.

    Squared errors of log sizes care for the many small posts as much as for the top. On the tail score a post that half
    as many exceed is one step higher wherever it stands, so what is learned is the order near the top. Half the trees
    correct the ridge regression, which goes on where no training post was, the others start from the mean.

    Training needs the ``train`` extra (LightGBM); scores need numpy only. Deterministic given a seed.
    """

    name: ClassVar[str] = "alert-ranker"

    trees: TreeArrays
    linear: LinearScore
    effects: UserEffects
    chances: Chances
    horizon_seconds: float

    def fit(self, curves: GrowthCurves, posts: Ints, shares: Sequence[float], *, seed: int = 0) -> Self:
        """Learn from ``posts`` (places in ``curves``) and what all of ``curves`` show before each moment.

        ``shares`` are the top shares whose chances will be asked for. Raises `DatasetError` for fewer than 100 posts,
        and where a top share is empty.
        """
        if len(posts) < LEAST_POSTS:
            raise DatasetError(f"{len(posts)} posts to train on, {LEAST_POSTS} are needed; give a larger file")
        posts = np.sort(posts)
        self.horizon_seconds = curves.horizon_seconds
        audience = Audience.of(curves)
        newest = posts[round((1.0 - CALIBRATION_SHARE) * len(posts)) :]
        self._fit_scores(curves, audience, posts[: len(posts) - len(newest)], seed)
        rows, ages = training_cuts(curves, newest, seed)
        self.chances = Chances.fit(
            self._scores(curves, audience, rows, ages), ages, rows, curves.finals(), newest, shares
        )
        self._fit_scores(curves, audience, posts, seed)
        return self

    def _fit_scores(self, curves: GrowthCurves, audience: Audience, posts: Ints, seed: int) -> None:
        """Everything but the chances."""
        lightgbm = lightgbm_module()
        rows, ages = training_cuts(curves, posts, seed)
        own = ranking_features(curves, audience, rows, ages)
        X = np.column_stack([own, out_of_fold_features(curves, posts, rows, ages)])
        y = tail_scores(curves.finals(), posts)[rows]
        self.effects = UserEffects.of(curves, posts)
        self.linear = LinearScore.fit(X, y)
        dumps = []
        for target in (y, y - self.linear.predict(X)):
            data = lightgbm.Dataset(X, target)
            dumps.append(lightgbm.train(PARAMETERS | {"seed": seed}, data, num_boost_round=ROUNDS).dump_model())
        self.trees = TreeArrays.from_lightgbm(dumps)

    def scores(self, curves: GrowthCurves, posts: Ints, ages: Floats, *, audience: Audience | None = None) -> Floats:
        """Expected tail scores (B,) of posts at ages (s, above 0); ``audience`` is that of ``curves``, if known."""
        return self._scores(curves, audience or Audience.of(curves), posts, ages)

    def _scores(self, curves: GrowthCurves, audience: Audience, posts: Ints, ages: Floats) -> Floats:
        own = ranking_features(curves, audience, posts, ages)
        X = np.column_stack([own, self.effects.features(curves, posts, ages)])
        return np.asarray(self.trees.predict(X) + 0.5 * self.linear.predict(X))

    def probabilities(
        self, curves: GrowthCurves, posts: Ints, ages: Floats, share: float, *, audience: Audience | None = None
    ) -> Floats:
        """The chances (B,) that posts at ages end in the top ``share``; raises `KeyError` for one not fitted."""
        return self.chances.of(self.scores(curves, posts, ages, audience=audience), ages, share)

    def save(self, directory: Path) -> None:
        """Write config.json, model.safetensors and card.md into an existing directory."""
        config = {
            "forecaster": self.name,
            "horizon_seconds": self.horizon_seconds,
            "features": [*FEATURE_NAMES, *EFFECT_NAMES],
            "chances": self.chances.to_config(),
        }
        write_tensors(directory, {**self.trees.tensors(), **self.linear.tensors(), **self.effects.tensors()})
        write_config(directory, config)
        replace_text(directory / CARD_FILE, self.card())

    def card(self) -> str:
        """What it is, what it holds and what to mind, in Markdown."""
        return (
            f"# {self.name}\n\n{len(self.trees.roots)} trees, a ridge regression and the records of "
            f"{len(self.effects.authors.users)} authors and {len(self.effects.resharers.users)} resharers (hashed, "
            f"no names), for sizes at {self.horizon_seconds / 3600:g} h.\n\n## Mind\n\n"
            "The order it gives is that of the platform and the weeks it was trained on. Measure it on yours: "
            "`cascadecast evaluate alerts`.\n"
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read back what `save` wrote; raises `ModelStoreError` naming the file that is missing or damaged."""
        config, tensors = read_config(directory, cls.name), read_tensors(directory)
        if config.get("features") != [*FEATURE_NAMES, *EFFECT_NAMES]:
            raise ModelStoreError(
                f"{directory}: was trained on other features than this version computes; train it again"
            )
        ranker = cls()
        try:
            ranker.horizon_seconds = float(config["horizon_seconds"])
            ranker.chances = Chances.from_config(config["chances"])
            ranker._take(tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / TENSORS_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        return ranker

    def _take(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        inputs = len(FEATURE_NAMES) + len(EFFECT_NAMES)
        self.trees = TreeArrays.from_tensors(tensors, inputs)
        self.linear = LinearScore.from_tensors(tensors, inputs)
        self.effects = UserEffects.from_tensors(tensors)


def training_cuts(curves: GrowthCurves, posts: Ints, seed: int) -> tuple[Ints, Floats]:
    """Posts (B,) and the random ages (B,) at which they are seen, uniform in log age."""
    cuts = int(np.clip(MOST_ROWS // len(posts), LEAST_CUTS, MOST_CUTS))
    rng = np.random.default_rng((seed, len(posts)))
    oldest = min(OLDEST_SECONDS, curves.horizon_seconds)
    low, high = np.log(min(YOUNGEST_SECONDS, 0.5 * oldest)), np.log(oldest)
    # One age in each part of the span: random ones would leave some posts unseen while they are young.
    parts = (np.arange(cuts) + rng.uniform(size=(len(posts), cuts))) / cuts
    return np.repeat(posts, cuts), np.exp(low + (high - low) * parts).ravel()


def tail_scores(finals: Ints, posts: Ints) -> Floats:
    """-log of the share of ``posts`` that end larger than each final size (N,); equals are at their group's middle."""
    known = np.sort(finals[posts])
    middle = 0.5 * (np.searchsorted(known, finals, side="left") + np.searchsorted(known, finals, side="right"))
    return np.asarray(-np.log1p(-middle / (len(known) + 1.0)))
