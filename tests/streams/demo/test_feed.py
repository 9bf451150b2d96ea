"""The demo's stream: the warm-up at once, then event time at its speed, silences cut, an end for every forecast."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import pytest

from graph import decode_event
from graph.errors import UserError
from streams.demo import feed as feed_module
from streams.demo.feed import LONGEST_SILENCE_SECONDS, Feed, Pace, simulated_records
from streams.kafka.control_records import WATERMARK_HEADER
from streams.replay.records import Record


class RecordedDelivery:
    """Stands in for Kafka: notes when each record came."""

    def __init__(
        self, servers: str, topic: str, stop: threading.Event, *, tolerate_refused: bool, security: object
    ) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.markers: list[tuple[int, tuple[str, bytes]]] = []
        self.acknowledged = 0
        deliveries.append(self)

    def send(self, key: bytes | None, value: bytes) -> bool:
        self.sent.append((time.monotonic(), value))
        return True

    def serve(self, seconds: float) -> None:
        time.sleep(seconds)

    def close_lot(self) -> None:
        pass

    def settle(self) -> None:
        self.acknowledged = len(self.sent)

    def send_to_each_partition(self, partitions: int, header: tuple[str, bytes]) -> None:
        self.markers.append((partitions, header))

    def abandon(self) -> None:
        pass


deliveries: list[RecordedDelivery] = []


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    deliveries.clear()
    monkeypatch.setattr(feed_module, "OrderedDelivery", RecordedDelivery)


def at(*times: float) -> list[Record]:
    return [(b"c", repr(one).encode(), one) for one in times]


def published(records: list[Record], pace: Pace, patience: float = 10.0) -> tuple[Feed, RecordedDelivery]:
    feed = Feed(lambda stop: iter(records), pace)
    feed.prepare()
    feed.publish("nowhere:1", "social.events", 4)
    deadline = time.monotonic() + patience
    while not feed.ended and feed.error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    feed.stop()
    return feed, deliveries[0]


def test_the_warm_up_comes_at_once_and_then_event_time_passes_at_its_speed() -> None:
    feed, delivery = published(at(0, 50, 99, 100, 150, 200), Pace(speed=200.0, warmup_seconds=100.0))
    moments = [moment - delivery.sent[0][0] for moment, _ in delivery.sent]
    assert moments[2] < 0.1
    assert moments[4] - moments[3] == pytest.approx(0.25, abs=0.1)
    assert moments[5] - moments[3] == pytest.approx(0.5, abs=0.1)
    assert (feed.ended, feed.sent, feed.acknowledged, feed.event_time) == (True, 6, 6, 200)


def test_a_long_silence_is_cut_and_the_pace_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LONGEST_SILENCE_SECONDS > 0.3
    monkeypatch.setattr(feed_module, "LONGEST_SILENCE_SECONDS", 0.3)
    years = 1e8
    _, delivery = published(at(0, years, years + 20), Pace(speed=100.0, warmup_seconds=0.0))
    first, second, third = (moment for moment, _ in delivery.sent)
    assert second - first == pytest.approx(0.3, abs=0.15)
    assert third - second == pytest.approx(0.2, abs=0.1)


def test_without_a_speed_nothing_waits() -> None:
    began = time.monotonic()
    feed, _ = published(at(*range(0, 10**6, 1000)), Pace(speed=math.inf, warmup_seconds=0.0))
    assert feed.sent == 1000
    assert time.monotonic() - began < 2.0


def test_the_end_of_the_stream_moves_every_partitions_clock_on() -> None:
    _, delivery = published(at(0, 1000), Pace(speed=math.inf))
    ((partitions, (name, value)),) = delivery.markers
    assert partitions == 4
    assert name == WATERMARK_HEADER
    assert float(value) > 1000 + 60


def test_a_stop_comes_through_a_wait_and_marks_no_end() -> None:
    feed = Feed(lambda stop: iter(at(0, 2, 3)), Pace(speed=1.0, warmup_seconds=0.0))
    feed.prepare()
    feed.publish("nowhere:1", "social.events", 4)
    time.sleep(0.2)
    began = time.monotonic()
    feed.stop()
    assert time.monotonic() - began < 1.0
    assert (feed.ended, feed.sent, deliveries[0].markers) == (False, 1, [])
    assert feed.acknowledged == 1


def test_what_breaks_the_stream_is_told_and_not_raised_in_the_thread() -> None:
    def broken(stop: threading.Event) -> Iterator[Record]:
        yield from at(1)
        raise UserError("file:2: not an event")

    feed = Feed(broken, Pace(speed=math.inf))
    feed.prepare()
    feed.publish("nowhere:1", "social.events", 4)
    feed._thread.join(5)
    assert str(feed.error) == "file:2: not an event"
    assert not feed.ended


def test_a_stream_without_an_event_is_an_error_that_says_so() -> None:
    feed = Feed(lambda stop: iter(()), Pace())
    feed.prepare()
    feed._thread.join(5)
    assert isinstance(feed.error, UserError)
    assert "no event" in str(feed.error)


def test_the_simulated_stream_is_ordered_valid_keyed_and_the_same_for_the_same_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "SIMULATED_HOURS", 2.0)
    one, again, other = (list(simulated_records(seed)(threading.Event())) for seed in (7, 7, 8))
    assert one == again
    assert one != other
    assert [event_time for *_, event_time in one] == sorted(event_time for *_, event_time in one)
    for key, value, event_time in one[:500]:
        event = decode_event(value)
        assert (key, event_time) == (event.cascade.encode(), event.time)  # type: ignore[union-attr]
