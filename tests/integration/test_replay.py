"""Replay on a real Kafka: each event once, in event-time order, on the partition all clients agree on."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.partitioner import murmur2
from confluent_kafka import Consumer, Message, TopicPartition

from graph import Event, Kind, write_events
from streams.broker import EmbeddedBroker
from streams.kafka.control_records import WATERMARK_HEADER
from streams.kafka.topics import create_topics, declared_topics
from streams.replay.publishing import ReplayPlan, replay

PARTITIONS = 4


def make_events(count: int, seed: int = 1) -> list[Event]:
    """Cascades one after another, so the file as a whole is not in time order; some times are equal."""
    chance = random.Random(seed)
    events = []
    for number in range(max(1, count // 20)):
        root, begin = f"c{seed}-{number}", float(chance.randrange(1_000_000, 1_050_000))
        events.append(Event(root, root, Kind.POST, begin, user="ü", followers=number))
        for child in range(19):
            when = begin + chance.randrange(0, 500)
            events.append(Event(f"{root}-{child}", root, Kind.REPOST, when, parent=root))
    return events


@pytest.fixture
def prefix(kafka: EmbeddedBroker, topic_prefix: str) -> str:
    create_topics(kafka.bootstrap_servers, declared_topics(PARTITIONS, prefix=topic_prefix))
    return topic_prefix


def consume(kafka: EmbeddedBroker, prefix: str) -> dict[int, list[Message]]:
    """Everything on the events topic, by partition."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "none", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(f"{prefix}.events", number, 0) for number in range(PARTITIONS)])
    found: dict[int, list[Message]] = defaultdict(list)
    ended = 0
    deadline = time.monotonic() + 30
    while ended < PARTITIONS:
        assert time.monotonic() < deadline
        for message in consumer.consume(10_000, timeout=0.2):
            if message.error() is None:
                found[message.partition() or 0].append(message)
            else:
                ended += 1
    consumer.close()
    return found


def split_markers(found: dict[int, list[Message]]) -> tuple[dict[int, list[Message]], dict[int, float]]:
    """Events by partition, and the watermark of the marker that must be the last record of each."""
    marks = {}
    for number, messages in found.items():
        last = messages[-1]
        headers = dict(last.headers() or [])
        if WATERMARK_HEADER in headers:
            assert last.value() == b""
            assert last.key() is None
            value = headers[WATERMARK_HEADER]
            marks[number] = float(value if isinstance(value, str) else (value or b"").decode())
            messages.pop()
    return found, marks


def decoded(messages: list[Message]) -> list[dict[str, Any]]:
    return [json.loads(message.value() or b"null") for message in messages]


def test_every_event_once_in_time_order_on_the_right_partition(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    events = make_events(3000)
    path = tmp_path / "events.jsonl.zst"
    write_events(path, events)
    summary = replay(ReplayPlan(str(path), kafka.bootstrap_servers, prefix))
    by_partition, marks = split_markers(consume(kafka, prefix))
    assert (summary.acknowledged, summary.complete, summary.markers) == (len(events), True, PARTITIONS)
    published = []
    for number, messages in by_partition.items():
        values = decoded(messages)
        times = [value["time"] for value in values]
        assert times == sorted(times)
        for message, value in zip(messages, values, strict=True):
            assert (message.key() or b"").decode() == value["cascade"]
            assert (murmur2(message.key()) & 0x7FFFFFFF) % PARTITIONS == number
        published += values
    expected = [json.loads(msgspec.json.encode(event)) for event in events]
    assert sorted(published, key=lambda value: value["id"]) == sorted(expected, key=lambda value: value["id"])
    assert all(None not in value.values() for value in published)
    assert marks == dict.fromkeys(range(PARTITIONS), max(event.time for event in events) + 3600.0)


def test_no_drain_no_marker_and_a_limit_ends_early(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, make_events(200))
    summary = replay(ReplayPlan(str(path), kafka.bootstrap_servers, prefix, drain_seconds=0, limit=50))
    _, marks = split_markers(consume(kafka, prefix))
    assert (summary.acknowledged, summary.complete, marks) == (50, False, {})


PROGRAM = """
import sys
from pathlib import Path
from streams.kafka.control_records import WATERMARK_HEADER
from streams.replay.publishing import ReplayPlan, replay
source, broker, prefix, position, speed = sys.argv[1:]
summary = replay(ReplayPlan(source, broker, prefix, float(speed), position=Path(position)))
print(summary.sent, summary.skipped, summary.complete)
"""


def test_goes_on_without_loss_after_a_kill(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    events = make_events(10_000)
    path, position = tmp_path / "events.jsonl", tmp_path / "position"
    write_events(path, events)
    span = max(event.time for event in events) - min(event.time for event in events)
    command = [sys.executable, "-c", PROGRAM, str(path), kafka.bootstrap_servers, prefix, str(position)]
    first = subprocess.Popen([*command, str(span / 8)])  # would take 8 s
    deadline = time.monotonic() + 30
    while not (position.exists() and json.loads(position.read_bytes())["acknowledged"] > 1000):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    reached = json.loads(position.read_bytes())["acknowledged"]
    second = subprocess.run([*command, "inf"], capture_output=True, text=True, check=True)
    assert second.stdout.split() == [str(len(events) - reached), str(reached), "True"]
    by_partition, marks = split_markers(consume(kafka, prefix))
    counts = Counter(value["id"] for messages in by_partition.values() for value in decoded(messages))
    assert counts.keys() == {event.id for event in events}
    assert sum(counts.values()) - len(events) < len(events) / 4  # repeats at the seam only
    assert len(marks) == PARTITIONS
    third = subprocess.run([*command, "inf"], capture_output=True, text=True, check=True)
    assert third.stdout.split() == ["0", str(len(events)), "True"]


def test_asked_to_stop_it_flushes_and_says_so(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, make_events(2000))
    stop = threading.Event()

    def stop_once_something_went(sent: int, _: float) -> None:
        if sent:
            stop.set()

    plan = ReplayPlan(str(path), kafka.bootstrap_servers, prefix, speed=2000.0)
    summary = replay(plan, stop=stop, progress=stop_once_something_went)
    by_partition, marks = split_markers(consume(kafka, prefix))
    assert summary.interrupted
    assert not summary.complete
    assert 0 < summary.sent < 2000
    assert sum(map(len, by_partition.values())) == summary.acknowledged == summary.sent
    assert marks == {}


def test_paced_replay_takes_the_time_it_should(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, [Event(f"c{n}", f"c{n}", Kind.POST, 1000.0 + 10.0 * n) for n in range(11)])
    summary = replay(ReplayPlan(str(path), kafka.bootstrap_servers, prefix, speed=100.0))
    assert 1.0 <= summary.seconds < 4.0


def test_raw_lines_arrive_as_they_stand(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    good = b'{ "id":"a", "cascade":"a", "kind":"post", "time":5.0 }'
    keyed = b'{"id":"b","cascade":"a","kind":"post","time":"never"}'
    lines = [good, b'{"id":', b"\xff\xfe", keyed, b" ", b'{"text":"' + b"x" * 1_000_000 + b'"}']
    path = tmp_path / "garbage.jsonl"
    path.write_bytes(b"\n".join(lines))
    summary = replay(ReplayPlan(str(path), kafka.bootstrap_servers, prefix, raw=True))
    by_partition, marks = split_markers(consume(kafka, prefix))
    messages = [message for part in by_partition.values() for message in part]
    assert sorted(message.value() or b"" for message in messages) == sorted(lines)
    keys = {message.value(): message.key() for message in messages}
    assert (keys[good], keys[keyed], keys[b'{"id":']) == (b"a", b"a", None)
    assert set(marks.values()) == {5.0 + 3600.0}
    assert (summary.acknowledged, summary.refused) == (len(lines), 0)


def test_raw_lines_are_paced_by_the_times_they_tell(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> None:
    """What has no time, or an earlier one than its predecessor, goes at once."""
    path = tmp_path / "captured.jsonl"
    told = [
        b'{"id":"%d","cascade":"c","kind":"repost","time":%d}' % (n, time) for n, time in enumerate((1000, 900, 1200))
    ]
    path.write_bytes(b"\n".join([b"no event", *told]))
    summary = replay(ReplayPlan(str(path), kafka.bootstrap_servers, prefix, speed=100.0, raw=True))
    assert 2.0 <= summary.seconds < 8.0
    assert (summary.acknowledged, summary.complete) == (4, True)


def test_a_raw_line_too_large_for_the_broker_is_counted_and_harms_no_other(
    kafka: EmbeddedBroker, prefix: str, tmp_path: Path
) -> None:
    noise = random.Random(1).randbytes(1_500_000).replace(b"\n", b" ")
    path = tmp_path / "garbage.jsonl"
    path.write_bytes(b"\n".join([b"before", noise, b"after"]))
    summary = replay(ReplayPlan(str(path), kafka.bootstrap_servers, prefix, raw=True))
    values = [message.value() for part in consume(kafka, prefix).values() for message in part]
    assert sorted(value or b"" for value in values) == [b"after", b"before"]
    assert (summary.acknowledged, summary.refused, summary.complete) == (2, 1, True)
