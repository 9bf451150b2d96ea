"""Faust's transport, less two ways in which it loses records around a recovery.

It hands the client its own set of the partitions that are wanted, and empties it when a recovery is done, while the
client waits for records. To the client an empty set means every partition, so it gives out what it has fetched of the
copies of other workers' state, which Faust has just told it to read on; Faust drops these records as unwanted, and goes
on behind them. Such a copy looks complete, and whoever takes the partition over has lost all earlier cascades.

And it moves the client to another offset from the thread of the event loop. That pulls away what the client is giving
out in a thread of its own, which then ends the worker.

Of Faust's consumer and its thread private methods are replaced: ``_getmany``, ``_seek``, ``_new_consumer_thread`` and
``_create_worker_consumer``. Pinned by ``tests/streams/worker/test_careful_transport.py``.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP

FETCH_WAIT_MS: Final = 100
"""For so long a broker waits for records to come before it answers that there are none. Faust says 1,500. A fetch that
was sent while the records of some partitions still waited to be looked at is for the others only; where these are
silent, the former get nothing until it is answered."""


class Wanted(Container[TP]):
    """The partitions in a set that may change meanwhile; true even when none is left."""

    def __init__(self, partitions: Container[TP]) -> None:
        self._partitions = partitions

    def __contains__(self, partition: object) -> bool:
        return partition in self._partitions


class CarefulThread(AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust carries no types
    """The client's own thread; the client waits less (`FETCH_WAIT_MS`)."""

    async def seek_here(self, partition: TP, offset: int) -> None:
        """Go on at another offset, between two of the client's answers. Raises what the client raises."""

        async def seek() -> None:
            self.seek(partition, offset)

        await self.call_thread(seek)

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer


class CarefulTransport(Transport):  # type: ignore[misc]  # Faust carries no types
    """Faust's, with careful consumers."""

    class Consumer(Consumer):  # type: ignore[misc]
        """Asks for what is wanted at that moment, be it nothing, and seeks where the client is."""

        def _new_consumer_thread(self) -> CarefulThread:
            return CarefulThread(self, loop=self.loop, beacon=self.beacon)

        async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Sequence[Any]]:
            wanted = None if active_partitions is None else Wanted(active_partitions)
            found: Mapping[TP, Sequence[Any]] = await super()._getmany(active_partitions=wanted, timeout=timeout)
            return found

        async def _seek(self, partition: TP, offset: int) -> None:
            await self._thread.seek_here(partition, offset)
