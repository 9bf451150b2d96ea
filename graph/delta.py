"""The durable form of a cascade: chunks that say what it gained since the one before.

A chunk is a fixed header (36 bytes), the cascade's id, the columns of the new records just as they lie in memory (ids,
records, followers if any), and, only if there are any, the exceptions in MessagePack:

header   format u1 | contents u1 | base version u4 | version u4 | first record u4 | records u4 | size u4 | depth u4 |
         last time f8 | bytes of the id u2

Recovery is `bytearray +=`. A chunk builds on the state of its base version; repeating one changes nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from graph.errors import UserError
from graph.identity import KEY_BYTES, SCAN_NODES, HashIndex
from graph.irregular import Irregular, WaitingChildren
from graph.records import NARROW, WIDE

if TYPE_CHECKING:
    from graph.cascade import Cascade

FORMAT: Final = 1
"""Raised with every change of the chunks that an older reader would misread."""

_HEADER: Final = struct.Struct("<BBIIIIIIdH")
_FLOAT32_BYTES: Final = 4


class StateFormatError(UserError):
    """Stored state of a cascade cannot be read: damaged, incomplete, or written by a newer release."""


# What a chunk says and holds besides its columns: bits of its contents.
_WIDE: Final = 1
_ORDERED: Final = 2
_DEPTHS_STALE: Final = 4
FOLLOWERS: Final = 8
EXCEPTIONS: Final = 16
ORDER_BITS: Final = _ORDERED | _DEPTHS_STALE

_NO_BASE: Final = bytes(4)


_SHORT_NAMES: Final = {
    "root": "r",
    "root_key": "k",
    "changed": "c",
    "late": "l",
    "undone": "u",
    "bins": "b",
    "pending_undos": "p",
    "waiting": "w",
    "waiting_from": "f",
    "withdrawn_at": "t",
}


class _Exceptions(msgspec.Struct, rename=_SHORT_NAMES, omit_defaults=True, frozen=True, gc=False):
    """The sparse part. Positions are record numbers, times event times (s)."""

    root: tuple[int | None, bool | None, str | None, str | None] | None = None
    root_key: bytes = b""
    changed: list[tuple[int, bytes]] = []
    late: list[tuple[int, float]] = []
    undone: list[tuple[int, float]] = []
    bins: list[tuple[int, int]] = []
    pending_undos: list[tuple[bytes, float]] | None = None
    """All of them if any changed."""
    waiting: list[tuple[int, bytes]] = []
    """New waits: (child, key of its parent)."""
    waiting_from: int = 0
    """Children before this one wait no longer."""
    withdrawn_at: float = math.inf


_Value = TypeVar("_Value")
_NOTHING: Final = _Exceptions()
_encode_exceptions: Final = msgspec.msgpack.Encoder().encode
_decode_exceptions: Final = msgspec.msgpack.Decoder(_Exceptions).decode


def encode(cascade: Cascade, first: int, base_version: int) -> bytes:
    """A chunk with the records from ``first`` on and what else changed since ``base_version``; all from 0, 0."""
    layout = cascade._layout
    nodes = len(cascade._keys) >> 3
    contents = _WIDE if layout is WIDE else 0
    if cascade._ordered:
        contents |= _ORDERED
    if cascade._depths_stale:
        contents |= _DEPTHS_STALE
    if cascade._followers is not None:
        contents |= FOLLOWERS
    exceptions = _exceptions(cascade, first, base_version)
    sparse = b""
    if exceptions != _NOTHING:
        contents |= EXCEPTIONS
        sparse = _encode_exceptions(exceptions)
    name = cascade.id.encode()
    header = _HEADER.pack(
        FORMAT,
        contents,
        base_version,
        cascade.version,
        first,
        nodes - first,
        cascade._size,
        cascade._depth,
        cascade._last_time,
        len(name),
    )
    followers = b"" if cascade._followers is None else cascade._followers[first * _FLOAT32_BYTES :]
    return b"".join(
        (header, name, cascade._keys[first * KEY_BYTES :], cascade._records[first * layout.size :], followers, sparse)
    )


def _exceptions(cascade: Cascade, first: int, base_version: int) -> _Exceptions:
    whole = base_version == 0
    irregular = cascade._irregular
    facts = cascade._root if cascade._root is not None and (first == 0 or 0 in (cascade._changed or ())) else None
    changed = [] if whole else [(at, _record(cascade, at)) for at in sorted(cascade._changed or ())]
    key = b"" if facts is None or first == 0 else bytes(cascade._keys[:KEY_BYTES])
    if irregular is None:
        return _Exceptions(root=facts, root_key=key, changed=changed)
    undone, bins = irregular.undone, irregular.bins
    waiting = irregular.waiting
    pending = list(irregular.pending_undos.items())
    return _Exceptions(
        root=facts,
        root_key=key,
        changed=changed,
        late=[(at, time) for at, time in irregular.late.items() if at >= first or at == 0],
        undone=_latest(undone, len(undone) if whole else irregular.changed_undone),
        bins=_latest(bins, len(bins) if whole else irregular.changed_bins),
        pending_undos=pending if irregular.changed_pending or (whole and pending) else None,
        waiting=[
            (child, bytes(waiting.keys[at * KEY_BYTES : (at + 1) * KEY_BYTES]))
            for at, child in enumerate(waiting.children)
            if child >= first
        ],
        waiting_from=waiting.children[0] if waiting.children else len(cascade._keys) >> 3,
        withdrawn_at=irregular.withdrawn_at,
    )


def _record(cascade: Cascade, position: int) -> bytes:
    size = cascade._layout.size
    return bytes(cascade._records[position * size : (position + 1) * size])


def _latest(entries: dict[int, _Value], count: int) -> list[tuple[int, _Value]]:
    """The ``count`` entries changed last, in their order."""
    return list(islice(reversed(entries.items()), count))[::-1]


def cascade_of(chunk: bytes) -> str:
    """Id of the cascade a chunk is of.

    Raises:
        StateFormatError: the chunk is damaged or of a newer format.
    """
    return _parse(chunk)[1]


def error_of(chunk: bytes) -> StateFormatError:
    """Why a chunk that is damaged or of a newer format cannot be read."""
    try:
        _parse(chunk)
    except StateFormatError as error:
        return error
    return damaged("a cascade")


class Told(NamedTuple):
    """What the header of every chunk says of the cascade as it was then."""

    size: int
    depth: int
    last_time: float


def told_by(chunk: bytes) -> Told:
    """What a sound chunk's header says."""
    return Told(*_HEADER.unpack_from(chunk)[6:9])


def is_readable(exceptions: bytes) -> bool:
    """Whether the exceptions at the end of a chunk can be decoded."""
    try:
        _decode_exceptions(exceptions)
    except msgspec.DecodeError:
        return False
    return True


def is_whole(chunk: bytes) -> bool:
    """Whether a chunk tells everything, so that nothing before it is needed."""
    return chunk[2:6] == _NO_BASE


def absorb(cascade: Cascade, chunk: bytes) -> None:
    """Bring ``cascade`` to the state that ``chunk`` tells; see `Cascade.absorb`."""
    header, name, start = _parse(chunk)
    _, bits, base_version, version, first, count, size, depth, last_time, _ = header
    if name != cascade.id:
        raise StateFormatError(f"state of cascade {name!r} was given to cascade {cascade.id!r}")
    if version <= cascade.version:
        return
    nodes = len(cascade._keys) >> 3
    if base_version > cascade.version or first > nodes:
        raise StateFormatError(
            f"stored state of cascade {name!r} is incomplete: version {cascade.version} is followed by a change to "
            f"version {base_version}; restore an intact copy, or remove the state and replay the events"
        )
    if bits & _WIDE and cascade._layout is NARROW:
        cascade._widen()
    keys, records, followers, exceptions = _columns(chunk, start, count, bits, cascade._layout.size, name)
    _extend_keys(cascade, first, keys, exceptions.root_key)
    cascade._records[first * cascade._layout.size :] = records
    if exceptions.root is not None:
        cascade._root = exceptions.root
    if followers is not None:
        cascade._absorb_followers(first, followers)
    if exceptions is not _NOTHING or cascade._irregular is not None:
        _apply_exceptions(cascade, first, exceptions)
    _take_over(cascade, bits, version, size, depth, last_time)


def _take_over(cascade: Cascade, bits: int, version: int, size: int, depth: int, last_time: float) -> None:
    """What every chunk tells anew."""
    cascade._size, cascade._depth, cascade._last_time, cascade.version = size, depth, last_time, version
    cascade._ordered = bool(bits & _ORDERED)
    cascade._depths_stale = bool(bits & _DEPTHS_STALE)
    cascade._derived = None
    cascade.settle()


def absorb_all(cascade: Cascade, chunks: Sequence[bytes]) -> None:
    """`absorb` one chunk after another; a run of chunks that only append is taken in at once.

    Nearly all are such, and many hold a single event: a recovery has millions of them to read.
    """
    at = 0
    while at < len(chunks):
        taken = _absorb_run(cascade, chunks, at)
        if not taken:
            absorb(cascade, chunks[at])
        at += taken or 1


def _absorb_run(cascade: Cascade, chunks: Sequence[bytes], start: int) -> int:
    """Take in the chunks from ``start`` on as long as each appends to the one before it; how many those were."""
    if cascade._irregular is not None:
        return 0
    name = cascade.id.encode()
    body = _HEADER.size + len(name)
    plain = (_WIDE if cascade._layout is WIDE else 0) | (FOLLOWERS if cascade._followers is not None else 0)
    record_bytes = cascade._layout.size
    node_bytes = KEY_BYTES + record_bytes + (_FLOAT32_BYTES if plain & FOLLOWERS else 0)
    version, nodes = cascade.version, len(cascade._keys) >> 3
    keys: list[bytes] = []
    records: list[bytes] = []
    followers: list[bytes] = []
    told = None
    for chunk in islice(chunks, start, None):
        if len(chunk) < body:
            break
        header: _Header = _HEADER.unpack_from(chunk)
        form, bits, base, after, first, count, _, _, _, length = header
        end = body + count * KEY_BYTES
        if (
            form != FORMAT
            or bits & ~ORDER_BITS != plain
            or base != version
            or first != nodes
            or length != len(name)
            or chunk[_HEADER.size : body] != name
            or len(chunk) != body + count * node_bytes
        ):
            break
        records_end = end + count * record_bytes
        keys.append(chunk[body:end])
        records.append(chunk[end:records_end])
        followers.append(chunk[records_end:])
        version, nodes, told = after, nodes + count, header
    if told is None:
        return 0
    first = len(cascade._keys) >> 3
    cascade._keys += b"".join(keys)
    cascade._records += b"".join(records)
    cascade._index = HashIndex(cascade._keys) if nodes > SCAN_NODES else None
    if plain & FOLLOWERS:
        cascade._absorb_followers(first, b"".join(followers))
    _take_over(cascade, told[1], version, *told[6:9])
    return len(keys)


_Header = tuple[int, int, int, int, int, int, int, int, float, int]


def _parse(chunk: bytes) -> tuple[_Header, str, int]:
    """The header, the cascade's id, and where the columns start."""
    if chunk and chunk[0] > FORMAT:
        raise StateFormatError(
            f"stored state is of format {chunk[0]} and this release reads up to {FORMAT}: run the release that wrote it"
        )
    try:
        header: _Header = _HEADER.unpack_from(chunk)
        end = _HEADER.size + header[-1]
        if not chunk[0] or end > len(chunk):
            raise damaged("a cascade")
        return header, chunk[_HEADER.size : end].decode(), end
    except (struct.error, UnicodeDecodeError):
        raise damaged("a cascade") from None


def damaged(what: str) -> StateFormatError:
    """The error for stored state that nothing can be made of."""
    return StateFormatError(
        f"stored state of {what} is damaged; restore an intact copy, or remove the state and replay the events"
    )


def _columns(
    chunk: bytes, start: int, count: int, bits: int, record_size: int, name: str
) -> tuple[bytes, bytes, bytes | None, _Exceptions]:
    """Cut a chunk's body into keys, records, followers and exceptions."""
    records_at = start + count * KEY_BYTES
    followers_at = records_at + count * record_size
    end = followers_at + (count * _FLOAT32_BYTES if bits & FOLLOWERS else 0)
    if end > len(chunk) or (end < len(chunk)) is not bool(bits & EXCEPTIONS):
        raise damaged(f"cascade {name!r}")
    try:
        exceptions = _decode_exceptions(chunk[end:]) if end < len(chunk) else _NOTHING
    except msgspec.DecodeError:
        raise damaged(f"cascade {name!r}") from None
    followers = chunk[followers_at:end] if bits & FOLLOWERS else None
    return chunk[start:records_at], chunk[records_at:followers_at], followers, exceptions


def _extend_keys(cascade: Cascade, first: int, keys: bytes, root_key: bytes) -> None:
    known = cascade._keys
    known[: len(root_key)] = root_key
    if cascade._index is not None and first == len(known) >> 3 and not root_key:
        for at in range(0, len(keys), KEY_BYTES):
            key = keys[at : at + KEY_BYTES]
            known += key
            cascade._index.add(known, key)
        return
    known[first * KEY_BYTES :] = keys
    cascade._index = HashIndex(known) if len(known) >> 3 > SCAN_NODES else None


def _apply_exceptions(cascade: Cascade, first: int, told: _Exceptions) -> None:
    size = cascade._layout.size
    for position, record in told.changed:
        cascade._records[position * size : (position + 1) * size] = record
    if cascade._irregular is None:
        if not (told.late or told.undone or told.bins or told.pending_undos or told.waiting or told.waiting_from):
            return
        cascade._irregular = Irregular()
    irregular = cascade._irregular
    irregular.late.update(told.late)
    for position, at in told.undone:
        irregular.undo(position, at)
    for minute, number in told.bins:
        irregular.bins.pop(minute, None)
        irregular.bins[minute] = number
    if told.pending_undos is not None:
        irregular.pending_undos = dict(told.pending_undos)
    irregular.withdrawn_at = told.withdrawn_at
    gone = {position for position, _ in told.changed}
    waiting = WaitingChildren()
    for at, child in enumerate(irregular.waiting.children):
        if told.waiting_from <= child < first and child not in gone:
            waiting.add(bytes(irregular.waiting.keys[at * KEY_BYTES : (at + 1) * KEY_BYTES]), child)
    for child, key in told.waiting:
        waiting.add(key, child)
    irregular.waiting = waiting
