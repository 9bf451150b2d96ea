"""The tree of the earliest events of a cascade, where no more of them may be read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph import CascadeView
from graph.records import depths_of


def first_tree(view: CascadeView, count: int | None) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Depths and parents (n,) of the first ``count`` events, -1 for the root's parent; of all for None.

    An event may be stamped before its parent: one whose parent is not among the first hangs on its nearest ancestor
    that is.
    """
    parents = view.parents[:count]
    n = len(parents)
    if not (parents >= n).any():
        return view.depths[:n], parents
    parents = parents.copy()
    while (late := parents >= n).any():
        parents[late] = view.parents[parents[late]]
    return depths_of(parents.clip(min=0)), parents
