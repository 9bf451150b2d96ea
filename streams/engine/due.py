"""A forecast that is due: what has to be made, or why it is not."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph import CascadeView
from streams.scoring.learned import Learned

if TYPE_CHECKING:
    from streams.engine.partition import Partition


class Skipped(enum.StrEnum):
    """Why a due forecast was not made."""

    TOO_SMALL = "too-small"
    PAST_HORIZON = "past-horizon"
    WITHDRAWN = "withdrawn"
    GONE = "gone"
    SUPERSEDED = "superseded"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Due:
    """A forecast to make: the cascade as it stood at ``as_of``."""

    partition: Partition
    view: CascadeView
    as_of: float
    event: str
    learned: Learned
    keep: bool  # the answer is to be given to the partition's learner, whatever it is
    teach: bool = False  # with the answers of all experts of a blend, whatever they weigh: it learns from them

    @property
    def cascade(self) -> str:
        """Id of the cascade."""
        return self.view.cascade
