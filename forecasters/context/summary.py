"""The first events of a cascade in one vector: what the papers' models may see, said in numbers.

Everything here follows from the times, the tree and the users of the earliest 100 events, the age of the observation
and the horizon. There is no count of what came after them, no audience and no clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.first_tree import first_tree
from forecasters.logarithms import OLDEST_SECONDS, bounded_log2
from forecasters.view_memo import once_per_view
from graph import CascadeView
from graph.features import distinct, mean_distance

Floats = NDArray[np.float64]

FIRST_EVENTS: Final = 100
"""As many as the papers' models read, the root counted."""
PARTS: Final = 10
"""Equal parts of the time until the last of the events, whose counts are features: where 100 events came in minutes,
they tell how the pace changed, which parts of the age would not."""
LAST_SECONDS: Final = (10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Windows that end with the last of the events, wherever the observation ends."""
QUANTILES: Final = (0.1, 0.5, 0.9, 1.0)
SUMMARY_SIZE: Final = 6 + PARTS + len(LAST_SECONDS) + len(QUANTILES) + 10

_INNER: Final = np.arange(1, PARTS) / PARTS
_LAST: Final = np.array(LAST_SECONDS)


@once_per_view
def summary_features(view: CascadeView, horizon_seconds: float) -> Floats:
    """The summary of a view, (SUMMARY_SIZE,), finite for any view; read-only, computed once for each view.

    log2 of reshares, of the age, the remaining time, the silence and the time until the last event in minutes, and
    whether there are as many events as are read; log2 counts in parts of the time until the last event and in the last
    seconds before it; log2 gaps; the shape of the tree; and the share of users that are different.
    """
    age = min(view.age_seconds, OLDEST_SECONDS)
    ages = np.minimum(view.ages[:FIRST_EVENTS][view.reshares[:FIRST_EVENTS]], age)
    count = len(ages)
    last = float(ages[-1]) if count else 0.0
    gaps = np.sort(np.diff(ages)) if count > 1 else np.zeros(1)
    times = np.array([age, max(horizon_seconds - age, 0.0), age - last, last]) / 60.0
    return np.concatenate(
        [
            bounded_log2([count]),
            bounded_log2(times),
            [float(len(view) >= FIRST_EVENTS)],
            bounded_log2(np.diff(np.concatenate(([0], ages.searchsorted(last * _INNER), [count])))),
            bounded_log2(count - ages.searchsorted(last - _LAST, side="right")),
            bounded_log2([gaps[round(q * (len(gaps) - 1))] for q in QUANTILES]),
            _shape(view),
        ]
    )


def _shape(view: CascadeView) -> Floats:
    """Ten numbers of the tree of the first events: depths, the root's share, the largest other hub, leaves, breadth."""
    depths, parents = first_tree(view, FIRST_EVENTS)
    n = len(depths)
    edges, half = max(n - 1, 1), n // 2
    children = np.bincount(parents[1:], minlength=n)
    hub = int(children[1:].max(initial=0))
    logs = bounded_log2([hub, np.bincount(depths)[1:].max(initial=0)])
    return np.array(
        [
            depths.max(),
            depths.sum() / edges,
            children[0] / edges,
            logs[0],
            hub / edges,
            np.count_nonzero(children == 0) / n,
            logs[1],
            mean_distance(parents, depths),
            np.count_nonzero(parents[half:] == 0) / (n - half),
            distinct(view.users[:n]) / n,
        ]
    )
