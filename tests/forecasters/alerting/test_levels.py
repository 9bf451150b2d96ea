"""What the top share is when sizes are tied at the cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forecasters.alerting.levels import reaches_top, top_level
from forecasters.dataset import DatasetError


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.floats(0.01, 0.9))
def test_a_top_share_is_never_larger_and_as_large_as_ties_allow(sizes: list[int], share: float) -> None:
    finals = np.array(sizes)
    try:
        level = top_level(finals, share)
    except DatasetError:
        assume(False)
    most = share * len(finals) + 1e-6
    assert 0 < np.count_nonzero(finals >= level) <= most
    assert level == 1 or np.count_nonzero(finals >= level - 1) > most or not (finals == level - 1).any()


def test_ties_at_the_cut_are_all_in_or_all_out() -> None:
    assert reaches_top(np.array([9, 5, 5, 5, 1, 1, 0, 0, 0, 0]), 0.2).tolist() == [True] + [False] * 9
    assert reaches_top(np.array([9, 5, 5, 5, 1, 1, 0, 0, 0, 0]), 0.4).tolist() == [True] * 4 + [False] * 6


def test_a_share_is_not_lost_to_rounding() -> None:
    assert np.count_nonzero(reaches_top(np.arange(30), 0.1)) == 3


@pytest.mark.parametrize("sizes", [[3, 3, 3, 3], [0] * 40, [1, 2]])
def test_an_empty_top_is_an_error_that_names_the_mend(sizes: list[int]) -> None:
    with pytest.raises(DatasetError, match="larger file or a larger --top"):
        top_level(np.array(sizes), 0.1)
