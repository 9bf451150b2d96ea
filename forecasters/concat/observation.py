"""What ConCat reads of a cascade: the events of its sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasters.view_memo import once_per_view
from graph import CascadeView


def chosen_events(nodes: int, event_cap: int, recent_events: int) -> NDArray[np.int64]:
    """Indices of the events a sequence keeps: the earliest, and of a longer cascade the latest ``recent_events``."""
    if nodes <= event_cap:
        return np.arange(nodes)
    return np.concatenate([np.arange(event_cap - recent_events), np.arange(nodes - recent_events, nodes)])


@once_per_view
def sequence(view: CascadeView, event_cap: int, recent_events: int) -> dict[str, NDArray[Any]]:
    """ages (n,) in seconds, parents (n,) and users (n,) of the chosen events, n <= event_cap.

    A parent that was not chosen gives way to its nearest chosen ancestor; the root is always chosen.
    """
    chosen = chosen_events(len(view.ages), event_cap, recent_events)
    parents = view.parents[chosen].astype(np.int64)
    place = np.full(len(view.ages), -1)
    place[chosen] = np.arange(len(chosen))
    while (lost := (parents >= 0) & (place[parents] < 0)).any():
        parents[lost] = view.parents[parents[lost]]
    return {
        "ages": view.ages[chosen],
        "parents": np.where(parents < 0, -1, place[parents]).astype(np.int32),
        "users": view.users[chosen],
    }
