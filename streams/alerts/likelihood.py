"""How likely a post is to reach a size: the distribution that a forecast's interval stands for.

The interval's ends are quantiles, calibrated as such (`forecasters.intervals`), of log2(1 + growth). A normal
distribution of that quantity through both ends is therefore right where it was calibrated, and says the least in
between. The point forecast has no say: it is no quantile, and where a model errs to one side it is not the median.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

from streams.records import ForecastRecord

_STANDARD = NormalDist()


@lru_cache(maxsize=16)
def _deviate(level: float) -> float:
    """The interval that holds a share ``level`` reaches so many standard deviations to either side."""
    return _STANDARD.inv_cdf(0.5 + level / 2.0)


def probability_of_reaching(size: float, forecast: ForecastRecord) -> float:
    """P(size at the horizon >= ``size``), in [0, 1]; 1 for a size that was observed already.

    Sizes are whole, so the limit lies half a reshare below.
    """
    if size <= forecast.observed:
        return 1.0
    low, high, wanted = (
        math.log2(1.0 + max(0.0, value - forecast.observed)) for value in (forecast.low, forecast.high, size - 0.5)
    )
    width = high - low
    if width <= 0.0:
        return 1.0 if wanted <= high else 0.0
    deviation = width / (2.0 * _deviate(forecast.level))
    return 1.0 - _STANDARD.cdf((wanted - (low + high) / 2.0) / deviation)
