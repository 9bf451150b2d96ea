"""The social event: what one record of the topic ``social.events`` says, decoded and validated.

Decoding and validating costs about a microsecond an event (msgspec). A record that is not a valid event never raises:
it comes back as a `Rejected`. Whatever the fast path does not accept goes the careful way, which knows the reason, or
reads the spellings that are rare (times as text, counts as 5.0).
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

MAX_RECORD_BYTES: Final = 262_144
"""A social event is a few hundred bytes; a quarter of a megabyte leaves room for the longest text there is."""

MAX_ID_BYTES: Final = 1024
"""Platform ids are below 200 bytes; an id travels in every key and output record."""

MAX_FOLLOWERS: Final = 2**63 - 1
"""What a signed 64-bit number holds; nobody has more."""

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


_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_BYTES)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_FOLLOWERS)]


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One validated social event. ``time`` is event time in seconds since the epoch (UTC)."""

    id: _Id
    cascade: _Id
    kind: Kind
    time: Annotated[float, msgspec.Meta(ge=0.0, le=MAX_TIME)]
    user: _Id | None = None
    parent: _Id | None = None
    followers: _Count | None = None
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


def decode_event(raw: bytes) -> Event | Rejected:
    """The event that one JSON record says, or why it says none. Unknown keys are ignored."""
    if len(raw) <= MAX_RECORD_BYTES:
        try:
            event = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            # isprintable() excludes control characters and surrogates, and some harmless ones the careful way allows.
            # At most a quarter of the limit in characters is within it in bytes.
            if (
                len(event.id) <= _SURELY_SHORT
                and len(event.cascade) <= _SURELY_SHORT
                and event.id.isprintable()
                and event.cascade.isprintable()
                and ((parent := event.parent) is None or (len(parent) <= _SURELY_SHORT and parent.isprintable()))
                and ((user := event.user) is None or (len(user) <= _SURELY_SHORT and user.isprintable()))
                and (parent is not None or event.kind is not _UNDO)
                and (raw.isascii() or _is_utf8(raw))
            ):
                return event
    return _decode_carefully(raw)


def decode_batch(raws: Sequence[bytes]) -> list[Event | Rejected]:
    """`decode_event` of each record, in order."""
    return [decode_event(raw) for raw in raws]


_decode: Final = msgspec.json.Decoder(Event).decode
_UNDO: Final = Kind.UNDO
_KINDS: Final[dict[str, Kind]] = {kind.value: kind for kind in Kind}
_SURELY_SHORT: Final = MAX_ID_BYTES // 4


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


class _InvalidError(Exception):
    def __init__(self, reason: RejectReason, message: str) -> None:
        self.rejected = Rejected(reason, message)


def _decode_carefully(raw: bytes) -> Event | Rejected:
    try:
        return _validated(_parsed(raw))
    except _InvalidError as invalid:
        return invalid.rejected


def _parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``; NaN and Infinity are let through where they are the time, to be refused there."""
    if len(raw) > MAX_RECORD_BYTES:
        raise _InvalidError(
            RejectReason.OVERSIZE, f"the record has {len(raw)} bytes, at most {MAX_RECORD_BYTES} are allowed"
        )
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    try:
        content = json.loads(raw.decode(), parse_constant=constant, parse_int=_parse_int)
    except UnicodeDecodeError as error:
        raise _InvalidError(
            RejectReason.NOT_UTF8, f"byte {raw[error.start]:#04x} at offset {error.start} is not UTF-8"
        ) from None
    except json.JSONDecodeError as error:
        message = f"{error.msg} at character {error.pos}" if raw else "the record is empty"
        raise _InvalidError(RejectReason.MALFORMED_JSON, message) from None
    except RecursionError:
        raise _InvalidError(RejectReason.MALFORMED_JSON, "the record is nested too deeply") from None
    if constants:
        time = content.get("time") if isinstance(content, dict) else None
        if len(constants) > 1 or not isinstance(time, float) or math.isfinite(time):
            raise _InvalidError(RejectReason.MALFORMED_JSON, f"{constants[0]} is not JSON")
    if not isinstance(content, dict):
        raise _InvalidError(RejectReason.SCHEMA, f"the record must be a JSON object, not {_json_type(content)}")
    return content


def _parse_int(digits: str) -> int | float:
    # int() refuses thousands of digits (a guard against quadratic time), and what has 309 cannot become a float again.
    return int(digits) if len(digits) < 300 else float(digits)


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _validated(content: dict[str, Any]) -> Event:
    for key in ("id", "cascade", "kind", "time"):
        if key not in content:
            raise _InvalidError(RejectReason.SCHEMA, f"`{key}` is missing")
    event_id = _identifier(content, "id")
    cascade = _identifier(content, "cascade")
    kind = _kind(content["kind"])
    parent = _identifier(content, "parent") if content.get("parent") is not None else None
    user = _identifier(content, "user") if content.get("user") is not None else None
    if kind is Kind.UNDO and parent is None:
        raise _InvalidError(RejectReason.INVALID_ID, "an undo must name in `parent` the event it takes back")
    return Event(
        id=event_id,
        cascade=cascade,
        kind=kind,
        time=_time(content["time"]),
        user=user,
        parent=parent,
        followers=_followers(content.get("followers")),
        verified=_optional(content, "verified", bool, "true, false or null"),
        text=_text(content, "text"),
        lang=_text(content, "lang"),
        source=_text(content, "source"),
    )


def _identifier(content: dict[str, Any], key: str) -> str:
    value = content[key]
    if not isinstance(value, str):
        raise _InvalidError(RejectReason.SCHEMA, f"`{key}` must be a string, not {_json_type(value)}")
    if not value:
        raise _InvalidError(RejectReason.INVALID_ID, f"`{key}` is empty")
    if any(character < " " or "\x7f" <= character < "\xa0" for character in value):
        raise _InvalidError(RejectReason.INVALID_ID, f"`{key}` contains a control character")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise _InvalidError(RejectReason.INVALID_ID, f"`{key}` contains half a surrogate pair") from None
    if size > MAX_ID_BYTES:
        raise _InvalidError(RejectReason.INVALID_ID, f"`{key}` has {size} bytes, at most {MAX_ID_BYTES} are allowed")
    return value


def _kind(value: object) -> Kind:
    if isinstance(value, str) and value in _KINDS:
        return _KINDS[value]
    allowed = ", ".join(Kind)
    told = repr(value[:40]) if isinstance(value, str) else _json_type(value)
    raise _InvalidError(RejectReason.SCHEMA, f"`kind` must be one of {allowed}, not {told}")


def _time(value: object) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _InvalidError(
                RejectReason.INVALID_TIME, f"`time` {value[:40]!r} is not an ISO 8601 time such as 2012-09-11T03:34:22Z"
            ) from None
        if moment.utcoffset() is None:
            raise _InvalidError(RejectReason.INVALID_TIME, f"`time` {value!r} has no zone; append Z or an offset")
        try:
            seconds = moment.timestamp()
        except OverflowError:
            seconds = math.nan
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise _InvalidError(
            RejectReason.SCHEMA, f"`time` must be a number of seconds or an ISO 8601 string, not {_json_type(value)}"
        )
    else:
        seconds = float(value)
    if not 0.0 <= seconds <= MAX_TIME:
        raise _InvalidError(
            RejectReason.INVALID_TIME,
            f"`time` {str(value)[:40]} is outside the years 1970 to 9999 (seconds since 1970)",
        )
    return seconds


def _followers(value: object) -> int | None:
    if value is None:
        return None
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        raise _InvalidError(RejectReason.SCHEMA, f"`followers` must be a whole number, not {value!r:.40}")
    assert isinstance(value, int | float)
    if not 0 <= value <= MAX_FOLLOWERS:
        raise _InvalidError(
            RejectReason.SCHEMA, f"`followers` must not be negative or beyond 64 bits, not {value!r:.40}"
        )
    return int(value)


def _text(content: dict[str, Any], key: str) -> str | None:
    value: str | None = _optional(content, key, str, "a string or null")
    if value is not None and any("\ud800" <= character <= "\udfff" for character in value):
        raise _InvalidError(RejectReason.MALFORMED_JSON, f"`{key}` contains half a surrogate pair")
    return value


def _optional(content: dict[str, Any], key: str, kind: type, allowed: str) -> Any:
    value = content.get(key)
    if value is not None and not isinstance(value, kind):
        raise _InvalidError(RejectReason.SCHEMA, f"`{key}` must be {allowed}, not {_json_type(value)}")
    return value
