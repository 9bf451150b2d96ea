"""What the self-exciting models read of a cascade that outgrew its memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasters.base import Forecaster
from forecasters.hawkes import HawkesForecaster
from forecasters.history import reshares_of
from forecasters.seismic import SeismicForecaster
from graph import Cascade, Event, Kind

START = 1_200_000.0
AS_OF = START + 6000.0


def grown(max_events: int, reshares: int = 4000) -> Cascade:
    """Reshares come ever faster: n by 60 sqrt(n) seconds."""
    cascade = Cascade("c", max_events=max_events)
    cascade.apply(Event("c", "c", Kind.POST, START, followers=1000))
    for n in range(1, reshares + 1):
        cascade.apply(Event(f"e{n}", "c", Kind.REPOST, START + 60.0 * math.sqrt(n), parent="c"))
    return cascade


def test_minutes_of_counted_reshares_stand_among_the_kept_ones() -> None:
    ages, followers, numbers = reshares_of(grown(100).view(AS_OF))
    assert (np.diff(ages) >= 0).all()
    assert numbers.sum() == 4000
    assert len(numbers) < 100 + 60
    assert np.isnan(followers).all()


@pytest.mark.parametrize("model", [HawkesForecaster(), SeismicForecaster()], ids=lambda model: model.name)
def test_a_cascade_beyond_its_memory_is_forecast_as_if_everything_had_been_kept(model: Forecaster) -> None:
    whole, bounded = (
        model.forecast([model.prepare(grown(kept), AS_OF, 86_400.0)]).increment[0] for kept in (10_000, 100)
    )
    assert bounded == pytest.approx(whole, rel=0.1)
