"""The published JSON Schema is current and says what the decoder does, as far as a schema can."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings

import streams
from graph import Event, event_schema
from graph.events import decode_event
from tests.graph.test_events import REJECTED, odd_records

PUBLISHED = Path(next(iter(streams.__path__))) / "schemas" / "social.events.json"


def allows(schema: dict[str, Any], value: Any) -> bool:
    """JSON Schema, as far as the event's uses it (format is asserted)."""
    checks = {
        "type": lambda rule: is_of(value, rule),
        "enum": lambda rule: value in rule,
        "const": lambda rule: value == rule,
        "minLength": lambda rule: not isinstance(value, str) or len(value) >= rule,
        "maxLength": lambda rule: not isinstance(value, str) or len(value) <= rule,
        "pattern": lambda rule: not isinstance(value, str) or re.search(rule, value) is not None,
        "minimum": lambda rule: not is_of(value, "number") or value >= rule,
        "maximum": lambda rule: not is_of(value, "number") or value <= rule,
        "format": lambda rule: not isinstance(value, str) or (rule == "date-time" and is_instant(value)),
        "anyOf": lambda rule: any(allows(one, value) for one in rule),
        "required": lambda rule: not isinstance(value, dict) or all(key in value for key in rule),
        "properties": lambda rule: (
            not isinstance(value, dict) or all(allows(rule[key], value[key]) for key in rule if key in value)
        ),
        "if": lambda rule: allows(schema["then"], value) if allows(rule, value) else True,
    }
    silent = {"$schema", "title", "description", "default", "then"}
    assert set(schema) <= set(checks) | silent
    return all(check(schema[rule]) for rule, check in checks.items() if rule in schema)


def is_of(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and (kind == "number" or float(value).is_integer())
    return isinstance(value, {"object": dict, "string": str, "boolean": bool, "null": type(None)}[kind])


def is_instant(value: str) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return False
    return moment.utcoffset() is not None and 1970 <= moment.year <= 9999


def test_the_published_schema_is_current() -> None:
    assert json.loads(PUBLISHED.read_text()) == event_schema()


@settings(max_examples=500)
@given(odd_records())
def test_schema_and_decoder_agree(record: bytes) -> None:
    try:
        content = json.loads(record, parse_constant=lambda name: [name])
        record.decode()
    except ValueError:
        return
    if any(isinstance(value, str) and re.search("[\ud800-\udfff]", value) for value in content.values()):
        return  # outside Unicode, and so outside JSON Schema
    assert allows(event_schema(), content) == isinstance(decode_event(record), Event)


def test_the_schema_refuses_what_the_decoder_refuses_for_its_content() -> None:
    beyond_a_schema = ("surrogate", "1026 bytes", "at most 262144")
    for record, reason, words in REJECTED:
        if reason in ("schema", "invalid-time", "invalid-id") and words not in beyond_a_schema:
            content = json.loads(record, parse_constant=lambda name: [name], parse_int=float)
            if not re.search("surrogate", words):
                assert not allows(event_schema(), content), record
