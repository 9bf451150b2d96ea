"""How soon a change of the growth law is found in scores, and how often one is found where there is none.

    python -m tests.benchmarks.drift --seeds 20 --json

Each seed makes two simulated streams and plays them through the engine, scored and watched as in a worker: one whose
posts are all alike, and one whose posts, from a known time on, are reshared faster and for a shorter time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from forecasters.hawkes import HawkesForecaster
from forecasters.learning_ages import BUCKET_NAMES, bucket_of
from graph import Event
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.settings import Settings
from tests.streams.learning_engine import Out, finish

HOUR = 3600.0
HORIZON = 6 * HOUR
SETTINGS = Settings(
    models=("hawkes",), horizon_seconds=HORIZON, forecast_delay_seconds=1200.0, minimum_observed=2,
    score_ages_seconds=(900.0, 3600.0, 2 * HOUR), partitions=1, shed=False,
)  # fmt: skip

POSTS_AN_HOUR = 30.0
LAW = Simulation(mean_size=40.0, lifetime_hours=7.0, replies=0.0)
OTHER_LAW = replace(LAW, delay_seconds=1500.0, memory=3.0)
"""Posts that live shorter: what has been seen so far makes a forecaster expect too much."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at one age of a stream."""

    age: str
    scores: int  # one a post, from the change on (or from the beginning where there is none)
    detections: int
    false_alarms: int  # told before any post of the other law had matured
    delay_scores: int | None  # posts of the other law that had matured by then
    shift: float | None  # of the mean signed log2 error, where a change was found


def stream(seed: int, posts: int, changed: int) -> Iterator[Event]:
    """``posts`` posts of one law, then ``changed`` of the other, in order of time."""
    hours = posts / POSTS_AN_HOUR
    before = simulated_events(replace(LAW, seed=seed, hours=hours), posts)
    later = replace(OTHER_LAW, seed=seed + 1000, hours=changed / POSTS_AN_HOUR, start_time=change_time(posts))
    after = (replace_ids(event) for event in (simulated_events(later, changed) if changed else ()))
    return ordered([*before, *after])


def replace_ids(event: Event) -> Event:
    """The same event of a post that is none of the first law's."""
    parent = None if event.parent is None else f"later-{event.parent}"
    return Event(
        f"later-{event.id}", f"later-{event.cascade}", event.kind, event.time, event.user, parent, event.followers
    )


def change_time(posts: int) -> float:
    """When (s) the first post of the other law may come."""
    return LAW.start_time + posts / POSTS_AN_HOUR * HOUR


def watched(seed: int, posts: int, changed: int) -> list[Found]:
    """What the standing of a partition says after a stream."""
    service = ForecastService([HawkesForecaster()], HORIZON)
    partition, out = Partition(0, SETTINGS), Out()
    events = stream(seed, posts, changed)
    while batch := list(islice(events, 2000)):
        partition.apply_events(batch)
        finish(partition, service, SETTINGS, out)
    partition.watermark.advance_to(partition.watermark.value + 2 * HORIZON)
    finish(partition, service, SETTINGS, out)
    truths = [truth.kept for truth in out.truths]
    change = change_time(posts) + HORIZON if changed else -np.inf
    found = []
    for (_, bucket), watch in sorted(partition.learner.learned.standing.drift.items()):
        matured = {
            one.cascade: one.matures for one in truths if int(bucket_of(np.array([one.age_seconds]))[0]) == bucket
        }
        later = [at for at in matured.values() if at >= change]
        late = changed and watch.detections and watch.last_at >= change
        found.append(
            Found(
                BUCKET_NAMES[bucket],
                len(later),
                watch.detections,
                watch.detections - bool(late),
                sum(at <= watch.last_at for at in later) if late else None,
                watch.mean - watch.mean_before if watch.detections else None,
            )
        )
    return found


def summary(name: str, runs: Sequence[list[Found]]) -> Iterator[dict[str, object]]:
    """A row for each age."""
    for age in BUCKET_NAMES:
        some = [one for run in runs for one in run if one.age == age]
        if not some:
            continue
        delays = [one.delay_scores for one in some if one.delay_scores is not None]
        shifts = [one.shift for one in some if one.shift is not None]
        yield {
            "stream": name,
            "age": age,
            "streams": len(some),
            "scores": sum(one.scores for one in some),
            "false_alarms": sum(one.false_alarms for one in some),
            "found": len(delays),
            "delay_scores_median": float(np.median(delays)) if delays else None,
            "delay_scores_max": max(delays, default=None),
            "mean_shift": round(float(np.mean(shifts)), 3) if shifts else None,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--posts", type=int, default=1000, help="of the first law")
    parser.add_argument("--changed", type=int, default=500, help="of the other")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line for each age")
    args = parser.parse_args()
    seeds = range(args.seeds)
    rows = [
        *summary("stationary", [watched(seed, args.posts + args.changed, 0) for seed in seeds]),
        *summary("changing", [watched(seed, args.posts, args.changed) for seed in seeds]),
    ]
    if args.json:
        print(json.dumps({"results": rows}))
        return
    for row in rows:
        print(*(f"{name} {value}" for name, value in row.items()), sep=", ")


if __name__ == "__main__":
    main()
