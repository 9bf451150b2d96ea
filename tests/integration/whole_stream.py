"""Play a whole event file through Kafka and workers, and hold what came out against a single pass over the file.

    python -m tests.integration.whole_stream FILE --workers 2 [--models concat,hawkes,seismic] [--compare] [--kills 3]

Prints one JSON object. With ``--compare`` the forecasts are also held against those of one process that reads the
file (`cascadecast forecast`); with ``--kills`` workers are killed with SIGKILL on the way and started again.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from graph import read_events
from graph.ordering import ordered
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from streams.state.export import export_state
from tests.integration.harness import PARTITIONS, Stream, Worker, settle
from tests.integration.single_pass import lines, totals

NUMBERS = ("expected", "low", "high", "growth_per_hour")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--models", default="concat,hawkes,seismic")
    parser.add_argument("--delay", type=float, default=60.0, help="forecast delay, seconds")
    parser.add_argument("--compare", action="store_true", help="also compare the forecasts with a file run's")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--limit", type=int, help="only so many events, in order of time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hours", type=float, default=1.0, help="give up after so long")
    args = parser.parse_args()
    print(json.dumps(check(args)))


def check(args: argparse.Namespace) -> dict[str, Any]:
    shared = {"retention_grace_seconds": 1e9, "forecast_delay_seconds": args.delay, "shed": False}
    settings = Settings(models=tuple(args.models.split(",")), partitions=PARTITIONS, **shared)  # type: ignore[arg-type]
    environment = {name.upper(): str(value) for name, value in shared.items()} | {"MODELS": args.models}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(EmbeddedBroker())
        stream = Stream(broker.bootstrap_servers, "whole", environment).create()
        started = time.monotonic()
        plan = ReplayPlan(str(args.file), broker.bootstrap_servers, "whole", limit=args.limit)
        published = replay(plan).sent
        replayed = time.monotonic()
        workers = [stack.enter_context(Worker(stream, directory, f"worker-{n}")) for n in range(args.workers)]
        kill_some(workers, args.kills, random.Random(args.seed))
        settle(stream, workers, args.hours * 3600)
        settled = time.monotonic()
        counts = Counter[str]()
        for worker in workers:
            counts.update(worker.metrics())
        found_state = {
            state.cascade: (state.size, state.depth, state.users)
            for state in export_state(
                settings.model_copy(update={"bootstrap_servers": stream.bootstrap_servers, "app_id": stream.app_id})
            )
        }
        result: dict[str, Any] = {
            "file": args.file.name,
            "workers": args.workers,
            "kills": args.kills,
            "records": published,
            "replay_seconds": round(replayed - started, 1),
            "workers_seconds": round(settled - replayed, 1),
            "fates": {
                key.split('"')[1]: value for key, value in counts.items() if key.startswith("cascadecast_events_total")
            },
            "due": counts["cascadecast_forecasts_due_total"],
            "made": counts["cascadecast_forecasts_made_total"],
            "changelog_bytes_an_event": round(counts["cascadecast_changelog_bytes_total"] / published, 1),
            "dead_letters": len(stream.messages("dead-letters")),
        }
        if args.limit is None:
            truth = totals(json.loads(line) for line in lines(args.file))
            result["cascades"] = len(truth)
            result["cascades_that_differ"] = sum(found_state.get(name) != total for name, total in truth.items())
            result["cascades_invented"] = len(set(found_state) - set(truth))
        if args.compare:
            result |= compare(args, settings, stream)
        return result


def kill_some(workers: list[Worker], kills: int, rng: random.Random) -> None:
    for _ in range(kills):
        victim = rng.choice(workers)
        victim.wait_ready(120)
        time.sleep(rng.uniform(0.5, 5.0))
        victim.kill()
        victim.start()


def compare(args: argparse.Namespace, settings: Settings, stream: Stream) -> dict[str, Any]:
    """Ids, counts and times exactly, numbers relatively; how often an id was published, and with how many contents."""
    published = stream.forecasts()
    events = ordered(read_events(str(args.file)))
    if args.limit is not None:
        events = (event for event, _ in zip(events, range(args.limit), strict=False))
    expected = {
        record.id: json.loads(msgspec.json.encode(record))
        for record in forecast_events(events, settings, load_service(settings))
    }
    worst = 0.0
    differing = 0
    for record in published:
        wanted = expected.get(record["id"])
        if wanted is None:
            continue
        exact = {name: value for name, value in record.items() if name not in (*NUMBERS, "trajectory")}
        differing += any(wanted[name] != value for name, value in exact.items())
        pairs = [(record[name], wanted[name]) for name in NUMBERS]
        pairs += [(a[1], b[1]) for a, b in zip(record["trajectory"], wanted["trajectory"], strict=True)]
        worst = max(worst, *(abs(a - b) / max(abs(a), abs(b), 1e-3) for a, b in pairs))
    ids = {record["id"] for record in published}
    return {
        "forecasts_published": len(published),
        "forecast_ids": len(ids),
        "ids_only_in_kafka": len(ids - set(expected)),
        "ids_only_in_file_run": len(set(expected) - ids),
        "records_with_other_counts_or_times": differing,
        "largest_relative_difference": worst,
    }


if __name__ == "__main__":
    main()
