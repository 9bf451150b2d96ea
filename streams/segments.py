"""A segment of a partition's durable log: what it holds, its bytes, and the order of many of them.

Keys are (epoch, sequence). Each owner of the partition opens an epoch of its own, above all it found; a write of an
earlier owner that arrives after that (a worker that was paused, not dead) lies at or above the sequence at which the
new epoch began and is ignored.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import zstandard

from graph.errors import UserError
from graph.watermark import Evidence
from streams.kept import Kept

STATE_VERSION: Final = 1

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


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Segment).decode
_compress = zstandard.ZstdCompressor(level=1).compress
_decompress = zstandard.ZstdDecompressor().decompress
_PLAIN: Final = b"\x00"
_ZSTD: Final = b"\x01"


def pack(segment: Segment) -> bytes:
    """Bytes of a segment: a byte for the encoding, then the content."""
    raw = _encode(segment)
    return _PLAIN + raw if len(raw) < COMPRESS_ABOVE_BYTES else _ZSTD + _compress(raw)


def unpack(value: bytes) -> Segment:
    """Read a segment; raises StateError for what this version cannot read."""
    try:
        raw = _decompress(value[1:]) if value[:1] == _ZSTD else value[1:]
        version = msgspec.msgpack.decode(raw, type=list)[0]
        if version == STATE_VERSION:
            return _decode(raw)
    except (zstandard.ZstdError, msgspec.DecodeError, IndexError) as error:
        raise StateError(
            f"a state segment is damaged ({error}); remove the data directory to rebuild it from Kafka"
        ) from None
    raise StateError(f"state of format {version}, this version reads {STATE_VERSION}: run the version that wrote it")


def in_order(items: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """(epoch, sequence, value) of the segments that count, in order; a superseded owner's late writes are left out."""
    found = sorted((*KEY.unpack(key), value) for key, value in items)
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
