"""The dictionary by which small segments are compressed, made from simulated ones.

``python -m streams.bench.dictionary_training FILE`` writes it, the same each time by the same zstd.

Its content is what segments have in common: how they are framed, numbers of the present years, empty parts. Ids are of
several kinds and random, so that none is favoured. Stored state can be read only with the dictionary it was written
with: one that is in use is never made anew, another one needs another mark (`streams.state.squeezing`).
"""

from __future__ import annotations

import asyncio
import random
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard

from graph import Event
from streams.bench.stream import START, endless
from streams.engine.partition import Partition
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.segments import content
from streams.state.store import MemorySegmentStore

SIZE_BYTES: Final = 8192
"""Twice as much makes segments of one event larger again: what they have in common is little."""

_EVENTS: Final = 9_000
_YEAR_SECONDS: Final = 365 * 86_400.0
_TRICKLED: Final = 800
_ENGINE: Final[dict[str, Any]] = {"models": ("hawkes",)}
_BATCHES: Final = (1, 1, 3, 10)
"""Events a segment: those of one are the most there are where a stream is slow."""


_Kind = Callable[[random.Random], str]

_KINDS: Final[tuple[_Kind, ...]] = (
    lambda chance: str(chance.randrange(10**18, 2 * 10**18)),
    lambda chance: str(chance.randrange(10**8, 10**9)),
    lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    lambda chance: "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=8)),
)


def samples() -> list[bytes]:
    """Contents of segments of a few events each, of streams of some years and kinds of ids."""
    found: list[bytes] = []
    for number, kind in enumerate(_KINDS):
        for at, batch in enumerate(_BATCHES):
            chance = random.Random(len(_BATCHES) * number + at)
            stream = endless(10_000.0, chance.randrange(100), start=START + chance.randrange(5) * _YEAR_SECONDS)
            found += asyncio.run(_segments(_named(islice(stream, _EVENTS), kind, chance), kind, chance, batch))
    return found


def _named(events: Iterator[Event], kind: _Kind, chance: random.Random) -> list[Event]:
    """The events with ids of a kind."""
    names: defaultdict[str, str] = defaultdict(lambda: kind(chance))
    return [
        msgspec.structs.replace(
            event,
            id=names[event.id],
            cascade=names[event.cascade],
            parent=None if event.parent is None else names[event.parent],
        )
        for event in events
    ]


async def _segments(events: Sequence[Event], kind: _Kind, chance: random.Random, batch: int) -> list[bytes]:
    """Those of the last events, once many cascades are live; each with ids of its own, which are nothing common."""
    store = MemorySegmentStore()
    partition, log = Partition(0, Settings(**_ENGINE)), SegmentLog(store)
    await log.recover(partition)
    found: list[bytes] = []
    begun = len(events) - _TRICKLED
    for number, part in _parts(events, begun, batch):
        before = set(store.segments)
        changes = partition.apply_events(part)
        partition.schedule.due(partition.watermark.value)
        await log.append(partition, changes, number)
        if number > begun:
            for key in sorted(store.segments.keys() - before):
                raw = content(store.segments[key])
                for name in sorted({event.id for event in part} | {event.cascade for event in part}):
                    raw = raw.replace(name.encode(), kind(chance).encode())
                found.append(raw)
    return found


def _parts(events: Sequence[Event], begun: int, batch: int) -> Iterator[tuple[int, Sequence[Event]]]:
    """(events so far, the next) in large batches and then in small ones."""
    for start, end, step in ((0, begun, 500), (begun, len(events), batch)):
        for at in range(start, end, step):
            yield min(at + step, end), events[at : min(at + step, end)]


def main() -> None:
    """Write the dictionary to the file that is named."""
    dictionary = zstandard.train_dictionary(SIZE_BYTES, [*samples()])
    Path(sys.argv[1]).write_bytes(dictionary.as_bytes())


if __name__ == "__main__":
    main()
