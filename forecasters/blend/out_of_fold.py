"""What a blend says of cases that its weights were not fitted to: honest errors to calibrate its interval on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.blend.prior import BlendPrior

Floats = NDArray[np.float64]

FOLDS: Final = 5
"""Each fold's weights rest on four fifths of the cascades: near enough to all of them for the errors to be alike."""


def out_of_fold(logs: Floats, truth: Floats, age: Floats, cascades: Sequence[str], *, start: Floats) -> Floats:
    """log2(1 + increment) (n,) of blends fitted without the case's own cascade, from the shares they ``start`` from
    (E,)."""
    errors = np.log2(1.0 + truth)[:, None] - logs
    number = {cascade: n for n, cascade in enumerate(sorted(set(cascades)))}
    fold = np.array([number[cascade] % FOLDS for cascade in cascades])
    growth = np.empty(len(truth))
    for held in np.unique(fold):
        of = fold == held
        posts = len(set(np.array(cascades)[~of]))
        prior = BlendPrior.fit(errors[~of], age[~of], posts=posts, start=start)
        growth[of] = prior.weights().growth(logs[of], age[of])
    return growth
