"""What the simulator is told: the parameters of its process, and the day and night of its audience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graph.errors import UserError

Floats = NDArray[np.float64]

DAY: Final = 86_400.0

RHYTHM: Final = (
    *(0.80, 0.42, 0.22, 0.14, 0.11, 0.13, 0.27, 0.58, 0.92, 1.15, 1.24, 1.22),  # midnight to noon
    *(1.26, 1.24, 1.14, 1.11, 1.10, 1.10, 1.08, 1.14, 1.34, 1.56, 1.66, 1.32),
)
"""Activity of an audience by local hour, about 1 on average."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What kind of cascades. Raises `UserError` for values that make no process.

    >>> Simulation(branching_ratio=1.5)
    Traceback (most recent call last):
    graph.errors.UserError: branching_ratio is 1.5: it must be at least 0 and below 0.9, or cascades never end
    """

    seed: int = 0
    start_time: float = 1_700_000_000.0
    hours: float = 24.0  # roots are posted during this time
    mean_size: float = 60.0  # reshares a cascade, within its lifetime and a little less: the longest are cut off
    branching_ratio: float = 0.34  # mean number of reshares a reshare causes
    tail: float = 1.25  # exponent of the power law of influence of roots: P(r > x) ~ x^-tail
    influence_spread: float = 2.0  # sigma of ln r_i: most reshares cause none, a few cause hundreds
    ratio_concentration: float = 4.0  # of the Beta law of branching ratios; the larger, the more alike they are
    memory: float = 0.7  # exponent of the power law of delays
    delay_seconds: float = 4000.0  # where the power law of delays begins for children of the root
    reshare_delay_factor: float = 0.5  # ... and for others, as a part of that: a reshare is short-lived
    pace_spread: float = 1.2  # sigma of the logarithm of a cascade's own pace
    lifetime_hours: float = 168.0
    rhythm: float = 1.0  # 0: no nights, 1: as measured
    utc_offset_hours: float = 8.0  # of the audience
    quotes: float = 0.05  # share of reshares that are quotes
    replies: float = 0.04  # replies for each reshare; nobody reshares them
    undos: float = 0.004  # share of reshares taken back
    max_size: int = 50_000

    def __post_init__(self) -> None:
        for name, low, high, reason in (
            ("branching_ratio", 0.0, 0.9, "or cascades never end"),
            ("tail", 1.01, 100.0, "or the mean size does not exist"),
            ("mean_size", 0.0, 1e6, "or nothing can hold them"),
            ("memory", 0.05, 100.0, "to be a power law"),
            ("delay_seconds", 1e-3, 1e9, "to be a delay"),
            ("reshare_delay_factor", 1e-6, 1e6, "to be a factor"),
            ("ratio_concentration", 1.0, 1e9, "to be that of a Beta law"),
            ("influence_spread", 0.0, 5.0, "to be drawn with numbers of this machine"),
            ("pace_spread", 0.0, 5.0, "to be drawn with numbers of this machine"),
            ("hours", 0.0, 1e6, "to be a time"),
            ("lifetime_hours", 1e-3, 1e6, "to be a time"),
            ("rhythm", 0.0, 1.0000001, "to be a share"),
            ("quotes", 0.0, 1.0000001, "to be a share"),
            ("replies", 0.0, 10.0, "to be a rate"),
            ("undos", 0.0, 1.0000001, "to be a share"),
            ("start_time", 0.0, 2.5e11, "to be seconds since the epoch"),
            ("seed", 0, 2**63, "to be a seed"),
            ("max_size", 1, 10_000_001, "to fit into memory"),
        ):
            value = getattr(self, name)
            if not low <= value < high:
                raise UserError(f"{name} is {value:g}: it must be at least {low:g} and below {high:g}, {reason}")
        if self.ratio_concentration * (1.0 - self.branching_ratio) <= 1.0:
            raise UserError(
                f"ratio_concentration is {self.ratio_concentration:g}: with a branching_ratio of "
                f"{self.branching_ratio:g} it must be above {1.0 / (1.0 - self.branching_ratio):.3g}, or the mean size "
                "does not exist"
            )

    @property
    def root_influence(self) -> float:
        """Mean of r_0: the mean size over what one direct reshare amounts to, E[1 / (1 - ratio)] of a Beta
        law."""
        rest = self.ratio_concentration * (1.0 - self.branching_ratio)
        return self.mean_size * (rest - 1.0) / (self.ratio_concentration - 1.0)


class AudienceClock:
    """The wall's clock and the audience's, which runs faster when many are awake. Both are seconds since the
    epoch."""

    def __init__(self, strength: float, utc_offset_hours: float) -> None:
        activity = 1.0 + strength * (np.array(RHYTHM) / np.mean(RHYTHM) - 1.0)
        self._hours: Floats = np.arange(25, dtype=np.float64) * 3600.0
        self._inner: Floats = np.concatenate(([0.0], np.cumsum(activity))) * 3600.0
        self._offset = utc_offset_hours * 3600.0

    def inner(self, wall: Floats) -> Floats:
        """The audience's time at times of the wall."""
        return self._convert(wall, self._hours, self._inner)

    def wall(self, inner: Floats) -> Floats:
        """The wall's time at times of the audience."""
        return self._convert(inner, self._inner, self._hours)

    def _convert(self, times: Floats, source: Floats, target: Floats) -> Floats:
        days, rest = np.divmod(times + self._offset, DAY)
        return np.asarray(days * DAY + np.interp(rest, source, target) - self._offset)
