"""Faust's flow control, less its habit of emptying the queue of changelog records whenever flow resumes.

After a recovery Faust lets the copies of other workers' state be read, tells of the rebalance's end, which takes us
seconds (the state goes into memory), and resumes flow once more. That empties the queue and breaks off the delivery of
what was fetched, while the next fetch goes on behind it: the copy lacks those records for good, and whoever recovers
from it what they hold. On a rebalance Faust empties the queue by a call of its own, and then reads again from where the
copy ends; that is left as it is.
"""

from __future__ import annotations

from mode.utils.queues import FlowControlEvent


class KeepingFlowControl(FlowControlEvent):  # type: ignore[misc]  # Faust carries no types
    """Keeps on `resume` what is queued; `clear` alone empties queues."""

    def resume(self) -> None:
        """Let producers go on."""
        self._suspend.clear()
        self._resume.set()
