"""A transport of Faust that delivers what was gathered of a partition as one message, and commits what is durable.

Faust spends some 65 us on each message it carries, whatever is in it. So the records of the events topic that were
gathered of one partition travel as one message: its offset is that of the last, its value are all of them. Faust goes
on to do the rest (groups, rebalances, seeks, acknowledgement), a message at a time.

Of Faust's consumer private methods are replaced. ``_getmany`` gathers and folds, and asks for the partitions that are
wanted at that moment, be it none (`Wanted`). ``_seek`` goes the way of all other calls to the client. ``_add_gap``
would take the offsets between two messages for records that are missing; they came with the later message.
``_new_offset`` says what may be committed: no more than what was acknowledged, and no more than what the partition's
state holds, since Faust may drop messages around a rebalance and acknowledge those behind them. ``_commit`` tells what
the group has accepted. ``_new_consumer_thread`` makes a client that waits less. Pinned by
``tests/streams/worker/test_batched_transport.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage

from streams.worker.gathering import Gathering

FETCH_WAIT_MS: Final = 100
"""For so long a broker waits for records to come before it answers that there are none. Faust says 1,500. A fetch that
was sent while the records of some partitions still waited to be looked at is for the others only; where these are
silent, the former get nothing until it is answered."""

StateEnd = Callable[[int], int | None]
"""The offset at which the state of a partition of the events topic goes on; None where it is not ours."""

Committed = Callable[[int, int], None]
"""Told of a partition of the events topic, and of the offset of which the group has accepted our commit."""

Fetched = tuple[ConsumerRecord, ...]
"""The value of a message: records of one partition, in order of arrival, at least one."""


class Wanted(Container[TP]):
    """Partitions of which records are wanted: those of Faust's set, which changes while a client waits for records.

    Faust hands the set itself to the client, and empties it when a recovery is done. To the client an empty set means
    all partitions: it gave out what it had fetched of the copies of other workers' state, which Faust had just told it
    to read from their ends on, and Faust dropped these records as unwanted. A copy without them looks complete: of
    whoever took it over all earlier cascades were gone. This one is never empty, whatever is in it.
    """

    def __init__(self, partitions: Container[TP]) -> None:
        self._partitions = partitions

    def __contains__(self, partition: object) -> bool:
        return partition in self._partitions


class PromptConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust carries no types
    """Faust's, but for `FETCH_WAIT_MS`, and for `seek_here`."""

    async def seek_here(self, partition: TP, offset: int) -> None:
        """Seek, in the client's own thread: from another it pulls away what the client is giving out."""

        async def seek() -> None:
            self.seek(partition, offset)

        await self.call_thread(seek)

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class BatchedTransport(Transport):  # type: ignore[misc]  # Faust carries no types
    """Of the ``topic`` of events; other topics are carried as Faust carries them."""

    def __init__(
        self, app: faust.App, topic: str, state_end: StateEnd, committed: Committed, gathering: Gathering
    ) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.topic = topic
        self.state_end = state_end
        self.committed = committed
        self.gathering = gathering

    class Consumer(Consumer):  # type: ignore[misc]
        """Gathers, folds, and commits accordingly."""

        def _new_consumer_thread(self) -> PromptConsumerThread:
            return PromptConsumerThread(self, loop=self.loop, beacon=self.beacon)

        async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Sequence[Any]]:
            fetch, topic = super()._getmany, self.transport.topic
            wanted = None if active_partitions is None else Wanted(active_partitions)
            found: Mapping[TP, Sequence[Any]] = await fetch(active_partitions=wanted, timeout=timeout)
            if not any(tp.topic == topic for tp in found):
                return found
            generation = self.app.consumer_generation_id

            def is_ours() -> bool:
                return bool(self.flow_active and self.app.consumer_generation_id == generation)

            found = await self.transport.gathering.gather(
                found, lambda: fetch(active_partitions=wanted, timeout=0.0), is_ours
            )
            if self.app.consumer_generation_id != generation:
                return {}  # of partitions that moved; what is still ours is read again from where it was committed
            return folded(found, topic)

        def _to_message(self, tp: TP, record: ConsumerRecord | Fetched) -> ConsumerMessage:
            if not isinstance(record, tuple):
                return super()._to_message(tp, record)
            message = super()._to_message(tp, record[-1])
            message.key, message.headers, message.value = None, (), record
            return message

        async def _seek(self, partition: TP, offset: int) -> None:
            await self._thread.seek_here(partition, offset)

        async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
            """There is none."""

        def _new_offset(self, tp: TP) -> int | None:
            acknowledged = self._acked[tp]
            if not acknowledged:
                return None
            after = max(acknowledged) + 1
            acknowledged.clear()
            self._acked_index[tp].clear()
            end = self.transport.state_end(tp.partition)
            return None if end is None else min(after, end)

        async def _commit(self, offsets: Mapping[TP, int]) -> bool:
            accepted = bool(await super()._commit(offsets))
            for tp, offset in offsets.items() if accepted else ():
                if tp.topic == self.transport.topic and tp in self.assignment():
                    self.transport.committed(tp.partition, offset)
            return accepted


def folded(found: Mapping[TP, Sequence[ConsumerRecord]], topic: str) -> Mapping[TP, Sequence[Any]]:
    """What was fetched, with the records of each partition of ``topic`` as one."""
    return {tp: [tuple(records)] if tp.topic == topic and records else records for tp, records in found.items()}
