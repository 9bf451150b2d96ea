"""What a blend's experts say of cases: what its weights are found from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Forecasts
from forecasters.dataset import increments
from forecasters.labels import population_of
from forecasters.platform_votes import PopulationVotes, votes_by_file
from forecasters.trajectory import times_of

if TYPE_CHECKING:
    from forecasters.blend.forecaster import BlendForecaster

Floats = NDArray[np.float64]

PREDICTION_BATCH: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Of n cases: logs (n, E), each expert's log2(1 + increment); truth, the true increments, ages in seconds and
    observed sizes, (n,); populations (n,) where an expert tells them."""

    logs: Floats
    truth: Floats
    age_seconds: Floats
    observed: Floats
    populations: NDArray[np.int64] | None

    @classmethod
    def of(cls, blend: BlendForecaster, cases: Sequence[Case]) -> Self:
        """Of at least one case, each after all of its file have voted: a stream's platform is soon known, and it is for
        such a stream that weights are found."""
        teller = blend.teller
        votes = {} if teller is None else votes_by_file(blend.experts[teller].forecaster, cases)
        logs, times, groups = [], [], []
        for first in range(0, len(cases), PREDICTION_BATCH):
            examples = [
                blend.in_stream(
                    blend.prepare_all(case.graph, case.as_of, case.horizon_seconds),
                    votes.get(population_of(case.graph), PopulationVotes()).counts,
                )
                for case in cases[first : first + PREDICTION_BATCH]
            ]
            logs.append(logs_of(blend.ask_all(examples)))
            times.append(np.stack(times_of(examples)))  # (3, n)
            group = blend.populations(examples)
            groups += [] if group is None else [group]
        age, _, observed = np.concatenate(times, axis=1)
        populations = np.concatenate(groups) if groups else None
        return cls(np.concatenate(logs), increments(cases), age, observed, populations)

    @property
    def errors(self) -> Floats:
        """log2(1 + true increment) less what each expert said, (n, E)."""
        return np.log2(1.0 + self.truth)[:, None] - self.logs


def logs_of(said: Sequence[Forecasts]) -> Floats:
    """log2(1 + increment) of each expert, (B, E)."""
    return np.log2(1.0 + np.stack([one.increment for one in said], axis=1))
