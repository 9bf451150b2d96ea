"""How long before a post reached half of its final size a rule alerts, when all rules are equally often right.

A rule alerts once for each post, at the first moment its score reaches a threshold. The lower the threshold, the
earlier the alerts and the more of them wrong; so rules are compared at thresholds of equal precision, or of equally
many alerts. Every post of the top share counts: alerted after half of its size, its lead is negative; never alerted, it
counts as alerted at the horizon, where its size is known without any rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import Ints
from forecasters.alerting.walks import Walk

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PRECISIONS: Final = (0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """A rule at one threshold: ``ages`` (n,) of its alerts, +inf for none, and the ``leads`` (s) of the top posts."""

    ages: Floats
    leads: Floats
    alerts: int
    precision: float
    recall: float

    @property
    def median_lead_seconds(self) -> float:
        """Half of the top posts have a lead of at least so much."""
        return float(np.median(self.leads))


def threshold_of_precision(peaks: Floats, top: Flags, precision: float) -> float | None:
    """The lowest threshold at which at least ``precision`` of the alerts are for posts of the top; None without any."""
    thresholds, alerts, hits = _cumulative(peaks, top)
    right = np.flatnonzero(hits >= precision * alerts)
    return float(thresholds[right[-1]]) if len(right) else None


def threshold_of_alerts(peaks: Floats, top: Flags, most: int) -> float | None:
    """The lowest threshold that alerts for no more than ``most`` posts; None where even the highest has more."""
    thresholds, alerts, _ = _cumulative(peaks, top)
    few = np.flatnonzero(alerts <= most)
    return float(thresholds[few[-1]]) if len(few) else None


def operate(walk: Walk, posts: Ints, top: Flags, halves: Floats, horizon_seconds: float, threshold: float) -> Operation:
    """The alerts of a rule for ``posts`` (n,) at a threshold; ``halves`` are the half ages of those in the top."""
    ages = walk.alert_ages(posts, threshold)
    alerted = np.isfinite(ages)
    hits = int(np.count_nonzero(alerted & top))
    leads = halves - np.minimum(ages[top], horizon_seconds)
    alerts = int(np.count_nonzero(alerted))
    return Operation(ages, leads, alerts, hits / alerts if alerts else 0.0, hits / int(np.count_nonzero(top)))


def _cumulative(peaks: Floats, top: Flags) -> tuple[Floats, Ints, Ints]:
    """Finite peaks, each once, falling; posts that reach each of them, and those of the top among them."""
    seen = np.isfinite(peaks)
    order = np.argsort(-peaks[seen], kind="stable")
    values, hits = peaks[seen][order], np.cumsum(top[seen][order])
    last = np.flatnonzero(np.append(values[1:] != values[:-1], [True] if len(values) else []))
    return values[last], last + 1, hits[last].astype(np.int64)
