"""Average precision and precision under ties, against brute force over all orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forecasters.alerting.figures import average_precision, precision_at, resampled, weighted_average_precision

POSTS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6)


def all_orders(scores: list[int], top: list[bool]) -> list[list[bool]]:
    """The tops in every order in which no post stands before one of a higher score."""
    orders = itertools.permutations(range(len(scores)))
    return [
        [top[i] for i in order] for order in orders if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]


def plain_average_precision(ranked: list[bool]) -> float:
    """The definition: the mean, over the posts of the top, of the precision at their places."""
    precisions = [sum(ranked[: place + 1]) / (place + 1) for place, hit in enumerate(ranked) if hit]
    return sum(precisions) / len(precisions)


@given(POSTS)
def test_ties_are_averaged_over_all_their_orders(posts: list[tuple[int, bool]]) -> None:
    scores, top = [score for score, _ in posts], [hit for _, hit in posts]
    assume(any(top))
    orders = all_orders(scores, top)
    expected = np.mean([plain_average_precision(order) for order in orders])
    assert average_precision(np.array(scores, float), np.array(top)) == pytest.approx(expected)
    for alerts in range(1, len(top) + 1):
        precision = np.mean([sum(order[:alerts]) / alerts for order in orders])
        assert precision_at(np.array(scores, float), np.array(top), alerts) == pytest.approx(precision)


@given(POSTS, st.randoms(use_true_random=False))
def test_the_order_of_the_posts_changes_nothing(posts: list[tuple[int, bool]], random: object) -> None:
    assume(any(hit for _, hit in posts))
    shuffled = posts.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    values = [
        average_precision(np.array([float(s) for s, _ in some]), np.array([hit for _, hit in some]))
        for some in (posts, shuffled)
    ]
    assert values[0] == pytest.approx(values[1])


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_a_perfect_ranker_has_one_and_a_constant_one_about_the_share(top: list[bool]) -> None:
    assume(any(top))
    truth = np.array(top)
    assert average_precision(truth.astype(float), truth) == pytest.approx(1.0)
    assert average_precision(np.zeros(len(top)), truth) >= truth.mean() - 1e-12


@given(POSTS, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_a_weight_counts_as_so_many_tied_posts(posts: list[tuple[int, bool]], weights: list[int]) -> None:
    scores, top = np.array([float(score) for score, _ in posts]), np.array([hit for _, hit in posts])
    times = np.array(weights[: len(posts)])
    assume(bool((times * top).any()))
    (weighted,) = weighted_average_precision(scores, top, times[None, :])
    assert weighted == pytest.approx(average_precision(np.repeat(scores, times), np.repeat(top, times)))


def test_no_post_of_the_top_is_an_error_and_in_a_sample_no_number() -> None:
    with pytest.raises(ValueError, match="no post"):
        average_precision(np.zeros(3), np.zeros(3, bool))
    drawn = weighted_average_precision(np.arange(2.0), np.array([True, False]), np.array([[0, 2], [1, 1]]))
    assert np.isnan(drawn[0])
    assert drawn[1] == 0.5


def test_a_bootstrap_sample_has_as_many_posts_and_is_the_same_again() -> None:
    weights = np.concatenate(resampled(30, resamples=120))
    assert weights.shape == (120, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == np.concatenate(resampled(30, resamples=120))).all()
