"""Make hostile inputs out of good ones: JSON by its structure, everything by its bytes. Only the seed decides."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Final

NUMBERS: Final = (
    0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 0.1, -0.0, 1e-320, 1e308,
    253_402_300_799, 253_402_300_800, 1e15, 1_700_000_000, 1_700_000_000_000,
)  # fmt: skip

TEXTS: Final = (
    "", " ", "\x00", "\n", "\x1b[31m", "\x7f", "\x85", "\xa0", "\u200b", "\u202e", "\u2066", "\ufeff", "\ufffd",
    "\uffff", "\ud800", "\udfff", "\U0010ffff", "e\u0301", "\u00e9", "\u0430dmin", "admin", "p1", "post", "undo",
    "repost", "NaN", "2012-09-11T03:34:22Z", "2012-09-11T03:34:22", "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00Z", "\u0661\u0662", "../../etc/passwd", "a" * 255, "a" * 1024, "\u00e9" * 512, "\u00e9" * 513,
    "a" * 1025,
)  # fmt: skip

FRAGMENTS: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 400, b"0" * 5000, b"[" * 500, b"{\"a\":" * 300,
    b"null", b"true", b"\\ud800", b"\\u0000", b"\\", b"\"", b"{", b"}", b"]", b",", b":", b"\xff\xfe", b"\xc0\x80",
    b"\xed\xa0\x80", b"\x00", b"\r\n", b"\n", b"\t", b";", b"'", b"\xef\xbb\xbf", b"->", b"/", b" ", b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd", b"\xdd\xff\xff\xff\xff", b"\xc7\xff\xff\xff\xff",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", b"\x91" * 400,
)  # fmt: skip

LARGE_BYTES: Final = 270_000
"""Just above what a record may have."""


def mutated(examples: Sequence[bytes], rng: random.Random) -> bytes:
    """One input: an example changed once or a few times, sometimes not at all."""
    raw = rng.choice(examples)
    if raw[:1] in (b"{", b"[") and rng.random() < 0.6:
        raw = _restructured(raw, rng)
    while rng.random() < 0.6:
        raw = _altered(raw, examples, rng)
    return raw[:LARGE_BYTES]


def _restructured(raw: bytes, rng: random.Random) -> bytes:
    try:
        content = json.loads(raw)
    except ValueError:
        return raw
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(content, rng)
    text = json.dumps(content, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1 and isinstance(content, dict) and content:
        key = rng.choice(list(content))
        text = text[:-1] + f", {json.dumps(key)}: {json.dumps(_value(rng))}}}"  # the same key twice
    return text.encode("utf-8", "surrogatepass")


def _change(content: Any, rng: random.Random) -> None:
    """Change one entry somewhere in ``content``."""
    while True:
        places: list[Any] = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not places:
            break
        place = rng.choice(places)
        if isinstance(content[place], dict | list) and rng.random() < 0.7:
            content = content[place]
            continue
        if rng.random() < 0.2:
            del content[place]
        elif isinstance(content, dict) and rng.random() < 0.1:
            content[rng.choice(TEXTS)] = content.pop(place)
        else:
            content[place] = _value(rng)
        return


def _value(rng: random.Random) -> Any:
    kind = rng.randrange(10)
    if kind < 4:
        return rng.choice(TEXTS)
    if kind < 8:
        return rng.choice(NUMBERS) * rng.choice((1, 1, -1))
    return rng.choice((None, True, False, [], {}, [[]], {"a": {}}, ["a", 1]))


def _altered(raw: bytes, examples: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    end = min(len(raw), at + rng.choice((1, 1, 2, 4, 16, 64)))
    kind = rng.randrange(20)
    if kind < 4:
        return raw[:at] + rng.choice(FRAGMENTS) + raw[at:]
    if kind < 7:
        return raw[:at] + rng.choice(FRAGMENTS) + raw[end:]
    if kind < 9:
        return raw[:at] + raw[end:]
    if kind < 11:
        return raw[:at] + bytes((rng.randrange(256),)) + raw[at + 1 :]
    if kind < 13:
        return raw[:at] + raw[at:end] * rng.choice((2, 3, 17)) + raw[end:]
    if kind < 15:
        other = rng.choice(examples)
        cut = rng.randrange(len(other) + 1)
        return raw[:at] + other[cut:]
    if kind < 16:
        return raw[:at]
    if kind < 17:
        other = rng.choice(examples)
        return raw + rng.choice((b"", b"\n")) + other
    if kind < 18:
        return raw[:at] + rng.randbytes(rng.choice((1, 4, 8, 40))) + raw[end:]
    if kind < 19 and rng.random() < 0.02:
        return raw[:at] + rng.choice((b"a", b"[", b" ", b"9", b"\\", b"\n")) * LARGE_BYTES + raw[at:]
    text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    return raw[:at] + text + raw[at:]
