"""The event-time machine of one partition: records in, cascades kept, due forecasts out. No Kafka.

The worker runs one for each partition it is assigned, ``cascadecast forecast`` one for a whole file. All it does is a
function of the sequence of records, so both make the same forecasts.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from graph import (
    CascadeStore,
    CascadeView,
    Departure,
    Event,
    Outcome,
    Rejected,
    RejectReason,
    Watermark,
    decode_batch,
)
from graph.events import MAX_TIME
from graph.watermark import Evidence
from streams.alerts.engine import AlertChange, PartitionAlerts
from streams.alerts.levels import has_open, levels_of
from streams.alerts.rules import RuleBook
from streams.engine.changes import Changes, Fate
from streams.engine.due import Due, Skipped
from streams.engine.heard import Heard
from streams.engine.in_flight import InFlight
from streams.engine.last_forecasts import LastForecasts
from streams.engine.priority import Claim, Order, by_importance, in_turn
from streams.engine.raw_record import Record
from streams.engine.schedule import Pending, Schedule, Waiting
from streams.records import ForecastRecord
from streams.scoring.kept import Truth
from streams.scoring.learning import NOTHING, PartitionLearner
from streams.settings import Settings

_IMPOSSIBLE_WATERMARK: Final = Rejected(
    RejectReason.INVALID_TIME, "the watermark in the header is not a time of the years 1970 to 9999"
)

CLAIMS_CONSIDERED: Final = 4096
"""Under overload, of those that wait longest: a round must not take longer to choose than to make."""

# Looking an enumeration's member up by its class takes as long as hashing an id.
_APPLIED: Final = Fate.APPLIED
_DUPLICATE: Final = Outcome.DUPLICATE
_LATE: Final = Outcome.LATE
_COUNTED: Final = Outcome.COUNTED


class Partition:
    """Live cascades, watermark and schedule of one partition."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        rules: RuleBook | None = None,
        clock: Callable[[], float] = time.monotonic,
        order: Order | None = None,
        *,
        for_alerts: bool = False,
    ) -> None:
        """``rules`` None: there are no alerts, and those that are open are resolved. ``clock`` (s) tells how long
        forecasts wait, ``order`` which are made under overload (None: as the setting ``shed`` says); neither has a say
        in what they say. ``for_alerts``: nobody reads the forecasts, so those that change no alert are not made."""
        self.number = number
        self._settings = settings
        self.store = CascadeStore(
            retention_seconds=settings.retention_seconds,
            max_live_cascades=settings.max_live_cascades,
            max_events_per_cascade=settings.max_events_per_cascade,
            idle_seconds=settings.idle_seconds,
            max_bytes=settings.memory_limit_bytes / settings.partitions,
        )
        self.watermark = Watermark(settings.allowed_lateness_seconds, settings.max_jump_seconds)
        self.heard = Heard()
        self.schedule = Schedule(settings.forecast_delay_seconds, clock)
        self._order = order or (in_turn if settings.shed == "paced" else by_importance)
        self._last_forecasts = LastForecasts()
        self.learner = PartitionLearner(settings)
        self._rules = rules or RuleBook()
        self.alerts = PartitionAlerts(settings, self._rules, self.learner.slot_start)
        self._for_alerts = for_alerts
        self.skipped: Counter[Skipped] = Counter()
        self.unasked = 0
        """Forecasts that were due and would have changed no alert."""
        self._departures_told: Counter[Departure] = Counter()
        self.due_total = 0
        self._in_flight = InFlight()
        self._truths: list[Truth] = []
        self._unheard: list[tuple[str, float]] = []  # taken, and the champion's answer is not known yet
        self._untold: list[Due | Pending] = []  # taken, and not told to the alerts; a pending one was withdrawn
        self._alert_changes: list[AlertChange] = []

    def apply_records(self, records: Sequence[Record], *, check_keys: bool) -> Changes:
        """Decode and apply a batch. With ``check_keys``, an event whose key is not its cascade is set aside."""
        changes = Changes()
        new = self.heard.is_before(records)
        applied = 0
        for record, decoded in zip(records, decode_batch([record.value for record in records]), strict=True):
            if isinstance(decoded, Event):
                if check_keys and record.key != decoded.cascade.encode():
                    changes.misrouted.append((record, decoded.cascade))
                    changes.fates[Fate.REKEYED] += 1
                elif (fate := self._apply(decoded, changes, heard=not new and self.heard.has(record))) is _APPLIED:
                    applied += 1
                else:
                    changes.fates[fate] += 1
            else:
                self._set_aside(record, decoded, changes)
            if not new:
                self.heard = self.heard.with_record(record)
        if new:
            self.heard = self.heard.with_new(records)
        if applied:
            changes.fates[_APPLIED] = applied
        self._leave(changes)
        return changes

    def _set_aside(self, record: Record, rejected: Rejected, changes: Changes) -> None:
        """A record that is no event: a heartbeat, which changes nothing, a mark of time, or a dead letter."""
        if record.is_heartbeat:
            changes.heartbeats.append(record.heartbeat or b"")
            changes.fates[Fate.HEARTBEAT] += 1
        elif record.watermark is None or record.value:
            changes.dead.append((record, rejected))
            changes.fates[Fate.DEAD_LETTERED] += 1
        elif 0.0 <= record.watermark <= MAX_TIME:
            self.watermark.advance_to(record.watermark)
            changes.fates[Fate.CONTROL] += 1
        else:
            changes.dead.append((record, _IMPOSSIBLE_WATERMARK))
            changes.fates[Fate.DEAD_LETTERED] += 1

    def apply_events(self, events: Iterable[Event]) -> Changes:
        """Apply events that were decoded elsewhere."""
        changes = Changes()
        for event in events:
            changes.fates[self._apply(event, changes)] += 1
        self._leave(changes)
        return changes

    def resume(self, watermark: float, evidence: Evidence | None, heard: Heard) -> None:
        """Continue at a stored watermark and what it rests on, once the cascades are in the store."""
        self.watermark.restore(watermark, evidence)
        self.heard = heard
        self._note_those_ahead()

    def _note_those_ahead(self) -> None:
        until = self.watermark.believed_until
        for cascade_id in self.store.born_after(until) if math.isfinite(until) else ():
            self.store.note_ahead(cascade_id, until)

    def _apply(self, event: Event, changes: Changes, *, heard: bool = False) -> Fate:
        clock = self.watermark
        watermark = clock.value
        outcome = _DUPLICATE if heard else self.store.apply(event, watermark)
        if outcome is _DUPLICATE:
            return Fate.DUPLICATE
        cascade_id, time = event.cascade, event.time
        if clock.observe(time, cascade_id, late=outcome is _LATE):
            changes.ahead += 1
            cascade = self.store.get(cascade_id)
            if cascade is not None and cascade.root_time > (until := clock.believed_until):
                self.store.note_ahead(cascade_id, until)
        if watermark == -math.inf:  # there was no clock to be ahead of
            self._note_those_ahead()
        if outcome is _LATE:
            return Fate.LATE
        if outcome is _COUNTED:
            changes.counted_only += 1
        changes.touched[cascade_id] = None
        effective = time
        if watermark > time:  # forecasts as of the watermark are out; only later ones can see this event
            effective = math.nextafter(watermark, math.inf)
            changes.late_applied += 1
        changes.pending.append(self.schedule.update(cascade_id, effective, time, event.id))
        return _APPLIED

    def _leave(self, changes: Changes) -> None:
        """Let go the cascades whose age passed the horizon; one with forecasts still to be made stays."""
        until = self.unforecast_since()
        leaving = self.store.mature(until)
        evicted = {cascade.id for cascade in leaving if self.store.leaves_at(cascade) >= until}
        if evicted:
            forgotten = self.schedule.forget(evicted)
            self.skipped[Skipped.GONE] += forgotten
            self.due_total += forgotten
        changes.departures = self.store.departures - self._departures_told
        self._departures_told = self.store.departures.copy()
        for cascade in leaving:
            changes.left.append((cascade.id, until))
            changes.departed.append(cascade)
            self._last_forecasts.forget(cascade.id)
            grown_out = self.store.leaves_at(cascade) < until
            self.learner.let_go(cascade, grown_out=grown_out)
            self.alerts.let_go(cascade, self._reached(), grown_out=grown_out)

    def unforecast_since(self) -> float:
        """All forecasts with an earlier ``as_of`` are made and published (or were skipped for good), all scores
        that they rest on, and all alerts that they or event time brought."""
        reached = min(self._reached(), self._in_flight.earliest())
        return self.alerts.unresolved_since(self.learner.unlearned_since(reached))

    def _reached(self) -> float:
        """All forecasts with an earlier ``as_of`` have been taken, and their truths cannot change any more."""
        return min(self.schedule.next_as_of(), self.watermark.value)

    def out_before(self, dues: Iterable[Due], changes: Iterable[AlertChange] = ()) -> float:
        """All forecasts and alerts as of earlier times are out, or were skipped for good, once these are."""
        these = [due.as_of for due in dues] + [change.record.as_of for change in changes]
        return self.alerts.unresolved_since(min(self._reached(), self._in_flight.earliest(besides=these)))

    def has_due(self) -> bool:
        """Whether a forecast is due and waits, or scores are, or alerts are to be resolved."""
        reached = self._reached()
        behind = self.learner.is_behind(reached) or self.alerts.is_behind(reached)
        return behind or self.schedule.is_due(self.watermark.value)

    def backlog(self) -> int:
        """Forecasts that are due and wait."""
        return self.schedule.due_count(self.watermark.value)

    def take_due(self, limit: int, *, overloaded: bool = False, teach: bool = True) -> list[Due]:
        """Take up to ``limit`` due forecasts of one slot; each must be given back to `published` once it is out.

        Answers that are to be kept must be given to the learner before the next call, and all to `tell_alerts`. With
        ``overloaded``, forecasts of several slots may come at once: then they use what is known by now. Without
        ``teach`` blends learn nothing from these.
        """
        if self._untold:  # what was withdrawn, where there was nothing else
            self.tell_alerts({})
        reached = self._reached()
        # In the order of event time: a recovery may begin at each end, and what was learned must be known as of there.
        while (ended := self.alerts.unresolved_since(reached)) < reached:
            self._catch_up(ended, math.nextafter(ended, math.inf))
        self._catch_up(reached, reached)
        if overloaded:
            picked, superseded = self.schedule.due_by_choice(
                self.watermark.value, lambda waiting: self._choose(waiting, limit), self._has_ended
            )
            self.skipped[Skipped.SUPERSEDED] += len(superseded)
            self.due_total += len(superseded)
        else:
            picked = self.schedule.due(min(self.watermark.value, self.learner.slot_end), limit)
        self.due_total += len(picked)
        taken: list[Due] = []
        asked: set[str] = set()
        for pending in picked:
            found = self._view_or_reason(pending)
            if isinstance(found, Skipped):
                self.skipped[found] += 1
                if found is Skipped.WITHDRAWN and self.alerts.is_active:
                    self._in_flight.add(pending.as_of)
                    self._untold.append(pending)
                continue
            keep = self.learner.reserve(found, pending.as_of)
            if self._for_alerts and not (
                keep or pending.cascade in asked or self.alerts.asks_for(found, pending.as_of)
            ):
                self.unasked += 1
                continue
            asked.add(pending.cascade)  # what is said of it first may open an alert, which later forecasts end
            self._in_flight.add(pending.as_of)
            self._unheard.append((pending.cascade, pending.as_of))
            learned = self.learner.learned if self._settings.learn else NOTHING
            taken.append(Due(self, found, pending.as_of, pending.event, learned, keep, teach=keep and teach))
            if self.alerts.is_active:
                self._untold.append(taken[-1])
        return taken

    def tell_alerts(self, champions: Mapping[tuple[str, float], ForecastRecord]) -> None:
        """What the champion said of what was taken last, by cascade and as_of; it may have failed on some."""
        unheard, self._unheard = self._unheard, []
        for key in unheard:
            if (said := champions.get(key)) is not None:
                self._last_forecasts.note(said.cascade, said.expected, said.observed)
        untold, self._untold = self._untold, []
        for one in untold:
            if isinstance(one, Pending):
                self.alerts.withdrawn(one.cascade, one.as_of)
            elif (forecast := champions.get((one.cascade, one.as_of))) is not None:
                self.alerts.tell(forecast, one.view)
        self._gather_alerts()
        for one in untold:
            if isinstance(one, Pending):
                self._in_flight.settle(one.as_of)

    def _gather_alerts(self) -> None:
        changes = self.alerts.take_changes()
        for change in changes:
            self._in_flight.add(change.record.as_of)
        self._alert_changes += changes

    def take_alerts(self) -> list[AlertChange]:
        """What became of alerts since the last call; must be given back to `alerted` once it is out."""
        taken, self._alert_changes = self._alert_changes, []
        return taken

    def alerted(self, changes: Sequence[AlertChange]) -> None:
        """The alerts' records are out, with every acknowledgement asked for."""
        for change in changes:
            self._in_flight.settle(change.record.as_of)

    def _catch_up(self, time: float, resolve_before: float) -> None:
        """Learn what forecasts as of ``time`` use, then resolve the alerts that ended."""
        self._learn(time)
        self.alerts.advance(resolve_before, self.store.get)
        self._gather_alerts()

    def _learn(self, time: float) -> None:
        """Score and learn from what matured before the slot of event time that holds ``time`` began."""
        truths = self.learner.advance(time, self.store.get)
        if truths and not self._truths:  # what waits already is older and holds back enough
            self._in_flight.add(truths[0].kept.matures)
        self._truths += truths
        self.learner.forget_before(self.unforecast_since())

    def take_truths(self) -> list[Truth]:
        """What matured since the last call; must be given back to `scored` once the scores are out."""
        taken, self._truths = self._truths, []
        return taken

    def scored(self, truths: Sequence[Truth]) -> None:
        """The scores are out, with every acknowledgement asked for."""
        if truths:
            self._in_flight.settle(truths[0].kept.matures)

    def published(self, due: Due) -> None:
        """The forecast is out, with every acknowledgement asked for."""
        self._in_flight.settle(due.as_of)

    def waiting_cascades(self) -> int:
        """Cascades of which forecasts are due and wait."""
        return self.schedule.waiting_cascades(self.watermark.value)

    def is_waiting(self, key: bytes) -> bool:
        """Whether a forecast is due and waits of the cascade whose id is ``key``, which may be anything."""
        return self.schedule.is_waiting(key.decode(errors="replace"))

    def waiting_since(self, most: int) -> list[float]:
        """Since when cascades wait, of so many about that have waited longest: times of its clock (s)."""
        return self.schedule.waiting_since(most)

    def waits_seconds(self) -> float:
        """How long the forecast that is due and waits longest has done so."""
        return self.schedule.waits_seconds()

    def _choose(self, waiting: Iterable[Waiting], limit: int) -> list[str]:
        """Those that are to be forecast now, and those of which nothing will be, which cost none of the places."""
        ended: list[str] = []
        claims: list[Claim] = []
        for cascade, as_of, waits in islice(waiting, CLAIMS_CONSIDERED):
            if self._has_ended(cascade, as_of):
                ended.append(cascade)
            else:
                claims.append(self._claim(cascade, waits))
        within = self._settings.forecast_within_seconds
        return [*ended, *self._order(claims, limit, within, levels_of(self._rules.current))]

    def _has_ended(self, cascade_id: str, as_of: float) -> bool:
        """Whether a cascade has reached its horizon as of a time that the watermark has passed."""
        cascade = self.store.get(cascade_id)
        return cascade is not None and as_of - cascade.root_time >= self._settings.horizon_seconds

    def _claim(self, cascade_id: str, waits_seconds: float) -> Claim:
        cascade = self.store.get(cascade_id)
        size = cascade.size if cascade is not None else 0
        last = self._last_forecasts.get(cascade_id)
        return Claim(
            cascade_id,
            waits_seconds,
            size,
            None if last is None else last.size,
            None if last is None else last.expected,
            has_open(self.alerts.journal, cascade_id),
        )

    def _view_or_reason(self, pending: Pending) -> CascadeView | Skipped:
        cascade = self.store.get(pending.cascade)
        if cascade is None:
            return Skipped.GONE
        if cascade.withdrawn_at <= pending.as_of:
            return Skipped.WITHDRAWN
        minimum = self._settings.minimum_observed
        if cascade.reactions < minimum or cascade.size_at(pending.as_of) < minimum:
            return Skipped.TOO_SMALL
        view = cascade.view(pending.as_of)
        return view if view.age_seconds < self._settings.horizon_seconds else Skipped.PAST_HORIZON
