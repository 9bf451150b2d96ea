"""A row of a benchmark's result, as `--json` prints it."""

from __future__ import annotations

from typing import Any


def row(
    name: str, value: float, unit: str, reference: str | None = None, reference_value: float | None = None
) -> dict[str, Any]:
    """``value`` in ``unit`` beside a reference in the same unit; the ratio is to the reference, where that is not 0."""
    return {
        "name": name,
        "value": float(value),
        "unit": unit,
        "reference": reference,
        "reference_value": None if reference_value is None else float(reference_value),
        "ratio": float(value / reference_value) if reference_value else None,
    }
