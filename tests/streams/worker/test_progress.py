"""One time tells of nearly all forecasts that are out, the rest are noted one by one; it takes a few kilobytes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from streams.worker.progress import MAX_METADATA_BYTES, MAX_REMEMBERED, OutputKey, OutputKind, Progress

times = st.integers(0, 2_000_000).map(lambda n: n / 1000)
forecast_keys = st.builds(OutputKey, st.just(OutputKind.FORECAST), times, st.sampled_from("abcdef"))


def forecast(at: float, cascade: str = "c") -> OutputKey:
    return OutputKey(OutputKind.FORECAST, at, cascade)


def test_nothing_is_out_at_first() -> None:
    for kind in OutputKind:
        assert not Progress().has(OutputKey(kind, 0.0, "c"))


@given(rounds=st.lists(st.tuples(st.lists(forecast_keys, max_size=30), times), max_size=8))
def test_whatever_was_published_is_out_and_nothing_beyond_that_was_not(
    rounds: list[tuple[list[OutputKey], float]],
) -> None:
    progress, published, reached = Progress(), set[OutputKey](), -math.inf
    for keys, before in rounds:
        progress = progress.after(keys, before)
        published |= set(keys)
        reached = max(reached, before)
    assert all(progress.has(key) for key in published)
    assert all(key in published or key.at < reached for key in map(forecast, range(2000)) if progress.has(key))


@given(keys=st.lists(forecast_keys, max_size=40), before=times | st.just(-math.inf), offset=st.integers(0, 2**40))
def test_it_reads_back_what_it_wrote(keys: list[OutputKey], before: float, offset: int) -> None:
    letter = OutputKey(OutputKind.DEAD_LETTER, offset)
    score = OutputKey(OutputKind.SCORE, before if math.isfinite(before) else 7.0)
    progress = Progress().after([*keys, letter, score], before)
    assert Progress.read(progress.letters_before, progress.metadata()) == progress


def test_a_broker_takes_the_note_even_when_forecasts_come_out_of_order_by_the_thousand() -> None:
    progress = Progress().after([forecast(float(n), f"c{n}") for n in range(5000)], 0.0)
    assert len(progress.metadata()) <= MAX_METADATA_BYTES
    assert sum(progress.has(forecast(float(n), f"c{n}")) for n in range(5000)) == MAX_REMEMBERED


def test_scores_and_dead_letters_are_told_by_one_number_each() -> None:
    progress = Progress().after([OutputKey(OutputKind.SCORE, 100.0, "c"), OutputKey(OutputKind.DEAD_LETTER, 7)], 0.0)
    assert progress.has(OutputKey(OutputKind.SCORE, 100.0, "d"))
    assert not progress.has(OutputKey(OutputKind.SCORE, 100.5, "c"))
    assert progress.has(OutputKey(OutputKind.DEAD_LETTER, 3))
    assert not progress.has(OutputKey(OutputKind.DEAD_LETTER, 8))


def test_no_committed_offset_and_foreign_metadata_mean_that_nothing_is_out() -> None:
    assert Progress.read(-1001, "") == Progress()
    assert Progress.read(5, "written by another program") == Progress()
