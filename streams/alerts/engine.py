"""The alerts of one partition: a function of its forecasts, of the posts they are about, and of event time. No Kafka.

It is told every forecast of the champion in the order in which they are made, and when event time has passed. Whatever
changes is a step of the journal and, where people are to know, a record.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from graph import Cascade, CascadeView
from streams.alerts.announcing import by_forecast, by_time, closed_standing, news, open_standing
from streams.alerts.cap import bar, importance_bin, left
from streams.alerts.decision import Decision
from streams.alerts.histograms import Ranks, bin_of, merged, place_of
from streams.alerts.journal import Journal
from streams.alerts.ledger import MAX_STANDINGS
from streams.alerts.moment import Moment, Post
from streams.alerts.records import AlertRecord, AlertState
from streams.alerts.rules import Rule, RuleBook, RuleSet
from streams.alerts.standings import Cause, Mark, Phase, Standing, Step, Withheld
from streams.alerts.voting import is_first_of_slot
from streams.records import ForecastRecord
from streams.scoring.kept import just_before
from streams.settings import Settings

CascadeById = Callable[[str], Cascade | None]


@dataclass(frozen=True, slots=True)
class AlertChange:
    """A record to be published. ``fixed``: its time follows from the input alone, as that of a forecast does."""

    record: AlertRecord
    fixed: bool = True


class PartitionAlerts:
    """Rules applied to the forecasts of one partition."""

    def __init__(self, settings: Settings, book: RuleBook, slot_start: Callable[[float], float]) -> None:
        self._settings = settings
        self._book = book
        self._slot_start = slot_start
        self._rules = RuleSet()
        self._orphans = True  # open alerts may belong to rules that are not in force
        self._changes: list[AlertChange] = []
        self._ends: list[tuple[float, str]] = []  # heap of (matures, cascade) of open alerts
        self._slot = math.nan
        self._ranks = Ranks({})
        self._bar = 0
        self.journal = Journal(slot_start, book.current.population_seconds)
        self.withheld: Counter[tuple[str, Withheld]] = Counter()
        self.on_withheld: Callable[[Rule, ForecastRecord, Withheld], None] | None = None

    @property
    def is_active(self) -> bool:
        """Whether forecasts matter to it at all."""
        return bool(self._book.current.rules or self.journal.now.standings)

    def open_now(self) -> Counter[str]:
        """Open alerts by rule."""
        return +self.journal.now.open

    # --- forecasts

    def asks_for(self, view: CascadeView, as_of: float) -> bool:
        """Whether a forecast of the post could change anything, as far as all earlier ones have been told.

        It could not where the post alone fails each rule, no alert is open on it, and it does not count among others.
        """
        known = self.journal.now.of(view.cascade)
        if any(standing.phase is Phase.OPEN for standing in known.values()):
            return True
        post = Post.at(view, as_of)
        if any(rule.may_open(post) for rule in self._rules.rules):
            return True
        return self._rules.ranks_populations and self._votes(view, as_of, self._slot_start(as_of))

    def tell(self, forecast: ForecastRecord, view: CascadeView) -> None:
        """A forecast was made of the post that ``view`` shows."""
        self._enter(forecast.as_of)
        rules = self._rules
        moment = Moment(forecast, view, self._ranks, rules.population_minimum, rules.ranker)
        known = self.journal.now.of(forecast.cascade)
        decision = Decision(forecast)
        for rule in rules.by_severity:
            standing = known.get(rule.name)
            if standing is not None and standing.phase is Phase.OPEN:
                self._look_again(rule, standing, moment, decision)
            else:
                self._consider(rule, standing, moment, decision)
        if rules.ranks_populations and self._votes(view, forecast.as_of, self._slot):
            source = place_of(self.journal.now.population, view.root_source or "")
            decision.vote = source, bin_of(forecast.expected)
        self._take(decision)

    def withdrawn(self, cascade: str, as_of: float) -> None:
        """The post has been taken back by ``as_of``."""
        self._end(cascade, as_of, Cause.WITHDRAWN, "withdrawn")

    def _votes(self, view: CascadeView, as_of: float, slot: float) -> bool:
        settings = self._settings
        return is_first_of_slot(view, as_of, slot, settings.forecast_delay_seconds, settings.minimum_observed)

    def _enter(self, as_of: float) -> None:
        """Be in the slot of a forecast: what is usual was learned before it began."""
        start = self._slot_start(as_of)
        if start == self._slot:
            return
        self._slot = start
        self.journal.forget(start)
        now = self.journal.now
        self._ranks = Ranks(merged(now.population, start - self._rules.population_seconds, start))
        per_hour = self._per_hour()
        self._bar = bar(now.candidates, start, now.began, per_hour) if per_hour is not None else 0

    def _per_hour(self) -> float | None:
        """This partition's part of the cap."""
        cap = self._rules.cap_per_hour
        return None if cap is None else cap / self._settings.partitions

    def _look_again(self, rule: Rule, standing: Standing, moment: Moment, decision: Decision) -> None:
        """At an open alert: whether it stays, and whether there is news."""
        forecast, told = moment.forecast, standing.told
        assert told is not None, "open alerts are told of"
        failing = rule.failing(moment)
        if failing is not None:
            reason = f"no longer {failing.sentence(keeping=True)}"
            decision.records.append(by_forecast(standing, forecast, AlertState.RESOLVED, reason))
            decision.standings.append(closed_standing(rule, forecast.as_of))
        elif forecast.expected >= rule.update_factor * told.expected:
            renewed = open_standing(rule, standing.since, moment, self._settings.horizon_seconds)
            decision.standings.append(renewed)
            decision.records.append(by_forecast(renewed, forecast, AlertState.UPDATED, news(standing, forecast)))

    def _consider(self, rule: Rule, standing: Standing | None, moment: Moment, decision: Decision) -> None:
        """A post without an open alert of the rule."""
        as_of = moment.forecast.as_of
        if standing is not None and standing.phase is Phase.COOLING and as_of >= standing.until:
            standing = None
        if not rule.opens(moment):
            return
        importance = rule.importance(moment)
        if standing is None and self._rules.cap_per_hour is not None and not rule.ignores_cap:
            decision.candidates.append(importance_bin(importance))
        why = self._why_not(rule, standing, as_of, importance, decision)
        if why is None:
            alert = open_standing(rule, as_of, moment, self._settings.horizon_seconds)
            decision.standings.append(alert)
            decision.records.append(by_forecast(alert, moment.forecast, AlertState.OPENED, rule.reason(moment)))
        elif standing is None or standing.withheld != why:
            self.withheld[rule.name, why] += 1
            if self.on_withheld is not None:
                self.on_withheld(rule, moment.forecast, why)
            if why is not Withheld.FULL:
                matures = moment.view.root_time + self._settings.horizon_seconds
                held = standing or Standing(rule.name, Phase.WITHHELD, as_of, matures)
                decision.standings.append(Standing(held.rule, held.phase, held.since, held.until, why.value))

    def _why_not(
        self, rule: Rule, standing: Standing | None, as_of: float, importance: float, decision: Decision
    ) -> Withheld | None:
        """Why a post that fulfils the rule may open no alert now; None: it may, and has taken its part of the cap."""
        rules = self._rules
        if standing is not None and standing.phase is Phase.COOLING:
            return Withheld.COOLING_DOWN
        if standing is None and self.journal.now.size >= MAX_STANDINGS:
            return Withheld.FULL
        if rules.quiet_hours is not None and not rule.ignores_quiet_hours and rules.quiet_hours.hold(as_of):
            return Withheld.QUIET
        per_hour = self._per_hour()
        if per_hour is None or rule.ignores_cap:
            return None
        if importance_bin(importance) < self._bar:
            return Withheld.OUTRANKED
        room = left(decision.budget or self.journal.now.budget, as_of, per_hour)
        if room < 1.0:
            return Withheld.CAPPED
        decision.budget = room - 1.0, as_of
        return None

    def _take(self, decision: Decision) -> None:
        """Note what was decided; nothing, where nothing changes."""
        step = decision.step()
        if step is None:
            return
        self.journal.record(step)
        for standing in step.standings:
            if standing.phase is Phase.OPEN:
                heapq.heappush(self._ends, (standing.until, step.cascade))
        self._changes += [AlertChange(record) for record in decision.records]

    # --- time

    def advance(self, time: float, find: CascadeById) -> None:
        """All forecasts as of earlier times have been told: resolve what ended before ``time``."""
        if self._book.current is not self._rules:
            self._rules = self._book.current
            self.journal.population_seconds = self._rules.population_seconds
            self._slot, self._orphans = math.nan, True
        if self._orphans and math.isfinite(time):
            self._orphans = False
            self._remove_orphans(time)
        for mark in self.journal.evicted():
            if mark.at <= time:
                self._end(mark.cascade, mark.at, Cause.GONE, "gone from memory", fixed=False)
        while self._ends and self._ends[0][0] < time:
            matures, cascade = heapq.heappop(self._ends)
            self._mature(cascade, matures, find)

    def _remove_orphans(self, time: float) -> None:
        names = self._rules.names
        for cascade, known in list(self.journal.now.standings.items()):
            if known.keys() - names:
                # As of a time that is behind us for certain: whoever takes over now does not tell it again.
                self._end(cascade, just_before(time), Cause.REMOVED, "rule removed", fixed=False, keep=names)

    def _mature(self, cascade: str, matures: float, find: CascadeById) -> None:
        """The post has reached the horizon: its alerts tell the size it has."""
        known = self.journal.now.of(cascade).values()
        ending = [one for one in known if one.phase is Phase.OPEN and one.until == matures]
        if not ending:
            return  # resolved before
        live, mark = find(cascade), self.journal.marks.get(cascade)
        if live is not None:
            size: int | None = live.size_at(just_before(matures))
        else:
            size = mark.size if mark is not None else None
        horizon = self._settings.horizon_seconds
        self._changes += [AlertChange(by_time(cascade, one, matures, "matured", horizon, size)) for one in ending]
        over = [Standing(one.rule, Phase.GONE, matures, matures) for one in ending]
        self.journal.record(Step(matures, cascade, Cause.MATURED, over))

    def _end(
        self, cascade: str, as_of: float, cause: Cause, reason: str, *, fixed: bool = True, keep: Iterable[str] = ()
    ) -> None:
        """All of a post's standings end, but those of the rules in ``keep``."""
        ending = [standing for rule, standing in self.journal.now.of(cascade).items() if rule not in keep]
        if not ending:
            return
        horizon = self._settings.horizon_seconds
        for standing in ending:
            if standing.phase is Phase.OPEN:
                record = by_time(cascade, standing, as_of, reason, horizon, None)
                self._changes.append(AlertChange(record, fixed))
        over = [Standing(standing.rule, Phase.GONE, as_of, as_of) for standing in ending]
        self.journal.record(Step(as_of, cascade, cause, over))

    def let_go(self, cascade: Cascade, at: float, *, grown_out: bool) -> None:
        """A post leaves memory. If it had not ``grown_out`` it was evicted, and its alerts end at ``at``."""
        matures = self.journal.matures(cascade.id)
        if matures is not None:
            size = cascade.size_at(just_before(matures)) if grown_out else -1
            self.journal.mark(Mark(cascade.id, at, size))

    def is_behind(self, time: float) -> bool:
        """Whether something is to be resolved that ended before ``time``."""
        return (
            self.unresolved_since(time) < time
            or (self._book.current is not self._rules and bool(self.journal.now.standings))
            or any(mark.at <= time for mark in self.journal.evicted())
        )

    def unresolved_since(self, time: float) -> float:
        """The earliest time up to which all is resolved: ``time``, or when the first one still to be resolved ended."""
        gone = min((mark.at for mark in self.journal.evicted()), default=math.inf)
        return min(time, gone, self._ends[0][0] if self._ends else math.inf)

    def take_changes(self) -> list[AlertChange]:
        """What is to be published since the last call."""
        taken, self._changes = self._changes, []
        return taken

    def restore(self, snapshot: bytes | None, steps: Iterable[Step], marks: Iterable[Mark], since: float) -> None:
        """Be as it was before the first forecast as of ``since``. Raises msgspec.DecodeError for other bytes."""
        self.journal.restore(snapshot, steps, marks, since)
        self._ends = [
            (standing.until, cascade)
            for cascade, known in self.journal.now.standings.items()
            for standing in known.values()
            if standing.phase is Phase.OPEN
        ]
        heapq.heapify(self._ends)
        self._orphans = True
