"""A transport of Faust that delivers what a fetch brought of a partition as one message, and commits what is durable.

Faust spends some 65 us on each message it carries, whatever is in it. So the records of the events topic that one fetch
brought of one partition travel as one message: its offset is that of the last, its value are all of them. Faust goes on
to do the rest (groups, rebalances, seeks, back-pressure, acknowledgement), a message at a time.

Of Faust's consumer three private methods are replaced. ``_getmany`` folds. ``_add_gap`` would take the offsets between
two messages for records that are missing; they came with the later message. ``_new_offset`` says what may be committed:
no more than what was acknowledged, and no more than what the partition's state holds, since Faust may drop messages
around a rebalance and acknowledge those behind them. Pinned by ``tests/streams/test_batched_transport.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import faust
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP, ConsumerMessage

StateEnd = Callable[[int], int | None]
"""The offset at which the state of a partition of the events topic goes on; None where it is not ours."""

Fetched = tuple[ConsumerRecord, ...]
"""The value of a message: records of one partition, in order, at least one."""


class BatchedTransport(Transport):  # type: ignore[misc]  # Faust carries no types
    """Of the ``topic`` of events; other topics are carried as Faust carries them."""

    def __init__(self, app: faust.App, topic: str, state_end: StateEnd) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self.topic = topic
        self.state_end = state_end

    class Consumer(Consumer):  # type: ignore[misc]
        """Folds, and commits accordingly."""

        async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Sequence[Any]]:
            found = await super()._getmany(active_partitions, timeout)
            return folded(found, self.transport.topic)

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


def folded(found: Mapping[TP, Sequence[ConsumerRecord]], topic: str) -> Mapping[TP, Sequence[Any]]:
    """What a fetch brought, with the records of each partition of ``topic`` as one."""
    return {tp: [tuple(records)] if tp.topic == topic and records else records for tp, records in found.items()}
