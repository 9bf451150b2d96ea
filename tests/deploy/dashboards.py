"""What is asked of the committed dashboards and rules, by whoever tests them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


def dashboards() -> dict[str, dict[str, Any]]:
    """By file name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels, those of folded rows too; not the rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def asked(expression: str, window: str = "1m") -> str:
    """An expression as Grafana sends it with everything chosen."""
    return expression.replace("$__rate_interval", window).replace("$job", ".+").replace("$instance", ".+")
