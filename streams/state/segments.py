"""A segment of a partition's durable log: what it holds, and its bytes."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import zstandard

from streams.alerts.standings import Mark, Step
from streams.scoring.kept import Kept
from streams.state.chunks import Chunk, Chunks
from streams.state.squeezing import StateError, damaged, expanded, squeezed, squeezed_segment
from streams.state.stored_times import ShortTime, StoredClock, lengthened, shortened

STATE_VERSION: Final = 4
"""Written; raised with every change that an older reader would misread. 2: checksums, and what the clock rests on.
3: chunks in columns, and forecasts to be made apart from them, so that a recovery reads neither one by one. 4: keys
that name the owner, and what an epoch goes on from; times in milliseconds, and a dictionary for what is small."""

OLDEST_STATE_VERSION: Final = 1
"""Still read: fields that came later have defaults."""

_ROWS_UNTIL: Final = 2
"""The last format that held chunks and forecasts to be made one by one."""

CHECKED_SINCE: Final = 2
"""The first format with checksums."""

WaitingForecast = tuple[str, float, float, str]
"""A forecast to be made: cascade, as_of, event time, event id."""


class Waiting(msgspec.Struct, array_like=True, frozen=True):
    """Forecasts to be made, as they were when the segment was written. Nearly all are out by the time it is read."""

    until: float = -math.inf  # the latest as_of of them
    squeezed: bytes = b""

    @classmethod
    def of(cls, waiting: Sequence[WaitingForecast]) -> Waiting:
        """Not read again until somebody needs one of them."""
        if not waiting:
            return cls()
        rows = [(cascade, as_of, shortened(time, as_of), event) for cascade, as_of, time, event in waiting]
        return cls(max(as_of for _, as_of, _, _ in waiting), squeezed(_encode(rows)))

    def since(self, as_of: float) -> Iterator[WaitingForecast]:
        """Those as of ``as_of`` or later. Raises StateError where they are damaged."""
        if self.until < as_of or not self.squeezed:
            return iter(())
        try:
            found = _decode_waiting(expanded(self.squeezed))
        except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
            raise damaged(str(error)) from None
        return ((cascade, at, lengthened(time, at), event) for cascade, at, time, event in found if at >= as_of)


class Segment(msgspec.Struct, array_like=True, frozen=True):
    """One durable write."""

    version: int
    watermark: float
    unforecast_since: float
    next_offset: int
    chunks: Chunks
    pending: Waiting
    left: list[tuple[str, float]]  # cascade, event time at which it left
    # Later additions come last and have defaults, so that segments without them can be read.
    kept: list[Kept] = []  # forecasts to be scored when their cascade matures
    learned: bytes | None = None  # what forecasts as of unforecast_since use, where it differs from the one before
    clock: StoredClock | None = None  # what the watermark rests on
    heard_until: float = -math.inf  # latest broker time (s) of the records before next_offset
    alerts: bytes | None = None  # the ledger of alerts at the slot of unforecast_since, where it has changed
    steps: list[Step] = []  # what forecasts and event time changed in it since
    marks: list[Mark] = []  # posts with open alerts that left memory
    begins: int | None = None  # number of the oldest record that was not about to go; None where it was not told yet


class _InRows(msgspec.Struct, array_like=True, frozen=True):
    """A segment up to format `_ROWS_UNTIL`, which held an object for each chunk and each forecast."""

    version: int
    watermark: float
    unforecast_since: float
    next_offset: int
    chunks: list[Chunk]
    pending: list[WaitingForecast]
    left: list[tuple[str, float]]
    kept: list[Kept] = []
    learned: bytes | None = None
    clock: StoredClock | None = None
    heard_until: float = -math.inf
    alerts: bytes | None = None
    steps: list[Step] = []
    marks: list[Mark] = []

    def in_columns(self) -> Segment:
        """The same as a later format has it."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return Segment(**{**fields, "chunks": Chunks.of(self.chunks), "pending": Waiting.of(self.pending)})


class _Version(msgspec.Struct, array_like=True, frozen=True):
    """The first field of a segment of any version; the others are stepped over."""

    version: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Segment).decode
_decode_rows = msgspec.msgpack.Decoder(_InRows).decode
_decode_waiting = msgspec.msgpack.Decoder(list[tuple[str, float, ShortTime, str]]).decode
_decode_version = msgspec.msgpack.Decoder(_Version).decode
_CHECKED: Final = b"\x02"
_CHECKSUM: Final = struct.Struct(">I")


def pack(segment: Segment) -> bytes:
    """Bytes of a segment: a mark and a checksum (CRC-32) of the rest, a byte for the encoding, then the content."""
    squeezed_content = squeezed_segment(_encode(segment))
    return _CHECKED + _CHECKSUM.pack(zlib.crc32(squeezed_content)) + squeezed_content


def unpack(value: bytes) -> Segment:
    """Read a segment of this format or an older one; raises StateError for what this version cannot read."""
    try:
        raw = content(value)
        version = _decode_version(raw).version
        if version in range(OLDEST_STATE_VERSION, _ROWS_UNTIL + 1):
            return _decode_rows(raw).in_columns()
        if version in range(_ROWS_UNTIL + 1, STATE_VERSION + 1):
            return _decode(raw)
    except (zstandard.ZstdError, msgspec.DecodeError, ArithmeticError, IndexError, ValueError, RecursionError) as error:
        raise damaged(str(error)) from None
    if version < OLDEST_STATE_VERSION:
        raise damaged("no format has such a number")
    raise StateError(
        f"the stored state is of format {version} and this version reads up to {STATE_VERSION}: "
        "run the version that wrote it, or a later one"
    )


def content(value: bytes) -> bytes:
    """The encoded segment, its checksum verified where it has one (format `CHECKED_SINCE` on). Raises ValueError or
    ZstdError for what is damaged."""
    if value[:1] == _CHECKED:
        start = 1 + _CHECKSUM.size
        if len(value) < start or _CHECKSUM.unpack_from(value, 1)[0] != zlib.crc32(value[start:]):
            raise ValueError("its checksum does not match")
        value = value[start:]
    return expanded(value)
