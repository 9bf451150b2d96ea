"""Hypothesis strategies for event sequences that real data only rarely manages to be: few ids, so that they collide."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from graph import Event, Kind

CASCADE = "c"
IDS = [f"e{number}" for number in range(8)]
ROOT_IDS = [CASCADE, "p"]
TIMES = st.sampled_from([0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 9.0]) | st.floats(0, 10, width=32)
AS_OF = st.sampled_from([-1.0, 0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, float("inf")]) | st.floats(0, 12, width=32)
USERS = st.sampled_from([None, "u", "v", "w"])
FOLLOWERS = st.none() | st.integers(0, 1000)


def posts() -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        id=st.sampled_from([*ROOT_IDS, "e0"]),
        cascade=st.just(CASCADE),
        kind=st.just(Kind.POST),
        time=TIMES,
        user=USERS,
        followers=FOLLOWERS,
        verified=st.none() | st.booleans(),
        lang=st.sampled_from([None, "en"]),
        source=st.sampled_from([None, "weibo"]),
    )


def reactions(ids: Sequence[str] = (*IDS, CASCADE, "p")) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        id=st.sampled_from(ids),
        cascade=st.just(CASCADE),
        kind=st.sampled_from([Kind.REPOST, Kind.REPOST, Kind.QUOTE, Kind.REPLY]),
        time=TIMES,
        user=USERS,
        parent=st.sampled_from([None, *ROOT_IDS, *IDS, "never"]),
        followers=st.just(None) | FOLLOWERS,
    )


def undos() -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        id=st.sampled_from(["undo", "e0"]),
        cascade=st.just(CASCADE),
        kind=st.just(Kind.UNDO),
        time=TIMES,
        parent=st.sampled_from([*IDS, *ROOT_IDS, "never"]),
    )


def events() -> st.SearchStrategy[Event]:
    return reactions() | reactions() | reactions() | undos() | posts()


@st.composite
def arrivals(draw: st.DrawFn, watermarked: bool = True) -> list[tuple[Event, float]]:
    """Events in order of arrival, each with the watermark it finds; watermarks never fall."""
    sequence = draw(st.lists(events(), min_size=1, max_size=25))
    if not watermarked:
        return [(event, float("-inf")) for event in sequence]
    watermarks = sorted(draw(st.lists(TIMES | st.just(float("-inf")), min_size=len(sequence), max_size=len(sequence))))
    return list(zip(sequence, watermarks, strict=True))


@st.composite
def distinct_events(draw: st.DrawFn) -> list[Event]:
    """At most one post and one reaction of each id; the ids cannot be told apart by anything but their content."""
    chosen = [draw(reactions([name])) for name in draw(st.lists(st.sampled_from(IDS), unique=True))]
    chosen += draw(st.lists(undos(), max_size=4))
    root = draw(st.none() | posts().filter(lambda event: event.id in ROOT_IDS))
    return draw(st.permutations(chosen if root is None else [*chosen, root]))
