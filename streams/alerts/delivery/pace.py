"""How often a target may be asked, and when to try again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.alerts.delivery.targets import Target


class Pace:
    """Lets at most ``at_once`` requests run, their starts ``interval_seconds`` apart, and none while it is held."""

    def __init__(self, at_once: int, interval_seconds: float) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._interval = interval_seconds
        self._next = 0.0  # of the loop's clock

    def hold(self, seconds: float) -> None:
        """The target asked all to wait."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it."""
        loop = asyncio.get_running_loop()
        async with self._slots:
            while (wait := self._next - loop.time()) > 0:
                await asyncio.sleep(wait)
            self._next = loop.time() + self._interval
            yield


def back_off_seconds(target: Target, failures: int, chance: random.Random) -> float:
    """Before the next try, after so many failed ones in a row: doubled each time, less up to a half by chance.

    Without chance all that failed at once would come back at once, again and again.
    """
    doubled: float = min(target.retry_max_seconds, target.retry_seconds * 2.0 ** min(failures - 1, 60))
    return doubled * chance.uniform(0.5, 1.0)
