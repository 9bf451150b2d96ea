"""``cascadecast bench``: which measurements a command makes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from streams.cli import bench


def test_forecasters_shows_every_measurement_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ("forecasters", "features_included", "autocas", "graphwave", "round_cost", "reuse")

    def rows_of(part: str) -> Any:
        def run(*_: object) -> list[dict[str, Any]]:
            return [
                {"name": part, "value": 1.0, "unit": "s", "reference": None, "reference_value": None, "ratio": None}
            ]

        return run

    for part in parts:
        monkeypatch.setattr(f"streams.bench.{part}.run", rows_of(part))
    app = typer.Typer()
    bench.register(app)
    result = CliRunner().invoke(app, ["bench", "forecasters", "--json"])
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in json.loads(result.stdout)["results"]] == list(parts)
