"""Features: every number named, finite, true of the cascade, and blind to what had not happened yet."""

from __future__ import annotations

import math

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph import Cascade, CascadeView, Event, Kind
from graph.features import FEATURE_NAMES, binned_log_counts, feature_matrix, features, mean_distance
from graph.simulation import Simulation
from graph.simulator import simulated_cascade

HOUR, DAY = 3600.0, 86_400.0
ROOT_TIME = 1_347_334_462.0


def cascade_of(events: list[Event]) -> Cascade:
    cascade = Cascade(events[0].cascade)
    for event in events:
        cascade.apply(event)
    return cascade


def post(**more: object) -> Event:
    return Event("c", "c", Kind.POST, ROOT_TIME, **more)  # type: ignore[arg-type]


def reshare(name: str, age: float, parent: str = "c", kind: Kind = Kind.REPOST, **more: object) -> Event:
    return Event(name, "c", kind, ROOT_TIME + age, parent=parent, **more)  # type: ignore[arg-type]


def named(view: CascadeView, horizon: float = DAY) -> dict[str, float]:
    values = features(view, horizon)
    assert values.shape == (len(FEATURE_NAMES),)
    return dict(zip(FEATURE_NAMES, values.tolist(), strict=True))


def example() -> Cascade:
    """Four reshares in half an hour, and a reply."""
    return cascade_of(
        [
            post(user="u", followers=999, verified=True),
            reshare("a", 60.0, user="v", followers=9),
            reshare("b", 120.0, "a", user="w", followers=99),
            reshare("r", 130.0, "a", Kind.REPLY, user="x"),
            reshare("d", 240.0, "b", Kind.QUOTE, user="v"),
            reshare("e", 1500.0, user="y"),
        ]
    )


def test_names_are_unique() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) >= 70


def test_counts_and_windows() -> None:
    f = named(example().view(ROOT_TIME + 1800.0))
    assert f["log_reshares"] == pytest.approx(math.log1p(4))
    assert f["log_replies"] == pytest.approx(math.log1p(1))
    assert f["log_quotes"] == pytest.approx(math.log1p(1))
    assert f["log_recent_300s"] == 0.0  # (cut - 300 s, cut]: the last one is just outside
    assert f["log_recent_900s"] == pytest.approx(math.log1p(1))
    assert f["log_recent_3600s"] == pytest.approx(math.log1p(4))
    assert f["log_first_60s"] == pytest.approx(math.log1p(1))
    assert f["log_first_300s"] == pytest.approx(math.log1p(3))
    assert f["share_by_10pct_of_age"] == 0.5
    assert f["log_rate_per_hour"] == pytest.approx(math.log1p(8))
    assert f["log_since_last_seconds"] == pytest.approx(math.log1p(300))
    assert f["log_longest_gap_seconds"] == pytest.approx(math.log1p(1260))
    assert f["age_part_of_horizon"] == pytest.approx(1800 / DAY)


def test_shape_and_audience() -> None:
    f = named(example().view(ROOT_TIME + 1800.0))
    assert f["depth"] == 3.0
    assert f["mean_depth"] == pytest.approx((1 + 2 + 2 + 3 + 1) / 5)
    assert (f["share_at_depth_1"], f["share_at_depth_2"], f["share_at_depth_3"]) == pytest.approx((0.4, 0.4, 0.2))
    assert f["root_share"] == pytest.approx(2 / 5)
    assert f["leaf_share"] == pytest.approx(3 / 6)
    assert f["log_largest_other_hub"] == pytest.approx(math.log1p(2))
    assert f["log_users"] == pytest.approx(math.log1p(5))
    assert f["log_root_followers"] == pytest.approx(math.log(1000))
    assert f["log_sum_followers"] == pytest.approx(math.log1p(108))
    assert f["followers_known_share"] == pytest.approx(2 / 5)
    assert (f["root_verified"], f["root_verified_known"], f["rootless"]) == (1.0, 1.0, 0.0)


def test_a_root_alone() -> None:
    f = named(cascade_of([post()]).view(ROOT_TIME + 60.0))
    assert f["log_reshares"] == f["depth"] == f["root_share"] == f["log_users"] == 0.0
    assert f["log_since_last_seconds"] == pytest.approx(math.log1p(60))
    assert all(math.isfinite(value) for value in f.values())


def test_a_cascade_without_its_root() -> None:
    assert named(cascade_of([reshare("a", 0.0), reshare("b", 5.0)]).view(ROOT_TIME + 60.0))["rootless"] == 1.0


def test_time_of_day_and_week_turn_full_circle() -> None:
    monday_noon = 4 * DAY + DAY / 2
    week_later = named(cascade_of([Event("c", "c", Kind.POST, monday_noon + 7 * DAY)]).view(monday_noon + 7 * DAY))
    now = named(cascade_of([Event("c", "c", Kind.POST, monday_noon)]).view(monday_noon))
    assert (now["root_day_sin"], now["root_day_cos"]) == pytest.approx((0.0, -1.0), abs=1e-9)
    assert now == pytest.approx(week_later)


@given(
    st.integers(0, 60),
    st.sampled_from([0.0, 1.0, 300.0, 1800.0, HOUR, DAY, 6 * DAY]),
    st.sampled_from([0.0, HOUR, DAY]),
)
def test_always_finite_and_blind_to_the_future(number: int, age: float, horizon: float) -> None:
    events = simulated_cascade(Simulation(seed=5, undos=0.02), number)
    whole = cascade_of(events)
    until = whole.root_time + age
    seen = cascade_of([event for event in events if event.time <= until])
    values = features(whole.view(until), horizon)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, features(seen.view(until), horizon))


def test_a_view_without_a_cut_is_taken_as_of_its_last_event() -> None:
    whole = example()
    np.testing.assert_array_equal(features(whole.view(), DAY), features(whole.view(ROOT_TIME + 1500.0), DAY))


def test_a_matrix_is_its_rows() -> None:
    views = [cascade_of(simulated_cascade(Simulation(seed=1), k)).view() for k in range(4)]
    horizons = [HOUR, DAY, HOUR, DAY]
    np.testing.assert_array_equal(
        feature_matrix(views, horizons), [features(view, h) for view, h in zip(views, horizons, strict=True)]
    )
    assert feature_matrix([], DAY).shape == (0, len(FEATURE_NAMES))


def test_reshares_counted_but_not_kept_are_still_counted() -> None:
    cascade = Cascade("c", max_events=3)
    for event in [post(), *(reshare(f"e{i}", 10.0 * (i + 1)) for i in range(8))]:
        cascade.apply(event)
    view = cascade.view(ROOT_TIME + 100.0)
    assert view.binned > 0
    assert named(view)["log_reshares"] == pytest.approx(math.log1p(8))
    assert named(view)["binned_share"] == pytest.approx(view.binned / 8)
    assert np.expm1(binned_log_counts(view, 4)).sum() == pytest.approx(8)


def test_a_cascade_that_outgrew_its_memory_is_still_seen_to_grow_as_it_did() -> None:
    """Counts by parts of the life and by recency are those of a cascade that kept everything, to the minute."""
    whole, bounded = Cascade("c"), Cascade("c", max_events=50)
    for cascade in (whole, bounded):
        for event in [post(), *(reshare(f"e{i}", 60.0 * math.sqrt(i) + 0.5) for i in range(3000))]:
            cascade.apply(event)
    as_of = 60.0 * round(ROOT_TIME / 60.0) + 3000.0
    expected, found = whole.view(as_of), bounded.view(as_of)
    assert bounded.size_at(as_of) == pytest.approx(whole.size_at(as_of), rel=0.05)
    parts = [np.expm1(binned_log_counts(view, 6)) for view in (found, expected)]
    np.testing.assert_allclose(parts[0], parts[1], rtol=0.2)
    full, kept = named(expected), named(found)
    for name in full:
        if name.startswith(("log_recent", "log_first_", "share_by", "log_rate", "acceleration")):
            assert kept[name] == pytest.approx(full[name], rel=0.1, abs=0.2), name


def test_binned_counts() -> None:
    counts = np.expm1(binned_log_counts(example().view(ROOT_TIME + 1800.0), 6))
    np.testing.assert_allclose(counts, [3, 0, 0, 0, 0, 1], atol=1e-9)


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=40))
def test_mean_distance_is_that_of_all_pairs(draws: list[float]) -> None:
    parents: NDArray[np.int32] = np.array([-1, *(int(d * (i + 1)) for i, d in enumerate(draws))], dtype=np.int32)
    depths = np.zeros(len(parents), dtype=np.int32)
    for child in range(1, len(parents)):
        depths[child] = depths[parents[child]] + 1
    tree = networkx.Graph([(child, int(parents[child])) for child in range(1, len(parents))])
    expected = networkx.average_shortest_path_length(tree) if len(parents) > 1 else 0.0
    assert mean_distance(parents, depths) == pytest.approx(expected)
