"""How long forecasts stop when a worker is killed: ``python -m tests.integration.failover``.

Starts a Kafka and two workers, gives them many live cascades, then a steady stream of events of the present moment,
kills one worker without warning and waits for the other to forecast the dead one's partitions. ``--standby 0`` shows
what a warm copy of the state is worth.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from streams.broker import EmbeddedBroker
from streams.kafka.partitioner import partition_of
from tests.integration.harness import PARTITIONS, Stream, Worker


class Feed:
    """Events with the present moment as their time, to every partition, until stopped."""

    def __init__(self, stream: Stream, events_per_second: float) -> None:
        self._stream = stream
        self._pause = 1.0 / events_per_second
        self._producer = Producer(
            {
                "bootstrap.servers": stream.bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "log_level": 2,
            }
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def load(self, cascades: int, events_each: int) -> None:
        """Live cascades from the last hours."""
        now = time.time()
        for number in range(cascades):
            start = now - 7200 + 3600 * number / cascades
            self._send({"id": f"c{number}", "cascade": f"c{number}", "kind": "post", "time": start, "user": "u"})
            for event in range(events_each):
                self._send(repost(f"c{number}", event, start + 1 + event))
        self._producer.flush()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._producer.flush()

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(self._pause):
            self._send(repost(f"c{number % 200}", 1_000_000 + number, time.time()))
            number += 1

    def _send(self, event: dict[str, Any]) -> None:
        while True:
            try:
                self._producer.produce(f"{self._stream.prefix}.events", json.dumps(event), event["cascade"])
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)


def repost(cascade: str, number: int, at: float) -> dict[str, Any]:
    return {
        "id": f"{cascade}-{number}", "cascade": cascade, "kind": "repost", "time": at, "user": f"u{number}",
        "parent": cascade,
    }  # fmt: skip


def forecasts(stream: Stream) -> Iterator[tuple[int, float]]:
    """Partition and broker time of each new forecast, as they come."""
    consumer = Consumer({"bootstrap.servers": stream.bootstrap_servers, "group.id": "failover", "log_level": 2})
    topic = f"{stream.prefix}.forecasts"
    consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in range(stream.partitions)])
    while True:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            yield partition_of(message.key().decode(), stream.partitions), message.timestamp()[1] / 1000
        else:
            yield -1, time.time()


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    with EmbeddedBroker() as broker:
        settings = {
            "MODELS": "seismic",
            "FORECAST_DELAY_SECONDS": "1",
            "ALLOWED_LATENESS_SECONDS": "0",
            "SESSION_TIMEOUT_SECONDS": str(options.session_timeout),
            "STANDBY_REPLICAS": str(options.standby),
            "SHED": "true",
        }
        stream = Stream(broker.bootstrap_servers, "failover", settings).create()
        feed = Feed(stream, options.rate)
        with Worker(stream, directory, "one") as one, Worker(stream, directory, "two") as two:
            for worker in (one, two):
                worker._wait(lambda worker=worker: len(owned(worker)) == PARTITIONS // 2, 120, "sharing")
            feed.load(options.cascades, options.events_each)
            one._wait(lambda: stream.is_consumed([one, two]) and one.idle() and two.idle(), 600, "loaded")
            if options.standby:
                two._wait(lambda: two.metrics()["cascadecast_standby_records_remaining"] == 0, 120, "copied")
            feed.start()
            try:
                return gap(stream, one, two)
            finally:
                feed.stop()


def owned(worker: Worker) -> list[int]:
    status, page = worker.get("/readyz")
    found: list[int] = json.loads(page)["partitions"] if status == 200 else []
    return found


def gap(stream: Stream, one: Worker, two: Worker) -> dict[str, Any]:
    """Kill ``one`` while forecasts flow; when each of its partitions is forecast again."""
    lost = set(owned(one))
    seen: set[int] = set()
    killed_at = 0.0
    again: dict[int, float] = {}
    for partition, at in forecasts(stream):
        if not killed_at:
            seen.add(partition)
            if seen >= lost:
                killed_at = time.time()
                one.kill()
        elif partition in lost - set(again) and at > killed_at + 1.0:  # later than what was under way
            again[partition] = at - killed_at
        if killed_at and (len(again) == len(lost) or time.time() - killed_at > 300):
            break
    return {
        "partitions_lost": sorted(lost),
        "seconds_until_first": round(min(again.values()), 2),
        "seconds_until_all": round(max(again.values()), 2),
        "recovery_seconds": {
            name.partition('"')[2].rstrip('"}'): round(value, 3)
            for name, value in two.metrics().items()
            if name.startswith("cascadecast_recovery_seconds")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--standby", type=int, default=1, help="copies of each partition's state (0 or 1)")
    parser.add_argument("--cascades", type=int, default=20_000)
    parser.add_argument("--events-each", type=int, default=10)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second while a worker is killed")
    parser.add_argument("--session-timeout", type=float, default=6.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cascadecast-failover-") as directory:
        found = measure(options, Path(directory))
    result = {
        "command": "failover", "machine": platform.platform(), "standby_replicas": options.standby,
        "session_timeout_seconds": options.session_timeout, "cascades": options.cascades,
        "events": options.cascades * (1 + options.events_each), **found,
    }  # fmt: skip
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:28} {value}", file=sys.stdout)


if __name__ == "__main__":
    main()
