"""From an event to the forecast that includes it: wall time at an offered rate, as a producer and a consumer see it.

Some posts are live, each reshared all the time, so that a forecast names an event of just before it fell due. An event
carries the time at which it is sent; the forecast counts when a consumer has it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from streams.bench.installation import PREFIX, forecasts_from_now_on, produce, producer
from streams.bench.rows import row
from streams.bench.throughput import Tell

TARGET_P99_MS: Final = 500.0

LIVE_SETTINGS: Final = {
    "ALLOWED_LATENESS_SECONDS": "0",  # the one producer sends in order of time
    "FORECAST_DELAY_SECONDS": "1",
    "BATCH_WITHIN_SECONDS": "0.02",
}
"""Those that decide how long a forecast waits; all others as by default."""

TICK_SECONDS: Final = 0.005
WARM_UP_SECONDS: Final = 6.0
"""The clock of a new partition believes a time once eight cascades, or fifteen events, say so; models warm up."""


class _Named(msgspec.Struct):
    """Of a forecast, what is asked here."""

    event: str


@dataclass(frozen=True, slots=True)
class LatencyPlan:
    """``rate`` events a second over so many ``cascades``, each forecast once a second, for ``seconds``."""

    rate: float
    cascades: int = 40
    partitions: int = 8
    seconds: float = 20.0
    seed: int = 0


def run(plan: LatencyPlan, server: str, tell: Tell) -> list[dict[str, Any]]:
    """Rows of a worker that is ready, reading topics that are empty, with `LIVE_SETTINGS`; none without forecasts."""
    tell(f"latency at {plan.rate:,.0f} events a second")
    consumer = forecasts_from_now_on(server, plan.partitions, wait_ms=5)
    sent: dict[str, float] = {}
    waits: list[float] = []
    decode = msgspec.json.Decoder(_Named).decode
    began = time.time()
    feed, sender = _events(plan, began), producer(server, linger_ms=1)
    count = 0
    while (now := time.time()) < began + WARM_UP_SECONDS + plan.seconds:
        while count < (now - began) * plan.rate:
            cascade, name, value = next(feed)
            sent[name] = time.time()
            produce(sender, f"{PREFIX}.events", value, cascade.encode())
            count += 1
        sender.poll(0)
        for message in consumer.consume(1000, TICK_SECONDS):
            value = message.value()
            if value is None or message.error() is not None:
                continue
            since = sent.get(decode(value).event)
            if since is not None and since > began + WARM_UP_SECONDS:
                waits.append(time.time() - since)
    sender.flush()
    consumer.close()
    if not waits:
        return []
    p50, p95, p99 = (1000.0 * float(np.quantile(waits, share)) for share in (0.5, 0.95, 0.99))
    told = f"{plan.rate:,.0f} events/s, {len(waits) / plan.seconds:,.0f} forecasts/s"
    return [
        row(f"event to forecast, p50, at {told}", p50, "ms"),
        row(f"event to forecast, p95, at {told}", p95, "ms"),
        row(f"event to forecast, p99, at {told}", p99, "ms", "at most", TARGET_P99_MS),
    ]


def _events(plan: LatencyPlan, began: float) -> Iterator[tuple[str, str, bytes]]:
    """Cascade, id and JSON of posts, then of their reshares, of the time at which they are asked for."""
    chance = random.Random(plan.seed)
    for number in range(plan.cascades):
        name = f"live{began:.0f}-{number}"
        yield name, name, msgspec.json.encode({"id": name, "cascade": name, "kind": "post", "time": time.time()})
    count = 0
    while True:
        cascade = f"live{began:.0f}-{chance.randrange(plan.cascades)}"
        name = f"{cascade}-{count}"
        event = {
            "id": name,
            "cascade": cascade,
            "kind": "repost",
            "time": time.time(),
            "user": f"u{chance.getrandbits(24)}",
            "parent": cascade,
        }
        yield cascade, name, msgspec.json.encode(event)
        count += 1
