"""What a worker takes in and forecasts in a second, on one core, beside what users would write instead.

The topic is loaded in advance; Kafka has the other core. All read the same records. Two kinds of worker: one that only
keeps the state (decode, apply, durable state, commit), and one that forecasts with the shipped blend. Beside them a
plain Faust agent that only counts per key in a table, quixstreams doing the same, and two loops that decode and do
nothing.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.bench import latency, promises, several
from streams.bench.installation import PREFIX, BenchWorker, producer, send_all
from streams.bench.latency import LIVE_SETTINGS, LatencyPlan
from streams.bench.pinning import Cores, on
from streams.bench.plan import PipelinePlan, events_of
from streams.bench.promises import EVENTS_TOPIC, FAUST, FAUST_RECORDS
from streams.bench.rows import row
from streams.bench.stages import Profile
from streams.bench.throughput import (
    RECEIVED,
    Tell,
    Throughput,
    reference_throughput,
    scratch,
    started,
    worker_throughput,
)
from streams.broker import EmbeddedBroker
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics

NEVER: Final = 1_000_000_000
"""Reshares that a post must have to be forecast: none is."""

STATE_ONLY: Final = {"MODELS": "hawkes", "MINIMUM_OBSERVED": str(NEVER), "SCORE_AGES_SECONDS": ""}

TARGETS: Final = {"faust": 15.0, "quixstreams": 0.8, "blend": 3.0}

_encode = msgspec.json.Encoder().encode


def run(plan: PipelinePlan, tell: Tell) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench pipeline``."""
    cores = Cores.here()
    with tempfile.TemporaryDirectory() as name, on(cores.others), EmbeddedBroker() as broker:
        directory, server = Path(name), broker.bootstrap_servers
        create_topics(server, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        tell("loading the topic")
        records = send_all(producer(server), EVENTS_TOPIC, ((e.cascade.encode(), _encode(e)) for e in events_of(plan)))
        references = _references(plan, server, records, directory, cores, tell)
        rows = _state_only(server, records, directory, cores, references, tell)
        rows += _forecasting(plan, server, records, directory, cores, references, tell)
    rows += several.run(
        [(event.cascade.encode(), _encode(event)) for event in events_of(plan)], plan.partitions, dict(STATE_ONLY), tell
    )
    faust = references["faust"]
    assert faust is not None
    rows += promises.run(plan, faust.rate, cores, tell)
    full_speed = next(one["value"] for one in rows if one["name"] == f"{plan.models}: events a second")
    rows += _latency(plan, full_speed / 2, cores, tell)
    return [*rows, row(f"records in the topic; {cores.told()}", records, "events")]


def _references(
    plan: PipelinePlan, server: str, records: int, directory: Path, cores: Cores, tell: Tell
) -> dict[str, Throughput | None]:
    place, count = (server, EVENTS_TOPIC), str(records)
    runs = {
        "faust": (
            "faust_count",
            str(min(records, FAUST_RECORDS)),
            str(plan.partitions),
            str(scratch(directory, "faust")),
        ),
        "quixstreams": ("quixstreams_count", count, str(scratch(directory, "quixstreams"))),
        "aiokafka": ("aiokafka_decode", count),
        "confluent-kafka": ("confluent_decode", count),
    }
    found: dict[str, Throughput | None] = {}
    for name, (program, *arguments) in runs.items():
        tell(f"reference: {name}")
        python = plan.quixstreams_python if name == "quixstreams" else sys.executable
        found[name] = reference_throughput(program, [*place, *arguments], cores, python)
        if found[name] is None:
            tell(f"{name} is not installed and left out; make bench installs it")
    return found


def _state_only(
    server: str,
    records: int,
    directory: Path,
    cores: Cores,
    references: dict[str, Throughput | None],
    tell: Tell,
) -> list[dict[str, Any]]:
    tell("a worker that only keeps the state")
    settings = {**STATE_ONLY, "APP_ID": "bench-state"}
    with BenchWorker(server, scratch(directory, "state"), settings) as worker:
        found, shares = _profiled(started(worker, cores), records, directory / "state")
        stored = worker.metric("cascadecast_changelog_bytes_total")
    installed = {name: known for name, known in references.items() if known is not None}
    wall, processor = "state only: events a second", "state only: events a second of processor time"
    return [
        *(_beside(wall, found.rate, name, known.rate) for name, known in installed.items()),
        *(_beside(processor, found.processor_rate, name, known.processor_rate) for name, known in installed.items()),
        *_by_stage("state only", found, shares),
        row("state only: processor time an event", 1e6 * found.processor_seconds / found.events, "us"),
        row("state only: durable state an event", stored / records, "bytes"),
        row("state only: peak resident memory", found.peak_bytes, "bytes"),
    ]


def _forecasting(
    plan: PipelinePlan,
    server: str,
    records: int,
    directory: Path,
    cores: Cores,
    references: dict[str, Throughput | None],
    tell: Tell,
) -> list[dict[str, Any]]:
    tell(f"a worker that forecasts with {plan.models}")
    with BenchWorker(
        server, scratch(directory, "forecasts"), {"MODELS": plan.models, "APP_ID": "bench-forecasts"}
    ) as worker:
        found, shares = _profiled(started(worker, cores), records, directory / "forecasts")
        made, due = worker.metric("cascadecast_forecasts_made_total"), worker.metric("cascadecast_forecasts_due_total")
        superseded = worker.metric('cascadecast_forecasts_skipped_total{reason="superseded"}')
        waiting = worker.metric("cascadecast_forecasts_waiting")
    seconds = found.seconds * records / found.events
    name = plan.models
    faust = references["faust"]
    assert faust is not None
    return [
        _beside(f"{name}: events a second", found.rate, "faust", faust.rate),
        row(f"{name}: forecasts a second", made / seconds, "forecasts/s"),
        row(f"{name}: forecasts superseded", superseded, "forecasts", "fell due", due),
        row(f"{name}: forecasts that wait in the end", waiting, "forecasts"),
        *_by_stage(name, found, shares),
        row(f"{name}: processor time an event", 1e6 * found.processor_seconds / found.events, "us"),
        row(f"{name}: peak resident memory", found.peak_bytes, "bytes"),
    ]


def _latency(plan: PipelinePlan, rate: float, cores: Cores, tell: Tell) -> list[dict[str, Any]]:
    """At half of the rate at full speed, on topics of its own."""
    with promises.on_empty_topics(plan, cores, LIVE_SETTINGS) as (server, _):
        return latency.run(LatencyPlan(rate, partitions=plan.partitions, seed=plan.seed), server, tell)


def _profiled(worker: BenchWorker, records: int, directory: Path) -> tuple[Throughput, dict[str, float]]:
    worker.wait_until(lambda: worker.metric(RECEIVED) > 0, "under way")
    with Profile(worker.pid, directory) as profile:
        found = worker_throughput(worker, records)
    return found, profile.shares()


def _by_stage(name: str, found: Throughput, shares: dict[str, float]) -> list[dict[str, Any]]:
    an_event = 1e6 * found.processor_seconds / found.events
    return [row(f"{name}: of it, {stage}", share * an_event, "us") for stage, share in shares.items()]


_REFERENCES: Final = {
    "faust": FAUST,
    "quixstreams": "quixstreams counting per key",
    "aiokafka": "aiokafka, decoding only",
    "confluent-kafka": "confluent-kafka, decoding only",
}


def _beside(name: str, rate: float, reference: str, reference_rate: float) -> dict[str, Any]:
    return row(name, rate, "events/s", _REFERENCES[reference], reference_rate)
