"""The social event: what one record of the topic ``social.events`` says, decoded and validated.

Decoding costs well under a microsecond an event (msgspec), validation of what a type cannot say another one.
A record that is not a valid event never raises in a batch: it comes back as a `Rejected` with its reason.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

MAX_RECORD_BYTES: Final = 262_144
"""A social event is a few hundred bytes; a quarter of a megabyte leaves room for the longest text there is."""

MAX_ID_BYTES: Final = 1024
"""Platform ids are below 200 bytes; an id travels in every key and output record."""

MAX_TIME: Final = 253_402_300_799.0
"""9999-12-31T23:59:59Z, the last instant ISO 8601 dates with four-digit years can name."""


class Kind(enum.StrEnum):
    """What an event does to its cascade."""

    POST = "post"
    REPOST = "repost"
    QUOTE = "quote"
    REPLY = "reply"
    UNDO = "undo"


RESHARES: Final = frozenset({Kind.REPOST, Kind.QUOTE})
"""The kinds that count as popularity."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One validated social event. ``time`` is event time in seconds since the epoch (UTC)."""

    id: str
    cascade: str
    kind: Kind
    time: float
    user: str | None = None
    parent: str | None = None
    followers: int | None = None
    verified: bool | None = None
    text: str | None = None
    lang: str | None = None
    source: str | None = None


class RejectReason(enum.StrEnum):
    """Why a record cannot be an event; the value is the ``error-kind`` header of its dead letter."""

    OVERSIZE = "oversize"
    NOT_UTF8 = "not-utf8"
    MALFORMED_JSON = "malformed-json"
    SCHEMA = "schema"
    INVALID_TIME = "invalid-time"
    INVALID_ID = "invalid-id"


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A record that is not an event: the reason, and a message for the person who mends the producer."""

    reason: RejectReason
    message: str
