"""Python's cycle collector, told what a worker is like: much that lives long, and records in bulk that do not."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (20_000, 20, 10)
"""A fetch makes some ten thousand objects that are all freed without the collector, which by default would look at them
after every 700: about a tenth of the worker's time. Cycles of tasks and exceptions wait a little longer now."""


def settle() -> None:
    """Once all is loaded: leave modules and models out of every collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
