"""Which version this is, also where nothing is installed."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

from streams.cli.results import print_result
from streams.version import NOT_INSTALLED, installed_version


def test_the_installed_version() -> None:
    assert installed_version() == importlib.metadata.version("cascadecast")


def test_a_source_tree_that_is_not_installed_still_tells_its_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("streams.version.version", missing)
    print_result("evaluate", 1.0, [{"msle": 1.5}])
    found = json.loads(capsys.readouterr().out)
    assert (found["version"], found["results"]) == (NOT_INSTALLED, [{"msle": 1.5}])
