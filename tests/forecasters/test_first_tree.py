"""The tree of the first events: a prefix, whole in itself even where clocks disagree."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters.first_tree import first_tree
from forecasters.registry import new_forecaster
from graph import Cascade
from tests.forecasters.cascades import cascade_of

AGES = np.linspace(10.0, 500.0, 120).tolist()


def stamped_before_its_parent() -> Cascade:
    """121 reshares of the post, the earliest of them a reshare of the latest one."""
    return cascade_of([*AGES, 5.0], parents=[0] * 120 + [120])


def test_it_is_the_beginning_of_the_whole_tree() -> None:
    view = cascade_of(AGES, parents=[i // 2 for i in range(120)]).view()
    depths, parents = first_tree(view, 100)
    np.testing.assert_array_equal(depths, view.depths[:100])
    np.testing.assert_array_equal(parents, view.parents[:100])
    for count in (None, 121, 500):
        assert len(first_tree(view, count)[1]) == 121


def test_a_parent_beyond_the_first_gives_way_to_its_nearest_early_ancestor() -> None:
    depths, parents = first_tree(stamped_before_its_parent().view(), 100)
    np.testing.assert_array_equal(parents, [-1] + [0] * 99)
    np.testing.assert_array_equal(depths, [0] + [1] * 99)


@pytest.mark.parametrize("name", ["concat", "casft", "autocas"])
@pytest.mark.parametrize("form", ["paper", "paper-summary"])
def test_papers_forms_read_an_event_that_is_stamped_before_its_parent(name: str, form: str) -> None:
    cascade = stamped_before_its_parent()
    example = new_forecaster(f"{name}:{form}").prepare(cascade, cascade.root_time + 3600.0, 86_400.0)
    assert example.observed == 121
