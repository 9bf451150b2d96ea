"""What makes the ledger durable: steps, written as they are made, and a snapshot for each slot of event time.

A recovery begins as of a time before which everything is out. So beside the present ledger there is one that lags: as
of the beginning of the slot from which a recovery may begin. Its snapshot, and the steps since then as far as they lie
before the recovery's own time, give the ledger as it was; later steps are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from streams.alerts.cap import BAR_SECONDS
from streams.alerts.ledger import Ledger
from streams.alerts.standings import STEP_BYTES, Mark, Phase, Standing, Step

Key = tuple[float, str, str]


class Journal:
    """The present ledger, the lagging one, and the steps between them."""

    def __init__(self, slot_start: Callable[[float], float], population_seconds: float) -> None:
        """``population_seconds``: how long who was how large is remembered."""
        self._slot_start = slot_start
        self.now = Ledger(slot_start)
        self.population_seconds = population_seconds
        self._lagging = Ledger(slot_start)
        self._snapshot: bytes | None = None
        self._steps: dict[Key, Step] = {}
        self._unwritten: dict[Key, Step] = {}
        self.marks: dict[str, Mark] = {}
        self._unwritten_marks: dict[str, Mark] = {}
        self._matures: dict[str, float] = {}  # posts on which an alert is open, or will be after a recovery

    @property
    def bytes_needed(self) -> int:
        """About what it needs in the log."""
        return len(self._snapshot or b"") + STEP_BYTES * (len(self._steps) + len(self.marks))

    def record(self, step: Step) -> None:
        """Take a step, which is to be written."""
        self.now.apply(step)
        self._note_ends(step.cascade, step.standings)
        known = self._steps.get(step.key)
        if known is not None:  # at one moment of event time rules may be removed twice
            step = msgspec.structs.replace(known, standings=known.standings + step.standings)
        self._steps[step.key] = self._unwritten[step.key] = step

    def _note_ends(self, cascade: str, standings: Iterable[Standing]) -> None:
        for standing in standings:
            if standing.phase is Phase.OPEN:
                self._matures[cascade] = standing.until

    def matures(self, cascade: str) -> float | None:
        """When a post matures on which an alert is open, or will be after a recovery; None where there is none."""
        return self._matures.get(cascade)

    def mark(self, mark: Mark) -> None:
        """Note that a post left memory."""
        self.marks[mark.cascade] = self._unwritten_marks[mark.cascade] = mark

    def evicted(self) -> list[Mark]:
        """Posts that were evicted, and whose alerts have not ended yet."""
        return [mark for mark in self.marks.values() if mark.size < 0 and mark.cascade in self.now.standings]

    def forget(self, start: float) -> None:
        """The present slot begins at ``start``: drop what is over."""
        self.now.forget(start, self.population_seconds, BAR_SECONDS)

    # --- durable state

    def state_at(self, since: float) -> bytes | None:
        """The snapshot for recoveries from ``since`` on, which never goes back; None: nothing is to be remembered.

        The same object as long as nothing has changed.
        """
        start = self._slot_start(since)
        lagging = self._lagging
        if start > lagging.start:
            over = sorted((step for step in self._steps.values() if step.as_of < start), key=lambda step: step.as_of)
            for step in over:
                lagging.apply(step)
                del self._steps[step.key]
            lagging.start = start
            if lagging.forget(start, self.population_seconds, BAR_SECONDS) or over:
                self._snapshot = lagging.snapshot()
            self._forget_ends()
        return self._snapshot

    def _forget_ends(self) -> None:
        """An end that is out for certain is asked for by no recovery any more."""
        recent = {step.cascade for step in self._steps.values()}
        over = self._matures.keys() - self.now.standings.keys() - self._lagging.standings.keys() - recent
        for cascade in over:
            del self._matures[cascade]
            self.marks.pop(cascade, None)
            self._unwritten_marks.pop(cascade, None)

    def take_unwritten(self) -> tuple[list[Step], list[Mark]]:
        """What was noted since the last call and is not part of the snapshot; ask for that first."""
        steps = [step for key, step in self._unwritten.items() if key in self._steps]
        marks = list(self._unwritten_marks.values())
        self._unwritten, self._unwritten_marks = {}, {}
        return steps, marks

    def needed(self, steps: Iterable[Step], marks: Iterable[Mark]) -> tuple[list[Step], list[Mark]]:
        """Of what a segment holds, what a recovery would need: steps that were made again count as they are now."""
        return (
            [self._steps[step.key] for step in steps if step.key in self._steps],
            [self.marks[mark.cascade] for mark in marks if mark.cascade in self.marks],
        )

    def restore(self, snapshot: bytes | None, steps: Iterable[Step], marks: Iterable[Mark], since: float) -> None:
        """Be as it was before the first forecast as of ``since``. Raises msgspec.DecodeError for another snapshot."""
        self._snapshot = snapshot
        self._lagging = Ledger.restore(self._slot_start, snapshot)
        self.now = Ledger.restore(self._slot_start, snapshot)
        made = {step.key: step for step in steps if self._lagging.start <= step.as_of < since}
        for step in sorted(made.values(), key=lambda step: step.as_of):
            self.now.apply(step)
            self._steps[step.key] = step
        for cascade, known in self.now.standings.items():
            self._note_ends(cascade, known.values())
        self.marks = {mark.cascade: mark for mark in marks if mark.cascade in self.now.standings}
