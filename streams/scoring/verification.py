"""Recompute every score from the events by a path of its own, and the aggregates by the code of the evaluation.

Sizes come from `PlainCascade`, the forecasts from the records that were published; which of them had to be scored is
found from their times. Of the engine's only the watermark is used: it says what could be seen when. What is compared
are errors that follow from published numbers, so they must be equal to the last bits of a float.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from forecasters import metrics
from graph import Event, Watermark
from streams.scoring.means import Group, Pair, means_of
from streams.scoring.plain_cascade import PlainCascade
from streams.scoring.scores import ScoreRecord, score_id
from streams.settings import Settings

TOLERANCE: Final = 1e-9
"""Errors are functions of the same published numbers; a logarithm may differ in its last bit between libraries."""

_COMPARED: Final = (
    "as_of", "age_seconds", "observed", "horizon_seconds", "expected", "low", "high", "actual",
    "squared_log_error", "covered", "log_error", "absolute_percentage_error",
)  # fmt: skip


class PublishedForecast(msgspec.Struct, frozen=True):
    """What a score takes from the record of a forecast."""

    id: str
    cascade: str
    as_of: float
    horizon_seconds: float
    model: str
    model_version: str
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RecordedPartition:
    """One partition of a stream as it was recorded, each kind in its order."""

    number: int
    events: Iterable[Event | float]
    """Events, and marks: times (s) to which the watermark was moved."""
    forecasts: Iterable[PublishedForecast]
    scores: Iterable[ScoreRecord]
    is_over: bool
    """Whether every score up to the watermark must be there; else only those up to the last one found."""
    begins_late: bool
    """Whether records before the first of these are gone."""


@dataclass(slots=True)
class ScoreVerdict:
    """What came of it."""

    scores: int = 0  # by id
    equal: int = 0
    repeats: int = 0  # published again, with the same content
    largest_difference: float = 0.0
    differing: list[str] = field(default_factory=list)  # ids of scores
    missing: list[str] = field(default_factory=list)  # ids of forecasts that had to be scored and are not
    extra: list[str] = field(default_factory=list)  # ids of scores that should not be there
    not_comparable: int = 0  # their events or forecasts are gone
    waiting: int = 0  # forecasts whose posts have not reached the horizon, or later than the last score
    groups: list[Group] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether nothing is missing, extra or different."""
        return not (self.differing or self.missing or self.extra)


def verify_scores(partitions: Iterable[RecordedPartition], settings: Settings) -> ScoreVerdict:
    """Verify a recorded stream; ``settings`` must be those it was made with."""
    verdict, pairs = ScoreVerdict(), list[Pair]()
    for partition in partitions:
        pairs += _verify(partition, settings, verdict)
    verdict.groups = means_of(pairs)
    verdict.largest_difference = max(
        verdict.largest_difference, max((group.difference for group in verdict.groups), default=0.0)
    )
    return verdict


def _verify(recorded: RecordedPartition, settings: Settings, verdict: ScoreVerdict) -> Iterator[Pair]:
    """Pairs of a score as published and as recomputed; the rest is noted in ``verdict``."""
    cascades, watermark = _play(recorded.events, settings)
    found = _by_id(recorded.scores, verdict)
    expected = {
        score.id: (matures, score)
        for score, matures in _recomputed(cascades, recorded.forecasts, settings.score_ages_seconds)
    }
    until = _scored_until(watermark, settings, recorded.is_over)
    until = max([until, *(expected[one][0] for one in found if one in expected)])
    for one, (matures, score) in expected.items():
        if one in found:
            if _compare(found[one], score, verdict):
                verdict.equal += 1
            yield found[one], score
        elif matures > until:
            verdict.waiting += 1
        else:
            verdict.missing.append(score.forecast)
    strange = [one for one in found if one not in expected]
    if recorded.begins_late:
        verdict.not_comparable += len(strange)
    else:
        verdict.extra += strange


def _play(events: Iterable[Event | float], settings: Settings) -> tuple[dict[str, PlainCascade], float]:
    """All cascades with everything that came, and where the watermark stands then."""
    clock = Watermark(settings.allowed_lateness_seconds, settings.max_jump_seconds)
    cascades: dict[str, PlainCascade] = {}
    for event in events:
        if not isinstance(event, Event):
            clock.advance_to(event)
            continue
        cascade = cascades.get(event.cascade)
        if cascade is None:
            cascade = cascades[event.cascade] = PlainCascade(event.cascade)
        if cascade.apply(event, clock.value):
            clock.observe(event.time, event.cascade)
    return cascades, clock.value


def _by_id(scores: Iterable[ScoreRecord], verdict: ScoreVerdict) -> dict[str, ScoreRecord]:
    found: dict[str, ScoreRecord] = {}
    for score in scores:
        if score.id not in found:
            found[score.id] = score
        elif found[score.id] == score:
            verdict.repeats += 1
        else:
            verdict.differing.append(score.id)
    verdict.scores += len(found)
    return found


def _scored_until(watermark: float, settings: Settings, is_over: bool) -> float:
    """What matured earlier is scored: all slots that have begun are."""
    if not is_over or not math.isfinite(watermark):
        return -math.inf
    slot = settings.learn_every_seconds
    return math.nextafter(math.floor(watermark / slot) * slot, -math.inf)


def _recomputed(
    cascades: Mapping[str, PlainCascade], forecasts: Iterable[PublishedForecast], ages: tuple[float, ...]
) -> Iterator[tuple[ScoreRecord, float]]:
    """The score of each forecast that is to have one, with the event time (s) at which its truth is known."""
    of_cascade: dict[str, dict[str, PublishedForecast]] = {}
    for forecast in forecasts:
        of_cascade.setdefault(forecast.cascade, {})[forecast.id] = forecast
    for name, some in of_cascade.items():
        cascade = cascades.get(name)
        if cascade is None:
            continue
        kept_at, reached = -math.inf, 0
        for forecast in sorted(some.values(), key=lambda one: one.as_of):
            root_time = cascade.root_time_at(forecast.as_of)
            passed = bisect_right(ages, forecast.as_of - root_time)
            if passed > reached:  # the first at or after one of the ages
                kept_at, reached = forecast.as_of, passed
            matures = root_time + forecast.horizon_seconds
            if forecast.as_of == kept_at and cascade.withdrawn_at > matures:
                yield _score(forecast, cascade, root_time), matures


def _score(forecast: PublishedForecast, cascade: PlainCascade, root_time: float) -> ScoreRecord:
    observed = cascade.size_at(forecast.as_of)
    actual = cascade.size_at(math.nextafter(root_time + forecast.horizon_seconds, -math.inf))
    said, grown = [forecast.expected - observed], [float(max(0, actual - observed))]
    error = metrics.bias(said, grown)
    return ScoreRecord(
        id=score_id(forecast.id),
        forecast=forecast.id,
        cascade=cascade.id,
        as_of=forecast.as_of,
        age_seconds=forecast.as_of - root_time,
        observed=observed,
        horizon_seconds=forecast.horizon_seconds,
        model=forecast.model,
        model_version=forecast.model_version,
        expected=forecast.expected,
        low=forecast.low,
        high=forecast.high,
        level=math.nan,
        actual=actual,
        squared_log_error=error * error,
        covered=forecast.low <= observed + grown[0] <= forecast.high,
        log_error=error,
        absolute_percentage_error=metrics.mape(said, grown),
    )


def _compare(found: ScoreRecord, wanted: ScoreRecord, verdict: ScoreVerdict) -> bool:
    """Whether a score is what it must be; the largest difference is noted either way."""
    difference = max(abs(getattr(found, name) - getattr(wanted, name)) for name in _COMPARED)
    names = [(score.forecast, score.cascade, score.model, score.model_version) for score in (found, wanted)]
    verdict.largest_difference = max(verdict.largest_difference, difference)
    if difference <= TOLERANCE and names[0] == names[1]:
        return True
    verdict.differing.append(found.id)
    return False
