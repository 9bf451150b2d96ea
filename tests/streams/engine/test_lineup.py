"""Who speaks for which forecast: decided by its event time alone, and nobody twice."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from forecasters.base import Forecaster
from streams.engine.due import Due
from streams.engine.lineup import Lineup, Role, Seat, Tenure
from tests.streams.conftest import Doubling


def version(number: str) -> Doubling:
    model = Doubling()
    model.version = number
    return model


def due(as_of: float) -> Due:
    """Of a due forecast only its time matters here."""
    return cast(Due, SimpleNamespace(as_of=as_of))


def seat(role: Role, *tenures: tuple[float, Forecaster]) -> Seat:
    return Seat(role, "doubling", tuple(Tenure(since, model) for since, model in tenures))


def spoken(lineup: Lineup, times: list[float]) -> dict[float, list[tuple[Role, str]]]:
    found: dict[float, list[tuple[Role, str]]] = {time: [] for time in times}
    for share in lineup.shares([due(time) for time in times]):
        for one in share.dues:
            found[one.as_of].append((share.role, share.model.version))
    return found


def test_a_version_speaks_from_its_event_time_on() -> None:
    lineup = Lineup((seat(Role.CHAMPION, (-math.inf, version("1")), (10.0, version("2"))),))
    assert spoken(lineup, [9.9, 10.0, 11.0]) == {
        9.9: [(Role.CHAMPION, "1")],
        10.0: [(Role.CHAMPION, "2")],
        11.0: [(Role.CHAMPION, "2")],
    }


def test_a_challenger_that_has_become_the_champion_says_nothing_twice() -> None:
    old, new = version("1"), version("2")
    lineup = Lineup((seat(Role.CHAMPION, (-math.inf, old), (10.0, new)), seat(Role.CHALLENGER, (5.0, new))))
    assert spoken(lineup, [4.0, 5.0, 10.0]) == {
        4.0: [(Role.CHAMPION, "1")],
        5.0: [(Role.CHAMPION, "1"), (Role.CHALLENGER, "2")],
        10.0: [(Role.CHAMPION, "2")],
    }


@given(st.lists(st.floats(0.0, 100.0), unique=True, max_size=8), st.lists(st.floats(0.0, 100.0), max_size=20))
def test_whatever_the_batch_each_forecast_is_made_once_and_by_who_speaks_then(
    changes: list[float], times: list[float]
) -> None:
    tenures = [(-math.inf, version("0")), *((since, version(str(since))) for since in sorted(changes))]
    one = seat(Role.CHAMPION, *tenures)
    shares = Lineup((one,)).shares([due(time) for time in times])
    made = [(item.as_of, share.model) for share in shares for item in share.dues]
    assert sorted(time for time, _ in made) == sorted(times)
    assert all(model is one.at(time) for time, model in made)
