"""Whatever is read and done in whatever order: after a crash what was not done is done, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.delivery.progress import MAX_NOTE_BYTES, Note, PartitionProgress, where_to_go_on

OFFSETS = st.lists(st.integers(0, 3000), unique=True, max_size=40).map(sorted)
"""Of the records of a partition: marks of transactions leave gaps."""


@given(OFFSETS, st.data())
def test_after_any_crashes_each_record_is_done_and_none_twice(offsets: list[int], data: st.DataObject) -> None:
    note = Note(0)
    done: list[int] = []
    for _ in range(3):
        progress = PartitionProgress(note)
        at_hand = [offset for offset in offsets if offset >= progress.position]
        read = at_hand[: data.draw(st.integers(0, len(at_hand)))]
        wanted = [offset for offset in read if progress.read(offset)]
        finished = [offset for offset in wanted if data.draw(st.booleans())]
        for offset in finished:
            progress.done(offset)
        done += finished
        kept = progress.note(None)
        note = Note.read(kept.offset, kept.metadata())  # the crash
        assert note == kept
    last = PartitionProgress(note)
    done += [offset for offset in offsets if offset >= last.position and last.read(offset)]
    assert sorted(done) == offsets


@given(OFFSETS.filter(bool), st.data())
def test_what_is_to_be_heard_again_is_read_again_and_not_done_again(offsets: list[int], data: st.DataObject) -> None:
    progress = PartitionProgress(Note(0))
    for offset in offsets:
        progress.read(offset)
        progress.done(offset)
    keep_from = data.draw(st.sampled_from(offsets))
    kept = progress.note(keep_from)
    again = PartitionProgress(Note.read(kept.offset, kept.metadata()))
    assert again.position == keep_from
    assert not any(again.read(offset) for offset in offsets if offset >= again.position)


@given(st.lists(st.sampled_from("ab"), max_size=30), st.data())
def test_after_any_crashes_it_is_known_what_is_open(posts: list[str], data: st.DataObject) -> None:
    """Each record opens the alert of its post, or resolves it."""
    note = Note(0)
    topic = [(post, data.draw(st.booleans())) for post in posts]
    for _ in range(4):
        progress = PartitionProgress(note)
        known: dict[str, int] = {}  # of each open alert the newest record
        for offset in range(progress.position, data.draw(st.integers(progress.position, len(topic)))):
            if progress.read(offset) and data.draw(st.booleans()):
                progress.done(offset)
            post, is_open = topic[offset]
            known.pop(post, None)
            if is_open:
                known[post] = offset
            kept = progress.note(min(known.values(), default=None))
            note = Note.read(kept.offset, kept.metadata())  # the process may be killed behind any record
    known = {}
    for offset in range(PartitionProgress(note).position, len(topic)):
        known |= {topic[offset][0]: offset} if topic[offset][1] else {topic[offset][0]: -1}
    newest = {post: offset if is_open else -1 for offset, (post, is_open) in enumerate(topic)}
    assert {post for post, offset in known.items() if offset >= 0} == {p for p, offset in newest.items() if offset >= 0}


@given(st.sets(st.integers(0, 10**15), max_size=256), st.none() | st.integers(0, 10**15))
def test_a_note_fits_beside_an_offset_and_never_tells_of_too_much(undone: set[int], keep_from: int | None) -> None:
    note = Note(max(undone, default=0) + 1, tuple(sorted(undone)), keep_from)
    assert len(note.metadata()) <= MAX_NOTE_BYTES
    read = Note.read(note.offset, note.metadata())
    assert read.keep_from == keep_from
    assert not any(read.is_done(offset) for offset in undone)


def test_256_records_that_lie_close_fit_whole() -> None:
    note = Note(10**12 + 100_000, tuple(range(10**12, 10**12 + 100_000, 400)), keep_from=10**12 - 5_000_000)
    assert len(note.undone) == 250
    assert Note.read(note.offset, note.metadata()) == note


def test_without_a_note_all_from_the_offset_on_is_to_be_done() -> None:
    for metadata in ("", "2 1  3", "1 x  ", "1"):
        assert Note.read(7, metadata) == Note(7)


def test_what_kafka_has_removed_is_not_waited_for() -> None:
    progress = PartitionProgress(Note(10, undone=(3, 8)), first=6)
    assert progress.position == 6
    assert progress.note(None) == Note(10, undone=(8,))


@pytest.mark.parametrize(
    ("found", "options", "note"),
    [
        (Note(-1), {}, Note(7)),
        (Note(-1), {"from_the_beginning": True}, Note(0)),
        (Note(-1), {"hear_all": True}, Note(7, keep_from=0)),
        (Note(-1), {"from_the_beginning": True, "hear_all": True}, Note(0)),
        (Note(5, undone=(3,)), {"from_the_beginning": True}, Note(5, undone=(3,))),
        (Note(7), {}, Note(7)),
        (Note(8, keep_from=2), {"hear_all": True}, Note(0)),  # the topic was made anew: it ends before
    ],
)
def test_where_a_target_goes_on(found: Note, options: dict[str, bool], note: Note) -> None:
    assert where_to_go_on(found, 7, **{"from_the_beginning": False, "hear_all": False, **options}) == note
