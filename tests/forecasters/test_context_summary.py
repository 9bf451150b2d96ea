"""The summary of the first events: what it says, what it must not see, and the forms of the models that read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.autocas import AutoCasForecaster
from forecasters.base import Case
from forecasters.casft import CasFTForecaster
from forecasters.concat import ConCatForecaster
from forecasters.context import ContextConfig, context_features
from forecasters.context.fitting import context_cases, fit_context
from forecasters.context.network import context_batch
from forecasters.context.summary import FIRST_EVENTS, SUMMARY_SIZE, summary_features
from forecasters.dataset import cases
from forecasters.registry import new_forecaster
from graph import Cascade
from tests.forecasters.cascades import START, cascade_of, random_cascades

DAY = 86_400.0
HOUR = 3600.0


def summary_of(cascade: Cascade, age_seconds: float = HOUR) -> np.ndarray:
    return summary_features(cascade.view(START + age_seconds), DAY)


def test_a_summary_counts_what_it_says() -> None:
    summary = np.exp2(summary_of(cascade_of([60.0, 180.0, 1200.0], parents=[0, 1, 0]), 2400.0)) - 1.0
    assert summary.shape == (SUMMARY_SIZE,)
    np.testing.assert_allclose(summary[:5], [3.0, 40.0, 1400.0, 20.0, 20.0])
    parts, windows = np.split(summary[6:22], [10])
    # ten parts of 120 s until the last reshare
    np.testing.assert_allclose(parts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(windows, [1, 1, 1, 1, 1, 3], atol=1e-9)


def test_a_summary_tells_the_shape_of_the_tree() -> None:
    star = summary_of(cascade_of([1.0, 2.0, 3.0, 4.0]))[-10:]
    chain = summary_of(cascade_of([1.0, 2.0, 3.0, 4.0], parents=[0, 1, 2, 3]))[-10:]
    np.testing.assert_allclose(star, [1, 1, 1, 0, 0, 0.8, np.log2(5.0), 1.6, 1, 1])
    np.testing.assert_allclose(chain, [4, 2.5, 0.25, 1, 0.25, 0.2, 1, 2.0, 0, 1])


@settings(max_examples=40, deadline=None)
@given(
    later=st.lists(st.floats(min_value=600.0, max_value=3500.0), max_size=30),
    followers=st.integers(0, 10**8),
    days=st.floats(min_value=-0.9, max_value=0.9),
)
def test_nothing_but_the_first_events_is_seen(later: list[float], followers: int, days: float) -> None:
    first = np.linspace(1.0, 599.0, FIRST_EVENTS - 1).tolist()
    plain = cascade_of(first)
    start = START + days * DAY
    other = cascade_of([*first, *sorted(later)], root_followers=followers, start=start)
    seen = summary_features(other.view(start + HOUR), DAY)
    np.testing.assert_allclose(seen, summary_of(plain), rtol=0.0, atol=1e-4)  # a start elsewhere rounds differently
    if later:
        assert not np.allclose(context_features(other.view(start + HOUR), DAY), context_features(plain.view(), DAY))


@pytest.mark.parametrize(
    "cascade",
    [
        Cascade("nothing"),
        cascade_of([]),
        cascade_of([0.0] * 150),
        cascade_of([5.0] * 3, root=False),
        cascade_of([-50.0, 3.0]),
        cascade_of(np.linspace(1.0, 3000.0, 300).tolist(), parents=list(range(300))),
    ],
    ids=["nothing", "root", "one-instant", "rootless", "before-the-root", "chain"],
)
def test_a_summary_is_finite_at_any_time(cascade: Cascade) -> None:
    for as_of in (START - 100.0, START, START + HOUR, START + 1e6, np.inf):
        found = summary_features(cascade.view(as_of), DAY)
        assert found.shape == (SUMMARY_SIZE,)
        assert np.isfinite(found).all()


def test_the_network_reads_the_summary_for_one_horizon() -> None:
    train = cases(random_cascades(60), HOUR, DAY)
    config = ContextConfig.summary()
    assert ContextConfig.from_json(config.to_json()) == config
    drawn = context_cases(train, config, seed=0)
    assert {case.horizon_seconds for case in drawn} == {DAY}
    ages = [case.as_of - case.graph.root_time for case in drawn]
    assert HOUR / 5.0 - 1.0 <= min(ages) < HOUR / 4.0
    assert HOUR * 4.0 < max(ages) <= HOUR * 5.0
    net = fit_context(train, ContextConfig(reads="first-events", members=2, width=16, epochs=2, cuts=4))
    growth, _ = net(context_batch([summary_features(case.graph.view(case.as_of), DAY) for case in train]))
    assert growth.shape == (len(train),)
    assert net.scale.centre.shape[-1] == SUMMARY_SIZE


@pytest.fixture(scope="module")
def hour_cases() -> list[Case]:
    return cases(random_cascades(80), HOUR, DAY)


@pytest.mark.parametrize("form", ["paper-summary", "paper-taught"])
@pytest.mark.parametrize("name", ["concat", "casft", "autocas"])
def test_a_model_with_a_summary_sees_no_more_than_the_papers_let_it(
    name: str, form: str, hour_cases: list[Case], tmp_path: Path
) -> None:
    forecaster = new_forecaster(f"{name}:{form}")
    assert isinstance(forecaster, ConCatForecaster | CasFTForecaster | AutoCasForecaster)
    forecaster.fit(hour_cases[:30], hour_cases[30:40], epochs=1)
    first = np.linspace(1.0, 599.0, FIRST_EVENTS - 1).tolist()
    few, many = cascade_of(first), cascade_of([*first, *[700.0] * 200], root_followers=10**7)
    examples = [forecaster.prepare(cascade, START + HOUR, DAY) for cascade in (few, many)]
    found = forecaster.forecast(examples)
    assert found.increment[0] == pytest.approx(found.increment[1], rel=1e-4)
    forecaster.save(tmp_path)
    again = type(forecaster).load(tmp_path).forecast(examples)
    np.testing.assert_array_equal(again.increment, found.increment)
