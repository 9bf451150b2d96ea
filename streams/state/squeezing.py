"""Bytes of the durable state, compressed where that helps; and the errors of what cannot be read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import zstandard

from graph.errors import UserError

COMPRESS_ABOVE_BYTES: Final = 512
"""Less does not gain from compression; hashes of ids, most of a segment, do not shrink at all."""

MAX_CONTENT_BYTES: Final = 1 << 30
"""A segment is a micro-batch, some megabytes at most; a header that claims more than this is damaged."""

DICTIONARY_UP_TO_BYTES: Final = 4096
"""Ten events or so: of more the dictionary saves little, and its thorough search takes longer than the rest."""

PLAIN: Final = b"\x00"
ZSTD: Final = b"\x01"
SMALL: Final = b"\x02"
"""By the dictionary, in a frame without zstd's own mark."""

_MAGICLESS: Final = zstandard.FORMAT_ZSTD1_MAGICLESS
_SMALL_PARAMETERS: Final = zstandard.ZstdCompressionParameters.from_level(
    6, source_size=1024, dict_size=8192, format=_MAGICLESS, write_content_size=1, write_dict_id=0
)
_DICTIONARY: Final = zstandard.ZstdCompressionDict(Path(__file__).with_name("segments.zdict").read_bytes())
"""`streams.bench.dictionary_training` made it. Stored state needs it as it is."""

_DICTIONARY.precompute_compress(compression_params=_SMALL_PARAMETERS)


class _Contexts(threading.local):
    """Of each thread its own: zstd works without Python's lock, and one context for two threads makes nonsense."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress
        self.compress_small = zstandard.ZstdCompressor(
            dict_data=_DICTIONARY, compression_params=_SMALL_PARAMETERS
        ).compress
        self.decompress_small = zstandard.ZstdDecompressor(dict_data=_DICTIONARY, format=_MAGICLESS).decompress


_contexts: Final = _Contexts()


class StateError(UserError):
    """The stored state cannot be read by this version."""


class DamagedStateError(StateError):
    """The stored state lacks something, or is not as it was written: another copy of it may be whole."""


def damaged(why: str) -> DamagedStateError:
    """The error for a segment that nothing can be made of."""
    return DamagedStateError(
        f"a state segment is damaged ({why}); remove the data directory to rebuild it from the changelog, or start "
        "with another app_id to rebuild it from the events"
    )


def squeezed(raw: bytes) -> bytes:
    """``raw`` behind a byte that tells how it lies there."""
    return PLAIN + raw if len(raw) < COMPRESS_ABOVE_BYTES else ZSTD + _contexts.compress(raw)


def squeezed_segment(raw: bytes) -> bytes:
    """`squeezed`, of a whole segment: where it is small, by what segments have in common."""
    return squeezed(raw) if len(raw) > DICTIONARY_UP_TO_BYTES else SMALL + _contexts.compress_small(raw)


def expanded(value: bytes) -> bytes:
    """What ``value`` was made from. Raises ValueError or ZstdError for what neither of the two can have made."""
    mark, frame = value[:1], value[1:]
    if mark not in (ZSTD, SMALL):
        return frame
    format_ = _MAGICLESS if mark == SMALL else zstandard.FORMAT_ZSTD1
    if zstandard.get_frame_parameters(frame, format_).content_size > MAX_CONTENT_BYTES:
        raise ValueError("it claims an impossible size")
    return _contexts.decompress_small(frame) if mark == SMALL else _contexts.decompress(frame)
