"""What is kept, scored and learned: a function of the events, never of batches or crashes."""

from __future__ import annotations

import asyncio
import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph import Event, Kind
from streams.engine.partition import Partition
from streams.scoring.kept import Kept, Panel, Truth, Values
from streams.scoring.learned import Learned
from streams.scoring.learning import PartitionLearner, Unscored
from streams.state import log as segment_log
from streams.state.log import SegmentLog
from streams.state.segments import unpack
from streams.state.squeezing import StateError
from streams.state.store import MemorySegmentStore
from tests.streams.conftest import apply, cascade_events
from tests.streams.learning_engine import HOUR, Out, Swayed, finish, learning_settings, long_stream, play, service, take


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 300), max_size=8), st.integers(1, 20), st.integers(0, 60))
def test_forecasts_and_scores_do_not_depend_on_batches(seed: int, cuts: list[int], limit: int, disorder: int) -> None:
    """Also when events come late, and cascades leave before they are learned from."""
    events = long_stream(seed)
    shuffler = random.Random(seed)
    events.sort(key=lambda event: event.time + shuffler.uniform(0, disorder * 10))
    config = learning_settings(allowed_lateness_seconds=20, retention_grace_seconds=seed % 2 * 600)
    whole, _ = play(events, [], config, other=Swayed)
    cut, _ = play(events, [min(at, len(events)) for at in cuts], config, limit, other=Swayed)
    assert cut.forecasts == whole.forecasts
    assert cut.scores == whole.scores


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 30))
@example(24, 46, 12)  # learned from before it was ever written, then the crash
@example(30, 35, 25)  # learned from before it was ever written, then the crash
def test_a_crash_anywhere_changes_neither_forecasts_nor_scores(seed: int, batch: int, disorder: int) -> None:
    rng = random.Random(seed)
    events = sorted(long_stream(seed), key=lambda event: event.time + rng.uniform(0, disorder * 10))
    config = learning_settings(allowed_lateness_seconds=5, retention_grace_seconds=seed % 2 * 600)
    undisturbed, _ = play(events, [], config, other=Swayed)
    models, store, out = service(config, Swayed), MemorySegmentStore(), Out()
    partition, log = recovered(store, config)
    position = reached = 0
    while position < len(events):
        changes = apply(partition, events[position : position + batch], position)
        reached = max(reached, position + batch)
        asyncio.run(log.append(partition, changes, reached))
        position += batch
        acknowledged = rng.random() < 0.7  # else: some of what is computed from now on is never acknowledged
        for _ in range(rng.randrange(30)):
            for due in take(partition, models, config, rng.randrange(1, 20), out, acknowledged=acknowledged):
                if acknowledged or rng.random() < 0.9:
                    partition.published(due)
        if rng.random() < 0.3:
            partition, log = recovered(store, config)
            position = max(0, position - rng.randrange(3 * batch))
    partition, log = recovered(store, config)
    apply(partition, events, 0)
    partition.watermark.advance_to(max(event.time for event in events) + 4 * HOUR)
    finish(partition, models, config, out)
    assert out.forecasts == undisturbed.forecasts
    assert out.scores == undisturbed.scores


def recovered(store: MemorySegmentStore, config: object) -> tuple[Partition, SegmentLog]:
    partition, log = Partition(0, config), SegmentLog(store)  # type: ignore[arg-type]
    asyncio.run(log.recover(partition))
    return partition, log


def test_cleaning_the_log_keeps_what_is_to_be_scored_and_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_log, "MINIMUM_CLEANING_BYTES", 20_000)
    config = learning_settings()
    events = long_stream(3, cascades=120)
    expected, _ = play(events, [], config)
    models, store, out = service(config), MemorySegmentStore(), Out()
    partition, log = recovered(store, config)
    deleted = 0
    for at in range(0, len(events), 20):
        changes = partition.apply_events(events[at : at + 20])
        finish(partition, models, config, out)
        before = set(store.segments)
        asyncio.run(log.append(partition, changes, at + 20))
        deleted += len(before - set(store.segments))
        if at % 400 == 0:
            partition, log = recovered(store, config)
    assert deleted > 20, "the test must have made the log turn over"
    partition.watermark.advance_to(max(event.time for event in events) + 4 * HOUR)
    finish(partition, models, config, out)
    assert out.scores == expected.scores
    assert out.forecasts == expected.forecasts


def test_learning_changes_forecasts_of_the_blend_and_intervals_of_all() -> None:
    events = long_stream(5, cascades=60)
    learned, partition = play(events, [], learning_settings())
    alone, _ = play(events, [], learning_settings(learn=False))
    assert learned.forecasts.keys() == alone.forecasts.keys()
    changed = {
        r.model
        for i, r in learned.forecasts.items()
        if (r.low, r.high) != (alone.forecasts[i].low, alone.forecasts[i].high)
    }
    moved = {r.model for i, r in learned.forecasts.items() if r.expected != alone.forecasts[i].expected}
    assert changed == {"blend", "doubling"}
    assert moved == {"blend"}
    weights = partition.learner.learned.weights("blend@3", service(learning_settings()).lineup.members()[0][1].prior)  # type: ignore[attr-defined]
    assert weights is not None
    assert (weights.weights[:, 0] > 0.6).any(), "tenfold is far off"


def test_nothing_is_learned_before_the_slot_after_maturity() -> None:
    """The first forecast that may know a truth is one whose slot began after the cascade matured."""
    config = learning_settings()
    learned, _ = play(long_stream(6), [], config)
    alone, _ = play(long_stream(6), [], learning_settings(learn=False))
    first = min(score.as_of - score.age_seconds for score in learned.scores.values()) + config.horizon_seconds
    early = (math.floor(first / 600) + 1) * 600
    same = [i for i, record in learned.forecasts.items() if record.as_of < early]
    assert same
    assert all(learned.forecasts[i] == alone.forecasts[i] for i in same)


def test_a_score_tells_what_became_of_a_forecast() -> None:
    config = learning_settings()
    out, _ = play(cascade_events("c", 1000.0, [10.0, 70.0, 700.0, 5000.0, 7199.0, 7200.0, 9000.0]), [], config)
    forecasts = [f for f in out.forecasts.values() if f.model == "doubling"]
    scores = sorted((s for s in out.scores.values() if s.model == "doubling"), key=lambda s: s.as_of)
    assert [score.observed for score in scores] == [2, 3, 4], (
        "the first at or after a minute, ten minutes, half an hour"
    )
    assert {score.actual for score in scores} == {5}, "what came before the horizon"
    by_id = {f.id: f for f in forecasts}
    for score in scores:
        forecast = by_id[score.forecast]
        assert (score.expected, score.low, score.high) == (forecast.expected, forecast.low, forecast.high)
        error = math.log2(1 + score.expected - score.observed) - math.log2(1 + score.actual - score.observed)
        assert math.isclose(score.squared_log_error, error**2, rel_tol=1e-5, abs_tol=1e-9)
        assert score.covered == (score.low <= score.actual <= score.high)
    assert all(s.model in ("blend", "doubling") for s in out.scores.values()), (
        "an expert that is not published is not scored"
    )


def test_a_post_taken_back_is_not_scored() -> None:
    events = cascade_events("c", 1000.0, [70.0, 700.0])
    events.append(Event(id="u", cascade="c", kind=Kind.UNDO, time=2000.0, parent="c"))
    out, partition = play(events, [], learning_settings())
    assert out.forecasts
    assert not out.scores
    assert partition.learner.unscored[Unscored.WITHDRAWN] == 2


def test_a_cascade_that_fell_silent_and_left_is_scored_all_the_same() -> None:
    config = learning_settings(idle_seconds=1200)
    events = cascade_events("c", 1000.0, [70.0, 100.0]) + cascade_events("later", 9000.0, [100.0])
    out, partition = play(events, range(1, 5), config)
    assert {score.actual for score in out.scores.values() if score.cascade == "c"} == {2}
    assert partition.learner.unscored.total() == 0


def test_what_is_kept_is_bounded() -> None:
    out, partition = play(long_stream(8), [], learning_settings(max_kept_forecasts=5))
    assert out.scores
    assert partition.learner.unscored[Unscored.NO_ROOM] > 0


def test_without_ages_nothing_is_kept() -> None:
    out, partition = play(long_stream(8), [], learning_settings(score_ages_seconds=()))
    assert out.forecasts
    assert not out.scores
    assert partition.learner.learned.snapshot() == Learned().snapshot()


def test_all_that_matured_is_forgotten() -> None:
    _, partition = play(long_stream(9), [], learning_settings())
    assert len(partition.learner) == 0
    assert partition.learner.bytes_needed == 0
    assert partition.learner._of_cascade == {}


def kept(cascade: str, matures: float, models: tuple[str, ...] = ("m@1",)) -> Kept:
    panel = Panel(models, tuple(True for _ in models), ())
    return Kept.of(cascade, matures - 100, matures, 60.0, 1, panel, [Values(1.0, 0.5, 2.0, 0.5, 2.0) for _ in models])


def voter(cascade: str, as_of: float, vote: str, source: str = "", matures: float = 1e6) -> Kept:
    said = [Values(1.0, 0.5, 2.0, 0.5, 2.0)]
    return Kept.of(cascade, as_of, matures, 60.0, 1, Panel(("m@1",), (True,), ()), said, source=source, vote=vote)


def kept_by(learner: PartitionLearner, *voters: Kept) -> None:
    for one in voters:
        learner._reserved += 1
        learner.keep(one)


def test_votes_count_from_the_next_slot_on() -> None:
    learner = PartitionLearner(learning_settings(learn_every_seconds=600))
    learner.advance(1000.0, lambda _: None)
    kept_by(learner, voter("a", 1010.0, "weibo"), voter("b", 1020.0, "weibo"), voter("c", 1030.0, ""))
    learner.advance(1199.0, lambda _: None)
    assert learner.learned.votes_of(None) == {}
    assert learner.advance(1200.0, lambda _: None) == []
    assert learner.learned.votes_of(None) == pytest.approx({"weibo": 2.0}, rel=0.01)
    assert learner.state_at(1199.0).votes_of(None) == {}
    learner.advance(1800.0, lambda _: None)  # each has voted once
    assert learner.learned.votes_of(None) == pytest.approx({"weibo": 2.0}, rel=0.01)


def test_a_recovery_lets_those_vote_again_that_had_not() -> None:
    config = learning_settings(learn_every_seconds=600)
    first = [voter("a", 1010.0, "weibo"), voter("b", 1020.0, "higgs")]
    second = [voter("c", 1250.0, "weibo"), voter("d", 1300.0, "weibo")]
    undisturbed = PartitionLearner(config)
    for time, some in ((1000.0, first), (1200.0, second)):
        undisturbed.advance(time, lambda _: None)
        kept_by(undisturbed, *some)
    known = undisturbed.state_at(1260.0)
    undisturbed.advance(1800.0, lambda _: None)
    recovered = PartitionLearner(config)
    recovered.restore([*first, *second], known, 1260.0)  # what was kept from then on is made again
    kept_by(recovered, second[1])
    recovered.advance(1800.0, lambda _: None)
    assert recovered.learned.snapshot() == undisturbed.learned.snapshot()
    assert recovered.learned.votes_of(None) == pytest.approx({"weibo": 3.0, "higgs": 1.0}, rel=0.01)


def test_each_source_has_votes_of_its_own() -> None:
    learned = Learned().after(
        voters=[voter("a", 1.0, "ced", "weibo"), voter("b", 2.0, "higgs", "twitter"), voter("c", 3.0, "ced")]
    )
    assert learned.votes_of("weibo") == {"ced": 1.0}
    assert learned.votes_of("twitter") == {"higgs": 1.0}
    assert learned.votes_of("mastodon") == learned.votes_of(None) == {"ced": 1.0}
    assert Learned.restore(learned.snapshot()).votes == learned.votes


def test_sources_that_vote_apart_are_bounded() -> None:
    learned = Learned().after(voters=[voter(f"c{n}", float(n), "ced", f"source {n}") for n in range(100)])
    assert len(learned.votes) == 65
    assert learned.votes_of("source 99") == pytest.approx({"ced": 36.0}, rel=0.05)


def test_learned_state_of_before_there_were_votes_is_read() -> None:
    import msgspec

    known = Learned().after([Truth(kept("a", 1000.0), 4)])
    old = msgspec.msgpack.decode(known.snapshot())
    del old["votes"]
    assert Learned.restore(msgspec.msgpack.encode(old)).votes_of("weibo") == {}


def test_a_stream_learns_what_its_posts_resemble() -> None:
    """`Swayed` says more where posts with many reshares are usual, from the slot after those were forecast on."""
    out, partition = play(long_stream(3), [], learning_settings(), other=Swayed)
    assert set(partition.learner.learned.votes_of(None)) == {"few", "many"}
    told_nothing, _ = play(long_stream(3), [], learning_settings(learn=False), other=Swayed)
    first = min(record.as_of for record in out.forecasts.values()) + 600.0
    for id, record in out.forecasts.items():
        if record.model == "blend" and record.as_of < first - 600.0:
            assert record == told_nothing.forecasts[id]
    assert out.forecasts != told_nothing.forecasts


def test_a_model_that_is_no_longer_scored_is_forgotten_after_a_week() -> None:
    learned = Learned().after([Truth(kept("a", 1000.0, ("old@1",)), 4)])
    later = learned.after([Truth(kept("b", 1000.0 + 6 * 86_400, ("new@1",)), 4)])
    assert set(later.intervals) == {"old@1", "new@1"}
    assert set(later.after([Truth(kept("c", 1000.0 + 8 * 86_400, ("new@1",)), 4)]).intervals) == {"new@1"}


def test_learning_makes_another_state_and_leaves_the_old_one() -> None:
    before = Learned().after([Truth(kept("a", 1000.0), 4)])
    digest = before.snapshot()
    after = before.after([Truth(kept("b", 1001.0), 10)])
    assert before.snapshot() == digest != after.snapshot()
    assert Learned.restore(after.snapshot()).snapshot() == after.snapshot()


def test_a_snapshot_of_another_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(StateError, match="run the version that wrote it"):
        Learned.restore(b"\x81\xa1x\x01")


def test_state_written_before_there_was_learning_is_read() -> None:
    """A segment of seven fields, as earlier versions wrote them."""
    import msgspec

    old = b"\x00" + msgspec.msgpack.encode([1, 5.0, 4.0, 7, [], [["c", 4.5, 4.2, "e"]], []])
    segment = unpack(old)
    assert (segment.kept, segment.learned, segment.next_offset) == ([], None, 7)


@given(st.floats(1.0, 1e5), st.floats(0, 2e9))
def test_a_slot_holds_its_time(slot: float, time: float) -> None:
    learner = PartitionLearner(learning_settings(learn_every_seconds=slot))
    start = learner.slot_start(time)
    assert start <= time
    assert time - start <= slot * (1 + 1e-6)
    learner.advance(time, lambda _: None)
    assert learner.slot_end > time or np.isclose(learner.slot_end, time)
