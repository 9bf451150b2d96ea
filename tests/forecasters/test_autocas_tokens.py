"""What AutoCas reads of a cascade: the steps and their tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.steps import steps_of
from forecasters.autocas.tokens import CUMULATIVE, NEW, OBSERVED, SHAPE, TOKEN_SIZE, force, next_counts, tokens_of
from forecasters.dataset import cut
from graph import Event, Kind
from tests.forecasters.autocas_problems import ROLLING, SMALL, slow_tokens
from tests.forecasters.cascades import START, cascade_of

DAY = 86_400.0
BOTH = pytest.mark.parametrize("config", [SMALL, ROLLING], ids=["equal", "log"])


@BOTH
@given(age=st.floats(0.0, 3 * DAY), horizon=st.floats(1.0, 40 * DAY))
def test_steps_go_from_birth_to_the_observation_and_on_to_the_horizon(
    config: AutoCasConfig, age: float, horizon: float
) -> None:
    steps = steps_of(age, horizon, config)
    assert steps.observed >= 1
    assert steps.ends[steps.observed - 1] == age
    assert steps.ends[-1] == max(age, horizon)
    assert (np.diff(steps.ends, prepend=0.0) >= 0).all()
    assert (len(steps.ends) > steps.observed) == (horizon > age)
    assert len(steps.ends) < 64


def test_log_steps_have_the_same_edges_for_every_observation() -> None:
    early, late = steps_of(600.0, DAY, ROLLING), steps_of(7000.0, 10 * DAY, ROLLING)
    both_observed_or_both_to_come = [*range(7), *range(14, 21)]
    assert {60.0 * 2.0 ** (j / 2) for j in both_observed_or_both_to_come} <= {*early.ends} & {*late.ends}


def test_a_view_of_everything_and_of_centuries_has_few_steps() -> None:
    assert len(steps_of(math.inf, DAY, ROLLING).ends) < 64
    assert len(steps_of(60.0, 1e12, ROLLING).ends) < 64


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.floats(0.0, 4000.0), max_size=30),
    parents=st.lists(st.integers(0, 29), min_size=30, max_size=30),
    age=st.floats(1.0, 5000.0),
    horizon=st.sampled_from([1800.0, DAY]),
    rolling=st.booleans(),
    cap=st.sampled_from([None, 7]),
)
def test_tokens_are_what_a_slow_reading_gives(
    times: list[float], parents: list[int], age: float, horizon: float, rolling: bool, cap: int | None
) -> None:
    base = ROLLING if rolling else SMALL
    config = AutoCasConfig.from_json({**base.to_json(), "event_cap": cap})
    cascade = cascade_of(
        sorted(times),
        parents=[min(p, i) for i, p in enumerate(parents[: len(times)])],
        followers=[None if i % 4 == 0 else 10 * i for i in range(len(times))],
    )
    view = cascade.view(START + age)
    tokens, steps = tokens_of(view, horizon, config)
    slow = slow_tokens(view, steps.ends.tolist(), steps.observed, config, horizon)
    np.testing.assert_allclose(tokens, slow, rtol=1e-4, atol=1e-4)


@BOTH
def test_tokens_stay_finite_on_hostile_cascades(config: AutoCasConfig) -> None:
    n = 100_000
    spread = np.linspace(1, 3000, n).tolist()
    hostile = [
        cascade_of([]),
        cascade_of([60.0] * 300),
        cascade_of([-50.0, -1.0, 3.0]),
        cascade_of(spread),
        cascade_of(np.linspace(1, 3000, 3000).tolist(), parents=list(range(3000))),
        cascade_of(np.linspace(1, 3000, 300).tolist(), users=["u"] * 300, root=False),
    ]
    for cascade in hostile:
        for as_of in (cascade.root_time, cascade.root_time + 3600.0, math.inf):
            tokens, steps = tokens_of(cascade.view(as_of), DAY, config)
            assert tokens.shape == (max(steps.observed, len(steps.ends) - 1), TOKEN_SIZE)
            assert np.isfinite(tokens).all()
            assert np.abs(tokens).max() <= 40


def test_the_last_observed_token_counts_everything_that_is_read() -> None:
    cascade = cascade_of(np.linspace(1, 3000, 250).tolist())
    rolling, _ = tokens_of(cascade.view(START + 3600.0), DAY, ROLLING)
    edge = int(rolling[:, OBSERVED].sum()) - 1
    assert rolling[edge, CUMULATIVE] == pytest.approx(math.log2(251))
    paper, _ = tokens_of(cascade.view(START + 3600.0), DAY, SMALL)
    assert paper[SMALL.observed_steps - 1, CUMULATIVE] == pytest.approx(math.log2(100))


@BOTH
def test_true_counts_of_the_future_add_up_to_the_increment(config: AutoCasConfig) -> None:
    rng = np.random.default_rng(0)
    cascade = cascade_of(np.sort(rng.exponential(9000.0, 90)).tolist())
    for age in (300.0, 3600.0, 20_000.0):
        case = cut(cascade, age, DAY)
        view = cascade.view(case.as_of)
        tokens, steps = tokens_of(view, DAY, config)
        counts = next_counts(cascade, view, steps, config, until_seconds=math.inf)
        assert counts[steps.observed - 1 :].sum() == case.increment
        assert counts[: steps.observed - 1].sum() + np.exp2(tokens[0, NEW]) - 1 == pytest.approx(view.size)
        force(tokens, counts, steps.observed)
        until_last = view.size + counts[steps.observed - 1 : -1].sum()
        assert np.exp2(tokens[-1, CUMULATIVE]) - 1 == pytest.approx(until_last, rel=1e-5)
        np.testing.assert_array_equal(tokens[steps.observed :, SHAPE], 0)


def test_the_future_of_a_cascade_whose_events_end_is_not_known() -> None:
    cascade = cascade_of(np.linspace(1, 3500, 20).tolist())
    view = cascade.view(START + 1800.0)
    _, steps = tokens_of(view, DAY, ROLLING)
    counts = next_counts(cascade, view, steps, ROLLING, until_seconds=3600.0)
    known = ~np.isnan(counts)
    assert known[: steps.observed - 1].all()
    np.testing.assert_array_equal(known[steps.observed - 1 :], steps.ends[steps.observed :] <= 3600.0)


def test_what_the_cap_hides_is_no_target() -> None:
    cascade = cascade_of(np.linspace(1, 3000, 250).tolist())  # the hundredth event comes in the second of five steps
    view = cascade.view(START + 3600.0)
    _, steps = tokens_of(view, DAY, SMALL)
    counts = next_counts(cascade, view, steps, SMALL, until_seconds=math.inf)
    assert np.isnan(counts[: SMALL.observed_steps - 1]).all()
    assert not np.isnan(counts[SMALL.observed_steps - 1 :]).any()


def test_replies_are_in_the_tree_and_not_in_the_counts() -> None:
    cascade = cascade_of([10.0, 20.0])
    cascade.apply(Event(id="r", cascade="c", kind=Kind.REPLY, time=START + 30.0, parent="c:1"))
    tokens, steps = tokens_of(cascade.view(START + 60.0), DAY, ROLLING)
    edge = steps.observed - 1
    assert tokens[edge, CUMULATIVE] == pytest.approx(math.log2(3))
    assert tokens[edge, SHAPE][3] == pytest.approx(math.log2(3))  # the reply is two levels deep
