"""How fast a count grows."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

RATE_WINDOW_SECONDS: Final = 5.0


class Rate:
    """Counts per second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, total: int) -> float:
        """Take note of the total now."""
        now = time.monotonic()
        self._seen.append((now, total))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_WINDOW_SECONDS:
            self._seen.popleft()
        passed = now - self._seen[0][0]
        return (total - self._seen[0][1]) / passed if passed > 0 else 0.0
