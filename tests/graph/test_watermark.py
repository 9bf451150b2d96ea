"""The clock of a partition, and the clocks of others that lie to it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Watermark
from graph.watermark import BLOCK, MAX_VOTES, MIN_VOTES, Evidence

NOW = 1_700_000_000.0
HOUR = 3600.0
YEAR = 365 * 86_400.0

Told = tuple[float, str]
"""Event time and cascade of a record."""


def stream(number: int, start: float = NOW, every_seconds: float = 1.0, cascades: int = 40) -> list[Told]:
    """Records in order of time, of many cascades in turn."""
    return [(start + every_seconds * n, f"c{n % cascades}") for n in range(number)]


def after(records: Iterable[Told], lateness: float = 10.0) -> Watermark:
    clock = Watermark(lateness)
    for time, cascade in records:
        clock.observe(time, cascade)
    return clock


def test_it_follows_the_latest_event_and_never_falls() -> None:
    watermark = Watermark(10.0)
    assert watermark.value == -math.inf
    watermark.advance_to(30.0)
    values = []
    for time in (50.0, 40.0, 55.0):
        assert not watermark.observe(time, "c")
        values.append(watermark.value)
    assert values == [40.0, 40.0, 45.0]
    assert watermark.advance_to(44.0) == 45.0
    assert watermark.advance_to(60.0) == watermark.value == 60.0


@pytest.mark.parametrize("options", [{"allowed_lateness_seconds": -1.0}, {"max_jump_seconds": -1.0}])
def test_negative_durations_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Watermark(**options)


def test_a_few_cascades_start_it() -> None:
    told = stream(100)
    first = next(n for n in range(100) if after(told[:n]).value > -math.inf)
    assert first == MIN_VOTES // 2
    assert after(told[:first]).value == told[first - 1][0] - 10.0


def test_so_do_a_few_more_events_of_one() -> None:
    clock = after(stream(MIN_VOTES - 1, cascades=1))
    assert clock.value == NOW + MIN_VOTES - 2 - 10.0


@given(st.lists(st.floats(1800.5, 100 * YEAR), min_size=1, max_size=7), st.integers(0, 10**6))
def test_lone_clocks_far_ahead_move_nothing_wherever_they_stand(leads: list[float], seed: int) -> None:
    """One record in fifty, at most seven, of as many cascades or of one; also when they are the first of all."""
    rng = random.Random(seed)
    told = stream(400)
    clock, poisoned = Watermark(10.0), Watermark(10.0)
    at = {rng.randrange(50) + 50 * n: lead for n, lead in enumerate(leads)}
    for n, (time, cascade) in enumerate(told):
        if n in at:
            poisoned.observe(time + at[n], rng.choice(["poison", f"poison{n}"]))
        clock.observe(time, cascade)
        poisoned.observe(time, cascade)
    assert poisoned.value == clock.value == told[-1][0] - 10.0


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, 5 * HOUR, -5 * HOUR, math.nan])
@pytest.mark.parametrize("share", [0.05, 0.25])
def test_one_source_among_many_whose_clock_is_wrong_moves_nothing(wrong: float, share: float) -> None:
    """Ahead or behind by a year or by hours, or jumping (NaN) within a year; a source has many cascades."""
    rng = random.Random(7)
    told = [
        (time + (rng.uniform(-YEAR, YEAR) if math.isnan(wrong) else wrong), "w" + cascade)
        if rng.random() < share
        else (time, cascade)
        for time, cascade in stream(20_000)
    ]
    clock = after(told)
    assert abs(clock.value - (NOW + 20_000)) < 30.0


def test_a_whole_batch_of_a_wrong_producer_in_a_row_moves_a_busy_partition_not_at_all() -> None:
    batch = [(NOW + YEAR, f"w{n}") for n in range(MAX_VOTES // 2 - 1)]
    clock = after([*stream(5000), *batch])
    assert clock.value == NOW + 4999 - 10.0


@given(st.floats(HOUR, 50 * YEAR), st.integers(1, 100), st.integers(1, 30))
def test_a_genuine_gap_is_passed_after_few_records(gap: float, before: int, cascades: int) -> None:
    """A night's silence, or an archive's years: a handful of cascades, or of events of one, are enough."""
    told = stream(before)
    behind = stream(MIN_VOTES + before // 4, start=NOW + before + gap, cascades=cascades)
    assert after([*told, *behind]).value >= NOW + before + gap - 10.0


def test_a_file_of_cascades_years_apart_moves_on_with_each_few_of_them() -> None:
    told = [(NOW + n * YEAR + second, f"c{n}") for n in range(50) for second in range(20)]
    clock = Watermark(0.0)
    for time, cascade in told:
        clock.observe(time, cascade)
        assert clock.value <= time
    assert clock.value >= told[-1][0] - YEAR


def test_sparse_records_are_followed_a_few_behind() -> None:
    """One event in an hour: every one of them is a jump."""
    clock = after(stream(200, every_seconds=HOUR))
    assert NOW + 199 * HOUR - clock.value <= MIN_VOTES * HOUR


@pytest.mark.parametrize(("every_seconds", "records"), [(60.0, 130), (300.0, 60), (HOUR, 24), (7 * HOUR, 24)])
def test_the_longer_a_busy_partition_has_been_silent_the_fewer_records_pass_the_gap(
    every_seconds: float, records: int
) -> None:
    """Records that lie apart tell themselves that time went by; 512 of as many cascades would be needed at once."""
    busy, silence = stream(5000), 2 * HOUR
    sparse = stream(records, start=busy[-1][0] + silence, every_seconds=every_seconds, cascades=1000)
    assert after([*busy, *sparse]).value >= busy[-1][0] + silence - 10.0


@pytest.mark.parametrize("every_seconds", [0.0, 1.0, -1.0, HOUR])
def test_a_few_records_in_a_row_are_no_silence_whatever_hours_they_tell(every_seconds: float) -> None:
    """A producer that stamps a batch with the hours to come, as a planner of posts might."""
    batch = stream(20, start=NOW + 2 * HOUR, every_seconds=every_seconds)
    assert after([*stream(5000, start=NOW - 5000), *batch]).value == NOW - 1 - 10.0


@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_times_that_jump_about_are_no_silence(seed: int, years: float) -> None:
    """Forty records in a row of a clock that is of no use: they outvote nobody who has long agreed."""
    rng = random.Random(seed)
    batch = [(NOW + rng.uniform(HOUR, HOUR + years * YEAR), f"w{n}") for n in range(40)]
    assert after([*stream(5000, start=NOW - 5000), *batch]).value == NOW - 1 - 10.0


def test_and_silence_is_told_though_one_record_in_ten_lies() -> None:
    rng = random.Random(5)
    sparse = [
        (time + YEAR * rng.random(), "w" + cascade) if n % 10 == 5 else (time, cascade)
        for n, (time, cascade) in enumerate(stream(60, start=NOW + 2 * HOUR, every_seconds=HOUR, cascades=1000))
    ]
    assert NOW + 2 * HOUR <= after([*stream(5000, start=NOW - 5000), *sparse]).value < NOW + 100 * HOUR


def test_one_record_near_the_present_ends_the_silence() -> None:
    """Whoever goes on in the present is not silent: an hour's step of each of many liars counts for nothing."""
    ahead = stream(300, start=NOW + 2 * HOUR, every_seconds=HOUR, cascades=1000)
    told = [one for n, lie in enumerate(ahead) for one in ([lie] if n % 3 else [lie, (NOW + n / 100, f"c{n}")])]
    assert after([*stream(5000, start=NOW - 5000), *told]).value < NOW + HOUR


@given(st.data())
def test_it_never_falls_nor_passes_the_latest_event_of_all(data: st.DataObject) -> None:
    clock = Watermark(5.0)
    latest = -math.inf
    told = data.draw(st.lists(st.tuples(st.sampled_from([0, 1, 10, 1e4, 1e6, 1e9]), st.integers(0, 5)), max_size=80))
    for step, cascade in told:
        before, time = clock.value, NOW + step
        latest = max(latest, time)
        clock.observe(time, str(cascade))
        assert before <= clock.value <= latest - 5.0


@given(st.integers(0, 10**6), st.integers(0, 300))
def test_restored_at_any_cut_it_goes_on_as_if_nothing_had_happened(seed: int, cut: int) -> None:
    rng = random.Random(seed)
    told = [
        (time + rng.choice([0, 0, 0, 0, 3, -20, HOUR, YEAR, -YEAR]), cascade)
        for time, cascade in [*stream(150), *stream(150, start=NOW + rng.choice([200, HOUR, YEAR]))]
    ]
    whole = after(told)
    first = after(told[:cut])
    stored = msgspec.msgpack.encode((first.value, first.evidence()))
    again = Watermark(10.0)
    value, evidence = msgspec.msgpack.decode(stored, type=tuple[float, Evidence])
    again.restore(value, evidence)
    for time, cascade in told[cut:]:
        again.observe(time, cascade)
    assert (again.value, again.evidence()) == (whole.value, whole.evidence())


def test_what_it_rests_on_stays_small() -> None:
    clock = after([*stream(10_000), *((NOW + n * YEAR, f"w{n}") for n in range(MAX_VOTES // 3))])
    assert len(msgspec.msgpack.encode(clock.evidence())) < 600


def test_a_value_stored_without_evidence_counts_as_confirmed() -> None:
    clock = Watermark(10.0)
    clock.restore(NOW, None)
    assert clock.observe(NOW + YEAR, "w")
    assert not clock.observe(NOW + 20.0, "c")
    assert clock.value == NOW + 10.0


def test_a_mark_or_the_wall_clock_makes_what_waited_for_belief_believed() -> None:
    clock = after([*stream(BLOCK), (NOW + 5 * HOUR, "a")])
    assert clock.value < NOW + HOUR
    clock.advance_to(NOW + 5 * HOUR - 60)
    assert clock.value == NOW + 5 * HOUR - 10.0


def test_the_end_of_an_input_is_not_that_of_the_one_clock_that_is_wrong() -> None:
    assert after([*stream(100), (NOW + YEAR, "w")]).end_of_input() == NOW + 99
    assert after([]).end_of_input() == -math.inf


def test_an_input_that_thins_out_ends_with_its_last_record() -> None:
    """A tail of an event in an hour, then of one in three, after thousands: too few to be confirmed."""
    tail = [(NOW + 3000 + n * HOUR, f"t{n}") for n in range(1, 8)]
    tail += [(tail[-1][0] + 3 * n * HOUR, "t") for n in range(1, 10)]
    clock = after([*stream(3000), *tail, (NOW + YEAR, "w")])
    assert clock.value < NOW + HOUR
    assert clock.end_of_input() == tail[-1][0]


@pytest.mark.parametrize(("told", "end"), [
    ([(NOW, "a")], NOW),
    ([(NOW, "a"), (NOW + 20 * HOUR, "a")], NOW + 20 * HOUR),
    ([(NOW, "a"), (NOW + 60, "b"), (NOW + YEAR, "w")], NOW + 60),
])  # fmt: skip
def test_an_input_of_few_events_ends_with_them(told: list[Told], end: float) -> None:
    assert after(told).end_of_input() == end


def live(told: Iterable[Told], now: float = NOW) -> bool:
    return after(told).is_live(now, 300.0)


def test_a_partition_is_live_while_its_events_tell_the_wall_clocks_time() -> None:
    assert not live([])
    assert live([(NOW - 10, "a")]), "one live post in all"
    assert live(stream(100, start=NOW - 100))
    assert not live(stream(100, start=NOW - YEAR))
    assert live([*stream(100, start=NOW - 100), (NOW + YEAR, "w")])
    assert live([*stream(100, start=NOW - YEAR), (NOW, "a"), (NOW, "b")]), "after a silence two cascades say so"
    assert not live([*stream(100, start=NOW - YEAR), (NOW, "a")]), "an archive with one event stamped today"


def records_with_a_wrong_source(share: float) -> Iterator[Told]:
    rng = random.Random(3)
    for time, cascade in stream(5000):
        yield (time + 600.0, "w" + cascade) if rng.random() < share else (time, cascade)


def test_a_clock_ahead_by_less_than_a_jump_moves_it_so_far_and_no_further() -> None:
    clock = after(records_with_a_wrong_source(0.2))
    assert NOW + 5000 - 20 < clock.value + 10.0 <= NOW + 5000 + 600


def test_a_clock_that_jumps_about_within_hours_does_not_carry_it_off_step_by_step() -> None:
    """Each lie may move the watermark by a jump, but the next is measured against what the others say."""
    rng = random.Random(11)
    clock = Watermark(10.0)
    for time, cascade in stream(20_000):
        lies = rng.random() < 0.25
        clock.observe(time + rng.uniform(-7200.0, 7200.0) if lies else time, "w" + cascade if lies else cascade)
        assert clock.value <= time + clock.max_jump_seconds
