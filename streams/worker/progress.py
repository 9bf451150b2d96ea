"""How far a partition's outputs are out, exactly: what a transaction notes beside the records it publishes.

Outputs are made again after a crash, since the state notes only how far all of them are out for certain. Noted in the
same transaction as the outputs themselves, this tells the next owner which of those it need not publish again.
"""

from __future__ import annotations

import base64
import math
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import xxhash

MAX_METADATA_BYTES: Final = 4096
"""What a broker takes beside an offset by default (``offset.metadata.max.bytes``)."""

MAX_REMEMBERED: Final = 180
"""Forecasts noted one by one: sixteen bytes each in base64, and the rest, stay below `MAX_METADATA_BYTES`."""

_BEYOND: Final = struct.Struct("<8sd")


class OutputKind(StrEnum):
    """What an output is."""

    FORECAST = "forecast"
    SCORE = "score"
    DEAD_LETTER = "dead-letter"
    ALERT = "alert"


_BY_TIME: Final = frozenset({OutputKind.FORECAST, OutputKind.ALERT})


@dataclass(frozen=True, slots=True)
class OutputKey:
    """What makes an output itself: the same forecast made again has the same key, whichever model speaks.

    ``at`` is the as_of of a forecast or an alert, the time of maturity of a score, the offset of a dead letter's
    original; NaN for an alert whose time does not follow from the input: such a one is never taken for out.
    """

    kind: OutputKind
    at: float
    cascade: str = ""

    def digest(self) -> bytes:
        """Eight bytes that tell it from others."""
        kind = "\x1falert" if self.kind is OutputKind.ALERT else ""
        return xxhash.xxh3_64_digest(f"{self.cascade}\x1f{self.at!r}{kind}".encode())


@dataclass(frozen=True, slots=True)
class Progress:
    """Outputs that are out.

    Forecasts and alerts come in the order of their as_of, so one time tells of nearly all of them; those beyond it are
    noted one by one. Scores come in whole slots and dead letters in the order of offsets: there one number tells all.
    """

    forecasts_before: float = -math.inf
    scores_until: float = -math.inf
    letters_before: int = 0
    beyond: dict[bytes, float] = field(default_factory=dict)  # digest -> as_of, of forecasts not before the time

    def has(self, key: OutputKey) -> bool:
        """Whether this output is out."""
        if key.kind is OutputKind.SCORE:
            return key.at <= self.scores_until
        if key.kind is OutputKind.DEAD_LETTER:
            return key.at < self.letters_before
        return key.at < self.forecasts_before or key.digest() in self.beyond

    def after(self, keys: list[OutputKey], forecasts_before: float) -> Progress:
        """With these outputs out too, and all forecasts and alerts as of times before ``forecasts_before``.

        Of more than `MAX_REMEMBERED` such outputs beyond that time the latest are not noted: they may be repeated.
        """
        before = max(self.forecasts_before, forecasts_before)
        beyond = {digest: at for digest, at in self.beyond.items() if at >= before}
        beyond |= {key.digest(): key.at for key in keys if key.kind in _BY_TIME and key.at >= before}
        if len(beyond) > MAX_REMEMBERED:
            beyond = dict(sorted(beyond.items(), key=lambda item: item[1])[:MAX_REMEMBERED])
        return Progress(
            before,
            max([self.scores_until, *(key.at for key in keys if key.kind is OutputKind.SCORE)]),
            max([self.letters_before, *(int(key.at) + 1 for key in keys if key.kind is OutputKind.DEAD_LETTER)]),
            beyond,
        )

    def metadata(self) -> str:
        """All but ``letters_before``, which is the offset, as text beside an offset; `read` takes it back."""
        beyond = b"".join(_BEYOND.pack(digest, at) for digest, at in sorted(self.beyond.items()))
        return f"1 {self.forecasts_before.hex()} {self.scores_until.hex()} {base64.b64encode(beyond).decode()}"

    @classmethod
    def read(cls, offset: int, metadata: str) -> Progress:
        """What a committed offset and its metadata tell; no offset, or metadata of another form: nothing is out."""
        form, _, rest = metadata.partition(" ")
        if offset < 0 or form != "1":
            return cls()
        before, scores, beyond = rest.split(" ")
        remembered = dict(_BEYOND.iter_unpack(base64.b64decode(beyond)))
        return cls(float.fromhex(before), float.fromhex(scores), offset, remembered)
