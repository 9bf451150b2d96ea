"""The work of a worker between Faust's callbacks: assigned partitions, micro-batches, forecasts, publication."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from graph import CascadeView
from streams.alerts.records import AlertRecord
from streams.alerts.rules import RuleBook
from streams.alerts.standings import Withheld
from streams.alerts.telling import tell_partitions
from streams.answers import give_to_learners
from streams.continuity import Continuity
from streams.dead_letters import dead_letter_headers
from streams.heartbeat import Heartbeats
from streams.inference import ForecastService, ModelRun
from streams.learning import NOTHING, Unscored
from streams.lineup import Role
from streams.metrics import WorkerMetrics
from streams.outputs import DirectOutputs, Output, Outputs, Publisher, SupersededError
from streams.partition import Changes, Due, Partition, Record, Skipped
from streams.progress import OutputKey, OutputKind
from streams.records import ForecastRecord
from streams.round_size import RoundSize
from streams.rounds import Alerted, Matured, Share, shares
from streams.scores import ScoreRecord
from streams.segment_log import SegmentLog
from streams.segment_store import SegmentStore
from streams.settings import Settings
from streams.standing import Standing, together
from streams.web.alert_history import AlertHistory
from streams.web.board import LiveBoard

log = structlog.get_logger("cascadecast.worker")

ROUNDS_IN_FLIGHT = 4
"""Rounds of forecasts that wait for Kafka's acknowledgements while the next one is computed: rounds are short."""

PACED_SHARE = 0.4
"""Of forecast_within_seconds: what waits may take so long until input waits too, which leaves time for what comes."""

PACED_EVENTS = 200
"""Events of a paced partition that are taken in before it is asked again whether the forecasts keep up: a few hundred
may touch as many cascades."""

IDLE_CHECK_SECONDS = 1.0

SILENCE_SECONDS = 15.0
"""Longer than any fetch takes: if records lie in Kafka and none has come for so long, they were passed over."""


class Source(Protocol):
    """Where the events come from."""

    async def earliest(self, partition: int) -> int:
        """The first offset there is."""

    async def rewind(self, partition: int, offset: int) -> None:
        """Deliver again from ``offset`` on."""

    async def end(self, partition: int) -> int | None:
        """One past the last offset there is; None where that cannot be told."""

    def last_known_end(self, partition: int) -> int | None:
        """The same as of the last fetch, without asking."""


@dataclass(slots=True)
class Assigned:
    """A partition this worker owns."""

    partition: Partition
    log: SegmentLog
    flow: Continuity
    arrivals: deque[tuple[float, float]] = field(default_factory=deque)  # (watermark reached, broker time of the batch)
    last_arrival_wall: float = field(default_factory=time.time)
    last_event_wall: float = field(default_factory=time.time)  # heartbeats left out: they end no idleness
    last_record_time: float = math.nan  # broker time of the last record taken in
    live: bool = False
    skipped_seen: dict[Skipped, int] = field(default_factory=dict)
    unscored_seen: dict[Unscored, int] = field(default_factory=dict)
    withheld_seen: dict[tuple[str, Withheld], int] = field(default_factory=dict)
    due_seen: int = 0
    advancing: bool = False  # by the wall clock, which is not durable yet
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


_Key = TypeVar("_Key")


def _newly(counted: Mapping[_Key, int], seen: dict[_Key, int]) -> Iterator[tuple[_Key, int]]:
    """What was counted since it was last ``seen``, which is then so."""
    for key, number in counted.items():
        yield key, number - seen.get(key, 0)
        seen[key] = number


class WorkerCore:
    """Owns the assigned partitions; knows Kafka only through a publisher and a store of segments."""

    def __init__(
        self,
        settings: Settings,
        service: ForecastService,
        publisher: Publisher,
        source: Source,
        open_store: Callable[[int], SegmentStore],
        metrics: WorkerMetrics,
        outputs: Outputs | None = None,
        rules: RuleBook | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        """``outputs`` None: through ``publisher``, at least once. ``rules`` None: no alerts. ``heartbeats`` None: those
        that come are passed over."""
        self._settings = settings
        self._service = service
        self._rules = rules or RuleBook()
        self._publisher = publisher
        self._outputs: Outputs = outputs or DirectOutputs(publisher)
        self._source = source
        self._open_store = open_store
        self.metrics = metrics
        self._heartbeats = heartbeats
        self.assigned: dict[int, Assigned] = {}
        self.to_recover: set[int] = set()  # ours, and not read yet
        self.ready = False
        self.rounds_done = 0
        self.board = LiveBoard(self._lives_here)
        self.alert_history = AlertHistory()
        self._recovering: tuple[Partition, SegmentLog] | None = None
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._round_size = RoundSize()
        self._rounds: set[asyncio.Task[None]] = set()
        self._ingesting = 0
        self._computing = 0  # forecasts of the round that the models have
        self._stopping = False
        self._fault: BaseException | None = None
        metrics.show_lineup(service.lineup)
        metrics.partitions.set(settings.partitions)
        metrics.memory_limit.set(settings.memory_limit_bytes / settings.partitions)
        metrics.show_standing(self.standing, lambda: service.lineup)

    def models(self) -> list[dict[str, str]]:
        """The loaded models, for people."""
        return [
            {"model": model.name, "version": model.version, "role": role.value}
            for role, model in self._service.lineup.members()
        ]

    def _lives_here(self, cascade_id: str) -> bool:
        return any(cascade_id in one.partition.store for one in self.assigned.values())

    async def forecast_now(self, partition: Partition, view: CascadeView, as_of: float) -> list[ForecastRecord]:
        """What the champions say of a cascade at this moment, for whoever asks: neither published nor kept."""
        learned = partition.learner.learned if self._settings.learn else NOTHING
        due = Due(partition, view, as_of, "", learned, keep=False)
        runs = await asyncio.get_running_loop().run_in_executor(self._executor, self._service.forecast, [due])
        return [record for run in runs if run.role is Role.CHAMPION for record in run.records]

    def standing(self) -> Standing:
        """How the models stand by the scores of all partitions that are ours."""
        return together(one.partition.learner.learned.standing for one in list(self.assigned.values()))

    # --- partitions

    def state_end(self, number: int) -> int | None:
        """The offset at which the state of a partition goes on; None where it is not ours."""
        one = self.assigned.get(number)
        return None if one is None else one.flow.position

    async def own(self, partitions: set[int], still_ours: Callable[[], bool] = lambda: True) -> None:
        """Take over exactly ``partitions``: recover the new ones from durable state, let the others go.

        A partition that stayed ours through the rebalance is read again too when its log grew elsewhere meanwhile.
        Returns early when ``still_ours`` turns false: the next rebalance says what is ours then, and a log that may be
        another worker's by now must not be opened.
        """
        for number in sorted(set(self.assigned) - partitions):
            await self.disown(number)
        self.to_recover = {
            number
            for number in partitions
            if (known := self.assigned.get(number)) is None or not known.log.is_current()
        }
        for number in sorted(partitions):
            if number not in self.to_recover:
                self.assigned[number].flow.after_rebalance()
            elif still_ours():
                await self._recover(number, still_ours)
        self._wake.set()

    async def _recover(self, number: int, still_ours: Callable[[], bool]) -> None:
        started = time.perf_counter()
        partition = Partition(number, self._settings, self._rules)
        segments = SegmentLog(self._open_store(number))
        self._recovering = partition, segments
        # In a thread: it takes seconds where there is much, and the loop has heartbeats and pages to serve.
        read = await asyncio.to_thread(segments.load, partition)
        if not still_ours():
            return
        await self._outputs.take_over(number)
        await segments.open_epoch(partition)
        position = await self._goes_on_at(number, segments.next_offset)
        self.assigned[number] = one = Assigned(partition, segments, Continuity(position))
        self.to_recover.discard(number)
        one.live = self._is_live(partition)
        if self._heartbeats is not None:
            self._heartbeats.begin(number)
        seconds = time.perf_counter() - started
        self.metrics.recovery.labels(str(number)).set(seconds)
        self._show(one)
        log.info(
            "partition recovered",
            partition=number,
            segments=read,
            cascades=len(partition.store),
            seconds=round(seconds, 3),
        )

    async def _goes_on_at(self, number: int, next_offset: int) -> int:
        """Where to read on. Without any state that is the events' beginning, whatever was once committed; and so it is
        where the topic ends before the state does: it was made anew, and the broker's time tells what is new."""
        end = await self._source.end(number) if next_offset >= 0 else None
        if end is not None and end < next_offset:
            log.warning(
                "the events topic is another than that of the state", partition=number, end=end, state=next_offset
            )
        elif next_offset >= 0:
            return next_offset
        return await self._source.earliest(number)

    async def disown(self, number: int) -> None:
        """Forget a partition: another worker has it, or may have had it."""
        if self.assigned.pop(number, None) is not None:
            self.metrics.forget_partition(number)
            if self._heartbeats is not None:
                self._heartbeats.end(number)
            await self._outputs.release(number)

    # --- records in

    async def ingest(self, batches: Mapping[int, Sequence[Record]], source_topic: str) -> None:
        """Apply one micro-batch and make it durable; returns once its offsets may be committed."""
        self._ingesting += 1
        started = time.perf_counter()
        try:
            owned = [(self.assigned[number], records) for number, records in batches.items() if number in self.assigned]
            await asyncio.gather(*(self._ingest_parts(one, records, source_topic) for one, records in owned))
            self.metrics.batch.observe(time.perf_counter() - started)
            if self._settings.shed is not True:
                await self._hold_back()
        finally:
            self._ingesting -= 1

    async def _ingest_parts(self, one: Assigned, arriving: Sequence[Record], source_topic: str) -> None:
        paced = self._settings.shed == "paced"
        most = min(PACED_EVENTS, self._settings.batch_max_events) if paced else self._settings.batch_max_events
        for start in range(0, len(arriving), most):
            if start and paced:
                await self._hold_back()
            await self._ingest_partition(one, arriving[start : start + most], source_topic)

    async def _ingest_partition(self, one: Assigned, arriving: Sequence[Record], source_topic: str) -> None:
        async with one.lock:
            partition = one.partition
            one.last_arrival_wall = time.time()
            if not all(record.is_heartbeat for record in arriving):
                one.last_event_wall = one.last_arrival_wall
                await self._keep_advance(one)
            records, rewind = one.flow.admit(arriving, time.monotonic())
            if rewind is not None:
                await self._rewind(one, rewind)
            if not records:
                return
            changes = partition.apply_records(records, check_keys=True)
            # Before the state says that these records are done: after a crash they come again if it does not.
            try:
                await self._divert(changes, partition, source_topic)
            except SupersededError:
                await self.disown(partition.number)
                return
            written = await one.log.append(partition, changes, one.flow.position)
            self.metrics.changelog_bytes.inc(written)
        self._count(changes, len(records))
        one.last_record_time = records[-1].timestamp
        self._note_arrival(one, records)
        if self._heartbeats is not None:
            self._heartbeats.durable(partition.number, changes.heartbeats, partition.watermark.value)
        self._show(one)
        self._wake.set()

    def _note_arrival(self, one: Assigned, records: Sequence[Record]) -> None:
        """What follows from events, and not from heartbeats: by these a quiet partition would never be idle."""
        last = next((record for record in reversed(records) if not record.is_heartbeat), None)
        if last is None:
            return
        partition = one.partition
        one.live = self._is_live(partition)
        if not one.arrivals or partition.watermark.value > one.arrivals[-1][0]:
            one.arrivals.append((partition.watermark.value, last.timestamp))
        self.metrics.last_event.labels(str(partition.number)).set(last.timestamp)

    async def _rewind(self, one: Assigned, offset: int) -> None:
        log.warning("records were passed over; reading again", partition=one.partition.number, offset=offset)
        self.metrics.rewinds.inc()
        await self._source.rewind(one.partition.number, offset)

    async def _divert(self, changes: Changes, partition: Partition, source_topic: str) -> None:
        if changes.dead:
            number = partition.number
            letters = [
                Output(
                    "dead-letters",
                    (record.key, record.value, dead_letter_headers(record, rejected, source_topic, number)),
                    OutputKey(OutputKind.DEAD_LETTER, record.offset),
                )
                for record, rejected in changes.dead
            ]
            out = await self._outputs.publish(number, letters, partition.out_before(()))
            self._count_withheld(letters, out)
        if changes.misrouted:
            await self._publisher.publish(
                "events", [(cascade.encode(), record.value, []) for record, cascade in changes.misrouted]
            )

    def _count_withheld(self, outputs: Sequence[Output], out: Sequence[Output]) -> None:
        if len(out) < len(outputs):
            published = {id(output) for output in out}
            for output in outputs:
                if id(output) not in published:
                    self.metrics.withheld.labels(output.key.kind.value).inc()

    def _count(self, changes: Changes, received: int) -> None:
        metrics = self.metrics
        metrics.received.inc(received)
        for fate, number in changes.fates.items():
            metrics.events.labels(fate.value).inc(number)
        for _, rejected in changes.dead:
            metrics.dead_letters.labels(rejected.reason.value).inc()
        metrics.late_applied.inc(changes.late_applied)
        metrics.ahead.inc(changes.ahead)
        for why, number in changes.departures.items():
            metrics.departed.labels(why.value).inc(number)
        metrics.counted_only.inc(changes.counted_only)

    def rules_changed(self) -> None:
        """Other rules are in force: open alerts of rules that are gone end."""
        self._wake.set()

    async def _hold_back(self) -> None:
        """Without shedding, and where the input is paced, it waits until the forecasts have caught up."""
        async with self._progress:
            await self._progress.wait_for(lambda: self._stopping or self._fault is not None or not self._is_behind())

    def _is_behind(self) -> bool:
        """Whether input waits for the forecasts."""
        settings = self._settings
        if settings.shed != "paced":
            return self.backlog() > settings.max_backlog
        partitions = [one.partition for one in self.assigned.values()]
        until_made = self._round_size.seconds(self._computing + sum(one.waiting_cascades() for one in partitions))
        longest = max((one.waits_seconds() for one in partitions), default=0.0)
        return max(until_made, longest) > PACED_SHARE * settings.forecast_within_seconds

    # --- forecasts out

    def backlog(self) -> int:
        """Forecasts that are due and wait, over all partitions."""
        return sum(one.partition.backlog() for one in self.assigned.values())

    async def run_forecasts(self) -> None:
        """Make what is due until stopped.

        Raises what a round could not be published for: the worker must not go on as if it were out. After a restart it
        is made again.
        """
        while not self._stopping and self._fault is None:
            dues, matured = self._collect()
            alerted = self._tell_alerts((), ()) if not dues else []
            if not dues and not matured and not alerted:
                self._wake.clear()
                await self._see_heartbeats_out()
                if not self._anything_due():
                    await self._wake.wait()
                continue
            self._computing = max(1, len(dues))
            started = time.perf_counter()
            runs = await asyncio.get_running_loop().run_in_executor(self._executor, self._service.forecast, dues)
            self._round_size.took(len(dues), time.perf_counter() - started)
            answers = [answer for run in runs for answer in run.answers]
            give_to_learners(dues, answers, self._settings.horizon_seconds)  # before anything more is taken
            if dues:
                alerted = self._tell_alerts(dues, runs)
            while len(self._rounds) >= ROUNDS_IN_FLIGHT:
                await asyncio.wait(self._rounds, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._publish(dues, runs, matured, alerted))
            self._rounds.add(task)
            task.add_done_callback(self._round_ended)
            self._computing = 0
        if self._fault is not None:
            async with self._progress:
                self._progress.notify_all()
            raise self._fault

    def _round_ended(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = fault
            self._wake.set()

    def _in_hand(self) -> bool:
        if self._fault is not None:
            return False  # it will not get better by waiting
        return bool(self._ingesting or self.is_forecasting())

    def is_forecasting(self) -> bool:
        """Whether forecasts are due, computed or published."""
        return bool(self._computing or self._rounds or self._anything_due())

    def recovered_so_far(self) -> tuple[int, int]:
        """Segments and cascades read of the partition that is being recovered; they grow while it proceeds."""
        if self._recovering is None:
            return 0, 0
        partition, segments = self._recovering
        return segments.segments, len(partition.store)

    def _anything_due(self) -> bool:
        return any(one.partition.has_due() for one in list(self.assigned.values()) if not one.advancing)

    def _collect(self) -> tuple[list[Due], list[Matured]]:
        """A round: of each partition that has any the same number, so that none starves, and what has matured."""
        dues: list[Due] = []
        matured: list[Matured] = []
        busy = max(1, sum(one.partition.backlog() > 0 for one in self.assigned.values()))
        waiting, paced = self.backlog(), self._settings.shed == "paced"
        limit = math.ceil(self._round_size.limit(busy * self._settings.inference_batch, waiting) / busy)
        flooded = waiting > self._settings.max_backlog
        for one in self.assigned.values():
            if one.advancing:
                continue
            overloaded = paced or (self._settings.shed is not False and (flooded or self._is_late(one)))
            dues.extend(one.partition.take_due(limit, overloaded=overloaded))
            self._count_skipped(one)
            if truths := one.partition.take_truths():
                matured.append((one.partition, truths))
                self.metrics.show_weights(one.partition.number, self._service.lineup, one.partition.learner.learned)
        self.metrics.backlog.set(self.backlog())
        return dues, matured

    def _is_late(self, one: Assigned) -> bool:
        """Whether forecasts of a partition that promises a time wait so long that it may not be kept."""
        waits, within = one.partition.waits_seconds(), self._settings.forecast_within_seconds
        return one.live and waits > within

    def _count_skipped(self, one: Assigned) -> None:
        partition = one.partition
        self.metrics.due.inc(partition.due_total - one.due_seen)
        one.due_seen = partition.due_total
        for reason, number in _newly(partition.skipped, one.skipped_seen):
            self.metrics.skipped.labels(reason.value).inc(number)
        for why, number in _newly(partition.learner.unscored, one.unscored_seen):
            self.metrics.unscored.labels(why.value).inc(number)

    def _tell_alerts(self, dues: Sequence[Due], runs: Sequence[ModelRun]) -> list[Alerted]:
        """Tell the partitions what the champion said, and gather what is to be told of their alerts."""
        partitions = {id(one.partition): one.partition for one in self.assigned.values() if not one.advancing}
        partitions |= {id(due.partition): due.partition for due in dues}
        tell_partitions(partitions.values(), runs, self._service.lineup)
        self._count_withheld_alerts()
        return [(one, changes) for one in partitions.values() if (changes := one.take_alerts())]

    def _count_withheld_alerts(self) -> None:
        for one in self.assigned.values():
            for (rule, why), number in _newly(one.partition.alerts.withheld, one.withheld_seen):
                self.metrics.alerts_withheld.labels(rule, why.value).inc(number)

    async def _publish(
        self, dues: Sequence[Due], runs: Sequence[ModelRun], matured: Sequence[Matured], alerted: Sequence[Alerted]
    ) -> None:
        parted = shares(dues, runs, matured, alerted, self._settings.horizon_seconds)
        await asyncio.gather(*(self._publish_share(share) for share in parted))
        metrics = self.metrics
        for run in runs:
            metrics.failed.labels(run.model, run.role.value).inc(run.failed)
            metrics.supercritical.labels(run.model, run.role.value).inc(run.supercritical)
            metrics.inference.labels(run.model, run.role.value).observe(run.seconds)
            if run.role is Role.CHAMPION:
                self.board.add(run.model, run.records)
        self.rounds_done += 1
        await self._see_heartbeats_out()
        async with self._progress:
            self._progress.notify_all()

    async def _see_heartbeats_out(self) -> None:
        """Of partitions whose outputs are out, up to what was due when a heartbeat was taken in."""
        if self._heartbeats is not None:
            beats = self._heartbeats
            await asyncio.gather(*(self._see_out(beats, one.partition) for one in list(self.assigned.values())))

    async def _see_out(self, heartbeats: Heartbeats, partition: Partition) -> None:
        sent = heartbeats.at_the_end(partition.number, lambda: partition.out_before(()))
        if sent is None:
            return
        try:
            # No later time than the state knows of: the wall clock may have moved the watermark since, and a crash
            # would move it back.
            await self._outputs.note(partition.number, sent.due_before)
        except SupersededError:
            await self._drop_superseded(partition)
        else:
            heartbeats.arrived(partition.number, sent)

    async def _publish_share(self, share: Share) -> None:
        partition = share.partition
        outputs = [output for output, _ in share.outputs]
        try:
            out = await self._outputs.publish(
                partition.number, outputs, partition.out_before(share.dues, share.changes)
            )
        except SupersededError:
            self.metrics.skipped.labels(Skipped.MOVED.value).inc(len(share.dues))
            await self._drop_superseded(partition)
            return
        self._count_withheld(outputs, out)
        published = {id(output) for output in out}
        scores: list[ScoreRecord] = []
        alerted: set[tuple[str, float]] = set()
        for output, origin in share.outputs:
            if id(output) not in published:
                continue
            if isinstance(origin, ScoreRecord):
                scores.append(origin)
            elif isinstance(origin, AlertRecord):
                alerted.add((origin.cascade, origin.as_of))
                self.alert_history.add(origin)
                self.metrics.alerts.labels(origin.rule, origin.severity.value, origin.state.value).inc()
            else:
                self.metrics.published.labels(origin.model, origin.role.value).inc()
        self.metrics.observe_scores(scores)
        self.metrics.made.inc(len(share.dues))
        share.settle()
        now = time.time()
        for due in share.dues:
            seconds = self._observe_latency(due, now)
            if seconds is not None and (due.cascade, due.as_of) in alerted:
                self.metrics.alert_latency.observe(seconds)

    async def _drop_superseded(self, partition: Partition) -> None:
        """Another worker publishes for the partition: forget it, until a rebalance gives it back."""
        one = self.assigned.get(partition.number)
        if one is not None and one.partition is partition:
            await self.disown(partition.number)

    def _observe_latency(self, due: Due, now: float) -> float | None:
        one = self.assigned.get(due.partition.number)
        if one is None or one.partition is not due.partition:
            return None
        if one.live:
            self.metrics.freshness.observe(max(0.0, now - due.as_of))
        while one.arrivals and one.arrivals[0][0] <= due.as_of:
            one.arrivals.popleft()
        if not one.arrivals or math.isnan(one.arrivals[0][1]):
            return None
        seconds = max(0.0, now - one.arrivals[0][1])
        self.metrics.latency.observe(seconds)
        return seconds

    # --- time

    async def tick(self) -> None:
        """Advance the watermark of idle live partitions from the wall clock; refresh the gauges."""
        now = time.time()
        for one in list(self.assigned.values()):
            if one.live and now - one.last_event_wall > self._settings.idle_after_seconds:
                await self._advance(one, now - self._settings.allowed_lateness_seconds)
            await self._read_on(one, now - one.last_arrival_wall)
            self._show(one)
        self.metrics.show_open_alerts(one.partition.alerts.open_now() for one in self.assigned.values())

    async def _read_on(self, one: Assigned, silence: float) -> None:
        """Ask again for records that were asked for, or that lie in Kafka while none comes."""
        again = one.flow.rewind_due(time.monotonic())
        if again is None and silence > SILENCE_SECONDS and self.ready and not self._ingesting:
            end = await self._source.end(one.partition.number)
            again = one.flow.rewind_at_rest(end) if end is not None else None
        if again is not None:
            await self._rewind(one, again)

    def _is_live(self, partition: Partition) -> bool:
        return partition.watermark.is_live(time.time(), self._settings.live_within_seconds)

    async def _advance(self, one: Assigned, watermark: float) -> None:
        """Move the watermark by the wall clock.

        Unlike what records do to it this would not come again after a crash, so it is made durable before any forecast
        rests on it: no later event must change what is out already.
        """
        async with one.lock:
            one.advancing = True
            try:
                one.partition.watermark.advance_to(watermark)
                changes = one.partition.apply_events(())
                self._count(changes, 0)
                if changes.left or one.partition.has_due():
                    self.metrics.changelog_bytes.inc(await one.log.append(one.partition, changes, one.flow.position))
            finally:
                one.advancing = False
        self._wake.set()

    async def _keep_advance(self, one: Assigned) -> None:
        """Make durable what the wall clock did and nothing has rested on so far: what the coming records bring will."""
        if one.partition.watermark.value > one.log.watermark:
            self.metrics.changelog_bytes.inc(await one.log.append(one.partition, Changes(), one.flow.position))

    def _show(self, one: Assigned) -> None:
        label = str(one.partition.number)
        if one.partition.number in self.assigned:
            if math.isfinite(one.partition.watermark.value):
                self.metrics.watermark.labels(label).set(one.partition.watermark.value)
            self.metrics.next_offset.labels(label).set(one.flow.position)
            self._show_lag(one, label)
            self.metrics.live_cascades.labels(label).set(len(one.partition.store))
            self.metrics.live_bytes.labels(label).set(one.partition.store.bytes)
            self.metrics.state_bytes.labels(label).set(one.log.stored_bytes)

    def _show_lag(self, one: Assigned, label: str) -> None:
        end = self._source.last_known_end(one.partition.number)
        waiting = max(0, end - one.flow.position) if end is not None else 0
        age = time.time() - one.last_record_time
        self.metrics.lag_records.labels(label).set(waiting)
        self.metrics.lag_seconds.labels(label).set(max(0.0, age) if waiting and math.isfinite(age) else 0.0)

    # --- the end

    async def drain(self) -> None:
        """Finish what is in hand: the batch being ingested, the forecasts that are due; note how far we came."""
        deadline = time.monotonic() + self._settings.drain_timeout_seconds
        while time.monotonic() < deadline and self._in_hand():
            self._wake.set()
            await asyncio.sleep(0.02)
        self._stopping = True
        self._wake.set()
        async with self._progress:
            self._progress.notify_all()
        for one in list(self.assigned.values()):
            async with one.lock:
                await one.log.checkpoint(one.partition)
        self._executor.shutdown(wait=True)
        log.info("drained", waiting=self.backlog(), partitions=len(self.assigned))
