"""The decoders under attack: for each, good examples, and what must hold of whatever comes of an input.

A target returns what became of its input: ``accepted``, or the kind of its rejection. Anything but a rejection with a
reason is a failure: the exception goes up.
"""

from __future__ import annotations

import asyncio
import os
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import zstandard

from forecasters.errors import ModelStoreError
from forecasters.model_files import CONFIG_FILE, read_config
from forecasters.promotions import ALIASES_FILE, Promotions
from graph import EventFileError, Rejected, StateFormatError, UserError, decode_event, read_events
from graph.events import MAX_RECORD_BYTES
from graph.importers import import_events
from streams.app import _record
from streams.broker.state import STATE_FILE, load_state
from streams.engine.partition import Partition
from streams.replay.position import Position, PositionError, load_position
from streams.scoring.learned import Learned
from streams.settings import CONFIG_VARIABLE, Settings, SettingsError, load_settings
from streams.state.keys import LogPosition
from streams.state.log import SegmentLog
from streams.state.squeezing import StateError, expanded
from streams.state.store import MemorySegmentStore
from tests.fuzz.examples import (
    BROKER,
    aliases_examples,
    config_examples,
    csv_examples,
    event_examples,
    event_lines,
    gzipped,
    learned_examples,
    path_examples,
    segment_examples,
    settings_examples,
    tree_examples,
)
from tests.fuzz.mutation import NUMBERS, mutated

ACCEPTED: Final = "accepted"


@dataclass(frozen=True)
class Target:
    """One decoder. ``weight`` is its share of the inputs: what is cheap and most exposed gets most."""

    name: str
    weight: int
    examples: Callable[[], Sequence[bytes]]
    run: Callable[[bytes, random.Random, Path], str]


def rejected(kind: str, message: str) -> str:
    """A rejection must say why, in one line that a log can hold."""
    assert message, f"{kind}: no reason"
    assert "\n" not in message, f"{kind}: a reason of several lines: {message!r}"
    assert len(message) < 4000, f"{kind}: a reason of {len(message)} characters"
    return kind


# --- events


def decode(raw: bytes, rng: random.Random, folder: Path) -> str:
    """One record; an accepted one survives being written and read again."""
    found = decode_event(raw)
    if isinstance(found, Rejected):
        return rejected(found.reason.value, found.message)
    encoded = msgspec.json.encode(found)
    assert len(encoded) > MAX_RECORD_BYTES or decode_event(encoded) == found
    return ACCEPTED


@cache
def _engine_settings() -> Settings:
    return Settings(models=("hawkes",), allowed_lateness_seconds=0, partitions=1)


def partition(raw: bytes, rng: random.Random, folder: Path) -> str:
    """Lines as records of a partition, with control headers among them; then a crash and a recovery."""
    lines = raw.split(b"\n")[:50]
    records = []
    for offset, line in enumerate(lines):
        headers = [("cascadecast-watermark", _header(rng))] if rng.random() < 0.05 else []
        headers += [("cascadecast-heartbeat", _header(rng))] if rng.random() < 0.05 else []
        value = b"" if headers and rng.random() < 0.8 else line
        message = SimpleNamespace(value=value, key=line[:8], headers=headers, offset=offset, timestamp=0.0)
        records.append(_record(message))
    engine, log = Partition(0, _engine_settings()), SegmentLog(MemorySegmentStore())
    changes = engine.apply_records(records, check_keys=rng.random() < 0.5)
    assert changes.fates.total() == len(records)
    for _, why in changes.dead:
        rejected(why.reason.value, why.message)
    while engine.has_due() and (due := engine.take_due(100)):
        for one in due:
            engine.published(one)
    store = MemorySegmentStore()
    log = SegmentLog(store)
    asyncio.run(log.append(engine, changes, len(records)))
    again = Partition(0, _engine_settings())
    SegmentLog(store).load(again)
    assert again.watermark.value == engine.watermark.value
    assert {cascade.id: cascade.size for cascade in again.store} == {c.id: c.size for c in engine.store}
    return ACCEPTED if changes.touched else "nothing-applied"


def _header(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return repr(rng.choice(NUMBERS)).encode()
    return rng.choice((b"nan", b"inf", b"-inf", b"1e400", b"", b"0x10", b"1_700_000_000", b"\xff", b"1" * 400, b" 5 "))


# --- files


def _file(name: str, reader: Callable[[str], Any], refusal: type[Exception]) -> Callable[..., str]:
    def run(raw: bytes, rng: random.Random, folder: Path) -> str:
        path = folder / name
        path.write_bytes(raw)
        try:
            reader(str(path))
        except refusal as error:
            return rejected(type(error).__name__, str(error))
        return ACCEPTED

    return run


# --- state


def segment(raw: bytes, rng: random.Random, folder: Path) -> str:
    """A segment, mutated as stored or before it was packed: then only its content can tell."""
    if rng.random() < 0.7:
        content = _encoded(rng.choice(segment_examples()))
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            content = mutated([content], rng)
        body = b"\x00" + content
        raw = b"\x02" + zlib.crc32(body).to_bytes(4, "big") + body
    key = LogPosition(1, 1).key() if rng.random() < 0.99 else rng.randbytes(rng.randrange(34))
    engine = Partition(0, _engine_settings())
    try:
        SegmentLog(MemorySegmentStore({key: raw})).load(engine)
    except (StateError, StateFormatError) as error:
        return rejected(type(error).__name__, str(error))
    for cascade in engine.store:
        assert cascade.snapshot()
        assert cascade.size_at(cascade.last_time) >= 0
        cascade.view()
    engine.watermark.observe(1.7e9, "c")
    return ACCEPTED


def _encoded(value: bytes) -> bytes:
    return expanded(value[5:] if value[:1] == b"\x02" else value)


def learned(raw: bytes, rng: random.Random, folder: Path) -> str:
    """What was learned, as a segment holds it."""
    try:
        Learned.restore(raw).snapshot()
    except StateError as error:
        return rejected(type(error).__name__, str(error))
    return ACCEPTED


# --- small files beside the data


def aliases(raw: bytes, rng: random.Random, folder: Path) -> str:
    """A model's promotions, and what they mean."""
    (folder / ALIASES_FILE).write_bytes(raw)
    try:
        found = Promotions.read(folder)
    except ModelStoreError as error:
        return rejected(type(error).__name__, str(error))
    for alias in ("champion", "challenger"):
        found.tenures(alias)
        found.rolled_back(alias)
    return ACCEPTED


def configuration(raw: bytes, rng: random.Random, folder: Path) -> str:
    """A TOML file of settings; the environment is left as it was."""
    path = folder / "settings.toml"
    path.write_bytes(raw)
    try:
        load_settings(path)
    except SettingsError as error:
        return rejected(type(error).__name__, str(error))
    finally:
        os.environ.pop(CONFIG_VARIABLE, None)
    return ACCEPTED


def _config(path: Path) -> dict[str, Any]:
    return read_config(path.parent)


_FRESH: Final = Position("events.jsonl", 100, "social.events", None, False, False)


def _event_file(name: str) -> Callable[..., str]:
    return _file(name, lambda path: list(read_events(path)), EventFileError)


def _import(format_name: str, name: str) -> Callable[..., str]:
    return _file(name, lambda path: list(import_events(format_name, path)), EventFileError)


def _beside(name: str, reader: Callable[[Path], Any], error: type[Exception]) -> Callable[..., str]:
    return _file(name, lambda path: reader(Path(path)), error)


TARGETS: Final = (
    Target("event", 400, event_examples, decode),
    Target("partition", 2, lambda: [event_lines(), event_lines() * 3], partition),
    Target("event-file", 8, lambda: [event_lines()], _event_file("events.jsonl")),
    Target("event-file.gz", 4, lambda: [gzipped(event_lines())], _event_file("events.jsonl.gz")),
    Target("event-file.zst", 4, lambda: [zstandard.compress(event_lines())], _event_file("events.jsonl.zst")),
    Target("casflow", 8, path_examples, _import("casflow", "casflow.txt")),
    Target("csv", 8, csv_examples, _import("csv", "table.csv")),
    Target("rumour-tree", 6, tree_examples, _import("twitter-rumour-trees", "731166399389962242.txt")),
    Target("segment", 12, segment_examples, segment),
    Target("learned", 10, learned_examples, learned),
    Target("model-config", 4, config_examples, _beside(CONFIG_FILE, _config, ModelStoreError)),
    Target("aliases", 6, aliases_examples, aliases),
    Target("settings", 2, settings_examples, configuration),
    Target(
        "replay-position",
        4,
        lambda: [msgspec.json.encode(_FRESH)],
        _beside("position.json", lambda path: load_position(path, _FRESH), PositionError),
    ),
    Target("broker-state", 4, lambda: [BROKER], _beside(STATE_FILE, lambda path: load_state(path.parent), UserError)),
)
