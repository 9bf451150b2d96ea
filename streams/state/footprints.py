"""What live cascades occupy in a partition's log: which of their chunks are needed, and when they lie too scattered."""

from __future__ import annotations

from typing import Final

import msgspec

from graph import Cascade
from graph.delta import is_whole
from streams.state.chunks import Chunk

SCATTER_FACTOR: Final = 2.0
"""Bytes of a cascade's chunks over those of one chunk at which it is written anew as one: a slow cascade comes in
chunks of one event, each with a header. So a recovery has few chunks to read, and a byte is written about twice."""

CHUNK_OVERHEAD_BYTES: Final = 52
"""Of a chunk's own header and its framing in a segment."""

MAX_WHOLE_BYTES: Final = 64 * 1024
"""A larger cascade is not written anew: it grows fast enough to come in larger chunks, and a segment stays small."""

CHUNK_FRAMING_BYTES: Final = 16
"""Of a chunk in a segment, beside its data and its cascade's id."""


class Footprint(msgspec.Struct, eq=False, gc=False):
    """What a live cascade occupies in the log: its chunks have the indexes first_index..next_index - 1."""

    first_index: int
    next_index: int
    needed_bytes: int = 0
    whole_bytes: int = 0  # of these the first chunk, which tells everything

    def add(self, chunk: Chunk) -> int:
        """Take note of the next chunk; how many more bytes are needed now, which are fewer if it tells everything."""
        before, cost = self.needed_bytes, cost_of(chunk)
        if is_whole(chunk.data):
            self.first_index, self.needed_bytes, self.whole_bytes = chunk.index, cost, cost
        else:
            self.needed_bytes += cost
        self.next_index = chunk.index + 1
        return self.needed_bytes - before

    def is_scattered(self, cascade: Cascade) -> bool:
        """Whether the cascade takes twice the bytes it would take in one chunk, and one chunk is not too large."""
        whole = max(self.whole_bytes, CHUNK_OVERHEAD_BYTES + 2 * len(cascade.id) + cascade.column_bytes)
        return whole <= MAX_WHOLE_BYTES and self.needed_bytes >= SCATTER_FACTOR * whole


def cost_of(chunk: Chunk) -> int:
    """Bytes that a chunk is worth in the log: its data, its id, the framing."""
    return len(chunk.data) + len(chunk.cascade) + CHUNK_FRAMING_BYTES
