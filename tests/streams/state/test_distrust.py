"""A damaged copy is removed at the next start, and no second time before it was whole."""

from __future__ import annotations

from pathlib import Path

from streams.state.distrust import Distrust


def copies(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("copy-*"))


def make(directory: Path, *numbers: int) -> None:
    for number in numbers:
        (directory / f"copy-{number}").mkdir(exist_ok=True)
        (directory / f"copy-{number}" / "data").write_bytes(b"x")


def remove(directory: Path) -> list[int]:
    return Distrust(directory).remove_copies(lambda number: directory / f"copy-{number}")


def test_without_distrust_nothing_is_removed(tmp_path: Path) -> None:
    make(tmp_path, 0, 1)
    assert remove(tmp_path) == []
    assert copies(tmp_path) == ["copy-0", "copy-1"]


def test_a_damaged_copy_is_removed_once(tmp_path: Path) -> None:
    make(tmp_path, 0, 1, 11)
    Distrust(tmp_path).note(11)
    assert remove(tmp_path) == [11]
    assert copies(tmp_path) == ["copy-0", "copy-1"]
    make(tmp_path, 11)
    Distrust(tmp_path).note(11)  # what was read anew is damaged as well
    assert remove(tmp_path) == []
    assert copies(tmp_path) == ["copy-0", "copy-1", "copy-11"]


def test_a_copy_that_was_whole_since_may_be_removed_again(tmp_path: Path) -> None:
    for _ in range(2):
        make(tmp_path, 3)
        Distrust(tmp_path).note(3)
        assert remove(tmp_path) == [3]
        Distrust(tmp_path).forget(3)
    assert list((tmp_path / "distrusted").iterdir()) == []


def test_a_copy_that_is_gone_already_is_no_error(tmp_path: Path) -> None:
    Distrust(tmp_path).note(5)
    assert remove(tmp_path) == [5]
