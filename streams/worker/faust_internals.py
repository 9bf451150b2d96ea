"""Everything of Faust that is touched beyond its documented interface, in one place.

A certain end: Faust waits for its clients, which wait for a broker that may be gone.

A table write addressed to a partition: the public ``table[key] = value`` takes the partition from a task-local
"current event", which batched consumption does not have, and returns before the changelog has acknowledged. Nor does it
tell when the changelog refuses: the record waits in a buffer whose task dies of it, and the promise is never kept. Here
the same steps are taken one by one, with the partition named: the local store, the changelog record, awaited, and the
offset up to which the local store is complete. Pinned by ``tests/integration/test_worker.py``.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import faust

from streams.state.distrust import Distrust
from streams.state.store import SegmentStore


class TableSegmentStore(SegmentStore):
    """The segments of one partition in a Faust table with a RocksDB store."""

    def __init__(self, table: faust.Table, partition: int, distrust: Distrust) -> None:
        self._table: Any = table
        self._partition = partition
        self._distrust = distrust

    @property
    def _db(self) -> Any:
        return self._table.data._db_for_partition(self._partition)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All segments of the partition in the local store, in key order."""
        offset_key = self._table.data.offset_key
        for key, value in self._db.items():
            if key != offset_key:
                yield key, value

    def get(self, key: bytes) -> bytes | None:
        """One segment from the local store."""
        value: bytes | None = self._db.get(key)
        return value

    def newest_key(self) -> bytes | None:
        """The greatest key of the partition; Faust's own entry sorts above all of ours and is stepped over."""
        offset_key = self._table.data.offset_key
        for key in self._db.keys(backwards=True):
            if key != offset_key:
                found: bytes = key
                return found
        return None

    async def put(self, key: bytes, value: bytes) -> None:
        """Write locally and to the changelog; returns once the changelog has acknowledged, raises if it does not."""
        self._db.put(key, value)
        await self._send(key, value)

    async def delete(self, key: bytes) -> None:
        """Delete locally and send the changelog a tombstone."""
        self._db.delete(key)
        await self._send(key, None)

    def distrust(self) -> None:
        """At the next start of the worker read the changelog from its beginning."""
        self._distrust.note(self._partition)

    def trust(self) -> None:
        """What is here is whole."""
        self._distrust.forget(self._partition)

    def is_all_there_is(self) -> bool:
        """Whether all of the changelog was read by this start of the worker."""
        return self._distrust.was_removed(self._partition)

    async def _send(self, key: bytes, value: bytes | None) -> None:
        topic = self._table.changelog_topic.get_topic_name()
        acknowledged = await self._table.app.producer.send(topic, key, value, self._partition, None, None)
        sent = await acknowledged
        # Up to here the local store need not read the changelog again.
        self._table.data.set_persisted_offset(sent.topic_partition, sent.offset)


def local_copy(table: faust.Table, partition: int) -> Path:
    """The directory of the local store of a partition."""
    store: Any = table.data
    return Path(store.partition_path(partition))


class FaustChangelogs:
    """How far the app's reading of changelogs is."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    def joining(self) -> bool:
        """Whether the group is still deciding who has which partition."""
        return bool(self._app.rebalancing and not self._app.tables.recovery.in_recovery)

    def records_remaining(self) -> int:
        """Records of our own partitions' changelogs still to be read."""
        return _total(self._app.tables.recovery.active_remaining)

    def standby_records_remaining(self) -> int:
        """Records of the changelogs of which we keep a copy."""
        return _total(self._app.tables.recovery.standby_remaining)

    def rebalances(self) -> int:
        """How often partitions were about to move: whoever finds it changed may have lost its own."""
        return int(self._app.rebalancing_count)


def _total(remaining: Callable[[], Mapping[Any, int]]) -> int:
    try:
        return sum(max(0, records) for records in remaining().values())
    except TypeError:  # some offsets are not known yet
        return 0


class BoundedWorker(faust.Worker):  # type: ignore[misc]  # Faust carries no types
    """A Faust worker whose end is certain.

    It is gone ``shutdown_seconds`` after a signal told it to stop, whatever it waits for, and at once when one of its
    services crashed: Faust would wait for the others, which may wait for a Kafka that is gone.
    """

    shutdown_seconds: ClassVar[float] = 60.0
    on_loop: ClassVar[Callable[[asyncio.AbstractEventLoop], None]]
    """Called with the event loop once it runs."""
    on_fault: ClassVar[Callable[[BaseException], None]]
    """Called with the reason of a crash."""
    EXIT_NOT_DRAINED: ClassVar[int] = 75
    """EX_TEMPFAIL: stopped before all was finished; what was not committed is done again by the next owner."""

    _stopping_by_signal = False

    async def on_first_start(self) -> None:
        """Start, and tell of the loop."""
        await super().on_first_start()
        type(self).on_loop(asyncio.get_running_loop())

    def _on_sigterm(self) -> None:
        self._bound_shutdown()
        super()._on_sigterm()

    def _on_sigint(self) -> None:
        self._bound_shutdown()
        super()._on_sigint()

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        if not self._stopping_by_signal:
            type(self).on_fault(reason)

    def _bound_shutdown(self) -> None:
        self._stopping_by_signal = True
        timer = threading.Timer(self.shutdown_seconds, os._exit, (self.EXIT_NOT_DRAINED,))
        timer.daemon = True
        timer.start()
