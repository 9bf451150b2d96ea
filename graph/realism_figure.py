"""The figure of `graph.realism` as an SVG written by hand: no plotting library is needed to draw it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.realism import GRID_SECONDS, STATISTICS, Comparison, Tree, growth_quantiles

REAL: Final = "#1b6ca8"
SIMULATED: Final = "#d1495b"
WIDTH: Final = 340
HEIGHT: Final = 240
MARGIN: Final = 46
LABELS: Final = ("1m", "5m", "15m", "30m", "1h", "3h", "6h", "12h", "18h", "24h")
"""Of `GRID_SECONDS`."""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One diagram: x and y from 0 to 1 of the drawing area, ticks as (place, label)."""

    title: str
    x_ticks: Sequence[tuple[float, str]]
    curves: Sequence[tuple[NDArray[Any], NDArray[Any], str, str]]  # x, y, colour, dashes
    y_ticks: Sequence[tuple[float, str]] = ((0.0, "0"), (0.5, "50 %"), (1.0, "100 %"))


def figure(comparison: Comparison) -> str:
    """Four diagrams: sizes, growth over the first day, depth, share of direct reshares."""
    panels = [
        _sizes(comparison),
        _growth(comparison),
        _distribution(comparison, "mean depth", 1.0, 5.0),
        _distribution(comparison, "share of direct reshares", 0.0, 1.0),
    ]
    width, height = 2 * WIDTH, 2 * HEIGHT + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" fill="none" stroke-width="1.5">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{MARGIN}" y="18" fill="{REAL}">real</text>',
        f'<text x="{MARGIN + 40}" y="18" fill="{SIMULATED}">simulated</text>',
    ]
    for index, panel in enumerate(panels):
        left, top = (index % 2) * WIDTH, 30 + (index // 2) * HEIGHT
        parts.append(f'<g transform="translate({left},{top})">')
        parts += _drawn(panel)
        parts.append("</g>")
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _sizes(comparison: Comparison) -> _Panel:
    real = np.array([tree.size for tree in comparison.real], dtype=np.float64)
    low, high = np.log10(real.min()), np.log10(real.max()) + 1e-9
    ticks = [v for v in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if low <= np.log10(v) <= high]
    return _Panel(
        "share of cascades of at most so many reshares (not paired)",
        [((np.log10(value) - low) / (high - low), str(value)) for value in ticks],
        [
            _steps((np.log10(real) - low) / (high - low), REAL),
            _steps((np.log10(comparison.simulated_sizes) - low) / (high - low), SIMULATED),
        ],
    )


def _growth(comparison: Comparison) -> _Panel:
    x = np.log(np.array(GRID_SECONDS))
    x = (x - x[0]) / (x[-1] - x[0])
    curves = []
    for trees, colour in ((comparison.real, REAL), (comparison.paired, SIMULATED)):
        lower, middle, upper = growth_quantiles(trees)
        curves += [(x, lower, colour, "3 3"), (x, middle, colour, ""), (x, upper, colour, "3 3")]
    shown = [(float(place), label) for place, label in zip(x, LABELS, strict=True) if label not in ("18h", "12h")]
    return _Panel("share of the first day's reshares by age: median, 10 % and 90 %", shown, curves)


def _distribution(comparison: Comparison, name: str, low: float, high: float) -> _Panel:
    def scaled(trees: Iterable[Tree]) -> NDArray[np.float64]:
        return (np.array([STATISTICS[name](tree) for tree in trees]) - low) / (high - low)

    ticks = np.linspace(low, high, 5)
    return _Panel(
        f"share of cascades: {name}",
        [((value - low) / (high - low), f"{value:g}") for value in ticks.tolist()],
        [_steps(scaled(comparison.real), REAL), _steps(scaled(comparison.paired), SIMULATED)],
    )


def _steps(values: NDArray[np.float64], colour: str) -> tuple[NDArray[Any], NDArray[Any], str, str]:
    """Distribution function of values, seen at 101 places of [0, 1]."""
    x = np.linspace(0.0, 1.0, 101)
    return x, np.searchsorted(np.sort(values), x, side="right") / len(values), colour, ""


def _drawn(panel: _Panel) -> list[str]:
    left, right, top, bottom = MARGIN, WIDTH - 14, 24, HEIGHT - 30

    def across(x: float) -> float:
        return round(left + x * (right - left), 1)

    def up(y: float) -> float:
        return round(bottom - y * (bottom - top), 1)

    parts = [f'<text x="{left}" y="{top - 8}" fill="black">{escape(panel.title)}</text>']
    for place, label in panel.y_ticks:
        parts.append(f'<path d="M{left} {up(place)}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 5}" y="{up(place) + 4}" fill="#555" text-anchor="end">{label}</text>')
    for place, label in panel.x_ticks:
        parts.append(f'<path d="M{across(place)} {bottom}v4" stroke="#999"/>')
        parts.append(f'<text x="{across(place)}" y="{bottom + 16}" fill="#555" text-anchor="middle">{label}</text>')
    for x, y, colour, dashes in panel.curves:
        points = " ".join(f"{across(float(a))},{up(float(b))}" for a, b in zip(x, y, strict=True))
        parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-dasharray="{dashes}"/>')
    return parts
