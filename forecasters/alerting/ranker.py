"""`AlertRanker`: how likely a post is to end in the top share, at any age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.anchor import count_slope
from forecasters.alerting.audience import Audience
from forecasters.alerting.chances import Chances
from forecasters.alerting.effects import EFFECT_NAMES, UserEffects, out_of_fold_features
from forecasters.alerting.features import GROWTH_NAMES, PEOPLE_NAMES, ranking_features
from forecasters.alerting.growth_curves import GrowthCurves, Ints
from forecasters.alerting.levels import reaches_top
from forecasters.alerting.stage import Stage
from forecasters.dataset import DatasetError
from forecasters.errors import ModelStoreError
from forecasters.model_files import CARD_FILE, TENSORS_FILE, read_config, read_tensors, write_config, write_tensors
from forecasters.promotions import replace_text
from graph import CascadeView

Floats = NDArray[np.float64]

LEAST_POSTS: Final = 100
LOG_COUNT: Final = GROWTH_NAMES.index("log_count")
CALIBRATION_SHARE: Final = 0.2
"""The newest training posts, on which the count's say and the chances are fitted to scores that have not seen them."""
SWITCH_SECONDS: Final = 7200.0
"""Younger posts are scored by the first stage, older ones by the second: one for all ages ranked posts of an hour
worse, and one for the young knows no long silences."""


@dataclass(frozen=True, slots=True)
class Span:
    """The ages (s) a stage learns at, a little beyond those it is asked for, and how often it sees each post."""

    youngest_seconds: float
    oldest_seconds: float
    least_cuts: int
    most_cuts: int  # more are too much alike to teach more
    most_rows: int


YOUNG: Final = Span(120.0, SWITCH_SECONDS, 4, 14, 150_000)
OLD: Final = Span(0.75 * SWITCH_SECONDS, np.inf, 2, 6, 75_000)


class AlertRanker:
    """The *tail score* of a post's final size, -log(share of posts that are larger), from its growth, its people and
    the clock; then the chance of each top share by a logistic fit.

    Squared errors of log sizes care for the many small posts as much as for the top. On the tail score a post that half
    as many exceed is one step higher wherever it stands, so what is learned is the order near the top.

    With ``reads_stream`` it reads what all other posts have shown of the people up to the moment. Without, a post is
    scored by itself: a worker sees some partitions only, and where a post lies must not decide its rank.

    Training needs the ``train`` extra (LightGBM); scores need numpy only. Deterministic given a seed.
    """

    name: ClassVar[str] = "ranker"
    version: str = "0"

    stages: tuple[Stage, ...]
    chances: tuple[Chances, ...]
    count_slopes: tuple[float, ...]
    effects: UserEffects
    horizon_seconds: float

    def __init__(self, *, reads_stream: bool = True) -> None:
        self.reads_stream = reads_stream

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what it reads, in their order."""
        return (*GROWTH_NAMES, *(PEOPLE_NAMES if self.reads_stream else ()), *EFFECT_NAMES)

    @property
    def key(self) -> str:
        """Tells it from other rankers."""
        return f"{self.name}@{self.version}"

    @property
    def shares(self) -> tuple[float, ...]:
        """The top shares whose chances it tells."""
        return tuple(self.chances[0].coefficients)

    def audience_of(self, curves: GrowthCurves) -> Audience | None:
        """What it has to be told of all of ``curves``; None where it scores a post by itself."""
        return Audience.of(curves) if self.reads_stream else None

    def fit(self, curves: GrowthCurves, posts: Ints, shares: Sequence[float], *, seed: int = 0) -> Self:
        """Learn from ``posts`` (places in ``curves``) and what all of ``curves`` show before each moment.

        ``shares`` are the top shares whose chances will be asked for. Raises `DatasetError` for fewer than 100 posts,
        and where a top share is empty.
        """
        if len(posts) < LEAST_POSTS:
            raise DatasetError(f"{len(posts)} posts to train on, {LEAST_POSTS} are needed; give a larger file")
        posts = np.sort(posts)
        self.horizon_seconds = curves.horizon_seconds
        audience = self.audience_of(curves)
        spans = (YOUNG, OLD) if curves.horizon_seconds > SWITCH_SECONDS else (YOUNG,)
        newest = posts[round((1.0 - CALIBRATION_SHARE) * len(posts)) :]
        self._fit_stages(curves, audience, posts[: len(posts) - len(newest)], spans, seed)
        tops = [reaches_top(curves.finals()[newest], share) for share in shares]
        chances, slopes = [], []
        for stage, span in zip(self.stages, spans, strict=True):
            rows, ages = training_cuts(curves, newest, span, seed)
            X = self._features(curves, audience, rows, ages)
            scores, log_counts = stage.predict(X), X[:, LOG_COUNT]
            slope = count_slope(scores.reshape(len(newest), -1), log_counts.reshape(len(newest), -1), tops)
            slopes.append(slope)
            chances.append(Chances.fit(scores + slope * log_counts, ages, rows, curves.finals(), newest, shares))
        self.chances, self.count_slopes = tuple(chances), tuple(slopes)
        self._fit_stages(curves, audience, posts, spans, seed)
        return self

    def _fit_stages(
        self, curves: GrowthCurves, audience: Audience | None, posts: Ints, spans: Sequence[Span], seed: int
    ) -> None:
        """Everything but the chances."""
        y = tail_scores(curves.finals(), posts)
        stages = []
        for span in spans:
            rows, ages = training_cuts(curves, posts, span, seed)
            own = ranking_features(curves, audience, rows, ages)
            stages.append(
                Stage.fit(np.column_stack([own, out_of_fold_features(curves, posts, rows, ages)]), y[rows], seed)
            )
        self.stages = tuple(stages)
        self.effects = UserEffects.of(curves, posts)

    def _features(self, curves: GrowthCurves, audience: Audience | None, posts: Ints, ages: Floats) -> Floats:
        own = ranking_features(curves, audience, posts, ages)
        return np.column_stack([own, self.effects.features(curves, posts, ages)])

    def _stage_of(self, ages: Floats) -> Ints:
        """Which stage answers at each age, (B,)."""
        return np.minimum(ages > SWITCH_SECONDS, len(self.stages) - 1).astype(np.int64)

    def scores(self, curves: GrowthCurves, posts: Ints, ages: Floats, *, audience: Audience | None = None) -> Floats:
        """Scores (B,) of posts at ages (s, above 0), the count has its say; ``audience`` is that of ``curves``."""
        X = self._features(curves, audience or self.audience_of(curves), posts, ages)
        found, which = np.empty(len(posts)), self._stage_of(ages)
        for i, stage in enumerate(self.stages):
            found[which == i] = stage.predict(X[which == i]) + self.count_slopes[i] * X[which == i, LOG_COUNT]
        return found

    def chances_of(self, scores: Floats, ages: Floats, share: float) -> Floats:
        """The chances (B,) of the top ``share`` with `scores` at ages; raises `KeyError` for a share not fitted."""
        found, which = np.empty(len(scores)), self._stage_of(ages)
        for i, chances in enumerate(self.chances):
            found[which == i] = chances.of(scores[which == i], ages[which == i], share)
        return found

    def probabilities(
        self, curves: GrowthCurves, posts: Ints, ages: Floats, share: float, *, audience: Audience | None = None
    ) -> Floats:
        """The chances (B,) that posts at ages end in the top ``share``; raises `KeyError` for one not fitted."""
        return self.chances_of(self.scores(curves, posts, ages, audience=audience), ages, share)

    def score_of_view(self, view: CascadeView) -> float:
        """The score of a post as of its view, nothing else known: what `scores` says just after the age of the view.

        Raises `ValueError` for a ranker that reads the stream.
        """
        if self.reads_stream:
            raise ValueError("this ranker reads all posts of a stream, and a view is of one")
        curves = GrowthCurves.of_views([view], self.horizon_seconds)
        return float(self.scores(curves, np.zeros(1, np.int64), np.nextafter([view.age_seconds], np.inf))[0])

    def chance_of_view(self, view: CascadeView, score: float, share: float) -> float:
        """The chance of the top ``share`` with the `score_of_view`; raises `KeyError` for a share not fitted."""
        return float(self.chances_of(np.array([score]), np.nextafter([view.age_seconds], np.inf), share)[0])

    def save(self, directory: Path) -> None:
        """Write config.json, model.safetensors and card.md into an existing directory."""
        config = {
            "forecaster": self.name,
            "version": self.version,
            "horizon_seconds": self.horizon_seconds,
            "reads_stream": self.reads_stream,
            "features": list(self.features),
            "chances": [chances.to_config() for chances in self.chances],
            "count_slopes": list(self.count_slopes),
        }
        tensors = dict(self.effects.tensors())
        for i, stage in enumerate(self.stages):
            tensors |= {f"{i}.{name}": tensor for name, tensor in stage.tensors().items()}
        write_tensors(directory, tensors)
        write_config(directory, config)
        replace_text(directory / CARD_FILE, self.card())

    def card(self) -> str:
        """What it is, what it holds and what to mind, in Markdown."""
        trees = sum(len(stage.trees.roots) for stage in self.stages)
        return (
            f"# {self.name}\n\n{trees} trees, {len(self.stages)} ridge regressions and the records of "
            f"{len(self.effects.authors.users)} authors and {len(self.effects.resharers.users)} resharers (hashed, "
            f"no names), for sizes at {self.horizon_seconds / 3600:g} h.\n\n## Mind\n\n"
            "The order it gives is that of the platform and the weeks it was trained on. Measure it on yours: "
            "`cascadecast evaluate alerts`.\n"
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read back what `save` wrote; raises `ModelStoreError` naming the file that is missing or damaged."""
        config, tensors = read_config(directory, cls.name), read_tensors(directory)
        ranker = cls(reads_stream=config.get("reads_stream", True) is True)
        if config.get("features") != list(ranker.features):
            raise ModelStoreError(
                f"{directory}: was trained on other features than this version computes; train it again"
            )
        inputs = len(ranker.features)
        try:
            ranker.version = str(config["version"])
            ranker.horizon_seconds = float(config["horizon_seconds"])
            ranker.chances = tuple(Chances.from_config(chances) for chances in config["chances"])
            ranker.count_slopes = tuple(float(slope) for slope in config["count_slopes"])
            if len(ranker.count_slopes) != len(ranker.chances):
                raise ValueError("as many count_slopes as chances are needed")
            ranker.effects = UserEffects.from_tensors(tensors)
            ranker.stages = tuple(
                Stage.from_tensors(
                    {
                        name.removeprefix(f"{i}."): tensor
                        for name, tensor in tensors.items()
                        if name.startswith(f"{i}.")
                    },
                    inputs,
                )
                for i in range(len(ranker.chances))
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / TENSORS_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        return ranker


def training_cuts(curves: GrowthCurves, posts: Ints, span: Span, seed: int) -> tuple[Ints, Floats]:
    """Posts (B,) and the random ages (B,) at which they are seen, uniform in log age over the span."""
    cuts = int(np.clip(span.most_rows // len(posts), span.least_cuts, span.most_cuts))
    rng = np.random.default_rng((seed, len(posts)))
    oldest = min(span.oldest_seconds, curves.horizon_seconds)
    low, high = np.log(min(span.youngest_seconds, 0.5 * oldest)), np.log(oldest)
    # One age in each part of the span: random ones would leave some posts unseen while they are young.
    parts = (np.arange(cuts) + rng.uniform(size=(len(posts), cuts))) / cuts
    return np.repeat(posts, cuts), np.exp(low + (high - low) * parts).ravel()


def tail_scores(finals: Ints, posts: Ints) -> Floats:
    """-log of the share of ``posts`` that end larger than each final size (N,); equals are at their group's middle."""
    known = np.sort(finals[posts])
    middle = 0.5 * (np.searchsorted(known, finals, side="left") + np.searchsorted(known, finals, side="right"))
    return np.asarray(-np.log1p(-middle / (len(known) + 1.0)))
