"""The input of a run: real or simulated cascades over some hours, and everything a careless producer does to them.

The lines go through a raw replay in this order, so what is late or comes twice is so in every run. Beside them there
are records under wrong keys, which workers must send on: copies of lines that are already in Kafka, and *strays*,
cascades that exist nowhere else. When a stray is applied depends on the run, so strays lie so far back that they are
never forecast.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from graph import Event, Kind, read_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_cascade
from streams.kafka.partitioner import partition_of
from tests.integration.garbage import GARBAGE
from tests.integration.harness import PARTITIONS

HORIZON_SECONDS: Final = 3600.0
LIFETIME_SECONDS: Final = 2.0 * HORIZON_SECONDS
"""Events of a greater age are left out: a stream of some hours is to hold many cascades that mature."""

ROOTS_SECONDS: Final = 6 * 3600.0
START: Final = 1_400_000_000.0
ANCHORS: Final = 20
POOL_EVENTS: Final = 200_000
"""Of a file so many events are kept to draw from: enough for streams that have little in common."""

_ENCODE = msgspec.json.Encoder().encode


def encoded(event: Event) -> bytes:
    """As a line of an event file: only the fields that are set."""
    return _ENCODE({name: value for name, value in msgspec.to_builtins(event).items() if value is not None})


@dataclass(frozen=True, slots=True)
class ChaosStream:
    """The lines of the replay and the records under wrong keys; ``events`` are the lines that are valid, in order."""

    lines: list[bytes]
    events: list[Event]
    strays: list[Event]

    def write(self, path: Path) -> Path:
        path.write_bytes(b"".join(line + b"\n" for line in self.lines))
        return path

    @property
    def span_seconds(self) -> float:
        """Event time from the first line to the last."""
        return max(event.time for event in self.events) - self.events[0].time


Pool = Sequence[Sequence[Event]]


def read_pool(path: Path) -> Pool:
    """Cascades of an event file, as far as they lie within the lifetime, spread evenly over the file."""
    cascades: dict[str, list[Event]] = {}
    for event in read_events(str(path)):
        known = cascades.setdefault(event.cascade, [])
        if not known or 0 <= event.time - known[0].time <= LIFETIME_SECONDS:
            known.append(event)
    found = [events for events in cascades.values() if len(events) > 1]
    step = max(1, sum(map(len, found)) // POOL_EVENTS)
    return found[::step]


def simulated_pool(seed: int, cascades: int = 250) -> Pool:
    """Cascades of the simulator within the lifetime."""
    simulation = Simulation(
        seed=seed, mean_size=90.0, lifetime_hours=LIFETIME_SECONDS / 3600.0, undos=0.02, replies=0.05
    )
    return [simulated_cascade(simulation, number) for number in range(cascades)]


def make_stream(pool: Pool, seed: int, events: int) -> ChaosStream:
    """About so many events, drawn and made hostile as the seed says."""
    chance = random.Random(f"stream {seed}")
    drawn: list[Event] = [*_anchors(), *_opening(chance)]
    while len(drawn) < events:
        drawn += _moved(chance.choice(pool), f"{len(drawn)}", START + 60.0 + chance.uniform(0.0, ROOTS_SECONDS))
    in_time = list(ordered([*drawn, *_undos(drawn, chance)]))
    hostile = _disordered(in_time, chance)
    return ChaosStream(list(_with_garbage(hostile, chance)), hostile, list(_strays(chance)))


def _anchors() -> Iterable[Event]:
    """Posts at the very beginning, enough for each partition's clock to be believed: strays must not set it."""
    left = dict.fromkeys(range(PARTITIONS), ANCHORS)
    for number in itertools.count():
        name = f"anchor-{number}"
        if left[partition := partition_of(name, PARTITIONS)]:
            left[partition] -= 1
            yield Event(name, name, Kind.POST, START)
        if not any(left.values()):
            return


def _opening(chance: random.Random) -> Iterable[Event]:
    """Replies before anything else, so that a cascade without its post is among the first."""
    for number in range(5):
        yield Event(f"o{number}", "orphan", Kind.REPLY, START + chance.uniform(1.0, 60.0), user=f"u{number}")


def _moved(cascade: Sequence[Event], name: str, start: float) -> Iterable[Event]:
    """A cascade under another name, so that one may be drawn twice, beginning at ``start``."""
    shift = start - cascade[0].time
    old = cascade[0].cascade
    for event in cascade:
        changes: dict[str, Any] = {"time": round(event.time + shift, 3), "cascade": f"{name}-{old}"}
        if event.id == old:
            changes["id"] = f"{name}-{old}"
        if event.parent == old:
            changes["parent"] = f"{name}-{old}"
        yield msgspec.structs.replace(event, **changes)


def _undos(events: Sequence[Event], chance: random.Random) -> Iterable[Event]:
    """One reshare in a hundred is taken back, and now and then a whole post."""
    for event in events:
        odds = 0.05 if event.kind is Kind.POST else 0.01
        if event.kind in (Kind.POST, Kind.REPOST, Kind.QUOTE) and chance.random() < odds:
            at = round(event.time + chance.uniform(-20.0, 900.0), 3)  # its undo may well come first
            yield Event(f"undo-{event.id}", event.cascade, Kind.UNDO, max(at, START), parent=event.id)


def _disordered(events: Sequence[Event], chance: random.Random) -> list[Event]:
    """Some come late, some twice, some twice with another content."""
    places: list[tuple[float, Event]] = []
    for place, event in enumerate(events):
        lot = chance.random()
        late = chance.uniform(1.0, 400.0) if lot < 0.02 and not event.id.startswith("anchor") else 0.0
        places.append((place + late, event))
        if 0.02 <= lot < 0.05:
            places.append((place + chance.uniform(0.0, 1500.0), event))
        if 0.05 <= lot < 0.06 and event.kind is not Kind.UNDO:
            other = msgspec.structs.replace(event, user="someone else", parent=None, followers=1)
            places.append((place + chance.uniform(0.5, 1500.0), other))
    return [event for _, event in sorted(places, key=lambda pair: pair[0])]


def _with_garbage(events: Sequence[Event], chance: random.Random) -> Iterable[bytes]:
    """A line that is no event after every fiftieth; only what a line of a file can hold."""
    lines = [value for _, value in GARBAGE if value and b"\n" not in value and len(value) < 100_000]
    for event in events:
        yield encoded(event)
        if chance.random() < 0.02:
            yield chance.choice(lines)


def _strays(chance: random.Random) -> Iterable[Event]:
    """Thirty small cascades of long ago: past the horizon whenever they are applied."""
    for number in range(30):
        name, began = f"stray-{number}", START - 3 * HORIZON_SECONDS
        yield Event(name, name, Kind.POST, began, user="a")
        parents = [name]
        for child in range(chance.randint(1, 12)):
            made = Event(
                f"{name}-{child}",
                name,
                Kind.REPOST,
                began + child + 1.0,
                user=f"u{chance.randint(0, 8)}",
                parent=chance.choice(parents),
            )
            parents.append(made.id)
            yield made
