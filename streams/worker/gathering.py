"""How records become a micro-batch: what comes is gathered while the worker is busy with the batch before.

Were each fetch handed on as it comes, they would queue up before the worker, one batch's time behind another, however
small: the queue fills as long as a fetch takes less time than a batch. Gathered until the worker is free, all that
waits is one batch, and no record waits for more than the batch under way.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

FETCH_EVERY_SECONDS: Final = 0.02
"""Between two looks at what was fetched while a batch is gathered: each costs a millisecond or so, whatever it brings,
and what was fetched and not looked at keeps the client from fetching more."""


class Busyness(Protocol):
    """Whether the batch before is still in hand."""

    def is_busy(self) -> bool:
        """Whether it is."""

    async def wait_free(self, at_most_seconds: float) -> None:
        """Return once it is not, or after so long."""


_Place = TypeVar("_Place")
_Record = TypeVar("_Record")


class Gathering:
    """Gathers until the worker is free and ``within_seconds`` have passed since the batch before, or ``most`` records.

    So what comes after a silence is handed on at once, and no more than one batch in that time makes a durable write.
    """

    def __init__(self, worker: Busyness, within_seconds: float, most: int) -> None:
        self._worker = worker
        self._within = within_seconds
        self._most = most
        self._handed_on_at = -math.inf

    async def gather(
        self,
        first: Mapping[_Place, Sequence[_Record]],
        fetch: Callable[[], Awaitable[Mapping[_Place, Sequence[_Record]]]],
        goes_on: Callable[[], bool],
    ) -> dict[_Place, list[_Record]]:
        """``first`` and what ``fetch``, which does not wait, brings after it, in order, as long as it ``goes_on``."""
        gathered = {place: list(records) for place, records in first.items()}
        number = sum(map(len, gathered.values()))
        until = self._handed_on_at + self._within
        while goes_on():
            left = until - time.monotonic() if number < self._most else 0.0
            if self._worker.is_busy():
                await self._worker.wait_free(FETCH_EVERY_SECONDS)
            elif left > 0.0:
                await asyncio.sleep(min(left, FETCH_EVERY_SECONDS))
            else:
                break
            if number < self._most:
                for place, records in (await fetch()).items():
                    gathered.setdefault(place, []).extend(records)
                    number += len(records)
        self._handed_on_at = time.monotonic()
        return gathered
