"""What "the top share" of posts means when sizes are tied at the cut."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from forecasters.dataset import DatasetError


def top_level(finals: NDArray[np.int64], share: float) -> int:
    """The least final size that no more than ``share`` of the posts reach, at least 1.

    Posts tied at the cut are all in or all out, and out where all of them would be too many: a top share is never
    larger than it says, and does not depend on the order of equals. Raises `DatasetError` where it is empty.
    """
    largest_first = np.sort(finals)[::-1]
    most = math.floor(share * len(finals) + 1e-9)  # 0.1 of 30 posts is 3.0000000000000004
    if most >= 1:
        level = int(largest_first[most - 1])
        if most < len(finals) and largest_first[most] == level:
            level += 1
        level = max(level, 1)
        if largest_first[0] >= level:
            return level
    raise DatasetError(
        f"no post is in the top {100 * share:g} % of {len(finals)}: they are too few or tied in size; "
        "give a larger file or a larger --top"
    )


def reaches_top(finals: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which posts (n,) reach the level of the top ``share`` among them. Raises `DatasetError` as `top_level`."""
    return np.asarray(finals >= top_level(finals, share))
