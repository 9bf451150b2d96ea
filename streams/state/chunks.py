"""What the cascades of a batch gained, in columns: a recovery reads millions, and makes no object for any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.state.squeezing import damaged

_INDEX: Final = np.dtype("<u8")
_LENGTH: Final = np.dtype("<u4")
_SHORT_LIST: Final = 0x90
_COUNT_BYTES: Final = {0xDC: 2, 0xDD: 4}
"""Of longer lists in MessagePack, by their first byte."""

_LONGEST_HEAD: Final = 5
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[str]).decode


class Chunk(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one cascade gained in one batch; ``index`` orders the cascade's chunks.

    A cascade counts its chunks from a base of its own (`LIFE` times the sequence of the segment in which its life
    began), so that an id which left and came back never mixes its two lives.
    """

    cascade: str
    index: int
    data: bytes


class Chunks(msgspec.Struct, array_like=True, frozen=True):
    """The chunks of a segment, in columns.

    The cascades' ids stay as they lie: a recovery finds them in the chunks, and would make a million strings here.
    """

    names: msgspec.Raw = msgspec.Raw(b"\x90")  # the ids, a list in MessagePack
    indexes: bytes = b""  # u8 each
    lengths: bytes = b""  # u4 each, of data
    data: bytes = b""  # one after the other

    @classmethod
    def of(cls, chunks: Sequence[Chunk]) -> Chunks:
        """So many as columns."""
        return cls(
            msgspec.Raw(_encode([chunk.cascade for chunk in chunks])),
            np.array([chunk.index for chunk in chunks], _INDEX).tobytes(),
            np.array([len(chunk.data) for chunk in chunks], _LENGTH).tobytes(),
            b"".join([chunk.data for chunk in chunks]),
        )

    def __post_init__(self) -> None:
        """Raise ValueError, which msgspec makes a decoding error, when the columns do not fit together."""
        count = len(self)
        fits = len(self.indexes) == count * _INDEX.itemsize and len(self.lengths) == count * _LENGTH.itemsize
        if not fits or _items(self.names) != count or int(self.sizes().sum()) != len(self.data):
            raise ValueError("its chunks do not fit together")

    def __len__(self) -> int:
        return len(self.indexes) // _INDEX.itemsize

    def cascades(self) -> list[str]:
        """The id of each one's cascade. Raises StateError for what are no ids."""
        try:
            return _decode(self.names)
        except msgspec.DecodeError as error:
            raise damaged(str(error)) from None

    def where(self, wanted: Callable[[str, int], bool]) -> Iterator[Chunk]:
        """Those whose cascade and index are ``wanted``, one after the other."""
        start = 0
        for cascade, index, size in zip(self.cascades(), self.places().tolist(), self.sizes().tolist(), strict=True):
            if wanted(cascade, index):
                yield Chunk(cascade, index, self.data[start : start + size])
            start += size

    def places(self) -> NDArray[np.uint64]:
        """(n,) the index of each."""
        return np.frombuffer(self.indexes, _INDEX)

    def sizes(self) -> NDArray[np.int64]:
        """(n,) bytes of each."""
        return np.frombuffer(self.lengths, _LENGTH).astype(np.int64)


def _items(array: msgspec.Raw) -> int:
    """How many a list in MessagePack holds, by its head; -1 for what is none."""
    head = bytes(memoryview(array)[:_LONGEST_HEAD])
    if head[0] & 0xF0 == _SHORT_LIST:
        return head[0] & 0x0F
    count_bytes = _COUNT_BYTES.get(head[0])
    return -1 if count_bytes is None else int.from_bytes(head[1 : 1 + count_bytes])
