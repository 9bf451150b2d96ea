"""Bytes of the durable state, compressed where that helps; and the errors of what cannot be read."""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from graph.errors import UserError

COMPRESS_ABOVE_BYTES: Final = 512
"""Less does not gain from compression; hashes of ids, most of a segment, do not shrink at all."""

MAX_CONTENT_BYTES: Final = 1 << 30
"""A segment is a micro-batch, some megabytes at most; a header that claims more than this is damaged."""

PLAIN: Final = b"\x00"
ZSTD: Final = b"\x01"


class _Contexts(threading.local):
    """Of each thread its own: zstd works without Python's lock, and one context for two threads makes nonsense."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_contexts: Final = _Contexts()


class StateError(UserError):
    """The stored state cannot be read by this version."""


def damaged(why: str) -> StateError:
    """The error for a segment that nothing can be made of."""
    return StateError(
        f"a state segment is damaged ({why}); remove the data directory to rebuild it from the changelog, or start "
        "with another app_id to rebuild it from the events"
    )


def squeezed(raw: bytes) -> bytes:
    """``raw`` behind a byte that tells how it lies there."""
    return PLAIN + raw if len(raw) < COMPRESS_ABOVE_BYTES else ZSTD + _contexts.compress(raw)


def expanded(value: bytes) -> bytes:
    """What `squeezed` made ``value`` from. Raises ValueError or ZstdError for what it cannot have made."""
    if value[:1] != ZSTD:
        return value[1:]
    if zstandard.frame_content_size(value[1:]) > MAX_CONTENT_BYTES:
        raise ValueError("it claims an impossible size")
    return _contexts.decompress(value[1:])
