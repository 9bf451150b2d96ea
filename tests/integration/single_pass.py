"""The truth about a file of events: one pass with dictionaries, sharing nothing with the product but its JSON."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

Totals = dict[str, tuple[int, int, int]]
"""Cascade id -> (size, depth, users)."""


def lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        if path.suffix == ".zst":
            yield from io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        elif path.suffix == ".gz":
            yield from io.TextIOWrapper(gzip.GzipFile(fileobj=file), encoding="utf-8")
        else:
            yield from io.TextIOWrapper(file, encoding="utf-8")


def totals(events: Iterator[dict[str, Any]]) -> Totals:
    """Final size, depth and users of every cascade: each id counts once, what was undone does not count."""
    cascades: dict[str, dict[str, dict[str, Any]]] = {}
    undone: dict[str, set[str]] = {}
    for event in events:
        if event["kind"] == "undo":
            undone.setdefault(event["cascade"], set()).add(event["parent"])
        else:
            cascades.setdefault(event["cascade"], {}).setdefault(event["id"], event)
    return {name: _total(name, nodes, undone.get(name, set())) for name, nodes in cascades.items()}


def _total(name: str, nodes: dict[str, dict[str, Any]], undone: set[str]) -> tuple[int, int, int]:
    root = next((node for node, event in nodes.items() if event["kind"] == "post"), name)
    depths: dict[str, int] = {root: 0}

    def depth(node: str) -> int:
        path = []
        while node not in depths:
            path.append(node)
            parent = nodes[node].get("parent")
            node = parent if parent in nodes and parent != node and len(path) <= len(nodes) else root
        reached = depths[node]
        for below in reversed(path):
            reached += 0 if below in undone else 1  # the children of what was undone hang on its parent
            depths[below] = reached
        return reached

    visible = [node for node in nodes if node == root or node not in undone]
    size = sum(nodes[node]["kind"] in ("repost", "quote") for node in visible)
    users = {nodes[node]["user"] for node in visible if nodes[node].get("user") is not None}
    return size, max((depth(node) for node in visible), default=0), len(users)
