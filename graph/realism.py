"""Simulated cascades beside real ones: the same statistics of both, cascades of like size and hour compared.

Which sizes a data set holds says more of how it was collected than of how posts spread. So simulated cascades
are drawn at the real ones' times of publication and paired with them by size; the sizes themselves are shown
as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.cascade import Cascade
from graph.errors import UserError
from graph.simulation import Simulation
from graph.simulator import simulated_tree

DAY: Final = 86_400.0
HOUR: Final = 3600.0

QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)

GRID_SECONDS: Final = (60.0, 300.0, 900.0, 1800.0, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 18 * HOUR, DAY)
"""Ages at which the share of a day's reshares is shown."""

DRAWS_PER_CASCADE: Final = 3
"""Simulated cascades of fitting size to choose from, for each real one."""

MOST_DRAWS: Final = 300
"""Cascades drawn for each real one before giving up: the simulation then hardly makes such sizes."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tree:
    """One cascade, root and reshares, cut at the simulation's lifetime. ``ages`` (n,) ascending, ``parents``
    (n,)."""

    root_time: float
    ages: NDArray[Any]
    parents: NDArray[Any]

    @property
    def size(self) -> int:
        """Reshares."""
        return len(self.ages) - 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Real trees, the simulated ones paired with them, and all sizes between the same bounds the simulation
    made."""

    real: list[Tree]
    paired: list[Tree]
    simulated_sizes: Floats
    drawn: int


STATISTICS: Final[dict[str, Callable[[Tree], float]]] = {
    "reshares in the first hour": lambda tree: float(_within(tree, HOUR)),
    "reshares in the first day": lambda tree: float(_within(tree, DAY)),
    "share of them in the first hour": lambda tree: _within(tree, HOUR) / max(1, _within(tree, DAY)),
    "share of them in the first 6 hours": lambda tree: _within(tree, 6 * HOUR) / max(1, _within(tree, DAY)),
    "median delay after the root (minutes)": lambda tree: _median(tree.ages[1:][tree.parents[1:] == 0]) / 60,
    "median delay after another reshare (minutes)": lambda tree: _median(_later_delays(tree)) / 60,
    "depth": lambda tree: float(_depths(tree).max()),
    "mean depth": lambda tree: float(_depths(tree)[1:].mean()),
    "share of direct reshares": lambda tree: np.count_nonzero(tree.parents == 0) / tree.size,
    "share of the next largest hub": lambda tree: float(_children(tree)[1:].max()) / tree.size,
    "share of leaves": lambda tree: np.count_nonzero(_children(tree) == 0) / (tree.size + 1),
}
"""Statistics of one cascade, by name."""


def real_trees(cascades: Iterable[Cascade], lifetime_seconds: float, low: int, high: int) -> list[Tree]:
    """Trees of the cascades of ``low`` to ``high`` reshares within the lifetime."""
    trees = []
    for cascade in cascades:
        view = cascade.view(cascade.root_time + lifetime_seconds)
        if view.has_root and low <= len(view) - 1 <= high:
            trees.append(Tree(view.root_time, view.ages, view.parents))
    return trees


def compare(real: Sequence[Tree], simulation: Simulation) -> Comparison:
    """Draw cascades at the real ones' times until enough are of their sizes, and pair by size.

    Raises `UserError` without real cascades, or if the simulation hardly makes cascades of such sizes.
    """
    if not real:
        raise UserError("no cascade to compare with: widen --sizes or give another file")
    low, high = min(tree.size for tree in real), max(tree.size for tree in real)
    pool: list[Tree] = []
    drawn = 0
    while len(pool) < DRAWS_PER_CASCADE * len(real):
        if drawn >= MOST_DRAWS * len(real):
            raise UserError(
                f"only {len(pool)} of {drawn} simulated cascades have {low} to {high} reshares: raise --mean-size"
            )
        at = real[drawn % len(real)].root_time
        tree = Tree(at, *simulated_tree(replace(simulation, start_time=at, hours=0.0), drawn))
        drawn += 1
        if low <= tree.size <= high:
            pool.append(tree)
    by_size = sorted(pool, key=lambda tree: tree.size)
    sizes = np.array([tree.size for tree in by_size], dtype=np.float64)
    return Comparison(list(real), _paired(real, by_size, sizes), sizes, drawn)


def _paired(real: Sequence[Tree], by_size: list[Tree], sizes: Floats) -> list[Tree]:
    """For each real tree the unused simulated one nearest to it in size, largest first."""
    free = np.ones(len(sizes), dtype=np.bool_)
    paired: dict[int, Tree] = {}
    for index in sorted(range(len(real)), key=lambda index: -real[index].size):
        chosen = int(np.argmin(np.where(free, np.abs(sizes - real[index].size), np.inf)))
        free[chosen] = False
        paired[index] = by_size[chosen]
    return [paired[index] for index in range(len(real))]


def quantile_table(comparison: Comparison) -> list[tuple[str, Floats, Floats]]:
    """Name, quantiles of the real and of the simulated cascades, for the sizes and each of `STATISTICS`."""
    sizes = np.array([tree.size for tree in comparison.real], dtype=np.float64)
    rows = [("size (not paired)", np.quantile(sizes, QUANTILES), np.quantile(comparison.simulated_sizes, QUANTILES))]
    for name, statistic in STATISTICS.items():
        both = [
            np.quantile([statistic(tree) for tree in trees], QUANTILES)
            for trees in (comparison.real, comparison.paired)
        ]
        rows.append((name, both[0], both[1]))
    return rows


def growth_quantiles(trees: Sequence[Tree]) -> Floats:
    """Quantiles 0.1, 0.5 and 0.9 over cascades of the share of a day's reshares by `GRID_SECONDS`: (3, G)."""
    shares = [np.searchsorted(tree.ages[1:], GRID_SECONDS, side="right") / max(1, _within(tree, DAY)) for tree in trees]
    return np.asarray(np.quantile(np.array(shares), (0.1, 0.5, 0.9), axis=0))


def markdown(comparison: Comparison) -> str:
    """The table of `quantile_table` for a document."""
    head = "| | " + " | ".join(f"{int(100 * q)} %" for q in QUANTILES) + " |"
    lines = [head, "|---|" + "---|" * len(QUANTILES)]
    for name, real, simulated in quantile_table(comparison):
        for label, values in ((f"{name}, real", real), ("simulated", simulated)):
            lines.append(f"| {label} | " + " | ".join(f"{value:.3g}" for value in values) + " |")
    return "\n".join(lines) + "\n"


def _within(tree: Tree, seconds: float) -> int:
    return int(np.searchsorted(tree.ages, seconds, side="right")) - 1


def _median(values: NDArray[Any]) -> float:
    return float(np.median(values)) if len(values) else 0.0


def _later_delays(tree: Tree) -> NDArray[Any]:
    later = tree.parents > 0
    return np.asarray(tree.ages[later] - tree.ages[tree.parents[later]])


def _children(tree: Tree) -> NDArray[np.int64]:
    return np.bincount(tree.parents[1:], minlength=len(tree.parents))


def _depths(tree: Tree) -> NDArray[np.int64]:
    """Depth of each node: as many steps up as it takes to reach the root."""
    depths = np.zeros(len(tree.parents), dtype=np.int64)
    above = tree.parents
    while (below := above >= 0).any():
        depths += below
        above = np.where(below, tree.parents[above], -1)
    return depths
