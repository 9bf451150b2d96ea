"""How the models stand, for Prometheus: last scores, drift, and who beats whom, by age at the forecast.

All of it is read off the durable standing of the partitions that this worker owns when it is asked: after a restart the
figures go on where they were, and a partition that moves takes its own along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from forecasters.learning_ages import BUCKET_NAMES
from streams.engine.blending import model_key
from streams.engine.lineup import Lineup, Role
from streams.scoring.standing import Standing

_MODEL: Final = ("model", "version", "age")

FAMILIES: Final = {
    "cascadecast_score_msle": ("Mean squared log2 error of the last scores.", _MODEL),
    "cascadecast_score_bias": ("Mean signed log2 error of the last scores; above 0: forecasts are too high.", _MODEL),
    "cascadecast_score_mape": ("Mean absolute percentage error of the logarithms, of the last scores.", _MODEL),
    "cascadecast_score_coverage_ratio": ("Share of the last truths that lay inside their intervals.", _MODEL),
    "cascadecast_score_cases": ("How many of the last scores these rest on, each by what it still weighs.", _MODEL),
    "cascadecast_drift_detections": ("Changes of the mean signed log2 error that were found.", _MODEL),
    "cascadecast_drift_last_timestamp_seconds": ("Event time at which the last change was certain.", _MODEL),
    "cascadecast_drift_bias": ("Mean signed log2 error before and since the last change.", (*_MODEL, "when")),
    "cascadecast_champion_beaten": (
        "1 where a champion errs more than another model on the same posts, beyond chance.",
        ("model", "version", "by", "age"),
    ),
    "cascadecast_champion_msle_excess": (
        "Mean squared log2 error of a champion less that of another model on the same posts, with its interval.",
        ("model", "version", "by", "age", "bound"),
    ),
}
"""Name, help and labels. All are gauges, also the count of detections: it is state, and moves with its partition."""

Sample = tuple[str, tuple[str, ...], float]
"""Of which family, values of the labels, value."""


class ScoreBoard(Collector):
    """Computes its samples when it is asked."""

    def __init__(self, look: Callable[[], Standing], lineup: Callable[[], Lineup]) -> None:
        self._look = look
        self._lineup = lineup

    def describe(self) -> Iterable[Metric]:
        """The families without samples."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """The families with the standing of now."""
        families = _families()
        standing = self._look()
        champions = {model_key(model) for role, model in self._lineup().members() if role is Role.CHAMPION}
        for source in (_last_scores(standing), _drift(standing), _comparisons(standing, champions)):
            for name, labels, value in source:
                families[name].add_metric(labels, value)
        return families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, told, labels=labels) for name, (told, labels) in FAMILIES.items()}


def _parts(model: str) -> tuple[str, str]:
    name, _, version = model.partition("@")
    return name, version


def _last_scores(standing: Standing) -> Iterator[Sample]:
    for model, rolling in standing.rolling.items():
        for number, age in enumerate(BUCKET_NAMES):
            for figure, value in rolling.figures(number).items():
                unit = "_ratio" if figure == "coverage" else ""
                yield f"cascadecast_score_{figure}{unit}", (*_parts(model), age), value
            if cases := rolling.cases(number):
                yield "cascadecast_score_cases", (*_parts(model), age), cases


def _drift(standing: Standing) -> Iterator[Sample]:
    for (model, number), watch in standing.drift.items():
        labels = (*_parts(model), BUCKET_NAMES[number])
        yield "cascadecast_drift_detections", labels, watch.detections
        if watch.detections:
            yield "cascadecast_drift_last_timestamp_seconds", labels, watch.last_at
            yield "cascadecast_drift_bias", (*labels, "before"), watch.mean_before
            yield "cascadecast_drift_bias", (*labels, "since"), watch.mean


def _comparisons(standing: Standing, champions: Iterable[str]) -> Iterator[Sample]:
    for model in sorted(champions):
        for rival in standing.rivals.against(model):
            for number, age in enumerate(BUCKET_NAMES):
                found = standing.rivals.difference(model, rival, number)
                if found is None or not found.is_enough:
                    continue
                labels = (*_parts(model), rival, age)
                yield "cascadecast_champion_beaten", labels, found.beaten
                for bound, value in (("mean", found.mean), ("low", found.low), ("high", found.high)):
                    yield "cascadecast_champion_msle_excess", (*labels, bound), value
