"""Delivers what is read to one target: in order for each post, at the target's pace, until it is taken or given up."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from streams.alerts.delivery.dead_letter_box import DeadLetterBox, Undeliverable
from streams.alerts.delivery.metrics import Fate, TargetMetrics
from streams.alerts.delivery.notices import Notice
from streams.alerts.delivery.pace import Pace, back_off_seconds
from streams.alerts.delivery.posting import SendError
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.targets import Target
from streams.alerts.delivery.wall_clock import WallClock
from streams.alerts.records import AlertState

log = structlog.get_logger("cascadecast.delivery")

MAX_WAITING: Final = 256
"""Records read and not done; the rest waits in Kafka. Their offsets fit into the note beside the committed one."""

REMEMBERED_IDS: Final = 50_000
"""Ids delivered: some 8 MB. A worker repeats what it published within the second before its crash."""


@dataclass(slots=True)
class _Lane:
    """The records of one post that wait, the first of them under way."""

    notices: deque[Notice] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    is_sending: bool = False
    is_let_go: bool = False


class Courier:
    """One target's deliveries. A post's records go one after the other; those of different posts side by side."""

    def __init__(
        self,
        name: str,
        target: Target,
        sender: Sender,
        box: DeadLetterBox,
        metrics: TargetMetrics,
        clock: WallClock = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self._name = name
        self._target = target
        self._sender = sender
        self._box = box
        self._metrics = metrics
        self._clock = clock
        self._chance = chance or random.Random()
        self._pace = Pace(target.at_once, target.interval_seconds)
        self._lanes: dict[tuple[int, str], _Lane] = {}
        self._waiting: dict[str, Notice] = {}  # by id
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._failure: asyncio.Future[None] | None = None
        self.on_done: Callable[[Notice], None] = lambda notice: None
        """Told of every record that has met its fate."""

    @property
    def room(self) -> int:
        """How many records may be read."""
        return MAX_WAITING - len(self._waiting)

    def remember(self, notice: Notice) -> None:
        """It was delivered before: a repeat of it need not be."""
        self._remembered[notice.record.id] = None
        while len(self._remembered) > REMEMBERED_IDS:
            self._remembered.popitem(last=False)

    def accept(self, notice: Notice) -> None:
        """Deliver a record that was read."""
        record = notice.record
        known = self._waiting.get(record.id)
        if known is not None and (known.partition, known.offset) == (notice.partition, notice.offset):
            return  # read once more after a rebalance; its fate is on the way
        self._metrics.read.inc()
        if not self._target.wants(record.rule, record.severity):
            self._meet(notice, Fate.FILTERED)
            return
        if known is not None or record.id in self._remembered:
            self._meet(notice, Fate.DUPLICATE)
            return
        wanted = record.state in self._target.states
        if self._target.collapse and (wanted or record.state is AlertState.RESOLVED):
            self._supersede(notice)
        if not wanted:
            self._meet(notice, Fate.FILTERED)
            return
        self._waiting[record.id] = notice
        self._metrics.waiting.set(len(self._waiting))
        lane = self._lanes.setdefault((notice.partition, record.cascade), _Lane())
        lane.notices.append(notice)
        if lane.task is None:
            lane.task = asyncio.create_task(self._run((notice.partition, record.cascade), lane))

    async def run(self) -> None:
        """Until it is cancelled; raises what a delivery raised that it must not."""
        self._failure = asyncio.get_running_loop().create_future()
        await self._failure

    async def release(self, partitions: Iterable[int], grace_seconds: float) -> bool:
        """Deliver no more of these partitions; requests under way may end. Whether all did."""
        gone = set(partitions)
        lanes = {key: lane for key, lane in self._lanes.items() if key[0] in gone}
        for lane in lanes.values():
            lane.is_let_go = True
        tasks = {lane.task: lane for lane in lanes.values() if lane.task is not None}
        for task, lane in tasks.items():
            if not lane.is_sending:
                task.cancel()
        unfinished: set[asyncio.Task[None]] = set()
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for key, lane in lanes.items():
            self._lanes.pop(key, None)
            for notice in lane.notices:
                self._waiting.pop(notice.record.id, None)
                self._metrics.met(Fate.LET_GO)
        self._metrics.waiting.set(len(self._waiting))
        return not unfinished

    def _supersede(self, newer: Notice) -> None:
        """Older records of the alert that wait are told with this one."""
        lane = self._lanes.get((newer.partition, newer.record.cascade))
        for notice in lane.notices if lane is not None else ():
            if notice.record.alert == newer.record.alert:
                notice.superseded = True

    async def _run(self, key: tuple[int, str], lane: _Lane) -> None:
        try:
            while lane.notices and not lane.is_let_go:
                notice = lane.notices[0]
                fate = await self._deliver(lane, notice)
                if fate is None:
                    return
                lane.notices.popleft()
                self._meet(notice, fate)
            if not lane.is_let_go:
                del self._lanes[key]
        except Exception as error:
            if self._failure is None or self._failure.done():
                raise
            self._failure.set_exception(error)

    async def _deliver(self, lane: _Lane, notice: Notice) -> Fate | None:
        """Try until the record has met its fate; None: its partition was let go before."""
        failures = 0
        began = asyncio.get_running_loop().time()
        while not lane.is_let_go:
            if notice.superseded:
                return Fate.COLLAPSED
            if self._is_too_old(notice):
                message = f"in Kafka for more than {self._target.max_age_seconds:g} s"
                return await self._give_up(notice, Undeliverable.TOO_OLD, message)
            async with self._pace.turn():
                if self._is_off(lane, notice):  # while it waited for its turn
                    continue
                error = await self._try(lane, notice)
            if error is None:
                return Fate.DELIVERED
            failures += 1
            if error.final:
                return await self._give_up(notice, Undeliverable.REFUSED, str(error))
            tried = asyncio.get_running_loop().time() - began
            if failures == self._target.max_tries or tried >= self._target.give_up_seconds:
                message = f"{failures} tries in {tried:.0f} s: {error}"
                return await self._give_up(notice, Undeliverable.GIVEN_UP, message)
            if error.retry_after_seconds is not None:
                self._pace.hold(error.retry_after_seconds)
            if not lane.is_let_go:
                await asyncio.sleep(back_off_seconds(self._target, failures, self._chance))
        return None

    async def _try(self, lane: _Lane, notice: Notice) -> SendError | None:
        """One request; the error, if it failed."""
        began = time.monotonic()
        lane.is_sending = True
        try:
            await self._sender.send(notice)
        except SendError as error:
            self._metrics.failed(error.trouble.value)
            self._metrics.failing.set(1)
            log.warning(
                "a delivery failed", target=self._name, trouble=error.trouble.value, alert=notice.record.alert,
                error=str(error), final=error.final,
            )  # fmt: skip
            return error
        finally:
            lane.is_sending = False
            self._metrics.attempt.observe(time.monotonic() - began)
        self._metrics.failing.set(0)
        self._note_delivery(notice)
        return None

    def _note_delivery(self, notice: Notice) -> None:
        now = self._clock()
        self.remember(notice)
        self._metrics.latency.observe(max(0.0, now - notice.published))
        late_by = notice.late_by(now, self._target.late_seconds)
        if late_by is not None:
            self._metrics.late.inc()
        log.info(
            "delivered", target=self._name, rule=notice.record.rule, state=notice.record.state.value,
            alert=notice.record.alert, late_seconds=None if late_by is None else round(late_by),
        )  # fmt: skip

    @staticmethod
    def _is_off(lane: _Lane, notice: Notice) -> bool:
        return notice.superseded or lane.is_let_go

    def _is_too_old(self, notice: Notice) -> bool:
        """What is over is told however late, so that nothing told before stays open."""
        oldest = self._target.max_age_seconds
        if oldest is None or notice.record.state is AlertState.RESOLVED:
            return False
        return self._clock() - notice.published > oldest

    async def _give_up(self, notice: Notice, reason: Undeliverable, message: str) -> Fate:
        await self._box.put(self._name, notice.original, reason, message)
        self._metrics.dead_lettered(reason.value)
        log.error(
            "a record could not be delivered and is a dead letter now", target=self._name, reason=reason.value,
            alert=notice.record.alert, error=message,
        )  # fmt: skip
        return Fate.DEAD_LETTERED

    def _meet(self, notice: Notice, fate: Fate) -> None:
        if self._waiting.get(notice.record.id) is notice:
            del self._waiting[notice.record.id]
            self._metrics.waiting.set(len(self._waiting))
        self._metrics.met(fate)
        self.on_done(notice)
