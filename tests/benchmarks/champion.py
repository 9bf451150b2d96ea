"""How often a champion that is as good is called beaten, and after how many posts one that is worse is.

    python -m tests.benchmarks.champion --json

Errors of two models of the same posts: a common part with the heavy tails of cascades (Student's t, four degrees) and a
part of each one's own. The difference is looked at after every post.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasters.rivals import ERROR_CAP, LEAST_CASES, Difference

Floats = NDArray[np.float64]

COMMON, OWN = 0.8, 0.5
LOOK_EVERY = 10
"""Posts between two looks, so that the run takes seconds; missing a crossing in between is rare."""


def squared_errors(rng: np.random.Generator, posts: int, excess: float) -> tuple[Floats, Floats]:
    """Of a champion whose mean squared error is about so much greater, and of its rival."""
    common = COMMON * rng.standard_t(4, posts)
    more = math.sqrt(OWN**2 + excess * (2.0 * COMMON**2 + OWN**2))  # the variance of t with four degrees is 2
    spreads = (more, OWN)
    champion, rival = (np.clip(common + rng.normal(0.0, s, posts), -ERROR_CAP, ERROR_CAP) ** 2 for s in spreads)
    return champion, rival


def first_beaten(difference: Floats) -> int | None:
    """After how many posts the champion is called beaten; None if never."""
    total, squares = difference.cumsum(), (difference**2).cumsum()
    for n in range(LEAST_CASES, len(difference) + 1, LOOK_EVERY):
        if Difference.of(n, float(total[n - 1]), float(squares[n - 1])).beaten:
            return n
    return None


def outcome(excess: float, streams: int, posts: int) -> dict[str, Any]:
    """How many of ``streams`` end in a beaten champion, and when."""
    rng = np.random.default_rng((7, int(1000 * excess)))
    errors = [squared_errors(rng, posts, excess) for _ in range(streams)]
    found = [first_beaten(champion - rival) for champion, rival in errors]
    when = [n for n in found if n is not None]
    return {
        "msle_ratio": round(float(np.mean([a.mean() for a, _ in errors]) / np.mean([b.mean() for _, b in errors])), 3),
        "streams": streams,
        "posts": posts,
        "beaten": len(when),
        "posts_median": float(np.median(when)) if when else None,
        "posts_90": float(np.quantile(when, 0.9)) if when else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line for each excess")
    args = parser.parse_args()
    rows = [outcome(0.0, 4000, 3000), *(outcome(excess, 200, 20_000) for excess in (0.05, 0.1, 0.2))]
    if args.json:
        print(json.dumps({"results": rows}))
        return
    for one in rows:
        print(*(f"{name} {value}" for name, value in one.items()), sep=", ")


if __name__ == "__main__":
    main()
