"""What the ranker reads is what had happened: changing the future changes nothing, and people are counted as a stream
that is read event by event would have counted them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecasters.alerting import GrowthCurves
from forecasters.alerting.audience import Audience, UserEvents
from forecasters.alerting.effects import EFFECT_NAMES, UserEffects, out_of_fold_features
from forecasters.alerting.features import GROWTH_NAMES, PEOPLE_NAMES, ranking_features
from tests.forecasters.alerting.posts import HORIZON, busy_day, curves_of, post
from tests.forecasters.cascades import START

NAMES = (*GROWTH_NAMES, *PEOPLE_NAMES)


@pytest.mark.parametrize("age", [90.0, 1800.0, 7200.0])
def test_a_stream_that_ends_at_the_cut_gives_the_same_features(age: float) -> None:
    whole = curves_of(*busy_day(60))
    effects = UserEffects.of(whole, np.arange(40))
    for place in (0, 7, 30, 59):
        cut = curves_of(*busy_day(60, until=whole.root_times[place] + age))
        rows, ages = np.array([place]), np.array([age])
        seen = [
            np.column_stack(
                [ranking_features(curves, Audience.of(curves), rows, ages), effects.features(curves, rows, ages)]
            )
            for curves in (whole, cut)
        ]
        same = np.isclose(*seen)[0]
        assert [name for name, equal in zip((*NAMES, *EFFECT_NAMES), same, strict=True) if not equal] == []


def test_features_are_finite_and_named_for_posts_of_any_age_and_size() -> None:
    curves = curves_of(post("a", []), post("b", [0.0, 0.0]), *busy_day(20))
    posts = np.repeat(np.arange(len(curves)), 3)
    found = ranking_features(curves, Audience.of(curves), posts, np.tile([1e-3, 60.0, HORIZON], len(curves)))
    assert found.shape == (len(posts), len(NAMES))
    assert np.isfinite(found).all()


def test_growth_is_counted_by_hand() -> None:
    curves = curves_of(post("p", [30.0, 100.0, 130.0, 400.0]))
    (row,) = ranking_features(curves, Audience.of(curves), np.array([0]), np.array([200.0]))
    named = dict(zip(NAMES, row.tolist(), strict=True))
    assert named["log_count"] == pytest.approx(math.log(4))
    assert named["log_recent_60s"] == 0.0
    assert named["log_recent_180s"] == pytest.approx(math.log(4))
    assert named["log_first_60s"] == pytest.approx(math.log(2))
    assert named["share_by_0.5_of_age"] == pytest.approx(1 / 3)
    assert named["log_silence"] == pytest.approx(math.log(71))
    assert named["log_first_age"] == pytest.approx(math.log(31))
    assert named["distinct_share"] == 1.0


def test_an_authors_earlier_posts_count_and_the_post_itself_does_not() -> None:
    curves = curves_of(
        post("first", [10.0, 20.0, 5000.0], author="ann"),
        post("second", [10.0], start=START + 100.0, author="ann"),
        post("other", [10.0] * 9, start=START + 100.0, author="bob"),
    )
    (row,) = ranking_features(curves, Audience.of(curves), np.array([curves.ids.index("second")]), np.array([60.0]))
    named = dict(zip(NAMES, row.tolist(), strict=True))
    assert named["author_log_received"] == pytest.approx(math.log(3))
    assert named["author_log_posts"] == pytest.approx(math.log(2))


def test_reach_is_what_resharers_had_received_by_then() -> None:
    famous = post("famous", [1.0, 2.0, 3.0], author="u0", by="x")
    curves = curves_of(famous, post("p", [10.0], start=START + 50.0, author="ann"))
    (row,) = ranking_features(curves, Audience.of(curves), np.array([1]), np.array([60.0]))
    assert dict(zip(NAMES, row.tolist(), strict=True))["log_reach"] == pytest.approx(math.log(4))
    earlier = curves_of(post("p", [10.0], author="ann"), post("famous", [1.0], start=START + 50.0, author="u0", by="x"))
    (row,) = ranking_features(earlier, Audience.of(earlier), np.array([0]), np.array([600.0]))
    assert dict(zip(NAMES, row.tolist(), strict=True))["log_reach"] == 0.0


def test_user_events_are_counted_as_by_a_dictionary() -> None:
    rng = np.random.default_rng(0)
    users, times = rng.integers(0, 6, 200).astype(np.uint64), rng.integers(0, 40, 200).astype(float)
    events = UserEvents.of(users, times)
    asked, when = rng.integers(0, 9, 300).astype(np.uint64), rng.uniform(-1, 41, 300).round()
    expected = [
        sum(1 for u, t in zip(users, times, strict=True) if u == who != 0 and t < at)
        for who, at in zip(asked, when, strict=True)
    ]
    assert events.before(asked, when).tolist() == expected
    assert UserEvents.of(users[:0], times[:0]).before(asked, when).tolist() == [0] * 300


def test_effects_know_the_famous_author_and_nobody_unseen() -> None:
    curves = curves_of(
        *(post(f"a{i}", [5.0] * 40, start=START + i, author="ann") for i in range(6)),
        *(post(f"b{i}", [5.0], start=START + 100 + i, author="bob") for i in range(6)),
        post("c", [5.0], start=START + 200, author="cem"),
    )
    effects = UserEffects.of(curves, np.arange(12))
    ann, bob, cem = effects.features(curves, np.array([0, 6, 12]), np.full(3, 60.0))
    assert ann[EFFECT_NAMES.index("author_effect")] > 0 > bob[EFFECT_NAMES.index("author_effect")]
    assert cem[EFFECT_NAMES.index("author_effect")] == 0.0
    assert UserEffects.from_tensors(effects.tensors()).features(
        curves, np.arange(13), np.full(13, 60.0)
    ) == pytest.approx(effects.features(curves, np.arange(13), np.full(13, 60.0)))


def test_a_training_post_does_not_learn_from_its_own_size() -> None:
    def columns(last_size: int) -> np.ndarray:
        posts = [post(f"a{i}", [5.0, 6.0], start=START + i, author="ann") for i in range(9)]
        posts.append(post("z", [5.0, 6.0, *([HORIZON / 2] * last_size)], start=START + 9, author="ann"))
        curves = GrowthCurves.of(posts, HORIZON)
        return out_of_fold_features(curves, np.arange(10), np.array([8, 9]), np.array([60.0, 60.0]))

    assert columns(0) == pytest.approx(columns(300))
