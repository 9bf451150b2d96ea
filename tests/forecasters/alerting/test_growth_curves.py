"""Sizes of many posts at any age are those of their views; events of the horizon and beyond are not there."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters.alerting import GrowthCurves
from forecasters.dataset import DatasetError, just_before
from forecasters.labels import GrowthLabel, LabelledCascade
from graph import Cascade, Event, Kind
from tests.forecasters.alerting.posts import HORIZON, busy_day, curves_of, events_of, post
from tests.forecasters.cascades import START


def test_sizes_at_any_age_are_those_before_it() -> None:
    cascades = busy_day(40)
    curves = curves_of(*reversed(cascades))
    assert curves.ids == tuple(cascade.id for cascade in cascades)
    for age in (0.0, 1.0, 600.0, 3600.0, HORIZON):
        expected = [cascade.size_at(just_before(cascade.root_time + age)) for cascade in cascades]
        assert curves.counts(np.arange(40), age).tolist() == expected
    assert curves.finals().tolist() == curves.counts(np.arange(40), HORIZON).tolist()


def test_an_event_at_an_age_is_not_before_it() -> None:
    curves = curves_of(post("p", [60.0, 60.0, 1800.0, HORIZON]))
    assert [int(curves.counts(np.array([0]), age)[0]) for age in (60.0, 60.001, 1800.0, 1801.0)] == [0, 2, 2, 3]
    assert curves.finals().tolist() == [3]


def test_views_show_the_curves_so_far() -> None:
    """Also of a cascade that outgrew its memory, whose later reposts are counted by the minute."""
    cascades = busy_day(40)
    large = Cascade("large", max_events=20)
    for event in events_of(post("large", np.linspace(1.0, 7000.0, 300).tolist(), start=START + 50.0)):
        large.apply(event)
    for cascade in [*cascades, large]:
        for age in (60.0, 3600.0, 50_000.0):
            view = cascade.view(cascade.root_time + age)
            shown, whole = GrowthCurves.of_views([view], HORIZON), curves_of(cascade)
            until = int(whole.places(np.array([0]), np.nextafter([age], np.inf))[0])
            assert shown.ages.tolist() == whole.ages[:until].tolist()
            assert shown.users.tolist() == whole.users[:until].tolist()
            assert shown.direct.tolist() == whole.direct[:until].tolist()
            assert (shown.root_times, shown.root_users) == (whole.root_times, whole.root_users)
            assert shown.counts(np.array([0]), HORIZON)[0] == view.size


def test_a_repost_taken_back_counts_until_then() -> None:
    cascade = post("p", [10.0, 20.0])
    cascade.apply(Event(id="x", cascade="p", kind=Kind.UNDO, time=START + 30.0, parent="p:0"))
    curves = curves_of(cascade)
    assert [int(curves.counts(np.array([0]), age)[0]) for age in (15.0, 25.0, 35.0)] == [1, 2, 1]


def test_a_post_without_reposts_is_a_post() -> None:
    curves = curves_of(post("a", []), post("b", [5.0], start=START + 1), post("c", [], start=START + 2))
    assert curves.finals().tolist() == [0, 1, 0]


def test_events_that_end_before_the_horizon_are_refused() -> None:
    cascade = LabelledCascade("p")
    cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=START))
    cascade.label = GrowthLabel(3600.0, HORIZON, 7)
    with pytest.raises(DatasetError, match="whole cascades"):
        GrowthCurves.of([cascade], HORIZON)
