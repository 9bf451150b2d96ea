"""A power-law Hawkes process fitted to each cascade on its own, by Bayes' rule over a grid of kernels.

The intensity of reshares, after Mishra, Rizoiu & Xie (CIKM 2016) and the interval-censored reading of Rizoiu
et al. (2022),

    lambda(t) = n* [ rho phi(t) + sum over reshares i before t of m_i phi(t - t_i) ],

with phi the Omori power law of exponent theta and offset c, the root counting for rho typical reshares and
m_i the relative reach of the author of reshare i (1 where his followers are unknown). In bins k of the past
the compensator is n* E_k(theta, c, rho), so with a Gamma(a, b) prior on the branching ratio n* its posterior
mean and the evidence of each grid point have closed forms:

    n* = (N + a) / (sum_k E_k + b),     log evidence = sum_k N_k log E_k - (N + a) log(sum_k E_k + b) + const(N),

with N_k, N and E_k scaled down together so that N is at most EVIDENCE_EVENTS.

Nothing is learned from other cascades and nothing is iterated. The forecast is the mean of log2(1 + growth)
over the grid, weighted by evidence; each growth solves the renewal equation up to the horizon, so it is
finite when n* >= 1 too, in which case the cascade is reported as supercritical and capped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example
from forecasters.branching import OmoriKernel, excitation_matrix, expected_counts, interpolate_rows
from forecasters.history import HISTORY_EDGES, MIN_AGE_SECONDS, binned, reach, reshares_of
from forecasters.intervals import DEFAULT_LEVEL
from forecasters.training_free import PointForecasts, TrainingFree
from graph import Cascade

Floats = NDArray[np.float64]

THETAS: Final = (0.05, 0.15, 0.3, 0.5)
SCALES_SECONDS: Final = (300.0, 1200.0, 4800.0, 19_200.0)
"""Kernels from nearly scale-free to fast, c from five minutes to five hours. Shorter c cost accuracy: within
a bin they read every cluster as self-excitation. The constants of this file were chosen once on the oldest 70
% of Weibo cascades."""

ROOT_REACH: Final[Floats] = 4.0 ** np.arange(0.0, 7.0)
"""rho: from a root like everybody else to one worth 4,096 typical resharers."""

PRIOR_SHAPE: Final = 4.0
PRIOR_RATE: Final = 10.0
"""Gamma prior of n*: mean 0.4, 95 % within [0.1, 0.9]."""

EVIDENCE_EVENTS: Final = 10.0
"""Reshares are far more clustered than the process allows (hours of the day, big accounts), so N of them do
not testify N times. The likelihood is tempered to at most this many events, as generalised Bayes does with a
model known to be wrong; with all of them half of the cascades come out supercritical."""

TYPICAL_FOLLOWERS: Final = 200.0
REACH_EXPONENT: Final = 0.3
"""m = (followers / typical)^beta; reshares grow far slower than followers."""

FUTURE_EDGES: Final[Floats] = np.concatenate([[0.0], 0.02 * 1.4 ** np.arange(0.0, 60.0)])
"""Time ahead as multiples of the age: 2 % to 8 million times, in steps of 40 %."""

QUANTA: Final = 2.0
"""Tables are kept for ages of 2^(k/2) seconds; c is thereby off by at most 19 %, a small part of a grid
step."""


@dataclass(frozen=True, slots=True)
class KernelTables:
    """Excitation between bins for each of the G kernels, time in units of the age; K past bins, L future
    bins."""

    root_past: Floats  # (G, K)
    root_future: Floats  # (G, L)
    past_past: Floats  # (G, K, K)
    future_past: Floats  # (G, L, K)
    future_future: Floats  # (G, L, L)


@lru_cache(maxsize=64)
def kernel_tables(quantum: int) -> KernelTables:
    """The tables for ages near 2^(quantum / 2) seconds: about 1 MB and 20 ms each, at most 64 kept."""
    age = 2.0 ** (quantum / QUANTA)
    edges = np.concatenate([HISTORY_EDGES, 1.0 + FUTURE_EDGES[1:]])
    K = len(HISTORY_EDGES) - 1
    kernels = [OmoriKernel(theta, c / age) for theta in THETAS for c in SCALES_SECONDS]
    root = np.stack([np.diff(kernel.cumulative(edges)) for kernel in kernels])
    all_bins = np.stack([excitation_matrix(edges, kernel.twice_cumulative) for kernel in kernels])
    return KernelTables(
        root[:, :K],
        root[:, K:],
        np.ascontiguousarray(all_bins[:, :K, :K]),
        np.ascontiguousarray(all_bins[:, K:, :K]),
        np.ascontiguousarray(all_bins[:, K:, K:]),
    )


class HawkesForecaster(TrainingFree):
    """A power-law Hawkes process with a Gamma prior, fitted in closed form to each cascade on its own.

    Training-free and deterministic, well below a millisecond a cascade in batches. Sees when reshares came
    and, where given, the followers of their authors; knows neither hours of the day nor texts. Tends to
    forecast too high for large young cascades and too low for small old ones. A cascade whose branching ratio
    is 1 or more is flagged and capped.
    """

    name: ClassVar[str] = "hawkes"

    def __init__(
        self,
        *,
        prior_shape: float = PRIOR_SHAPE,
        prior_rate: float = PRIOR_RATE,
        typical_followers: float = TYPICAL_FOLLOWERS,
        reach_exponent: float = REACH_EXPONENT,
        level: float = DEFAULT_LEVEL,
    ) -> None:
        super().__init__(level=level)
        self.prior_shape = prior_shape
        self.prior_rate = prior_rate
        self.typical_followers = typical_followers
        self.reach_exponent = reach_exponent

    def settings(self) -> dict[str, Any]:
        return {
            "prior_shape": self.prior_shape,
            "prior_rate": self.prior_rate,
            "typical_followers": self.typical_followers,
            "reach_exponent": self.reach_exponent,
        }

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        ages, followers, numbers = reshares_of(view)
        weights = numbers * reach(followers, self.typical_followers, self.reach_exponent)
        counts, weights, _ = binned(ages, weights, max(view.age_seconds, MIN_AGE_SECONDS), numbers)
        return Example.of(view, horizon_seconds, {"counts": counts, "weights": weights})

    def growth(self, examples: Sequence[Example], ages: Floats) -> PointForecasts:
        age = np.maximum([example.age_seconds for example in examples], MIN_AGE_SECONDS)
        quanta = np.rint(QUANTA * np.log2(age)).astype(np.int64)
        ahead = (ages - ages[:, :1]) / age[:, None]  # (B, P)
        grown, supercritical = np.zeros_like(ages), np.zeros(len(examples), np.bool_)
        for quantum in np.unique(quanta).tolist():
            rows = np.flatnonzero(quanta == quantum).tolist()
            counts = np.stack([examples[row].inputs["counts"] for row in rows])  # (b, K)
            weights = np.stack([examples[row].inputs["weights"] for row in rows])
            bins = int(np.searchsorted(FUTURE_EDGES, ahead[rows].max())) or 1
            tables = kernel_tables(quantum)
            future, above = self._future(counts, weights, tables, min(bins, len(FUTURE_EDGES) - 1))
            grown[rows] = interpolate_rows(ahead[rows], FUTURE_EDGES[: future.shape[1]], future)
            supercritical[rows] = above
        return PointForecasts(grown, supercritical)

    def _future(
        self, counts: Floats, weights: Floats, tables: KernelTables, bins: int
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Expected growth at the first ``bins`` + 1 future edges, (b, bins + 1), and which rows are
        supercritical."""
        evidence, branching, root = self._posterior(counts, weights, tables)  # each (b, G)
        total = counts.sum(axis=1)
        # What an average future reshare is worth: that of the past ones, and of one typical one to start
        # with.
        mean_reach = (weights.sum(axis=1) + 1.0) / (total + 1.0)  # (b,)
        direct = root[..., None] * tables.root_future[:, :bins] + branching[..., None] * np.einsum(
            "glk,bk->bgl", tables.future_past[:, :bins], weights
        )  # (b, G, L)
        ratio = branching * mean_reach[:, None]
        arrivals = expected_counts(direct, ratio, tables.future_future[:, :bins, :bins])
        growth = np.cumsum(arrivals, axis=-1)
        mean_log = np.sum(evidence[..., None] * np.log1p(growth), axis=1)  # (b, L)
        future = np.concatenate([np.zeros((len(counts), 1)), np.expm1(mean_log)], axis=1)
        return future, np.sum(evidence * ratio, axis=1) >= 1.0

    def _posterior(self, counts: Floats, weights: Floats, tables: KernelTables) -> tuple[Floats, Floats, Floats]:
        """Evidence weight of each kernel (summing to 1), and under it n* and the root's productivity; each
        (b, G)."""
        excited = np.einsum("gkj,bj->bgk", tables.past_past, weights)  # (b, G, K)
        exposure = ROOT_REACH[:, None] * tables.root_past[:, None, :] + excited[:, :, None, :]  # (b, G, R, K)
        tempered = np.minimum(1.0, EVIDENCE_EVENTS / np.maximum(counts.sum(axis=1), 1.0))  # (b,)
        whole = exposure.sum(axis=-1) * tempered[:, None, None] + self.prior_rate  # (b, G, R)
        counts = counts * tempered[:, None]
        events = counts.sum(axis=1)[:, None, None] + self.prior_shape
        log_evidence = np.einsum("bk,bgrk->bgr", counts, np.log(exposure)) - events * np.log(whole)
        posterior = np.exp(log_evidence - log_evidence.max(axis=(1, 2), keepdims=True))
        posterior /= posterior.sum(axis=(1, 2), keepdims=True)
        of_kernel = posterior.sum(axis=2)  # (b, G)
        given_kernel = posterior / np.maximum(of_kernel, np.finfo(np.float64).tiny)[..., None]
        branching = events / whole
        return (
            of_kernel,
            np.sum(given_kernel * branching, axis=2),
            np.sum(given_kernel * branching * ROOT_REACH, axis=2),
        )
