"""How the threads of a worker take turns: the loop, which takes events in, and the thread that makes forecasts."""

from __future__ import annotations

import sys
from typing import Final

TURN_SECONDS: Final = 0.0005
"""For so long a thread keeps the interpreter while another asks for it; Python's own is ten times as long. A forecast
gives the interpreter away with each of its two thousand small tensor operations, and would wait a turn of the loop for
each of them: a round took three times its own time beside a busy loop, and takes twice that now, which is a fair half
of the core. The work done in all stays the same."""


def take_short_turns() -> None:
    """For this process."""
    sys.setswitchinterval(TURN_SECONDS)
