"""What the aliases of a model mean, at any event time, whoever writes them and however they were left."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.errors import ModelStoreError
from forecasters.promotions import ALIASES_FILE, Promotion, Promotions, changing

ALWAYS = -math.inf
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.just(ALWAYS), st.integers(0, 5).map(float))), max_size=8
)


def promoted(steps: list[tuple[str, float]], base: str | None = None) -> Promotions:
    """The promotions that decide these steps one after the other; ``base`` is what spoke before the first."""
    found = Promotions({})
    for version, since in steps:
        found = found.promoted(Promotion("champion", version, found.aliases.get("champion", base), since))
    return found


def meant(promotions: Promotions, as_of: float) -> str | None:
    return next((v for since, v in reversed(promotions.tenures("champion")) if since <= as_of), None)


@given(STEPS, st.integers(-1, 6).map(float))
def test_at_every_time_the_latest_decision_that_counts_then_wins(steps: list[tuple[str, float]], as_of: float) -> None:
    counting = [version for version, since in steps if since <= as_of]
    assert meant(promoted(steps, "base"), as_of) == (counting[-1] if counting else "base" if steps else None)


@given(STEPS)
def test_tenures_ascend_and_the_file_keeps_all(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, float]]
) -> None:
    promotions = promoted(steps, "base")
    times = [since for since, _ in promotions.tenures("champion")]
    assert times == sorted(set(times))
    folder = tmp_path_factory.mktemp("model")
    promotions.write(folder)
    assert Promotions.read(folder) == promotions


@given(STEPS, st.tuples(st.sampled_from("abc"), st.just(ALWAYS)))
def test_rolling_back_undoes_a_promotion(steps: list[tuple[str, float]], last: tuple[str, float]) -> None:
    assert promoted([*steps, last]).rolled_back("champion") == promoted(steps)


def test_there_must_be_something_to_roll_back() -> None:
    assert promoted([("a", ALWAYS)]).rolled_back("challenger") is None


def test_an_alias_set_by_hand_counts() -> None:
    by_hand = Promotions({"champion": "z"}, promoted([("a", ALWAYS), ("b", 3.0)]).history)
    assert by_hand.tenures("champion") == ((ALWAYS, "z"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"aliases": []}',
        '{"aliases": {}, "history": [3]}',
        '{"aliases": {}, "history": [{"alias": "champion"}]}',
        '{"aliases": {}, "history": [{"alias": "champion", "version": "1", "from": NaN}]}',
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / ALIASES_FILE).write_text(text)
    with pytest.raises(ModelStoreError, match=r"aliases\.json"):
        Promotions.read(tmp_path)


def test_nothing_was_decided_where_there_is_no_file(tmp_path: Path) -> None:
    assert Promotions.read(tmp_path / "none").tenures("champion") == ()


def test_of_many_who_promote_at_once_none_is_forgotten_and_readers_see_whole_files(tmp_path: Path) -> None:
    def promote(number: int) -> None:
        with changing(tmp_path):
            found = Promotions.read(tmp_path)
            found.promoted(Promotion("champion", str(number), found.aliases.get("champion"))).write(tmp_path)

    def read(_: int) -> int:
        return len(Promotions.read(tmp_path).history)

    with ThreadPoolExecutor(8) as pool:
        seen = pool.map(read, range(200))
        list(pool.map(promote, range(40)))
        assert max(seen) <= 40
    history = Promotions.read(tmp_path).history
    assert sorted(int(step.version) for step in history) == list(range(40))
    assert [step.previous for step in history[1:]] == [step.version for step in history[:-1]]
    assert json.loads((tmp_path / ALIASES_FILE).read_text())["aliases"] == {"champion": history[-1].version}
    assert not list(tmp_path.glob(".aliases.json.*")), "nothing half-written stays"
