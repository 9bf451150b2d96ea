"""What live cascades cost: bytes and time an event, beside networkx with the same graphs, on this machine, in this run.

Each measurement of memory runs in a process of its own: resident memory before and after, divided by the events. The
cascades grow interleaved, as in life, in a `CascadeStore`; their sizes are lognormal. Only the calls that grow a graph
are timed, not the making of the events; the rate beside networkx's is of both taking the same events in turns, in
processor time, so that whatever else the machine does weighs on both alike.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
import networkx
import numpy as np

from graph import Cascade, CascadeStore, Event, Kind, decode_event
from streams.bench.rows import row

Progress = Callable[[str, float], None]
"""Called with what is being measured and the share of it that is done."""

NETWORKX_SHARE: Final = 20
"""networkx gets one cascade in so many: ten million events would take it some 15 GB."""

_CHUNK_EVENTS: Final = 10_000
"""Events made at once: few enough for their garbage not to count."""

_DAY: Final = 86_400.0
_SIGMA: Final = 1.0
"""Spread of log sizes; the largest cascade is then some 30 times the mean."""

_VIEW_NODES: Final = 100
_READING_EVENTS: Final = 100_000


def run(
    events: int = 10_000_000, cascades: int = 100_000, seed: int = 0, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Measure, and return the rows of ``cascadecast bench state``; a minute or so at full size."""
    tell = progress or (lambda what, share: None)
    ours = _in_own_process("cascades", events, cascades, seed, 1, lambda share: tell("compact cascades", share))
    theirs = _in_own_process("networkx", events, cascades, seed, NETWORKX_SHARE, lambda share: tell("networkx", share))
    race = _in_own_process("both", events, cascades, seed, NETWORKX_SHARE, lambda share: tell("append rates", share))
    tell("decoding and views", 0.0)
    decoding = decoded_per_second()
    view_seconds = seconds_per_view()
    tell("decoding and views", 1.0)
    sample = f"1 cascade in {NETWORKX_SHARE}"
    return [
        row("memory an event", ours["bytes"], "bytes", f"networkx DiGraph, {sample} of the same", theirs["bytes"]),
        row("memory an event, target", ours["bytes"], "bytes", "at most", 40.0),
        row(
            f"append rate, {sample}",
            race["cascades"],
            "events/s",
            "networkx add_node and add_edge, the same events in turns",
            race["networkx"],
        ),
        row("append rate, all cascades", ours["cascades"], "events/s", None, None),
        row("decode and validate rate", decoding, "events/s", None, None),
        row(f"view of {_VIEW_NODES} nodes", view_seconds * 1e6, "us", None, None),
        row("events measured", float(events), "events", "cascades", float(cascades)),
    ]


def decoded_per_second() -> float:
    """Small events decoded and validated a second."""
    raws = [msgspec.json.encode(event) for chunk in _chunks(_READING_EVENTS, 1000, 0, 1) for event in chunk]
    best = min(_seconds(lambda: [decode_event(raw) for raw in raws]) for _ in range(3))
    return len(raws) / best


def seconds_per_view() -> float:
    """Seconds to take a view of a cascade of a hundred nodes, times in whole seconds."""
    cascade = Cascade("c")
    cascade.apply(Event(id="c", cascade="c", kind=Kind.POST, time=0.0))
    for number in range(1, _VIEW_NODES):
        parent = f"n{number // 2}" if number > 1 else "c"
        cascade.apply(Event(id=f"n{number}", cascade="c", kind=Kind.REPOST, time=float(number // 2), parent=parent))
    rounds = 200

    def views() -> None:
        for number in range(rounds):
            cascade.view(1e6 + number)

    return statistics.median(_seconds(views) for _ in range(7)) / rounds


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _in_own_process(
    what: str, events: int, cascades: int, seed: int, share: int, tell: Callable[[float], None]
) -> dict[str, float]:
    """Run this module as a process and return the figures it prints."""
    options = ["--events", events, "--cascades", cascades, "--seed", seed, "--share", share]
    command = [sys.executable, "-m", "streams.bench.state", what, *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        figures: dict[str, float] = {}
        for line in process.stdout:
            figures = json.loads(line)
            tell(figures.get("share", 1.0))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return figures


def _chunks(events: int, cascades: int, seed: int, share: int) -> Iterator[list[Event]]:
    """The workload in chunks; of the cascades, one in ``share``."""
    random = np.random.default_rng(seed)
    weights = random.lognormal(0.0, _SIGMA, cascades)
    sizes = 1 + random.multinomial(events - cascades, weights / weights.sum())
    owners = np.repeat(np.arange(cascades, dtype=np.int32), sizes)
    random.shuffle(owners)
    owners = owners[owners % share == 0]
    nodes = np.zeros(cascades, np.int64)
    for start in range(0, len(owners), _CHUNK_EVENTS):
        chunk = owners[start : start + _CHUNK_EVENTS].tolist()
        above = random.random(len(chunk)).tolist()
        users = random.integers(0, 2_000_000, len(chunk)).tolist()
        made = []
        for offset, (owner, upward, user) in enumerate(zip(chunk, above, users, strict=True)):
            number = int(nodes[owner])
            nodes[owner] += 1
            # Half of the reshares are of the root, the others of anybody before them.
            parent = max(0, int((2 * upward - 1) * number))
            moment = (start + offset) * (_DAY / len(owners))
            made.append(_event(owner, number, parent, user, moment))
        yield made


def _event(owner: int, number: int, parent: int, user: int, moment: float) -> Event:
    cascade = f"post-{owner}"
    if number == 0:
        return Event(id=cascade, cascade=cascade, kind=Kind.POST, time=moment, user=f"user-{user}")
    return Event(
        id=f"{cascade}-{number}",
        cascade=cascade,
        kind=Kind.REPOST,
        time=moment,
        user=f"user-{user}",
        parent=f"{cascade}-{parent}" if parent else cascade,
    )


def _grow_cascades(store: CascadeStore, chunk: list[Event]) -> None:
    for event in chunk:
        store.apply(event)


def _grow_networkx(graphs: dict[str, Any], chunk: list[Event]) -> None:
    for event in chunk:
        graph = graphs.get(event.cascade)
        if graph is None:
            graph = graphs[event.cascade] = networkx.DiGraph()
        graph.add_node(event.id, time=event.time)
        if event.parent is not None:
            graph.add_edge(event.parent, event.id)


def resident_bytes() -> int:
    """Resident memory of this process; Linux keeps it in pages in the second field of statm."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _measure(what: str, events: int, cascades: int, seed: int, share: int) -> dict[str, float]:
    """Grow ``what`` ("both": in turns, chunk by chunk); the rates are in events a second of processor time."""
    store, graphs = CascadeStore(), dict[str, Any]()
    growers: dict[str, Callable[[list[Event]], None]] = {
        "cascades": lambda chunk: _grow_cascades(store, chunk),
        "networkx": lambda chunk: _grow_networkx(graphs, chunk),
    }
    if what != "both":
        growers = {what: growers[what]}
    chunks = _chunks(events, cascades, seed, share)
    first = next(chunks)  # the arrays behind the workload now exist, and stay until the end
    gc.collect()
    before = resident_bytes()
    seconds = dict.fromkeys(growers, 0.0)
    done = 0
    for number, chunk in enumerate(chain([first], chunks)):
        for name in list(growers)[:: 1 if number % 2 else -1]:  # whoever goes second finds the events in the cache
            start = time.process_time()
            growers[name](chunk)
            seconds[name] += time.process_time() - start
        done += len(chunk)
        print(json.dumps({"share": done * share / events}), flush=True)
    del first, chunk
    gc.collect()
    rates = {name: done / spent for name, spent in seconds.items()}
    return {"bytes": (resident_bytes() - before) / done, **rates}


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["cascades", "networkx", "both"])
    for option in ("events", "cascades", "seed", "share"):
        parser.add_argument(f"--{option}", type=int, required=True)
    print(json.dumps(_measure(**vars(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    _main()
