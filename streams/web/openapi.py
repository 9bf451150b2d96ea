"""The OpenAPI document of the API, made from the classes of its answers."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from streams.version import installed_version
from streams.web.answers import CascadeDetail, Models, Problem, Top

_PROBLEM: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    _, schemas = msgspec.json.schema_components(
        (Top, CascadeDetail, Models, Problem), ref_template="#/components/schemas/{name}"
    )
    sort = _query("sort", "Order of the list.", {"type": "string", "enum": ["rising", "expected", "observed"]})
    top = _query("top", "Length of the list.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 20})
    source = _query("source", "Only posts of this source.", {"type": "string"})
    local = _query("local", "1: of this worker alone.", {"type": "string", "enum": ["0", "1"]})
    rate = _query("rate", "Updates a second at most.", {"type": "number", "minimum": 0.01, "maximum": 60, "default": 1})
    wanted = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cascadecast",
            "version": installed_version(),
            "summary": "Live posts and what they are expected to become.",
            "description": "Any worker answers for all. Times are event time (s since 1970), sizes are reshares.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/api/v1/cascades": {
                "get": _operation(
                    "listCascades", "The posts that lead an order", [sort, top, source, local], _json("Top"), ("400",)
                )
            },
            "/api/v1/cascades/{id}": {
                "get": _operation(
                    "getCascade",
                    "A live post: its growth, what each model expects, its tree",
                    [{**wanted, "description": "Id of the post."}, local],
                    _json("CascadeDetail"),
                    ("400", "404", "503"),
                )
            },
            "/api/v1/models": {"get": _operation("listModels", "The loaded models", [], _json("Models"), ())},
            "/api/v1/stream": {
                "get": _operation(
                    "watchCascades",
                    "The list again whenever it has changed, as server-sent events named top",
                    [sort, top, source, rate],
                    {"text/event-stream": {"schema": {"type": "string"}}},
                    ("400", "503"),
                )
            },
        },
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_MEANINGS: Final = {
    "400": "A parameter cannot be meant so.",
    "404": "There is no such live post.",
    "503": "Not now; the answer says why.",
}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _operation(
    name: str, summary: str, parameters: list[dict[str, Any]], content: dict[str, Any], problems: tuple[str, ...]
) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    responses |= {code: {"description": _MEANINGS[code], "content": _PROBLEM} for code in problems}
    responses["401"] = {"description": "The token is missing or wrong."}
    responses["403"] = {"description": "A loopback server was asked under another name."}
    return {"operationId": name, "summary": summary, "parameters": parameters, "responses": responses}
