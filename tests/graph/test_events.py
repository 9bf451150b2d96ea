"""What is an event, and why a record is none."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph import Event, Kind, Rejected, RejectReason, decode_batch, decode_event
from graph.events import MAX_FOLLOWERS, MAX_ID_BYTES, MAX_RECORD_BYTES, MAX_TIME, _decode_carefully

VALID = {"id": "e", "cascade": "c", "kind": "repost", "time": 5.0}


def raw(**changes: Any) -> bytes:
    return json.dumps(VALID | changes).encode()


def with_time(literal: str) -> bytes:
    return raw(time="@").replace(b'"@"', literal.encode())


def test_a_whole_event() -> None:
    record = raw(
        user="u",
        parent="p",
        followers=7,
        verified=False,
        text="héllo",
        lang="zh",
        source="weibo",
        growth_24h=3,
        split={"deep": [1, None]},
    )
    assert decode_event(record) == Event(
        id="e",
        cascade="c",
        kind=Kind.REPOST,
        time=5.0,
        user="u",
        parent="p",
        followers=7,
        verified=False,
        text="héllo",
        lang="zh",
        source="weibo",
    )


@pytest.mark.parametrize(
    ("literal", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("1e3", 1000.0),
        ("1347334462.25", 1347334462.25),
        (str(int(MAX_TIME)), MAX_TIME),
        ('"2012-09-11T03:34:22Z"', 1347334462.0),
        ('"2012-09-11T03:34:22.500+00:00"', 1347334462.5),
        ('"2012-09-11T05:34:22+02:00"', 1347334462.0),
        ('"1970-01-01T00:00:00Z"', 0.0),
    ],
)
def test_times(literal: str, seconds: float) -> None:
    event = decode_event(with_time(literal))
    assert isinstance(event, Event)
    assert event.time == seconds
    assert type(event.time) is float


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_iso_times_are_the_instants_they_name(moment: datetime) -> None:
    event = decode_event(raw(time=moment.isoformat()))
    assert isinstance(event, Event)
    assert event.time == moment.timestamp()


DEEP = b'{"id":"e","cascade":"c","kind":"repost","time":5,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

REJECTED = [
    (b"", RejectReason.MALFORMED_JSON, "empty"),
    (raw()[:-1], RejectReason.MALFORMED_JSON, "at character"),
    (raw() + b"x", RejectReason.MALFORMED_JSON, "Extra data"),
    (raw(kind=3)[:-1], RejectReason.MALFORMED_JSON, "at character"),
    (raw(x=math.nan), RejectReason.MALFORMED_JSON, "NaN is not JSON"),
    (raw(x=math.inf, time=math.nan), RejectReason.MALFORMED_JSON, "is not JSON"),
    (b"\xef\xbb\xbf" + raw(), RejectReason.MALFORMED_JSON, "BOM"),
    (DEEP, RejectReason.MALFORMED_JSON, "nested too deeply"),
    (raw(text="\ud800"), RejectReason.MALFORMED_JSON, "`text` contains half a surrogate pair"),
    (b"\xff" + raw(), RejectReason.NOT_UTF8, "byte 0xff at offset 0"),
    (raw(text="@").replace(b"@", b"\xc3\x28"), RejectReason.NOT_UTF8, "0xc3"),
    (raw(x="@").replace(b"@", b"\xed\xa0\x80"), RejectReason.NOT_UTF8, "0xed"),
    (raw(text="x" * MAX_RECORD_BYTES), RejectReason.OVERSIZE, "at most 262144"),
    (b"\xff" * 1_000_000, RejectReason.OVERSIZE, "1000000 bytes"),
    (b"[1]", RejectReason.SCHEMA, "must be a JSON object, not an array"),
    (b"NaN", RejectReason.MALFORMED_JSON, "NaN"),
    (b"null", RejectReason.SCHEMA, "not null"),
    (b"{}", RejectReason.SCHEMA, "`id` is missing"),
    (b'{"id":"e","cascade":"c","kind":"post"}', RejectReason.SCHEMA, "`time` is missing"),
    (raw(id=3), RejectReason.SCHEMA, "`id` must be a string, not a number"),
    (raw(cascade=None), RejectReason.SCHEMA, "`cascade` must be a string, not null"),
    (raw(kind="like"), RejectReason.SCHEMA, "`kind` must be one of post, repost, quote, reply, undo, not 'like'"),
    (raw(kind=["post"]), RejectReason.SCHEMA, "not an array"),
    (raw(time=True), RejectReason.SCHEMA, "`time` must be a number"),
    (raw(time=None), RejectReason.SCHEMA, "not null"),
    (raw(user=12), RejectReason.SCHEMA, "`user` must be a string"),
    (raw(parent=[]), RejectReason.SCHEMA, "`parent` must be a string"),
    (raw(followers=-1), RejectReason.SCHEMA, "`followers` must not be negative"),
    (raw(followers=2.5), RejectReason.SCHEMA, "`followers` must be a whole number"),
    (raw(followers="9"), RejectReason.SCHEMA, "`followers` must be a whole number"),
    (raw(followers=True), RejectReason.SCHEMA, "`followers` must be a whole number"),
    (raw(followers=MAX_FOLLOWERS + 1), RejectReason.SCHEMA, "beyond 64 bits"),
    (raw(verified=1), RejectReason.SCHEMA, "`verified` must be true, false or null"),
    (raw(text=5), RejectReason.SCHEMA, "`text` must be a string or null"),
    (raw(lang={}), RejectReason.SCHEMA, "`lang` must be a string or null"),
    (with_time("NaN"), RejectReason.INVALID_TIME, "nan"),
    (with_time("Infinity"), RejectReason.INVALID_TIME, "inf"),
    (with_time("-Infinity"), RejectReason.INVALID_TIME, "-inf"),
    (with_time("-1"), RejectReason.INVALID_TIME, "outside the years 1970 to 9999"),
    (with_time("-0.001"), RejectReason.INVALID_TIME, "outside"),
    (with_time("1e400"), RejectReason.INVALID_TIME, "outside"),
    *((with_time("9" * digits), RejectReason.INVALID_TIME, "outside") for digits in (299, 300, 308, 309, 310, 5000)),
    (with_time("253402300800"), RejectReason.INVALID_TIME, "outside"),
    (with_time('"yesterday"'), RejectReason.INVALID_TIME, "not an ISO 8601 time"),
    (with_time('""'), RejectReason.INVALID_TIME, "not an ISO 8601 time"),
    (with_time('"2012-09-11T03:34:22"'), RejectReason.INVALID_TIME, "no zone"),
    (with_time('"2012-09-11"'), RejectReason.INVALID_TIME, "no zone"),
    (with_time('"2012-02-30T00:00:00Z"'), RejectReason.INVALID_TIME, "not an ISO 8601 time"),
    (with_time('"1969-12-31T23:59:59Z"'), RejectReason.INVALID_TIME, "outside"),
    (with_time('"0001-01-01T00:00:00+23:00"'), RejectReason.INVALID_TIME, "outside"),
    (raw(id=""), RejectReason.INVALID_ID, "`id` is empty"),
    (raw(cascade=""), RejectReason.INVALID_ID, "`cascade` is empty"),
    (raw(user=""), RejectReason.INVALID_ID, "`user` is empty"),
    (raw(parent=""), RejectReason.INVALID_ID, "`parent` is empty"),
    (raw(id="x" * (MAX_ID_BYTES + 1)), RejectReason.INVALID_ID, "1025 bytes, at most 1024"),
    (raw(id="é" * (MAX_ID_BYTES // 2 + 1)), RejectReason.INVALID_ID, "1026 bytes"),
    (raw(id="a\nb"), RejectReason.INVALID_ID, "control character"),
    (raw(user="a\x7f"), RejectReason.INVALID_ID, "`user` contains a control character"),
    (raw(parent="a\x85"), RejectReason.INVALID_ID, "control character"),
    (raw(id="\ud800"), RejectReason.INVALID_ID, "half a surrogate pair"),
    (raw(kind="undo"), RejectReason.INVALID_ID, "must name in `parent`"),
]


@pytest.mark.parametrize(("record", "reason", "words"), REJECTED, ids=range(len(REJECTED)))
def test_reasons_for_rejection(record: bytes, reason: RejectReason, words: str) -> None:
    told = decode_event(record)
    assert isinstance(told, Rejected)
    assert told.reason is reason
    assert words in told.message
    assert "\n" not in told.message
    assert len(told.message) < 200


@pytest.mark.parametrize(
    "record",
    [
        raw(followers=5.0),
        raw(followers=MAX_FOLLOWERS),
        raw(id="x" * MAX_ID_BYTES),
        raw(id="a b\u00a0c🜚"),
        raw(user=None, parent=None, text=None, lang=None, source=None, verified=None, followers=None),
        raw(kind="post", id="not-its-cascade"),
        raw(kind="undo", parent="p"),
        raw(text="x" * (MAX_RECORD_BYTES - 100)),
        raw(x=1e300 * 1e300).replace(b"Infinity", b"1e999"),
        b" \n" + raw() + b"\n ",
    ],
    ids=range(10),
)
def test_unusual_but_valid(record: bytes) -> None:
    assert isinstance(decode_event(record), Event)


def test_a_batch_keeps_its_order() -> None:
    told = decode_batch([raw(id="a"), b"{", raw(id="b")])
    assert [getattr(event, "id", "rejected") for event in told] == ["a", "rejected", "b"]


ODD_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["post", "repost", "undo", "2012-09-11T03:34:22Z", "\ud83d", "a\x00", 5.0, [], {}])
)


@st.composite
def odd_records(draw: st.DrawFn) -> bytes:
    """Records that are almost events: one or two fields of anything, perhaps one missing, perhaps a broken byte."""
    content: dict[str, Any] = dict(VALID, user="u", parent="p", followers=3)
    keys = ["id", "cascade", "kind", "time", "user", "parent", "followers", "verified", "text", "lang", "other"]
    for key in draw(st.lists(st.sampled_from(keys), max_size=2)):
        content[key] = draw(ODD_VALUES)
    if draw(st.integers(0, 9)) == 0:
        content.pop(draw(st.sampled_from(sorted(content))))
    record = bytearray(json.dumps(content, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass"))
    if draw(st.integers(0, 9)) == 0:
        record[draw(st.integers(0, len(record) - 1))] = draw(st.integers(0, 255))
    return bytes(record)


@settings(max_examples=2000)
@given(odd_records())
@example(raw(followers=5.0))
def test_the_fast_path_and_the_careful_one_agree(record: bytes) -> None:
    assert decode_event(record) == _decode_carefully(record)


@given(st.binary(max_size=200))
def test_noise_never_raises(record: bytes) -> None:
    assert isinstance(decode_event(record), Rejected | Event)


def test_an_encoded_event_decodes_to_itself() -> None:
    event = Event(id="e", cascade="c", kind=Kind.QUOTE, time=1.5, user="u", followers=3)
    encoded = msgspec.json.encode(event)
    assert b"null" not in encoded
    assert decode_event(encoded) == event
