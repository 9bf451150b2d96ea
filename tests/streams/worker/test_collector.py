"""The cycle collector of a worker: what is loaded is never looked at again, and records in bulk do not call it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from streams.worker.collector import THRESHOLDS, settle


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_loaded_is_left_alone_and_cycles_are_still_found() -> None:
    settle()
    assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > 1000
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() >= 1
