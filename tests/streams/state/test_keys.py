"""The order of a log by its keys: what counts when several have written."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.state.keys import LogPosition, in_order, new_owner
from streams.state.squeezing import DamagedStateError, StateError


def order_of(keys: list[bytes]) -> list[tuple[int, int]]:
    return [record.position[:2] for record in in_order((key, b"") for key in reversed(keys))]


def test_without_owners_each_has_its_part() -> None:
    positions = [(1, 0), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (4, 3), (4, 4)]
    found = order_of([LogPosition(*position).key() for position in positions])
    assert found == [(1, 0), (1, 1), (2, 2), (4, 3), (4, 4)]


def test_an_epoch_goes_on_from_records_without_owners() -> None:
    positions = [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2)]
    keys = [LogPosition(*position).key() for position in positions]
    keys += [LogPosition(3, 2, 7).key(after=LogPosition(2, 1)), LogPosition(3, 3, 7).key()]
    assert order_of(keys) == [(1, 0), (2, 1), (3, 2), (3, 3)]


def test_an_epoch_whose_first_record_was_cleaned_is_the_oldest_there_is() -> None:
    keys = [LogPosition(2, 5, 9).key(), LogPosition(2, 6, 9).key()]
    keys += [LogPosition(3, 7, 4).key(after=LogPosition(2, 6, 9)), LogPosition(2, 7, 8).key()]
    assert order_of(keys) == [(2, 5), (2, 6), (3, 7)]


def test_an_empty_log() -> None:
    assert in_order([]) == []


@pytest.mark.parametrize("key", [b"", bytes(11), bytes(15), bytes(31), bytes(33)])
def test_bytes_that_are_no_key(key: bytes) -> None:
    with pytest.raises(StateError, match=f"its key has {len(key)} bytes, not 12, 16 or 32"):
        in_order([(key, b"")])


def test_an_epoch_that_goes_on_from_a_later_one() -> None:
    with pytest.raises(StateError, match="epoch 2 goes on from epoch 2"):
        in_order([(LogPosition(2, 1, 5).key(after=LogPosition(2, 0, 4)), b"")])


@pytest.mark.parametrize("missing", [(2, 6, 9), (2, 7, 9), (3, 9, 4)])
def test_a_record_that_is_missing_between_others(missing: tuple[int, int, int]) -> None:
    before, opening = LogPosition(2, 7, 9), LogPosition(3, 8, 4)
    positions = [LogPosition(2, 5, 9), LogPosition(2, 6, 9), before, opening, *(LogPosition(3, n, 4) for n in (9, 10))]
    keys = {position: position.key(before if position == opening else None) for position in positions}
    assert len(order_of(list(keys.values()))) == len(positions)
    del keys[LogPosition(*missing)]
    with pytest.raises(DamagedStateError, match=f"1 of the records of epoch {missing[0]} are missing between others"):
        in_order([(key, b"") for key in keys.values()])


def test_the_order_of_keys_as_bytes_is_that_of_positions() -> None:
    positions = [
        LogPosition(*numbers) for numbers in itertools.product((1, 2, 300), (0, 255, 256, 70_000), (1, 2, 999))
    ]
    after = LogPosition(0, 0, 1)
    keys = [position.key(after if at % 2 else None) for at, position in enumerate(positions)]
    assert keys == sorted(keys)


@dataclass
class Owner:
    """A worker that owns the partition, or thinks so: what it has read, and what it wrote."""

    number: int
    epoch: int
    history: list[bytes] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    next_sequence: int = 0

    def write(self, after: LogPosition | None = None) -> None:
        key = LogPosition(self.epoch, self.next_sequence, self.number).key(after)
        self.next_sequence += 1
        self.history.append(key)
        self.written.append(key)


@given(st.data())
def test_the_newest_record_and_all_that_its_owner_knew_counts(data: st.DataObject) -> None:
    """Owners that read each other's logs up to any record, and write on at any time."""
    owners: list[Owner] = []
    history_at: dict[bytes, list[bytes]] = {}

    def note(owner: Owner) -> None:
        history_at[owner.history[-1]] = list(owner.history)

    for _ in range(data.draw(st.integers(1, 6), label="owners")):
        read_up_to = data.draw(st.sets(st.sampled_from(list(history_at)), max_size=3)) if history_at else set()
        seen = {key for last in read_up_to for key in history_at[last]}
        read = in_order((key, b"") for key in seen)
        newest = read[-1].position if read else None
        opened = Owner(new_owner(), 1, [record.key for record in read])
        if newest is not None:
            opened.epoch, opened.next_sequence = newest.epoch + 1, newest.sequence + 1
        owners.append(opened)
        opened.write(newest)
        note(opened)
        for owner in data.draw(st.lists(st.sampled_from(owners), max_size=6), label="writers"):
            owner.write()
            note(owner)
    everything = [key for owner in owners for key in owner.written]
    found = in_order((key, b"") for key in data.draw(st.permutations(everything)))
    assert [record.key for record in found] == history_at[max(everything)]
