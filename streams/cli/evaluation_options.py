"""What several commands take that train or score forecasters: ages and seeds."""

from __future__ import annotations


def parse_ages(observe: str | None, horizon: str) -> tuple[tuple[float, ...], float]:
    """Observation ages (each once) and the horizon in seconds; raises `UserError` for an age at or past it."""
    from graph.durations import parse_duration
    from graph.errors import UserError

    ages = () if observe is None else tuple(dict.fromkeys(parse_duration(part) for part in observe.split(",")))
    horizon_seconds = parse_duration(horizon)
    if ages and max(ages) >= horizon_seconds:
        raise UserError(f"--observe {observe}: every age must be below --horizon {horizon}")
    return ages, horizon_seconds


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from ``0,1,2``, each once; raises `UserError`."""
    from graph.errors import UserError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"--seeds {text}: give whole numbers from 0, such as 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))
