"""The published JSON Schema of an event, for producers in any language."""

from __future__ import annotations

from typing import Any

import msgspec

from graph.events import MAX_ID_BYTES, Event


def event_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a record of ``social.events``.

    It says all that a schema can. Beyond it, the limit of an id counts bytes, a time given as a string lies between
    1970 and 9999, and a record has at most 262,144 bytes.
    """
    _, definitions = msgspec.json.schema_components([Event], ref_template="#/$defs/{name}")
    event = definitions["Event"]
    properties = event["properties"]
    identifier = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_ID_BYTES,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    }
    descriptions = {
        "id": "Unique within the cascade; a repeated id is a duplicate and changes nothing.",
        "cascade": "Id of the cascade, normally its root post's; also the record's key.",
        "kind": "What happened. Reposts and quotes count as popularity; undo takes back the event named in parent.",
        "time": "Event time: seconds since 1970-01-01T00:00:00Z, or ISO 8601 with a zone.",
        "user": "Who did it.",
        "parent": "Id of the event reacted to, or taken back. Without it the reaction hangs on the root.",
        "followers": "Followers of the user.",
        "verified": "Whether the user is verified.",
        "text": "Text of the event.",
        "lang": "Language of the text.",
        "source": "Platform the event comes from.",
    }
    for name in ("id", "cascade"):
        properties[name] = dict(identifier)
    for name in ("user", "parent"):
        properties[name] = {"anyOf": [dict(identifier), {"type": "null"}], "default": None}
    properties["kind"] = {"enum": definitions["Kind"]["enum"]}
    time = {key: int(value) if key == "maximum" else value for key, value in properties["time"].items()}
    properties["time"] = {"anyOf": [time, {"type": "string", "format": "date-time"}]}
    for name, description in descriptions.items():
        properties[name]["description"] = description
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "social.events",
        "description": "One social event: a post, or a reaction to one. Unknown keys are ignored.",
        "type": "object",
        "properties": properties,
        "required": event["required"],
        "if": {"properties": {"kind": {"const": "undo"}}, "required": ["kind"]},
        "then": {"properties": {"parent": {"type": "string"}}, "required": ["parent"]},
    }
