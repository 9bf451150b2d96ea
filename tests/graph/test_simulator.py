"""The simulator: the same seed the same cascades, a proper tree, and the laws it promises."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Cascade, Kind, UserError, decode_event
from graph.realism import Tree, compare, growth_quantiles, markdown, quantile_table, real_trees
from graph.realism_figure import figure
from graph.simulation import RHYTHM, AudienceClock, Simulation
from graph.simulator import simulated_cascade, simulated_events, simulated_tree

DAY = 86_400.0
PLAIN = Simulation(rhythm=0.0, pace_spread=0.0, lifetime_hours=1e5, memory=3.0)
"""No nights, all cascades of one pace, delays that end well before the lifetime."""


def test_cascade_k_is_the_same_however_many_are_made() -> None:
    few, many = list(simulated_events(Simulation(seed=7), 3)), list(simulated_events(Simulation(seed=7), 9))
    assert many[: len(few)] == few
    assert simulated_cascade(Simulation(seed=7), 8) == [event for event in many if event.cascade == "sim7-8"]
    assert simulated_cascade(Simulation(seed=8), 8)[0].time != simulated_cascade(Simulation(seed=7), 8)[0].time


@given(st.integers(0, 400))
def test_events_are_valid_and_replay_to_the_tree(number: int) -> None:
    simulation = Simulation(seed=2)
    events = simulated_cascade(simulation, number)
    cascade = Cascade(events[0].cascade)
    for event in events:
        assert decode_event(msgspec.json.encode(event)) == event
        cascade.apply(event)
    ages, parents = simulated_tree(simulation, number)
    assert events == sorted(events, key=lambda event: event.time)
    assert len({event.id for event in events}) == len(events)
    assert ages[0] == 0
    assert (np.diff(ages) >= 0).all()
    assert ages[-1] <= simulation.lifetime_hours * 3600
    assert parents[0] == -1
    assert (parents[1:] >= 0).all()
    assert (parents[1:] < np.arange(1, len(parents))).all()
    undone = {event.parent for event in events if event.kind is Kind.UNDO}
    assert cascade.size == len(ages) - 1 - len(undone)


def test_the_branching_ratio_is_what_was_asked_for() -> None:
    """Children a reshare has, over all reshares of cascades that are long over: mean over cascades of the
    ratio."""
    simulation = replace(
        PLAIN, branching_ratio=0.3, ratio_concentration=1e6, influence_spread=0.5, mean_size=80.0, tail=3.0
    )
    reshares = children = 0
    for number in range(400):
        _, parents = simulated_tree(simulation, number)
        reshares += len(parents) - 1
        children += int((parents > 0).sum())
    assert children / reshares == pytest.approx(0.3, abs=4 * math.sqrt(0.3 / reshares) + 0.005)


def test_the_mean_size_is_what_was_asked_for() -> None:
    simulation = replace(PLAIN, mean_size=50.0, tail=4.0, ratio_concentration=30.0, influence_spread=0.5)
    sizes = np.array([len(simulated_tree(simulation, number)[0]) - 1 for number in range(3000)])
    assert sizes.mean() == pytest.approx(50.0, abs=4 * sizes.std() / math.sqrt(len(sizes)))


def test_no_branching_makes_stars() -> None:
    for number in range(20):
        _, parents = simulated_tree(replace(PLAIN, branching_ratio=0.0), number)
        assert (parents[1:] == 0).all()


def test_sizes_have_a_power_law_tail() -> None:
    """Hill's estimator over the largest tenth finds the exponent of the influence of roots."""
    simulation = replace(PLAIN, tail=1.5, branching_ratio=0.0, mean_size=500.0)
    sizes = np.sort([len(simulated_tree(simulation, number)[0]) - 1 for number in range(3000)])[-300:]
    assert 1 / np.log(sizes / sizes[0]).mean() == pytest.approx(1.5, rel=0.25)


def test_delays_follow_their_power_law() -> None:
    """Lomax: half of the direct reshares within delay * (2^(1/memory) - 1)."""
    simulation = replace(PLAIN, branching_ratio=0.0, mean_size=300.0, delay_seconds=1000.0, memory=2.0)
    ages = np.concatenate([simulated_tree(simulation, number)[0][1:] for number in range(100)])
    assert np.median(ages) == pytest.approx(1000 * (math.sqrt(2) - 1), rel=0.05)


def test_the_audience_sleeps() -> None:
    simulation = Simulation(start_time=0.0, hours=24 * 30, utc_offset_hours=0.0, mean_size=30.0)
    times = np.array([event.time for event in simulated_events(simulation, 1500)])
    by_hour = np.bincount((times % DAY // 3600).astype(int), minlength=24) / len(times) * 24
    assert by_hour[2:6].mean() < 0.5 * by_hour.mean() < by_hour[20:23].mean()
    assert np.corrcoef(by_hour, RHYTHM)[0, 1] > 0.9


@given(st.floats(0, 2e9), st.floats(0, 1), st.floats(-12, 14))
def test_the_audience_clock_turns_back(time: float, strength: float, offset: float) -> None:
    clock = AudienceClock(strength, offset)
    assert clock.wall(clock.inner(np.array([time])))[0] == pytest.approx(time, abs=1e-3)


def test_the_hours_in_which_roots_are_posted() -> None:
    simulation = Simulation(start_time=1.7e9, hours=6.0)
    roots = [simulated_cascade(simulation, number)[0].time for number in range(50)]
    assert min(roots) >= 1.7e9 - 1
    assert max(roots) <= 1.7e9 + 6 * 3600


def test_kinds_come_at_their_rates() -> None:
    simulation = Simulation(quotes=0.2, replies=0.1, undos=0.05)
    kinds = [event.kind for event in simulated_events(simulation, 300)]
    reshares = kinds.count(Kind.REPOST) + kinds.count(Kind.QUOTE)
    for kind, rate in ((Kind.QUOTE, 0.2), (Kind.REPLY, 0.1), (Kind.UNDO, 0.05)):
        assert kinds.count(kind) / reshares == pytest.approx(rate, abs=5 * math.sqrt(rate / reshares))


def test_a_maximum_size_keeps_the_earliest() -> None:
    number = int(np.argmax([len(simulated_tree(Simulation(), k)[0]) for k in range(30)]))
    whole = simulated_tree(Simulation(max_size=50_000), number)[0]
    capped = simulated_tree(Simulation(max_size=10), number)[0]
    assert len(capped) == 11 < len(whole)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"branching_ratio": 1.5},
            "branching_ratio is 1.5: it must be at least 0 and below 0.9, or cascades never end",
        ),
        ({"mean_size": -1.0}, "mean_size is -1"),
        ({"tail": 1.0}, "tail is 1"),
        ({"memory": math.nan}, "memory is nan"),
        ({"branching_ratio": 0.8, "ratio_concentration": 4.0}, "ratio_concentration is 4: .* must be above 5"),
    ],
)
def test_values_that_make_no_process(values: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Simulation(**values)  # type: ignore[arg-type]


# --- beside real cascades --------------------------------------------------------------------------------------------


def simulated_trees(seed: int, count: int, low: int = 20, high: int = 200) -> list[Tree]:
    simulation = Simulation(seed=seed, mean_size=100.0, start_time=1.7e9, hours=0.0)
    trees: list[Tree] = []
    number = 0
    while len(trees) < count:
        tree = Tree(1.7e9, *simulated_tree(simulation, number))
        trees += [tree] if low <= tree.size <= high else []
        number += 1
    return trees


def test_what_is_simulated_compares_well_with_itself() -> None:
    comparison = compare(simulated_trees(seed=1, count=150), Simulation(seed=2, mean_size=100.0))
    assert len(comparison.paired) == 150
    for ours, theirs in zip(comparison.paired, comparison.real, strict=True):
        assert ours.size == pytest.approx(theirs.size, rel=0.3)
    for name, real, paired in quantile_table(comparison)[1:]:
        if name.startswith("share"):
            np.testing.assert_allclose(real, paired, atol=0.12, err_msg=name)


def test_table_and_figure_hold_every_statistic() -> None:
    comparison = compare(simulated_trees(seed=1, count=10), Simulation(seed=2, mean_size=100.0))
    table = markdown(comparison)
    assert all(f"| {name}, real |" in table for name, _, _ in quantile_table(comparison))
    picture = ElementTree.fromstring(figure(comparison))
    assert len(picture.findall(".//{*}polyline")) == 12
    shares = growth_quantiles(comparison.real)
    assert (np.diff(shares, axis=1) >= 0).all()
    assert shares[1, -1] == 1.0


def test_real_trees_are_cut_at_the_lifetime_and_chosen_by_size() -> None:
    events = simulated_cascade(Simulation(mean_size=100.0, replies=0.0, undos=0.0), 3)
    cascade = Cascade(events[0].cascade)
    for event in events:
        cascade.apply(event)
    (whole,) = real_trees([cascade], 1e9, 1, 10**6)
    assert whole.size == len(events) - 1
    assert whole.parents.tolist() == simulated_tree(Simulation(mean_size=100.0), 3)[1].tolist()
    assert real_trees([cascade], 1e9, len(events), 10**6) == []
    assert all(tree.ages[-1] <= 600.0 for tree in real_trees([cascade], 600.0, 0, 10**6))


def test_sizes_that_are_not_simulated() -> None:
    with pytest.raises(UserError, match="raise --mean-size"):
        compare([Tree(1.7e9, np.zeros(40_001), np.zeros(40_001))], Simulation(mean_size=1.0))
    with pytest.raises(UserError, match="no cascade to compare with"):
        compare([], Simulation())
