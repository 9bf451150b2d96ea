"""From a score at an age to the chance of the top share: a logistic regression for each share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import Ints
from forecasters.alerting.levels import top_level

Floats = NDArray[np.float64]

PENALTY: Final = 1.0
"""Of each squared coefficient of a standardised input, beside a sum of log losses: finite where a score parts the
training posts without error."""
STEPS: Final = 50
LEAST_SLOPE: Final = 1e-3
"""A chance rises with the score whatever few posts say, so that it never reverses the order of an age."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Coefficients of (1, score, log age, score x log age) for each top share.

    An old post's score is surer than a young one's, so the same score means another chance.
    """

    coefficients: Mapping[float, tuple[float, float, float, float]]

    @classmethod
    def fit(cls, scores: Floats, ages: Floats, rows: Ints, finals: Ints, posts: Ints, shares: Sequence[float]) -> Self:
        """Fit to ``scores`` (B,) of posts ``rows`` at ``ages``; the truth is the top of ``posts`` by ``finals``."""
        X = _inputs(scores, ages)
        levels = {share: top_level(finals[posts], share) for share in shares}
        return cls({share: _logistic(X, finals[rows] >= level) for share, level in levels.items()})

    def of(self, scores: Floats, ages: Floats, share: float) -> Floats:
        """Chances (B,); raises `KeyError` for a share that was not fitted."""
        constant, slope, aging, crossing = self.coefficients[share]
        log_ages = np.log(ages)
        steep = np.maximum(slope + crossing * log_ages, LEAST_SLOPE)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(constant + aging * log_ages + steep * scores, -500.0, 500.0))))

    def to_config(self) -> list[dict[str, Any]]:
        """What config.json keeps."""
        return [{"share": share, "coefficients": list(found)} for share, found in self.coefficients.items()]

    @classmethod
    def from_config(cls, config: Sequence[Mapping[str, Any]]) -> Self:
        """Read back `to_config`; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        found = {}
        for entry in config:
            constant, slope, aging, crossing = (float(value) for value in entry["coefficients"])
            found[float(entry["share"])] = (constant, slope, aging, crossing)
        return cls(found)


def _inputs(scores: Floats, ages: Floats) -> Floats:
    log_ages = np.log(ages)
    return np.column_stack([np.ones(len(scores)), scores, log_ages, scores * log_ages])


def _logistic(X: Floats, top: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Newton's method on the penalised likelihood; the coefficients are those of the inputs as they are."""
    means, deviations = X[:, 1:].mean(axis=0), X[:, 1:].std(axis=0) + 1e-9
    Z = np.column_stack([X[:, :1], (X[:, 1:] - means) / deviations])
    penalty = PENALTY * np.eye(Z.shape[1])
    w = np.zeros(Z.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(Z @ w, -30.0, 30.0)))
        gradient = Z.T @ (p - top) + penalty @ w
        step = np.linalg.solve((Z * (p * (1.0 - p))[:, None]).T @ Z + penalty, gradient)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    slopes = w[1:] / deviations
    constant = w[0] - slopes @ means
    return float(constant), float(slopes[0]), float(slopes[1]), float(slopes[2])
