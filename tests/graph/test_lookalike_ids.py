"""Ids that look alike are not alike: nothing is folded, trimmed or normalised, and no two are merged."""

from __future__ import annotations

import unicodedata
from itertools import combinations

import msgspec
import pytest

from graph import Cascade, CascadeStore, Event, Kind, Outcome, decode_event
from graph.identity import key_of

ALIKE = [
    "admin",
    "Admin",
    "\u0430dmin",  # Cyrillic a
    "admin\u200b",  # zero-width space
    "admin\u00ad",  # soft hyphen
    "\u202eadmin",  # right-to-left override
    "\ufeffadmin",
    " admin",
    "caf\u00e9",
    unicodedata.normalize("NFD", "caf\u00e9"),
    "\u212b",  # Angstrom sign
    "\u00c5",
    "\ufb01",  # the ligature fi
    "fi",
    "\u0661",  # Arabic-Indic one
    "1",
]


@pytest.mark.parametrize("name", ALIKE)
def test_an_id_comes_back_as_it_came(name: str) -> None:
    raw = msgspec.json.encode({"id": name, "cascade": name, "kind": "post", "time": 1.0, "user": name})
    event = decode_event(raw)
    assert isinstance(event, Event)
    assert (event.id, event.cascade, event.user) == (name, name, name)
    assert decode_event(msgspec.json.encode(event)) == event


def test_no_two_are_merged_as_cascades_events_or_users() -> None:
    store = CascadeStore()
    for name in ALIKE:
        assert store.apply(Event(name, name, Kind.POST, 1.0)) is Outcome.APPLIED
    assert len(store) == len(ALIKE)
    cascade = Cascade("c")
    cascade.apply(Event("c", "c", Kind.POST, 1.0))
    for number, name in enumerate(ALIKE):
        assert cascade.apply(Event(name, "c", Kind.REPOST, 2.0 + number, name)) is Outcome.APPLIED
    assert cascade.size == cascade.users == len(ALIKE)
    assert all(key_of(one) != key_of(other) for one, other in combinations(ALIKE, 2))


def test_of_a_key_that_comes_twice_the_last_counts_on_the_fast_way_and_on_the_careful_one() -> None:
    for tail in (b"", b', "followers": 5.0'):  # what only the careful way reads
        event = decode_event(
            b'{"id": "a", "cascade": "c", "kind": "repost", "time": 1, "time": 2, "id": "b"' + tail + b"}"
        )
        assert isinstance(event, Event)
        assert (event.id, event.time) == ("b", 2.0)
