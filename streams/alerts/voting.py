"""Which forecasts count among the others of a slot: the first of each post, told by the post alone."""

from __future__ import annotations

import math

import numpy as np

from graph import CascadeView
from streams.engine.schedule import slot_end


def is_first_of_slot(
    view: CascadeView, as_of: float, slot_start: float, delay_seconds: float, minimum_observed: int
) -> bool:
    """Whether no earlier forecast of the post was made as of the slot that began at ``slot_start``.

    A post is forecast at the ends of those of its own short slots (`streams.engine.schedule`) in which something
    happened, once it has ``minimum_observed`` reshares. So the view tells, and nothing need be remembered of posts.
    """
    if not math.isfinite(slot_start):
        return True
    first = slot_end(view.cascade, slot_start, delay_seconds)
    before = as_of - delay_seconds
    if before < first - 0.5e-3:  # a whole number of short slots apart, or none
        return True
    since, until = first - delay_seconds - view.root_time, before - view.root_time
    ages = view.ages[1:]
    happened = bool(ages.searchsorted(until, side="right") > ages.searchsorted(since, side="right"))
    if not happened and view.binned:
        counted = view.binned_until(np.array([since, until]))
        happened = bool(counted[1] > counted[0])
    if not happened:
        return True
    reshares = int(view.reshare_ages.searchsorted(until, side="right"))
    if view.binned:
        reshares += int(view.binned_until(np.array(until)))
    return reshares < minimum_observed
