"""What is computed of a view is computed once, and forgotten with the view."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from numpy.typing import NDArray

from forecasters.view_memo import once_per_view
from graph import CascadeView
from tests.forecasters.cascades import random_cascades


class Counted:
    def __init__(self) -> None:
        self.calls = 0
        self.ages = once_per_view(self._ages)

    def _ages(self, view: CascadeView, factor: float, *, shift: float = 0.0) -> NDArray[np.float64]:
        self.calls += 1
        return view.ages * factor + shift


@pytest.fixture
def views() -> list[CascadeView]:
    return [cascade.view(cascade.root_time + 3600.0) for cascade in random_cascades(3)]


def test_each_view_and_each_argument_is_computed_once(views: list[CascadeView]) -> None:
    counted = Counted()
    for _ in range(3):
        for view in views:
            for factor in (1.0, 2.0):
                np.testing.assert_array_equal(counted.ages(view, factor), view.ages * factor)
    assert counted.calls == 6
    np.testing.assert_array_equal(counted.ages(views[0], 1.0, shift=1.0), views[0].ages + 1.0)
    assert counted.calls == 7


def test_nobody_can_change_what_others_read(views: list[CascadeView]) -> None:
    with pytest.raises(ValueError, match="read-only"):
        Counted().ages(views[0], 1.0)[0] = 5.0
    nested = once_per_view(lambda view: ({"a": view.ages + 1.0}, 3))
    with pytest.raises(ValueError, match="read-only"):
        nested(views[0])[0]["a"][0] = 5.0


def test_what_is_remembered_goes_with_its_view() -> None:
    counted = Counted()
    (cascade,) = random_cascades(1)
    view = cascade.view(cascade.root_time + 60.0)
    answer = weakref.ref(counted.ages(view, 1.0))
    assert answer() is not None
    del view
    gc.collect()
    assert answer() is None
