"""A segment of a partition's durable log: what it holds, its bytes, and the order of many of them.

Keys are (epoch, sequence). Each owner of the partition opens an epoch of its own, above all it found; a write of an
earlier owner that arrives after that (a worker that was paused, not dead) lies at or above the sequence at which the
new epoch began and is ignored.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import zstandard

from graph.errors import UserError
from graph.watermark import Evidence
from streams.alerts.standings import Mark, Step
from streams.kept import Kept

STATE_VERSION: Final = 2
"""Written; raised with every change that an older reader would misread. 2: checksums, and what the clock rests on."""

OLDEST_STATE_VERSION: Final = 1
"""Still read: fields that came later have defaults."""

MAX_CONTENT_BYTES: Final = 1 << 30
"""A segment is a micro-batch, some megabytes at most; a header that claims more than this is damaged."""

KEY: Final = struct.Struct(">IQ")
"""Big-endian, so that the store's byte order is the log's order."""

COMPRESS_ABOVE_BYTES: Final = 512
"""Small segments do not gain from compression; hashes of ids, most of a segment, do not shrink at all."""


class StateError(UserError):
    """The stored state cannot be read by this version."""


class Chunk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one cascade gained in one batch; ``index`` orders the cascade's chunks.

    A cascade counts its chunks from a base of its own (`LIFE` times the sequence of the segment in which its life
    began), so that an id which left and came back never mixes its two lives.
    """

    cascade: str
    index: int
    data: bytes


class Segment(msgspec.Struct, array_like=True, frozen=True):
    """One durable write."""

    version: int
    watermark: float
    unforecast_since: float
    next_offset: int
    chunks: list[Chunk]
    pending: list[tuple[str, float, float, str]]  # cascade, as_of, event time, event id
    left: list[tuple[str, float]]  # cascade, event time at which it left
    # Later additions come last and have defaults, so that segments without them can be read.
    kept: list[Kept] = []  # forecasts to be scored when their cascade matures
    learned: bytes | None = None  # what forecasts as of unforecast_since use, where it differs from the one before
    clock: Evidence | None = None  # what the watermark rests on
    heard_until: float = -math.inf  # latest broker time (s) of the records before next_offset
    alerts: bytes | None = None  # the ledger of alerts at the slot of unforecast_since, where it has changed
    steps: list[Step] = []  # what forecasts and event time changed in it since
    marks: list[Mark] = []  # posts with open alerts that left memory


class _Version(msgspec.Struct, array_like=True, frozen=True):
    """The first field of a segment of any version; the others are stepped over."""

    version: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Segment).decode
_decode_version = msgspec.msgpack.Decoder(_Version).decode
_compress = zstandard.ZstdCompressor(level=1).compress
_decompress = zstandard.ZstdDecompressor().decompress
_PLAIN: Final = b"\x00"
_ZSTD: Final = b"\x01"
_CHECKED: Final = b"\x02"
_CHECKSUM: Final = struct.Struct(">I")


def pack(segment: Segment) -> bytes:
    """Bytes of a segment: a mark and a checksum (CRC-32) of the rest, a byte for the encoding, then the content."""
    raw = _encode(segment)
    content = _PLAIN + raw if len(raw) < COMPRESS_ABOVE_BYTES else _ZSTD + _compress(raw)
    return _CHECKED + _CHECKSUM.pack(zlib.crc32(content)) + content


def unpack(value: bytes) -> Segment:
    """Read a segment of this format or an older one; raises StateError for what this version cannot read."""
    try:
        raw = _content(value)
        version = _decode_version(raw).version
        if version in range(OLDEST_STATE_VERSION, STATE_VERSION + 1):
            return _decode(raw)
    except (zstandard.ZstdError, msgspec.DecodeError, IndexError, ValueError, RecursionError) as error:
        raise _damaged(str(error)) from None
    if version < OLDEST_STATE_VERSION:
        raise _damaged("no format has such a number")
    raise StateError(
        f"the stored state is of format {version} and this version reads up to {STATE_VERSION}: "
        "run the version that wrote it, or a later one"
    )


def _content(value: bytes) -> bytes:
    """The encoded segment, its checksum verified where it has one (format 2 on)."""
    if value[:1] == _CHECKED:
        start = 1 + _CHECKSUM.size
        if len(value) < start or _CHECKSUM.unpack_from(value, 1)[0] != zlib.crc32(value[start:]):
            raise ValueError("its checksum does not match")
        value = value[start:]
    if value[:1] != _ZSTD:
        return value[1:]
    if zstandard.frame_content_size(value[1:]) > MAX_CONTENT_BYTES:
        raise ValueError("it claims an impossible size")
    return _decompress(value[1:])


def _damaged(why: str) -> StateError:
    return StateError(
        f"a state segment is damaged ({why}); remove the data directory to rebuild it from the changelog, or start "
        "with another app_id to rebuild it from the events"
    )


def in_order(items: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """(epoch, sequence, value) of the segments that count, in order; a superseded owner's late writes are left out."""
    found = sorted((*_position(key), value) for key, value in items)
    first_of_later = math.inf
    kept: list[tuple[int, int, bytes]] = []
    epoch_of_last: int | None = None
    start_of_epoch = math.inf
    for epoch, sequence, value in reversed(found):
        if epoch != epoch_of_last:
            first_of_later = min(first_of_later, start_of_epoch)
            epoch_of_last = epoch
        start_of_epoch = sequence
        if sequence < first_of_later:
            kept.append((epoch, sequence, value))
    return reversed(kept)


def _position(key: bytes) -> tuple[int, int]:
    try:
        epoch, sequence = KEY.unpack(key)
    except struct.error:
        raise _damaged(f"its key has {len(key)} bytes, not {KEY.size}") from None
    return epoch, sequence
