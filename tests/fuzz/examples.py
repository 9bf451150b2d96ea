"""Good inputs of every kind, which the fuzzer mutates."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from forecasters.model_store import SHIPPED_WEIGHTS
from graph import Event, Kind
from streams.scoring.learned import Learned
from streams.state.segments import STATE_VERSION, pack, unpack
from tests.streams.scoring.test_standing import truths

STORED: Final = Path(__file__).parents[1] / "streams" / "state" / "stored"
STORED_STATES: Final = sorted(STORED.glob("state_format_*.msgpack"))

BROKER: Final = b'{"pid":1,"start_ticks":2,"port":9092,"controller_port":9093,"heap":"1g","kafka_version":"4.0.0"}'


@cache
def event_examples() -> list[bytes]:
    """Records as producers send them, common and rare ones."""
    events = [
        Event("p1", "p1", Kind.POST, 1_700_000_000.0, "ann", followers=5200, verified=True, text="hi", lang="en"),
        Event("r1", "p1", Kind.REPOST, 1_700_000_060.5, "bob", "p1"),
        Event("q1", "p1", Kind.QUOTE, 1_700_000_100.0, "cem", "r1", 3, False, "zitat \u4f60\u597d", "zh", "weibo"),
        Event("y1", "p1", Kind.REPLY, 1_700_000_090.0, "dee", "q1"),
        Event("u1", "p1", Kind.UNDO, 1_700_000_120.0, "bob", "r1"),
    ]
    plain = [msgspec.json.encode(event) for event in events]
    return [*plain, plain[1].replace(b"1700000060.5", b'"2023-11-14T22:14:20Z"'), plain[0].replace(b"5200", b"5200.0")]


def path_examples() -> list[bytes]:
    """CasFlow's format."""
    return [
        b"c1\troot\t1464710400\t3\troot:0 root/ann:10 root/ann/bob:25.5 root/eve:20\nc2\tx\t1464710500\t1\tx:0 x/y:3\n"
    ]


def csv_examples() -> list[bytes]:
    """Tables with and without all columns."""
    return [
        b"cascade,time,id,kind,user,parent,followers,verified\nc1,1464710400,c1,post,ann,,12,true\n"
        b'c1,2016-05-31T16:00:10Z,e1,repost,"bob, jr",c1,,\n',
        b"cascade;time\nc1;1464710400\nc1;1464710401.5\n",
    ]


def tree_examples() -> list[bytes]:
    """Twitter15's format, a file a cascade."""
    return [
        b"['ROOT', 'ROOT', '0.0']->['1', '731166399389962242', '0.0']\n"
        b"['1', '731166399389962242', '0.0']->['2', '731166399389962242', '0.5']\n"
        b"['2', '731166399389962242', '0.5']->['3', '731166399389962242', '1.25']\n"
    ]


@cache
def segment_examples() -> list[bytes]:
    """Segments of the formats before, as they were written, and of today's."""
    stored = [value for state in STORED_STATES for _, value in msgspec.msgpack.decode(state.read_bytes())["segments"]]
    return stored + [pack(msgspec.structs.replace(unpack(value), version=STATE_VERSION)) for value in stored]


@cache
def learned_examples() -> list[bytes]:
    """What a partition had learned, as of the format before and of today's."""
    segments = [unpack(value) for value in segment_examples()]
    before = [one.learned for one in segments if one.learned is not None]
    return [*before, Learned().after(truths(seed=1, cascades=30)).snapshot()]


@cache
def config_examples() -> list[bytes]:
    """The config.json of shipped models."""
    return [
        path.read_bytes() for path in sorted(SHIPPED_WEIGHTS.glob("*/*/config.json")) if path.stat().st_size < 20_000
    ]


def aliases_examples() -> list[bytes]:
    """Promotions at once and from an event time on."""
    step = {"alias": "champion", "version": "2", "previous": "1", "from": 1_700_000_000.0}
    return [
        json.dumps(
            {"aliases": {"champion": "2", "challenger": "3"}, "history": [step, {**step, "alias": "challenger"}]}
        ).encode(),
        b'{"aliases": {"champion": "1"}}',
    ]


def settings_examples() -> list[bytes]:
    """A configuration file of every kind of value."""
    return [
        b'forecast_delay_seconds = 30\nmodels = ["concat", "hawkes"]\nhttp_port = 6066\nshed = false\n'
        b'score_ages_seconds = [60, 600.5]\nidle_seconds = 1e3\ndata_dir = "x"\nlog_level = "info"\n',
    ]


def event_lines() -> bytes:
    """An event file."""
    return b"\n".join([*event_examples(), b""])


def gzipped(raw: bytes) -> bytes:
    """As a .gz file."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(raw) + packer.flush()
