"""Weights that follow scores: never much worse than the best expert, whatever the stream."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.blend import BlendPrior, BlendWeights, OnlineBlend
from forecasters.blend.moments import ERROR_CAP, Moments
from forecasters.blend.weights import AS_GOOD, Fit
from forecasters.learning_ages import KNOTS

HOUR = 3600.0
DELAY = 50
"""Cases in flight between a forecast and its score."""


def prequential(errors: np.ndarray, ages: np.ndarray, prior: BlendPrior, delay: int = DELAY) -> np.ndarray:
    """Squared errors (n,) of the blend when each case is forecast by what had matured ``delay`` cases before."""
    online, learned, found = OnlineBlend(errors.shape[1]), 0, np.empty(len(errors))
    for first in range(0, len(errors), delay):
        until = max(0, first - delay + 1)
        online.update(errors[learned:until], ages[learned:until])
        learned = until
        rows = slice(first, first + delay)
        weights, bias = online.weights(prior).at(ages[rows])
        found[rows] = (np.einsum("ne,ne->n", weights, errors[rows]) - bias) ** 2
    return found


def stream(kind: str, seed: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Experts' errors (n, 4) and ages (n,): a common part nobody can foresee, and each expert's own."""
    rng = np.random.default_rng(seed)
    ages = np.exp(rng.uniform(np.log(200.0), np.log(60_000.0), n))
    scales = np.repeat(rng.uniform(0.2, 2.0, 4)[None], n, axis=0)
    if kind == "switch":
        scales[n // 2 :] = scales[n // 2 :, ::-1]
    elif kind == "by age":
        scales = np.where((ages < HOUR)[:, None], scales, scales[:, ::-1])
    elif kind == "drift":
        scales = scales * np.exp(np.sin(np.arange(n)[:, None] / 2000.0 + np.arange(4)))
    offsets = rng.normal(0.0, 0.7, 4) if kind == "biased" else np.zeros(4)
    if kind == "heavy":
        own = np.clip(rng.standard_t(3, (n, 4)), -ERROR_CAP, ERROR_CAP)  # no forecast errs by hundreds of doublings
    elif kind == "alike":
        own = np.repeat(rng.normal(size=(n, 1)), 4, axis=1) + 0.01 * rng.normal(size=(n, 4))
    else:
        own = rng.normal(size=(n, 4))
    return rng.normal(size=(n, 1)) + offsets + scales * own, ages


@pytest.mark.parametrize("kind", ["plain", "switch", "by age", "drift", "biased", "heavy", "alike"])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), misled=st.booleans())
def test_is_never_two_percent_worse_than_the_best_single_expert(kind: str, seed: int, misled: bool) -> None:
    """The best in hindsight, once a few scores are known at each age; also when validation showed another world."""
    errors, ages = stream(kind, seed)
    prior = BlendPrior.ignorant(4)
    if misled:
        other, elsewhere = stream(kind, seed + 1, 400)
        prior = BlendPrior.fit(other[:, ::-1], elsewhere)
    start = 1000 if misled else 500
    best = (errors[start:] ** 2).mean(axis=0).min()
    assert prequential(errors, ages, prior)[start:].mean() <= 1.02 * best


def test_follows_when_another_expert_becomes_the_best() -> None:
    errors, ages = stream("switch", 4, 8000)
    found = prequential(errors, ages, BlendPrior.ignorant(4))
    best_now = min((errors[-1500:] ** 2).mean(axis=0))
    assert found[-1500:].mean() <= 1.02 * best_now


def test_is_better_than_each_expert_where_they_err_differently() -> None:
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(4000, 3))
    found = prequential(errors, np.full(4000, HOUR), BlendPrior.ignorant(3))
    assert found.mean() < 0.45 * (errors**2).mean(axis=0).min()  # a third of it, for three independent experts


@given(st.integers(0, 1000), st.lists(st.integers(0, 40), max_size=6))
def test_how_cases_are_grouped_changes_nothing(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    errors, ages = rng.normal(size=(40, 3)), rng.uniform(60, 80_000, 40)
    whole, parts = OnlineBlend(3), OnlineBlend(3)
    whole.update(errors, ages)
    edges = [0, *sorted(cuts), 40]
    for start, end in pairwise(edges):
        parts.update(errors[start:end], ages[start:end])
    assert whole.snapshot() == parts.snapshot()


def test_a_snapshot_is_a_few_kilobytes_and_restores_to_the_bit() -> None:
    errors, ages = stream("plain", 1, 300)
    online = OnlineBlend(4)
    online.update(errors, ages)
    packed = msgspec.msgpack.encode(online.snapshot())
    assert len(packed) < 2000
    again = OnlineBlend.restore(msgspec.msgpack.decode(packed))
    assert again.snapshot() == online.snapshot()
    prior = BlendPrior.ignorant(4)
    np.testing.assert_array_equal(again.weights(prior).weights, online.weights(prior).weights)


@pytest.mark.parametrize("damage", [{"count": [0.0]}, {"error": [[0.0]]}, {"square": [[[0.0]]] * len(KNOTS)}])
def test_a_snapshot_that_does_not_fit_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="fit this version"):
        OnlineBlend.restore({**OnlineBlend(2).snapshot(), **damage})


def test_small_validation_parts_move_the_weights_little() -> None:
    rng = np.random.default_rng(3)
    errors = rng.normal(size=(5, 3)) * [0.1, 1.0, 1.0]
    few = BlendPrior.fit(errors, np.full(5, HOUR)).weights().weights
    assert few.max() < 0.7
    many = BlendPrior.fit(np.tile(errors, (400, 1)), np.full(2000, HOUR)).weights().weights
    assert many[2, 0] > 0.9


def test_ages_of_one_post_are_not_as_many_posts() -> None:
    rng = np.random.default_rng(4)
    errors = rng.normal(size=(300, 2)) * [0.9, 1.0]
    ages = np.full(300, HOUR)
    each, by_six = (BlendPrior.fit(errors, ages, posts=posts) for posts in (300, 50))
    assert by_six.moments.count.sum() == pytest.approx(50)
    assert 0.5 < by_six.anchor[2, 0] < each.anchor[2, 0]
    np.testing.assert_array_equal(each.anchor, BlendPrior.fit(errors, ages).anchor)


def test_the_shares_to_start_from_stand_until_posts_contradict_them() -> None:
    start, ages, few = np.array([0.0, 0.25, 0.75]), np.full(300, HOUR), []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        alike = rng.normal(size=(300, 1)) + 0.2 * rng.normal(size=(300, 3))
        few.append(BlendPrior.fit(alike, ages, start=start).anchor[2])
    np.testing.assert_allclose(np.mean(few, axis=0), start, atol=0.15)  # without it: a third each
    hopeless = BlendPrior.fit(alike * [1.0, 1.0, 3.0], ages, start=start)
    assert hopeless.anchor[2, 2] < 0.02
    assert BlendPrior.ignorant(3, start=start).weights().weights.tolist() == [start.tolist()] * len(KNOTS)


def test_what_one_age_of_a_validation_part_shows_counts_less_than_the_same_scores_of_the_stream() -> None:
    rng = np.random.default_rng(8)
    ages = np.repeat(KNOTS, 20)
    errors = rng.normal(size=(100, 2)) + np.where(ages == KNOTS[2], 0.5, 0.0)[:, None]
    errors[ages == KNOTS[2], 0] *= 1.5  # at one age the first expert looks bad
    prior = BlendPrior.fit(errors, ages)
    shipped, own = prior.weights(), BlendWeights.solve(prior.moments, prior.anchor)
    towards_anchor = np.abs(shipped.weights - prior.anchor)[2, 0] / np.abs(own.weights - prior.anchor)[2, 0]
    assert towards_anchor < 0.5
    assert 0.0 < abs(shipped.bias[2]) < 0.5 * abs(own.bias[2])


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["plain", "by age", "biased", "heavy", "alike"]),
    seed=st.integers(0, 10_000),
    cases=st.integers(0, 2000),
)
def test_few_experts_are_as_good_as_all_but_for_what_no_validation_part_can_tell(
    kind: str, seed: int, cases: int
) -> None:
    errors, ages = stream(kind, seed)
    moments = Moments.of(errors[:cases], ages[:cases])
    anchor = BlendWeights.equal(4).weights
    fit = Fit.of(moments, anchor, anchor_cases=20.0, bias_cases=100.0)
    every, few = (BlendWeights.solve(moments, anchor, by_few=by_few).weights for by_few in (False, True))
    np.testing.assert_allclose(few.sum(axis=1), 1.0)
    assert (few >= 0.0).all()
    assert fit.value(every) <= fit.value(few) + 1e-9
    assert fit.value(few) <= (1.0 + AS_GOOD) * fit.value(every) + 1e-9
    rng = np.random.default_rng(seed)
    for other in rng.dirichlet(np.ones(4), (10, len(KNOTS))):  # the value is that of the problem, biases at their best
        n = moments.count + 100.0
        bias = np.einsum("ke,ke->k", other, moments.error) / n
        whole = BlendWeights(other, bias).loss(moments) + 100.0 * bias**2 + 5.0 * ((other - anchor) ** 2).sum(axis=1)
        assert fit.value(other) == pytest.approx(whole.sum())
        assert fit.value(every) <= whole.sum() + 1e-9


def test_of_experts_that_say_the_same_one_is_asked_once_cases_show_it() -> None:
    errors, ages = stream("alike", 3)
    assert (BlendPrior.ignorant(4).weights().weights == 0.25).all()
    weights = OnlineBlend(4)
    weights.update(errors, ages)
    heard = weights.weights(BlendPrior.ignorant(4)).weights.any(axis=0)
    assert heard.sum() == 1


def test_of_experts_as_good_within_chance_the_first_is_asked() -> None:
    rng = np.random.default_rng(5)
    ages = np.repeat(KNOTS, 4000)
    better = rng.normal(size=len(ages))
    errors = np.stack([better * (1.0 + 0.4 * AS_GOOD), better], axis=1)  # the second saves less than it costs
    found = BlendWeights.solve(Moments.of(errors, ages), BlendWeights.equal(2).weights, by_few=True)
    assert found.weights.any(axis=0).tolist() == [True, False]


def test_an_expert_that_is_right_at_one_age_alone_is_asked() -> None:
    rng = np.random.default_rng(4)
    ages = np.repeat(KNOTS, 400)
    errors = rng.normal(size=(2000, 2)) * np.where(ages == KNOTS[4], [[2.0], [0.5]], [[0.5], [2.0]]).T
    weights = BlendPrior.fit(errors, ages).weights().weights
    assert weights[0, 0] > 0.8
    assert weights[4, 1] > 0.5


def test_weights_change_smoothly_with_age() -> None:
    errors, ages = stream("by age", 2)
    weights = BlendPrior.fit(errors, ages).weights()
    fine = np.geomspace(60, 86_400, 4000)
    w, b = weights.at(fine)
    np.testing.assert_allclose(w.sum(axis=1), 1.0)
    assert (w >= 0).all()
    assert np.abs(np.diff(w, axis=0)).max() < 0.01
    assert np.abs(np.diff(b)).max() < 0.01
    at_knots, _ = weights.at(np.array(KNOTS))
    np.testing.assert_allclose(at_knots, weights.weights)


def test_moments_give_the_squared_error_of_any_blend() -> None:
    rng = np.random.default_rng(5)
    errors, w = rng.normal(size=(100, 3)), np.array([0.2, 0.3, 0.5])
    moments = Moments.of(errors, np.full(100, KNOTS[1]))
    assert np.isclose(w @ moments.square[1] @ w, ((errors @ w) ** 2).sum())
    assert np.isclose(w @ moments.error[1], (errors @ w).sum())
    assert moments.count.tolist() == [0, 100, 0, 0, 0]


def test_one_absurd_forecast_decides_nothing() -> None:
    errors, ages = stream("plain", 6, 500)
    prior = BlendPrior.ignorant(4)
    calm, shaken = OnlineBlend(4), OnlineBlend(4)
    calm.update(errors, ages)
    errors[250, int(np.argmax(calm.weights(prior).weights[2]))] = 1e6
    shaken.update(errors, ages)
    assert np.abs(calm.weights(prior).weights - shaken.weights(prior).weights).max() < 0.25


def test_weights_that_are_none_are_refused() -> None:
    good = BlendWeights.equal(2).to_config()
    assert BlendWeights.from_config(good).to_config() == good
    for bad in ({"bias": [0.0]}, {"weights": [[0.7, 0.7]] * len(KNOTS)}, {"weights": [[1.5, -0.5]] * len(KNOTS)}):
        with pytest.raises(ValueError, match="weights must"):
            BlendWeights.from_config({**good, **bad})


def test_of_sets_as_good_the_one_is_asked_whose_costliest_expert_is_the_cheapest() -> None:
    """Experts 1 and 2 complete each other, and so, by a hair better, do 0 and 3; 3 is the costliest."""
    common, a, b = np.random.default_rng(5).normal(size=(3, 10_000))
    common, a, b = np.append(common, common), np.append(a, -a), np.append(b, -b)  # uncorrelated to the last bit
    errors = np.stack([0.999 * common + b, common + a, common - a, 0.999 * common - b], axis=1)
    weights = BlendPrior.fit(errors, np.full(20_000, HOUR)).weights().weights[2]
    assert np.flatnonzero(weights).tolist() == [1, 2]
