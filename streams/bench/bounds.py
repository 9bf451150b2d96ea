"""What the bounds cost: a million live cascades, one cascade of a million events, a schedule of a million forecasts.

Each measurement runs in a process of its own: resident memory before and after. Times are of the processor, so that
whatever else the machine does does not weigh on them; ratios compare the end with the beginning of the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from graph import Cascade, CascadeStore, Event, Kind
from graph.features import features
from streams.bench.rows import row
from streams.bench.state import resident_bytes
from streams.engine.schedule import Schedule

Progress = Callable[[str], None]

_DAY: Final = 86_400.0
_CHUNK_EVENTS: Final = 10_000
"""Made at once: few enough for their garbage not to count."""


def run(cascades: int = 1_000_000, events: int = 1_000_000, say: Progress | None = None) -> list[dict[str, Any]]:
    """Measure, and return the rows of ``cascadecast bench bounds``; a few minutes at full size."""
    tell = say or (lambda what: None)
    rows: list[dict[str, Any]] = []
    for what, size in (("store", cascades), ("cascade", events), ("schedule", cascades)):
        tell(f"{what} of {size:,}")
        rows += _in_own_process(what, size)
    return rows


def _in_own_process(what: str, size: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "streams.bench.bounds", what, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _post(number: int, count: int) -> Event:
    cascade = f"post-{number}"
    return Event(cascade, cascade, Kind.POST, number * (_DAY / count), f"user-{number}")


def _grow(apply: Callable[[Event], object], make: Callable[[int], Event], count: int) -> tuple[float, float, float]:
    """Apply so many events: bytes each, and seconds each of the first chunk and of the last fifth."""

    def chunk(start: int) -> float:
        events = [make(number) for number in range(start, min(start + _CHUNK_EVENTS, count))]
        return _seconds(lambda: [apply(event) for event in events])

    gc.collect()
    before = resident_bytes()
    seconds = [chunk(start) for start in range(0, count, _CHUNK_EVENTS)]
    gc.collect()
    memory = (resident_bytes() - before) / count
    last = seconds[-max(1, len(seconds) // 5) :]
    return memory, seconds[0] / min(count, _CHUNK_EVENTS), sum(last) / (len(last) * min(count, _CHUNK_EVENTS))


def store(cascades: int) -> list[dict[str, Any]]:
    """So many cascades of one post, then a reshare of some: bytes and seconds each, and what it takes to make room."""
    live = CascadeStore(max_live_cascades=cascades)
    measured, begun, ended = _grow(live.apply, lambda number: _post(number, cascades), cascades)
    booked = live.bytes / len(live)
    reshares = [Event(f"r{n}", f"post-{n}", Kind.REPOST, _DAY, parent=f"post-{n}") for n in range(0, cascades, 100)]
    reshare = _seconds(lambda: [live.apply(event, _DAY) for event in reshares]) / len(reshares)
    evicting = _seconds(lambda: live.apply(_post(cascades, cascades), _DAY))
    evicted = cascades + 1 - len(live)
    return [
        row(f"memory of a cascade, {cascades:,} live", measured, "bytes", "by the store's own books", booked),
        row("a new cascade, the last fifth of them", ended * 1e6, "us", "the first 10,000", begun * 1e6),
        row("an event of a live cascade", reshare * 1e6, "us"),
        row(f"making room in a full store, {evicted:,} leave", evicting, "s"),
        row("the same for each that leaves", evicting / max(1, evicted) * 1e6, "us"),
    ]


def cascade(events: int) -> list[dict[str, Any]]:
    """One cascade of so many reshares over a day: what is kept, what is counted, and what looking at it costs."""
    grown = Cascade("c")
    grown.apply(Event("c", "c", Kind.POST, 0.0, "author"))
    memory, begun, ended = _grow(grown.apply, lambda number: _reshare(number, events), events)
    noon = _DAY / 2
    view = grown.view(noon)
    looking = _seconds(lambda: (grown.apply(_undo(1)), grown.view(noon)))
    return [
        row(f"memory of an event, {events:,} in a cascade", memory, "bytes", "own books", grown.memory_bytes / events),
        row("memory of an event that is kept", memory * events / grown.nodes, "bytes"),
        row("an event of it, the last fifth", ended * 1e6, "us", "the first 10,000", begun * 1e6),
        row("events counted by the minute", float(grown.binned), "events", "of", float(events)),
        row("size at noon", float(grown.size_at(noon)), "events", "with everything kept", events / 2),
        row("a view at noon", looking * 1e3, "ms"),
        row("features of the view", _seconds(lambda: features(view, _DAY)) * 1e3, "ms"),
        row("its durable form, an event", len(grown.snapshot()) / events, "bytes"),
    ]


def _reshare(number: int, count: int) -> Event:
    return Event(f"e{number}", "c", Kind.REPOST, number * (_DAY / count), f"u{number}", "c")


def _undo(number: int) -> Event:
    """Something that makes the next view a new one."""
    return Event(f"undo{number}", "c", Kind.UNDO, _DAY * 2, parent=f"e{number}")


def schedule(forecasts: int) -> list[dict[str, Any]]:
    """So many forecasts pending, half of them due: what it takes to know how many."""
    pending = Schedule(60.0)
    for number in range(forecasts):
        pending.update(f"c{number}", number * (_DAY / forecasts), 0.0, "e")
    noon = _DAY / 2
    parting = _seconds(lambda: pending.due_count(noon))
    rounds = 1000
    counting = _seconds(lambda: [pending.due_count(noon) for _ in range(rounds)]) / rounds
    passing = _seconds(lambda: sum(1 for one in pending.all_pending() if one.as_of < noon))
    return [
        row(
            f"counting what is due of {forecasts:,}",
            counting * 1e6,
            "us",
            "a pass over all that is pending",
            passing * 1e6,
        ),
        row("a forecast that falls due, once", parting / forecasts * 2e6, "us"),
    ]


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["store", "cascade", "schedule"])
    parser.add_argument("size", type=int)
    options = parser.parse_args()
    measures = {"store": store, "cascade": cascade, "schedule": schedule}
    print(json.dumps(measures[options.what](options.size)))


if __name__ == "__main__":
    _main()
