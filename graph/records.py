"""How a node of a cascade lies in memory: one packed record of 20 bytes, or of 25 once a cascade outgrows it.

narrow  time f8 | user 8 bytes | parent u2 | depth u1 | flags u1     up to 65,535 nodes, depth up to 254
wide    time f8 | user 8 bytes | parent u4 | depth u4 | flags u1

The id's eight-byte hash lies in a column of its own, because a scan for it must be fast. The low two bits of the flags
are the kind, the next two say how the parent was found.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.events import Kind

KIND_CODES: Final[dict[Kind, int]] = {Kind.POST: 0, Kind.REPOST: 1, Kind.QUOTE: 2, Kind.REPLY: 3}
KIND_NAMES: Final = tuple(kind.value for kind in KIND_CODES)
REPOST: Final = 1
QUOTE: Final = 2
REPLY: Final = 3
KIND_MASK: Final = 3
INFERRED: Final = 4
"""Flag: the parent was absent or has not been seen, so the node hangs on the root."""
NAMES_ROOT: Final = 8
"""Flag: the parent is the root by an id of its own: as long as the post is not visible, that could not be known."""


class Layout:
    """One of the two record formats, as a struct for single records and as a numpy dtype for columns."""

    __slots__ = ("dtype", "fields", "max_depth", "max_nodes", "pack", "size", "unpack_from")

    def __init__(self, parent: str, depth: str) -> None:
        packed = struct.Struct(f"<d8s{parent}{depth}B")
        self.pack = packed.pack
        self.unpack_from = packed.unpack_from
        self.size = packed.size
        widths = {"B": "u1", "H": "<u2", "I": "<u4"}
        self.dtype: np.dtype[Any] = np.dtype(
            [("time", "<f8"), ("user", ">u8"), ("parent", widths[parent]), ("depth", widths[depth]), ("flags", "u1")]
        )
        self.max_nodes = 1 << (8 * struct.calcsize(f"<{parent}"))
        self.max_depth = (1 << (8 * struct.calcsize(f"<{depth}"))) - 2


NARROW: Final = Layout("H", "B")
WIDE: Final = Layout("I", "I")


def widened(records: bytearray) -> bytearray:
    """Narrow records in the wide format."""
    return bytearray(np.frombuffer(records, NARROW.dtype).astype(WIDE.dtype).tobytes())


def depths_of(parents: NDArray[np.int32]) -> NDArray[np.int32]:
    """Depth of each node of a tree given by parent positions; node 0 is the root and its own parent.

    Pointer doubling: every round looks twice as far up, so a chain of n nodes takes log2(n) rounds.
    """
    ancestors = parents.copy()
    depths = np.ones(len(parents), np.int32)
    depths[0] = 0
    while ancestors.any():
        depths += depths[ancestors]
        ancestors = ancestors[ancestors]
    return depths
