"""What ``cascadecast worker`` makes sure of before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.errors import UserError
from streams.cli.worker import _make


def test_a_data_directory_is_made_with_those_above_it(tmp_path: Path) -> None:
    _make(tmp_path / "below" / "another")
    _make(tmp_path / "below" / "another")
    assert (tmp_path / "below" / "another").is_dir()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=f"data_dir {place} cannot be made .*: give another"):
            _make(place)
