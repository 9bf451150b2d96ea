"""SEISMIC: a self-exciting model of tweet popularity (Zhao, Erdogdu, He, Rajaraman & Leskovec, KDD 2015,
arXiv 1506.02594).

A post has an infectiousness p(t). Each of its reshares exposes the followers n_i of its author, who react
with delays drawn from the memory kernel phi, so the intensity is lambda(t) = p(t) * sum over i of n_i phi(t -
t_i), the root being i = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example
from forecasters.branching import PlateauKernel, excitation_matrix, expected_counts, interpolate_rows
from forecasters.history import MIN_AGE_SECONDS, binned, reshares_of
from forecasters.intervals import DEFAULT_LEVEL
from forecasters.training_free import PointForecasts, TrainingFree
from graph import Cascade

Floats = NDArray[np.float64]

THETA: Final = 0.242
PLATEAU_SECONDS: Final = 300.0
"""The paper's memory kernel of Twitter: constant for five minutes, then a power law of exponent 1.242."""

MEAN_DEGREE: Final = 20.0
"""n*: the followers a typical reshare reaches who had not been reached before, as in the authors' software.
It stands for every author whose followers are unknown."""

FUTURE_EDGES_SECONDS: Final[Floats] = np.concatenate([[0.0], 10.0 * 1.35 ** np.arange(0.0, 62.0)])
"""Time ahead: 10 seconds to 30 years, in steps of 35 %."""


@lru_cache(maxsize=8)
def _excitation(kernel: PlateauKernel) -> Floats:
    return excitation_matrix(FUTURE_EDGES_SECONDS, kernel.twice_cumulative)


class SeismicForecaster(TrainingFree):
    """Infectiousness from the last half of the cascade's life, then the branching process onwards from it.

    Equation (7) of the paper gives the size at infinity, R + p (N - N_e) / (1 - p n*), and none when p n* >=
    1. Here the same process is followed to the horizon only (its limit is that equation), so that a
    supercritical cascade has a number as well; it is flagged and capped. The paper's alpha and gamma, scaling
    constants trained on tweets, are 1.
    """

    name: ClassVar[str] = "seismic"

    def __init__(
        self,
        *,
        theta: float = THETA,
        plateau_seconds: float = PLATEAU_SECONDS,
        mean_degree: float = MEAN_DEGREE,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(level=level)
        self.kernel = PlateauKernel(theta, plateau_seconds)
        self.mean_degree = mean_degree

    def settings(self) -> dict[str, Any]:
        return {"theta": self.kernel.theta, "plateau_seconds": self.kernel.s0, "mean_degree": self.mean_degree}

    def infectiousness(self, ages: Floats, degrees: Floats, age_seconds: float, numbers: Floats | None = None) -> float:
        """p(t), equation (6), with the triangular window K(s) = max(1 - 2 s / t, 0) over the last half of the
        life.

        ``ages`` (n + 1,) and ``degrees`` (n + 1,) have the root first; ``numbers`` (n + 1,) say how many reshares each
        stands for, by default one. The denominator sums n_i times the
        integral of K(t - s) phi(s - t_i), which by parts is Phi(t - t_i) - (2 / t) times the integral of Phi
        over the window.
        """
        t = age_seconds
        numbers = np.ones(len(ages)) if numbers is None else numbers
        reactions = float(numbers[1:] @ np.maximum(1.0 - 2.0 * (t - ages[1:]) / t, 0.0))
        since = np.maximum(t - ages, 0.0)
        before_window = np.maximum(t / 2.0 - ages, 0.0)
        window = self.kernel.twice_cumulative(since) - self.kernel.twice_cumulative(before_window)
        exposure = float(degrees @ (self.kernel.cumulative(since) - 2.0 / t * window))
        return reactions / exposure if exposure > 0.0 else 0.0

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        t = max(view.age_seconds, MIN_AGE_SECONDS)
        ages, followers, numbers = reshares_of(view)
        degrees = numbers * np.where(np.isnan(followers), self.mean_degree, followers)
        root = float(self.mean_degree if view.root_followers is None else view.root_followers)
        rooted = (
            np.concatenate(([of_root], others)) for of_root, others in ((0.0, ages), (root, degrees), (1.0, numbers))
        )
        all_ages, all_degrees, all_numbers = rooted
        p = self.infectiousness(all_ages, all_degrees, t, all_numbers)
        _, exposed, mean_ages = binned(ages, degrees, t, numbers)
        lumps = np.concatenate(([root], exposed))
        inputs = {"p": np.array([p]), "ages_back": t - np.concatenate(([0.0], mean_ages)), "exposed": lumps}
        return Example.of(view, horizon_seconds, inputs)

    def growth(self, examples: Sequence[Example], ages: Floats) -> PointForecasts:
        p = np.array([example.inputs["p"][0] for example in examples])
        back = np.stack([example.inputs["ages_back"] for example in examples])  # (B, K)
        exposed = np.stack([example.inputs["exposed"] for example in examples])
        ahead = ages - ages[:, :1]  # (B, P)
        bins = min(int(np.searchsorted(FUTURE_EDGES_SECONDS, ahead.max())) or 1, len(FUTURE_EDGES_SECONDS) - 1)
        edges = FUTURE_EDGES_SECONDS[: bins + 1]
        reached = self.kernel.cumulative(back[:, :, None] + edges)  # (B, K, L + 1)
        direct = p[:, None] * np.sum(exposed[:, :, None] * np.diff(reached, axis=-1), axis=1)  # (B, L)
        ratio = p * self.mean_degree
        arrivals = expected_counts(direct, ratio, _excitation(self.kernel)[:bins, :bins])
        future = np.concatenate([np.zeros((len(p), 1)), np.cumsum(arrivals, axis=1)], axis=1)
        return PointForecasts(interpolate_rows(ahead, edges, future), ratio >= 1.0)
