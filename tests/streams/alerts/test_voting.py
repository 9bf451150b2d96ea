"""A post counts once in a slot, by its first forecast there, told without remembering anything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.alerts.voting import is_first_of_slot
from streams.engine.partition import Partition
from tests.streams.conftest import random_stream
from tests.streams.learning_engine import learning_settings


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 3]), st.sampled_from([30.0, 70.0]))
def test_it_is_the_first_forecast_of_a_post_in_the_slot(seed: int, minimum: int, delay: float) -> None:
    config = learning_settings(minimum_observed=minimum, forecast_delay_seconds=delay)
    partition = Partition(0, config)
    partition.apply_events(random_stream(seed, cascades=12))
    partition.watermark.advance_to(1e10)
    seen: set[tuple[str, float]] = set()
    while partition.has_due():
        for due in partition.take_due(64):
            start = partition.learner.slot_start(due.as_of)
            first = (due.cascade, start) not in seen
            seen.add((due.cascade, start))
            assert is_first_of_slot(due.view, due.as_of, start, delay, minimum) == first
            partition.published(due)
