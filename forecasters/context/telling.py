"""What forecasters with a context network have in common: its gate tells which population an example is of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example, Forecaster
from forecasters.context.network import ContextNet
from forecasters.context.populations import resembled_populations, with_votes


class ToldByContext(Forecaster):
    """A forecaster whose populations are those of its context network, where it has one."""

    kind: ClassVar[str] = "context network"  # a sequence beside it changes little of what it says

    @property
    @abstractmethod
    def told_by(self) -> ContextNet | None:
        """The context network; None without one, as before training."""

    @property
    def population_names(self) -> tuple[str, ...]:
        return () if self.told_by is None else self.told_by.populations

    def populations(self, examples: Sequence[Example]) -> NDArray[np.int64] | None:
        return resembled_populations(self.told_by, examples)

    def in_stream(self, example: Example, votes: Mapping[str, float]) -> Example:
        return with_votes(self.told_by, example, votes)
