"""Who forecasts: the loaded models, their roles, and from which event time on each speaks.

A lineup never changes; to swap models is to put another lineup in its place. Which version speaks for a forecast is
decided by the forecast's ``as_of`` alone, so that workers that hold the same lineup agree.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from forecasters.base import Forecaster
from streams.engine.due import Due


class Role(enum.StrEnum):
    """What becomes of a model's forecasts: a champion's are published, a challenger's kept apart and compared."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True)
class Tenure:
    """A version, and the event time from which on it speaks; -inf for always."""

    since: float
    model: Forecaster


@dataclass(frozen=True, slots=True)
class Seat:
    """A place at which one version speaks at a time; ``tenures`` ascend by ``since`` and are never empty."""

    role: Role
    spec: str  # how the settings call it; names the seat when a model is swapped
    tenures: tuple[Tenure, ...]

    @classmethod
    def always(cls, role: Role, model: Forecaster) -> Self:
        """A seat that one model holds for all times."""
        return cls(role, model.name, (Tenure(-math.inf, model),))

    def at(self, as_of: float) -> Forecaster | None:
        """Who speaks at event time ``as_of``; None before the first tenure."""
        return next((tenure.model for tenure in reversed(self.tenures) if tenure.since <= as_of), None)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a batch that one model forecasts in one role."""

    role: Role
    model: Forecaster
    dues: list[Due]


@dataclass(frozen=True, slots=True)
class Lineup:
    """All seats, champions first."""

    seats: tuple[Seat, ...]

    @classmethod
    def of(cls, champions: Iterable[Forecaster], challengers: Iterable[Forecaster] = ()) -> Self:
        """Models that hold their seats for all times."""
        first = tuple(Seat.always(Role.CHAMPION, model) for model in champions)
        return cls(first + tuple(Seat.always(Role.CHALLENGER, model) for model in challengers))

    def members(self) -> list[tuple[Role, Forecaster]]:
        """Every loaded model with its role."""
        return [(seat.role, tenure.model) for seat in self.seats for tenure in seat.tenures]

    def shares(self, dues: Sequence[Due]) -> list[Share]:
        """Who forecasts what of a batch. Each version speaks once for a due forecast, however many seats name it:
        a challenger that has become the champion says nothing twice."""
        shares: dict[tuple[int, str], Share] = {}
        for due in dues:
            spoken: set[tuple[str, str]] = set()
            for number, seat in enumerate(self.seats):
                model = seat.at(due.as_of)
                if model is None or (model.name, model.version) in spoken:
                    continue
                spoken.add((model.name, model.version))
                share = shares.setdefault((number, model.version), Share(seat.role, model, []))
                share.dues.append(due)
        return [shares[key] for key in sorted(shares, key=lambda key: key[0])]
