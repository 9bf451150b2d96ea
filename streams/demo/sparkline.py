"""A post's way from its birth to the horizon in one line of characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.demo.board import Post

BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS: Final = "_.:-=+*#"
NOW: Final = "┊"
ASCII_NOW: Final = "|"


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What was observed, the mark of the present, what is forecast; together as wide as was asked for."""

    observed: str
    now: str
    forecast: str

    def __str__(self) -> str:
        return self.observed + self.now + self.forecast


def sparkline(post: Post, width: int, *, ascii_only: bool = False) -> Sparkline:
    """Draw ``post`` in ``width`` columns (at least 3), scaled from 0 to its largest value.

    The axis of age runs from 0 to the horizon as its square root: posts live fast at first, and an axis common
    to all rows lets the eye compare them.
    """
    latest = post.latest
    horizon = max(latest.horizon_seconds, 1e-9)
    done = min(1.0, latest.age_seconds / horizon) ** 0.5
    seen_columns = min(max(1, round(done * (width - 1))), width - 2)
    ahead_columns = width - 1 - seen_columns

    seen_ages = (np.arange(1, seen_columns + 1) / seen_columns) ** 2 * latest.age_seconds
    ages, sizes = np.array(post.history).T
    seen = np.interp(seen_ages, ages, sizes)

    steps = np.arange(1, ahead_columns + 1) / ahead_columns
    ahead_ages = (done + steps * (1.0 - done)) ** 2 * horizon
    trajectory = np.array(latest.trajectory or [(horizon, latest.expected)])
    ahead = np.interp(ahead_ages, trajectory[:, 0], trajectory[:, 1])

    top = max(float(seen.max()), float(ahead.max()), 1e-9)
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    return Sparkline(_draw(seen / top, blocks), ASCII_NOW if ascii_only else NOW, _draw(ahead / top, blocks))


def _draw(shares: np.ndarray[tuple[int], np.dtype[np.float64]], blocks: str) -> str:
    """One character for each share of the top, in [0, 1]."""
    levels = np.clip(np.ceil(np.nan_to_num(shares) * len(blocks)) - 1, 0, len(blocks) - 1).astype(int)
    return "".join(blocks[level] for level in levels)
