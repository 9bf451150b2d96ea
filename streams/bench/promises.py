"""Touched cascades forecast in time, and at how many events a second: by a worker that sheds, and by one that is paced.

The first is offered three times what plain Faust takes in; a paced one as much as it lets in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.bench import promise
from streams.bench.installation import PREFIX, BenchWorker, producer, send_all
from streams.bench.pinning import Cores, on
from streams.bench.plan import PipelinePlan, events_of
from streams.bench.promise import PromisePlan
from streams.bench.rows import row
from streams.bench.throughput import Tell, reference_throughput, scratch, started
from streams.broker import EmbeddedBroker
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics

EVENTS_TOPIC: Final = f"{PREFIX}.events"

FAUST: Final = "a plain Faust agent that counts per key"

FAUST_RECORDS: Final = 40_000
"""The plain agent is so slow that more would only take time."""

SETTINGS: Final = {"ALLOWED_LATENESS_SECONDS": "0", "FORECAST_DELAY_SECONDS": "5"}
"""The feed is in order; and event time, tens of times as fast as the clock, should not be what is waited for."""

OFFERED_SECONDS: Final = 20.0
OFFERED_TIMES_FAUST: Final = 3.0

PACED_SECONDS: Final = 30.0

PACED: Final[Mapping[str, Mapping[str, str]]] = {
    "paced": {"SHED": "paced"},
    "paced, exactly once": {"SHED": "paced", "PROCESSING_GUARANTEE": "exactly_once"},
}

_encode = msgspec.json.Encoder().encode


def run(plan: PipelinePlan, faust_rate: float, cores: Cores, tell: Tell) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench pipeline`` about it; ``faust_rate``: what plain Faust takes in a second."""
    rate = OFFERED_TIMES_FAUST * faust_rate
    with on_empty_topics(plan, cores, SETTINGS) as (server, worker):
        events = list(islice(events_of(plan), int(OFFERED_SECONDS * rate)))
        asked = PromisePlan(events, plan.partitions, rate, plan.models)
        rows = promise.run(asked, server, worker, "shedding", FAUST, faust_rate, tell)
    for name in PACED:
        rows += _paced(name, plan, faust_rate, cores, tell)
    return rows


def run_paced(plan: PipelinePlan, tell: Tell) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench promise``: plain Faust and a paced worker on the same events."""
    cores = Cores.here()
    with tempfile.TemporaryDirectory() as name, on(cores.others), EmbeddedBroker() as broker:
        create_topics(broker.bootstrap_servers, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        events = islice(events_of(plan), FAUST_RECORDS)
        records = ((event.cascade.encode(), _encode(event)) for event in events)
        count = send_all(producer(broker.bootstrap_servers), EVENTS_TOPIC, records)
        tell("reference: faust")
        place = str(scratch(Path(name), "faust"))
        faust = reference_throughput(
            "faust_count", [broker.bootstrap_servers, EVENTS_TOPIC, str(count), str(plan.partitions), place], cores
        )
    assert faust is not None
    return [
        row(f"{FAUST}: events a second; {cores.told()}", faust.rate, "events/s"),
        *_paced("paced", plan, faust.rate, cores, tell),
    ]


def _paced(name: str, plan: PipelinePlan, faust_rate: float, cores: Cores, tell: Tell) -> list[dict[str, Any]]:
    with on_empty_topics(plan, cores, {**SETTINGS, **PACED[name]}) as (server, worker):
        asked = PromisePlan(events_of(plan), plan.partitions, None, plan.models, PACED_SECONDS)
        return promise.run(asked, server, worker, name, FAUST, faust_rate, tell)


@contextmanager
def on_empty_topics(plan: PipelinePlan, cores: Cores, settings: Mapping[str, str]) -> Iterator[tuple[str, BenchWorker]]:
    """A Kafka of its own with empty topics, and a worker that is ready on its core."""
    with tempfile.TemporaryDirectory() as name, on(cores.others), EmbeddedBroker() as broker:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        with BenchWorker(server, Path(name), {"MODELS": plan.models, **settings}) as worker:
            started(worker, cores).wait_ready()
            yield server, worker
