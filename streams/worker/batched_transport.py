"""A transport of Faust that delivers what was gathered of a partition as one message, and commits what is durable.

Faust spends some 65 us on each message it carries, whatever is in it. So the records of the events topic that were
gathered of one partition travel as one message: its offset is that of the last, its value are all of them. Faust goes
on to do the rest (groups, rebalances, seeks, acknowledgement), a message at a time.

Of Faust's consumer private methods are replaced. ``_getmany`` gathers and folds. ``_add_gap`` would take the offsets
between two messages for records that are missing; they came with the later message. ``_new_offset`` says what may be
committed: no more than what was acknowledged, and no more than what the partition's state holds, since Faust may drop
messages around a rebalance and acknowledge those behind them. ``_commit`` tells what the group has accepted. Pinned by
``tests/streams/worker/test_batched_transport.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import faust
from aiokafka.structs import ConsumerRecord
from faust.types import TP, ConsumerMessage

from streams.worker.careful_transport import CarefulTransport
from streams.worker.gathering import Gathering

StateEnd = Callable[[int], int | None]
"""The offset at which the state of a partition of the events topic goes on; None where it is not ours."""

Committed = Callable[[int, int], None]
"""Told of a partition of the events topic, and of the offset of which the group has accepted our commit."""

Fetched = tuple[ConsumerRecord, ...]
"""The value of a message: records of one partition, in order of arrival, at least one."""


class BatchedTransport(CarefulTransport):
    """Of the ``topic`` of events; other topics are carried as Faust carries them."""

    def __init__(
        self, app: faust.App, topic: str, state_end: StateEnd, committed: Committed, gathering: Gathering
    ) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.topic = topic
        self.state_end = state_end
        self.committed = committed
        self.gathering = gathering

    class Consumer(CarefulTransport.Consumer):
        """Gathers, folds, and commits accordingly."""

        async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Sequence[Any]]:
            fetch, topic = super()._getmany, self.transport.topic
            found: Mapping[TP, Sequence[Any]] = await fetch(active_partitions=active_partitions, timeout=timeout)
            if not any(tp.topic == topic for tp in found):
                return found
            generation = self.app.consumer_generation_id

            def is_ours() -> bool:
                return bool(self.flow_active and self.app.consumer_generation_id == generation)

            found = await self.transport.gathering.gather(
                found, lambda: fetch(active_partitions=active_partitions, timeout=0.0), is_ours
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
