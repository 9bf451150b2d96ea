"""The wall clock, which tests replace. It measures how late an alert is; nothing else depends on it."""

from __future__ import annotations

from collections.abc import Callable

WallClock = Callable[[], float]
"""Seconds since 1970."""
