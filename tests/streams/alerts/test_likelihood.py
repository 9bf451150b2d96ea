"""The probability of reaching a size is that of the interval the forecast states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.likelihood import probability_of_reaching
from streams.records import ForecastRecord


def forecast(observed: int, expected: float, low: float, high: float, **more: object) -> ForecastRecord:
    values: dict[str, object] = {
        "id": "i", "cascade": "c", "as_of": 1000.0, "age_seconds": 600.0, "horizon_seconds": 86_400.0, "model": "m",
        "model_version": "1", "level": 0.8, "trajectory": [], "growth_per_hour": 10.0, "event": "e",
    }  # fmt: skip
    values |= {"observed": observed, "expected": expected, "low": low, "high": high} | more
    return ForecastRecord(**values)  # type: ignore[arg-type]


def test_one_in_ten_stays_below_the_lower_end_and_one_in_ten_passes_the_upper_end() -> None:
    said = forecast(100, 400.0, 200.0, 1100.0)
    assert probability_of_reaching(200.5, said) == pytest.approx(0.9)
    assert probability_of_reaching(1100.5, said) == pytest.approx(0.1)


def test_half_of_posts_reach_the_middle_of_the_interval_in_octaves() -> None:
    low, high = 128 - 1, 2048 - 1
    assert probability_of_reaching(512 - 1 + 0.5, forecast(0, 600.0, low, high)) == pytest.approx(0.5)


def test_what_was_observed_is_certain() -> None:
    assert probability_of_reaching(100, forecast(100, 100.0, 100.0, 100.0)) == 1.0
    assert probability_of_reaching(102, forecast(100, 100.0, 100.0, 100.0)) == 0.0


@given(st.integers(0, 1000), st.floats(0, 1e5), st.floats(0, 1e5), st.lists(st.floats(1, 1e6), min_size=2, max_size=5))
def test_a_larger_size_is_never_likelier(observed: int, low: float, width: float, sizes: list[float]) -> None:
    said = forecast(observed, observed + low + width / 2, observed + low, observed + low + width)
    found = [probability_of_reaching(size, said) for size in sorted(sizes)]
    assert found == sorted(found, reverse=True)
    assert all(0.0 <= share <= 1.0 for share in found)


def test_it_is_calibrated_where_the_interval_is() -> None:
    """Posts whose growth is log-normal, each of another scale, with their true intervals."""
    rng = np.random.default_rng(7)
    said, came = [], []
    for _ in range(20_000):
        centre, spread = rng.uniform(2, 10), rng.uniform(0.3, 3)
        low, high = (2.0 ** (centre + side * 1.2815515655 * spread) - 1 for side in (-1, 1))
        size = 2.0 ** rng.uniform(2, 10) - 1
        final = round(2.0 ** rng.normal(centre, spread) - 1)
        said.append(probability_of_reaching(size, forecast(0, 2**centre, low, high)))
        came.append(final >= size)
    shares, truths = np.array(said), np.array(came)
    for edge in np.arange(0.05, 0.95, 0.1):
        inside = (shares >= edge) & (shares < edge + 0.1)
        assert truths[inside].mean() == pytest.approx(shares[inside].mean(), abs=0.04)
