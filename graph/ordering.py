"""Lay events out as one stream in event time: in memory while they fit, on disk beyond that.

Event files may hold one cascade after another; whatever plays a file as a stream orders it first. Equal times
keep their order in the file, roots before all others, so that a parent written before its child stays before
it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from graph.errors import UserError
from graph.events import Event, Kind

Placed = tuple[int, Event]
"""An event and its place in the input."""

DEFAULT_LIMIT: Final = 2_000_000
"""Events held in memory, about half a kilobyte each: a gigabyte."""

MAX_RUNS: Final = 128
"""Sorted runs merged at once; each is an open file. More are first merged into one."""

BLOCK: Final = 1024
"""Events decoded at a time from each run: large enough to amortise the call, small times `MAX_RUNS` in
memory."""


class UnorderedError(UserError):
    """A stream that was said to be in order is not."""


def ordered(
    events: Iterable[Event],
    *,
    in_order: bool = False,
    fold_seconds: float | None = None,
    memory_limit_events: int = DEFAULT_LIMIT,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Event]:
    """The events in order of time; equal times as in `graph.ordering`.

    ``in_order``: they are in order already and only passed on, each checked against the one before it.
    ``fold_seconds``: see `fold_events`. ``progress`` is called with the number of events read so far.
    Above ``memory_limit_events`` sorted runs are written, compressed, to a temporary directory that is
    removed in the end. Raises `UnorderedError` for an event earlier than its predecessor of an ``in_order``
    stream, and `UserError` if both ``in_order`` and ``fold_seconds`` are given.
    """
    if in_order:
        if fold_seconds is not None:
            raise UserError("a folded stream is never in order as it stands: leave out --in-order or --fold")
        yield from _checked(_counted(events, progress))
        return
    counted = _counted(events, progress)
    folded = counted if fold_seconds is None else fold_events(counted, fold_seconds)
    yield from _sorted(folded, max(1, memory_limit_events))


def fold_events(events: Iterable[Event], fold_seconds: float) -> Iterator[Event]:
    """Lay cascades of many years over one period: thousands live at once, each with its own delays and time
    of day.

    A cascade moves by the whole number of periods that brings its first event here, its root where cascades
    come root first, into the period in which the first event of the stream lies; with a period of whole days
    its time of day stays.
    """
    if not (math.isfinite(fold_seconds) and fold_seconds > 0):
        raise UserError(f"a fold of {fold_seconds:g} seconds is no period: give a positive one, such as 24h")
    base: float | None = None
    shifts: dict[str, float] = {}
    for event in events:
        period = math.floor(event.time / fold_seconds)
        if base is None:
            base = period
        shift = shifts.get(event.cascade)
        if shift is None:
            shift = shifts[event.cascade] = (base - period) * fold_seconds
        yield msgspec.structs.replace(event, time=max(0.0, event.time + shift)) if shift else event


def _counted(events: Iterable[Event], progress: Callable[[int], None] | None) -> Iterator[Event]:
    if progress is None:
        yield from events
        return
    count = 0
    for count, event in enumerate(events, start=1):
        if count % BLOCK == 0:
            progress(count)
        yield event
    progress(count)


def _checked(events: Iterable[Event]) -> Iterator[Event]:
    last = -math.inf
    for number, event in enumerate(events, start=1):
        if event.time < last:
            raise UnorderedError(
                f"event {number} ({event.id}) is {last - event.time:g} s earlier than the one before it: the stream is "
                "not in order of time, leave out --in-order"
            )
        last = event.time
        yield event


def _sorted(events: Iterable[Event], limit: int) -> Iterator[Event]:
    """External merge sort; with no more than ``limit`` events a plain sort."""
    held: list[Placed] = []
    with _Runs() as runs:
        for placed in enumerate(events):
            held.append(placed)
            if len(held) >= limit:
                held.sort(key=_key)
                runs.spill(held)
                held = []
        held.sort(key=_key)
        for _, event in runs.merged(held):
            yield event


def _key(placed: Placed) -> tuple[float, bool, int]:
    """Time, not a root, place: total, so the order never depends on where runs were cut."""
    place, event = placed
    return event.time, event.kind is not Kind.POST, place


class _Runs:
    """Sorted runs in a temporary directory, which is made when the first one is spilt."""

    def __init__(self) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._paths: list[Path] = []
        self._made = 0

    def __enter__(self) -> _Runs:
        return self

    def __exit__(self, *_: object) -> None:
        if self._directory is not None:
            self._directory.cleanup()

    def spill(self, run: Iterable[Placed]) -> None:
        """Write one sorted run; beyond `MAX_RUNS` of them, merge those there are into one first."""
        if len(self._paths) >= MAX_RUNS:
            together, self._paths = self._paths, []
            self._write(heapq.merge(*map(_read, together), key=_key))
            for path in together:
                path.unlink()
        self._write(run)

    def merged(self, rest: list[Placed]) -> Iterable[Placed]:
        """All runs and the sorted ``rest`` that was not spilt, merged."""
        return heapq.merge(*map(_read, self._paths), rest, key=_key) if self._paths else rest

    def _write(self, run: Iterable[Placed]) -> None:
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="cascadecast-order-")
        path = Path(self._directory.name) / f"{self._made}.zst"
        self._made += 1
        try:
            with path.open("wb") as file, zstandard.ZstdCompressor(1).stream_writer(file) as sink:
                items = iter(run)
                while block := list(itertools.islice(items, BLOCK)):
                    encoded = msgspec.msgpack.encode(block)
                    sink.write(len(encoded).to_bytes(4, "little") + encoded)
        except OSError as error:
            raise UserError(
                f"{path.parent}: cannot hold the events to be ordered: {error.strerror}; make room there, or set "
                "TMPDIR to a larger place"
            ) from None
        self._paths.append(path)


def _read(path: Path) -> Iterator[Placed]:
    decoder = msgspec.msgpack.Decoder(list[tuple[int, Event]])
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as source:
        while head := source.read(4):
            yield from decoder.decode(source.read(int.from_bytes(head, "little")))
