"""Records that are no event, each with the reason its dead letter must name."""

from __future__ import annotations

GARBAGE: list[tuple[str, bytes]] = [
    ("malformed-json", b'{"id":"g1","cascade":"g'),
    ("malformed-json", b"not json"),
    ("schema", b'{"id":"g2","cascade":"g","kind":"repost"}'),
    ("schema", b'{"id":7,"cascade":"g","kind":"repost","time":1}'),
    ("schema", b'{"id":"g3","cascade":"g","kind":"like","time":1}'),
    ("schema", b"[]"),
    ("oversize", b'{"id":"g4","cascade":"g","kind":"repost","time":1,"text":"' + b"x" * 900_000 + b'"}'),
    ("invalid-time", b'{"id":"g5","cascade":"g","kind":"repost","time":NaN}'),
    ("invalid-time", b'{"id":"g6","cascade":"g","kind":"repost","time":Infinity}'),
    ("invalid-time", b'{"id":"g7","cascade":"g","kind":"repost","time":-5}'),
    ("not-utf8", b'{"id":"g8\xff","cascade":"g","kind":"repost","time":1}'),
    ("invalid-id", b'{"id":"","cascade":"g","kind":"repost","time":1}'),
    ("malformed-json", b""),
    ("malformed-json", b"\x00\x01\x02"),
]
