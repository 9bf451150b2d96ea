"""Two runs of benchmarks beside each other: which ratios to a reference became worse.

Ratios, not figures: the reference ran on the same machine at the same time, so its mood is in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from graph.errors import UserError
from streams.bench.rows import row

TOLERANCE: Final = 0.15
"""Two runs on a quiet machine differ by less."""

_LESS_IS_BETTER: Final = frozenset({"bytes", "us", "ms", "s", "s a batch", "share"})

Key = tuple[str, str, str]
"""Command, name and reference of a row."""


class _Row(msgspec.Struct):
    name: str
    unit: str
    reference: str | None = None
    ratio: float | None = None


class _Result(msgspec.Struct):
    command: str
    results: list[_Row]


def compare(old: Path, new: Path, tolerance: float = TOLERANCE) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the ratios in both files, and the names of those that became worse by more than ``tolerance``.

    Each file holds what ``--json`` printed, one result or several. A ratio of a rate is to be high, of a time or of
    bytes low; others are not compared. Raises UserError for a file that holds something else.
    """
    before = {key: ratio for key, ratio, _ in _ratios(old)}
    rows: list[dict[str, Any]] = []
    worse: list[str] = []
    for key, ratio, unit in _ratios(new):
        if key not in before:
            continue
        command, name, reference = key
        told = f"{command.removeprefix('bench ')}: {name}; {reference}"
        rows.append(row(told, ratio, "ratio", "before", before[key]))
        change = ratio / before[key]
        if change > 1 + tolerance if unit in _LESS_IS_BETTER else change < 1 - tolerance:
            worse.append(told)
    if not rows:
        raise UserError(f"{old} and {new} have no ratio in common: give two results of the same benchmarks")
    return rows, worse


def _ratios(path: Path) -> Iterator[tuple[Key, float, str]]:
    """Key, ratio and unit of the rows whose ratio tells better from worse."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            result = msgspec.json.decode(line, type=_Result)
        except msgspec.DecodeError as error:
            raise UserError(f"{path}, line {number}: not a result of cascadecast bench --json: {error}") from None
        for one in result.results:
            if one.ratio and one.reference and (one.unit in _LESS_IS_BETTER or one.unit.endswith("/s")):
                yield (result.command, one.name, one.reference), one.ratio, one.unit
