"""Whether a model's errors have changed: ADWIN [1] over signed log errors, one window for each age.

ADWIN keeps a window of values as long as no cut of it leaves two parts whose means differ by more than chance would; it
needs neither a scale nor a reference, and holds a window of n values in O(log n) numbers.

The window itself is river's compiled one, which `river.drift.ADWIN` wraps. The wrapper cannot be stored without pickle,
and importing it takes seconds, for statistics that nothing here uses; the core says its state as bytes.

[1] Bifet & Gavalda 2007, Learning from time-changing data with adaptive windowing.
"""

from __future__ import annotations

from typing import Final, Self

import msgspec
from river.__version__ import __version__ as RIVER_VERSION
from river._river_rust.drift import AdaptiveWindowing

CONFIDENCE: Final = 0.0005
"""ADWIN's delta, a quarter of the usual 0.002, since there is a window for each model, age and partition. It costs a
sixth more scores: a change by 0.6 doublings was told after 184 instead of 157 (median of 40 streams, heavy tails)."""

CLOCK: Final = 8
"""Looks at its window after every so many scores."""

LEAST_SHIFT: Final = 0.25
"""log2 by which the mean error must have moved to be told: with thousands of scores in the window, the difference
between day and night is beyond chance too."""

FIRST_SCORES: Final = 30
LAST_SCORES: Final = 120
"""After a change was found, from the first to the last so many errors, free of what was before, say whether it is as
large as that; else it is not told."""

ERROR_CAP: Final = 8.0
"""log2 beyond which an error is no further off: as where weights are learned."""

GRACE: Final = 60
"""Scores before the first look: of fewer, ages of one hour's posts can look like a change."""


def _window() -> AdaptiveWindowing:
    """Five buckets of each size (as in [1]), parts of 30 values at least."""
    return AdaptiveWindowing(CONFIDENCE, CLOCK, 5, 30, GRACE)


class DriftWatch(msgspec.Struct, array_like=True, frozen=True):
    """What is known of the errors of one model at one age. It never changes: `after` makes another one.

    >>> quiet = DriftWatch().after([0.1, -0.1] * 200, [1.0] * 400)
    >>> quiet.detections
    0
    >>> told = quiet.after([1.1, 0.9] * 200, [2.0] * 400)
    >>> told.detections, told.last_at, round(told.mean_before, 1), round(told.mean, 1)
    (1, 2.0, 0.1, 1.0)
    """

    window: bytes = b""  # as river states it
    river: str = RIVER_VERSION
    detections: int = 0
    last_at: float = 0.0
    """Event time (s) at which the post matured that made the last change certain."""
    mean_before: float = 0.0
    """Mean signed log2 error of the window in which the last change was found; its end lies behind the change."""
    mean: float = 0.0
    """Mean signed log2 error since then, or of the whole window where no change was found."""
    suspected: float | None = None
    """The mean before a change that was found and whose size is not clear yet."""

    def after(self, log_errors: list[float], times: list[float]) -> Self:
        """After more errors, in their order, each with the event time (s) at which it became known."""
        window, told = self._opened(), self
        for error, time in zip(log_errors, times, strict=True):
            capped = min(max(error, -ERROR_CAP), ERROR_CAP)
            mean = (window.get_total() + capped) / (window.get_width() + 1.0)
            if window.update(capped):
                # What came before must not be in the window any more, or the same change would be found again.
                window = _window()
                told = msgspec.structs.replace(told, suspected=mean if told.suspected is None else told.suspected)
            elif told.suspected is not None and window.get_width() >= FIRST_SCORES:
                told = told._settled(told.suspected, mean, time, last=window.get_width() >= LAST_SCORES)
        width = window.get_width()
        return msgspec.structs.replace(
            told,
            window=window.__getstate__(),
            river=RIVER_VERSION,
            mean=window.get_total() / width if width else told.mean,
        )

    def _settled(self, before: float, mean: float, time: float, *, last: bool) -> Self:
        """What was suspected is told once it is large enough."""
        if abs(mean - before) < LEAST_SHIFT:
            return msgspec.structs.replace(self, suspected=None if last else before)
        return msgspec.structs.replace(
            self, suspected=None, detections=self.detections + 1, last_at=time, mean_before=before
        )

    def _opened(self) -> AdaptiveWindowing:
        """The window; an empty one where another version of river wrote it, whose bytes may mean something else."""
        window = _window()
        if self.window and self.river == RIVER_VERSION:
            window.__setstate__(self.window)
        return window
