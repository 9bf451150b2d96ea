"""Replay without a broker: positions, plans, records and the counting of acknowledgements."""

from __future__ import annotations

import gzip
import math
import threading
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from graph import Event, EventFileError, Kind, decode_event, write_events
from streams.replay.delivery import LOT_RECORDS, DeliveryError, OrderedDelivery
from streams.replay.position import Position, PositionError, load_position, save_position
from streams.replay.publishing import ReplayError, ReplayPlan, replay
from streams.replay.records import event_records, raw_records

FRESH = Position("events.jsonl", 10, "social.events", None, False, False)


def test_a_position_is_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "position"
    assert load_position(path, FRESH) == FRESH
    reached = msgspec.structs.replace(FRESH, acknowledged=7)
    save_position(path, reached)
    assert load_position(path, FRESH) == reached
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "change",
    [
        {"source": "other"},
        {"source_bytes": 11},
        {"topic": "t"},
        {"fold_seconds": 1.0},
        {"in_order": True},
        {"raw": True},
    ],
)
def test_a_position_of_another_replay_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "position"
    save_position(path, FRESH)
    with pytest.raises(PositionError, match=f"belongs to another replay.*{next(iter(change))}"):
        load_position(path, msgspec.structs.replace(FRESH, **change))


def test_a_damaged_position_is_refused_not_taken_for_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "position"
    path.write_text("{")
    with pytest.raises(PositionError, match="begin anew"):
        load_position(path, FRESH)


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 0.0},
        {"speed": math.nan},
        {"drain_seconds": -1.0},
        {"drain_seconds": math.inf},
        {"raw": True, "fold_seconds": 1.0},
        {"source": "-", "position": Path("p")},
    ],
)
def test_contradictory_plans_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ReplayError):
        ReplayPlan(**{"source": "f", "bootstrap_servers": "b", **wrong})


def test_a_missing_file_is_said_before_any_broker_is_asked(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"none\.jsonl"):
        replay(ReplayPlan(str(tmp_path / "none.jsonl"), "127.0.0.1:1"))


def test_records_are_ordered_keyed_and_carry_only_what_is_set(tmp_path: Path) -> None:
    late = Event("b", "a", Kind.REPOST, 9.0, parent="a", user="u")
    root = Event("a", "a", Kind.POST, 5.0)
    path = tmp_path / "e.jsonl"
    write_events(path, [late, root])
    records = list(event_records(str(path), threading.Event(), in_order=False, fold_seconds=None))
    assert [(key, time) for key, _, time in records] == [(b"a", 5.0), (b"a", 9.0)]
    assert [decode_event(value) for _, value, _ in records] == [root, late]
    assert records[0][1] == b'{"id":"a","cascade":"a","kind":"post","time":5.0}'


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_raw_lines_of_any_packing(tmp_path: Path, suffix: str) -> None:
    content = b'{"id":"a","cascade":"a","kind":"post","time":1}\r\n\n{broken\n{"cascade":"k"}'
    # Two frames, as when files are concatenated.
    packed = {
        "": content,
        ".gz": gzip.compress(content[:20]) + gzip.compress(content[20:]),
        ".zst": zstandard.compress(content[:20]) + zstandard.compress(content[20:]),
    }
    path = tmp_path / f"raw.jsonl{suffix}"
    path.write_bytes(packed[suffix])
    records = list(raw_records(str(path)))
    assert [(key, value) for key, value, _ in records] == [
        (b"a", content.split(b"\n")[0]),
        (None, b"{broken"),
        (b"k", b'{"cascade":"k"}'),
    ]
    assert records[0][2] == 1.0
    assert all(math.isnan(time) for _, _, time in records[1:])


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_raw_files_are_the_users_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"raw{suffix}"
    path.write_bytes(b"this is not compressed at all")
    with pytest.raises(EventFileError, match="cannot be read"):
        list(raw_records(str(path)))


class FakeError:
    """Stands for a KafkaError."""

    def __init__(self, code: int) -> None:
        self._code = code

    def code(self) -> int:
        return self._code

    def str(self) -> str:
        return f"code {self._code}"


class FakeProducer:
    """Hands out delivery reports in whatever order the test asks for; its queue holds ``room`` records."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.callbacks: deque[Any] = deque()

    def produce(self, topic: str, value: bytes, key: bytes | None, *, on_delivery: Any) -> None:
        if len(self.callbacks) >= self.room:
            raise BufferError
        self.callbacks.append(on_delivery)

    def poll(self, seconds: float) -> int:
        if seconds > 0 and self.callbacks:
            self.callbacks.popleft()(None, None)
        return 0

    def answer(self, index: int, error: FakeError | None = None) -> None:
        callback = self.callbacks[index]
        del self.callbacks[index]
        callback(error, None)


def delivery(producer: FakeProducer, *, tolerate: bool = False) -> OrderedDelivery:
    made = OrderedDelivery("127.0.0.1:1", "t", threading.Event(), tolerate_refused=tolerate)
    made._producer = producer  # type: ignore[assignment]
    return made


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_acknowledged_is_never_ahead_of_the_gap_free_prefix(lots: list[int], chance: Any) -> None:
    """Records are answered in any order; the count may lag behind the true prefix, never pass it."""
    producer = FakeProducer()
    sender = delivery(producer)
    for lot in lots:
        for _ in range(lot):
            assert sender.send(None, b"")
        sender.close_lot()
    waiting = list(range(sum(lots)))
    answered: set[int] = set()
    while waiting:
        at = chance.randrange(len(waiting))
        answered.add(waiting.pop(at))
        producer.answer(at)
        sender.serve(0.0)
        prefix = next(number for number in range(len(answered) + 1) if number not in answered)
        assert sender.acknowledged <= prefix
    assert sender.acknowledged == sum(lots)


def test_a_full_lot_is_counted_without_being_closed() -> None:
    producer = FakeProducer()
    sender = delivery(producer)
    for _ in range(LOT_RECORDS + 1):
        sender.send(None, b"")
    for _ in range(LOT_RECORDS):
        producer.answer(0)
    sender.serve(0.0)
    assert sender.acknowledged == LOT_RECORDS


def test_a_full_queue_waits_and_a_failure_is_the_users_error() -> None:
    producer = FakeProducer(room=3)
    sender = delivery(producer)
    for _ in range(10):
        assert sender.send(b"k", b"v")
    producer.answer(0, FakeError(-192))
    with pytest.raises(DeliveryError, match=r"t at 127\.0\.0\.1:1: code -192.*--resume"):
        sender.serve(0.0)


def test_refused_records_are_counted_only_where_that_is_tolerated() -> None:
    from confluent_kafka import KafkaError

    for tolerate in (True, False):
        producer = FakeProducer()
        sender = delivery(producer, tolerate=tolerate)
        sender.send(None, b"")
        sender.send(None, b"")
        sender.close_lot()
        producer.answer(0, FakeError(KafkaError.MSG_SIZE_TOO_LARGE))
        producer.answer(0)
        if tolerate:
            sender.serve(0.0)
            assert (sender.acknowledged, sender.refused) == (1, 1)
        else:
            with pytest.raises(DeliveryError):
                sender.serve(0.0)
