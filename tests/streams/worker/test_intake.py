"""Records taken in: each has its fate, none is passed over, and what is diverted is out before they are done."""

from __future__ import annotations

import time

import msgspec
import pytest

from streams.engine.raw_record import Record
from streams.settings import Settings
from tests.streams.conftest import cascade_events, random_stream
from tests.streams.worker_rig import Notebook, Notes, Rig, records_of


async def test_a_dead_letter_is_the_original_with_its_reason_and_place(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    rig.tape.first = 41
    await rig.core.own({3})
    broken = b'{"id": "a", "casc\xff'
    await rig.core.ingest({3: [Record(broken, b"k", None, 41, 1.5)]}, "social.events")
    ((key, value, headers),) = rig.outbox.sent["dead-letters"]
    assert (key, value) == (b"k", broken)
    assert dict(headers) == {
        "error-kind": b"not-utf8",
        "error-message": dict(headers)["error-message"],
        "source-topic": b"social.events",
        "source-partition": b"3",
        "source-offset": b"41",
        "source-time": b"1.500",
    }


async def test_a_dead_letter_is_out_before_the_state_says_that_its_record_is_done(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.outbox.patience = 0
    broken = [Record(b"broken", b"k", None, 0, 0.0)]
    with pytest.raises(ConnectionError):
        await rig.core.ingest({0: broken}, "t")
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    await again.core.ingest({0: [Record(b"", None, 1.0, 1, 0.0)]}, "t")
    assert again.tape.rewinds == [(0, 0)], "even if the offset was committed, the record is read again"
    await again.core.ingest({0: broken}, "t")
    assert [value for _, value, _ in again.outbox.sent["dead-letters"]] == [b"broken"]


async def test_an_event_under_a_foreign_key_is_sent_again_under_its_own(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    raw = msgspec.json.encode(cascade_events("c", 1000.0, [])[0])
    await rig.core.ingest({0: [Record(raw, b"other", None, 0, 0.0)]}, "social.events")
    assert rig.outbox.sent["events"] == [(b"c", raw, [])]
    assert rig.value("cascadecast_events_total", fate="rekeyed") == 1


async def test_records_that_were_passed_over_are_asked_for_and_nothing_is_lost(engine_settings: Settings) -> None:
    """The framework skips a part around a rebalance and commits beyond it; the state's own position tells."""
    events = random_stream(17)
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0) for n, event in enumerate(events)
    ]
    rig, undisturbed = Rig(engine_settings), Rig(engine_settings)
    for one in (rig, undisturbed):
        await one.core.own({0})
    await undisturbed.core.ingest({0: records}, "t")
    await rig.core.ingest({0: records[:50]}, "t")
    await rig.core.ingest({0: records[90:120]}, "t")
    assert rig.tape.rewinds == [(0, 50)]
    assert rig.total("cascadecast_events_received_total") == 50
    restarted = Rig(engine_settings)  # dies here; the committed offset is 120
    restarted.stores = rig.stores
    await restarted.core.own({0})
    await restarted.core.ingest({0: records[120:130]}, "t")
    assert restarted.tape.rewinds == [(0, 50)]
    await restarted.core.ingest({0: records[50:]}, "t")
    state = {cascade.id: (cascade.size, cascade.users) for cascade in restarted.core.assigned[0].partition.store}
    assert state == {
        cascade.id: (cascade.size, cascade.users) for cascade in undisturbed.core.assigned[0].partition.store
    }
    assert restarted.value("cascadecast_rewinds_total") == 1


async def test_records_that_do_not_come_for_long_are_not_given_up(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a partition that stays ours through a slow rebalance, after which the framework goes on behind a gap."""
    rig = Rig(engine_settings)
    await rig.core.own({0})
    records = [
        Record(msgspec.json.encode(event), b"a", None, at, 0.0)
        for at, event in enumerate(cascade_events("a", 1000.0, [float(age) for age in range(1, 9)]))
    ]
    await rig.core.ingest({0: records[:2]}, "t")
    await rig.core.ingest({0: records[5:7]}, "t")
    now = time.monotonic()
    for asked in range(1, 30):
        monkeypatch.setattr(time, "monotonic", lambda asked=asked: now + 3.0 * asked)
        await rig.core.tick()
    await rig.core.own({0})
    await rig.core.ingest({0: records[5:7]}, "t")
    assert rig.core.state_end(0) == 2
    await rig.core.ingest({0: records[2:]}, "t")
    assert (rig.core.state_end(0), rig.core.assigned[0].partition.store.get("a").size) == (9, 8)
    assert set(rig.tape.rewinds) == {(0, 2)}
    assert rig.value("cascadecast_offsets_missing_total") == 0


async def test_what_kafka_itself_does_not_have_is_counted_and_the_rest_is_read(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    records = [
        Record(msgspec.json.encode(event), b"a", None, 10 + at, 0.0)
        for at, event in enumerate(cascade_events("a", 1000.0, [1.0, 2.0]))
    ]
    rig.tape.offsets = [10, 11, 12]
    await rig.core.ingest({0: records[1:]}, "t")
    assert (rig.core.state_end(0), rig.tape.rewinds) == (10, [(0, 10)])
    await rig.core.ingest({0: records}, "t")
    assert (rig.core.state_end(0), rig.core.assigned[0].partition.store.get("a").size) == (13, 2)
    assert rig.value("cascadecast_offsets_missing_total") == 10


async def test_records_that_lie_in_kafka_while_none_comes_are_asked_for(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.tape.ends[0] = 10
    await rig.core.tick()
    assert rig.tape.rewinds == [], "they may be under way"
    rig.core.assigned[0].last_arrival_wall -= 60
    await rig.core.tick()
    assert rig.tape.rewinds == [], "a rebalance or a recovery is under way"
    rig.core.ready = True
    await rig.core.tick()
    assert rig.tape.rewinds == [(0, 0)]


async def test_lag_is_what_kafka_holds_beyond_the_state_and_how_old_the_last_record_taken_in_is(
    engine_settings: Settings,
) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    values = [msgspec.json.encode(event) for event in cascade_events("a", 1_400_000_000.0, [1.0, 2.0])]
    taken_at = time.time() - 50.0
    rig.tape.ends[0] = 10
    await rig.core.ingest({0: [Record(value, b"a", None, at, taken_at) for at, value in enumerate(values)]}, "events")
    assert rig.value("cascadecast_input_lag_records", partition="0") == 7
    assert 50.0 <= rig.value("cascadecast_input_lag_seconds", partition="0") < 80.0
    rig.tape.ends[0] = 3
    await rig.core.tick()
    assert rig.value("cascadecast_input_lag_records", partition="0") == 0
    assert rig.value("cascadecast_input_lag_seconds", partition="0") == 0


async def test_a_worker_that_was_superseded_writes_nothing_more_of_its_batch(engine_settings: Settings) -> None:
    """Its state would say that records are done of which it has not written the effect."""
    book = Notebook()
    rig = Rig(engine_settings.model_copy(update={"batch_max_events": 10}), outputs=Notes(book))
    await rig.core.own({0})
    events = cascade_events("c", 1000.0, [float(n) for n in range(1, 40)])
    records = records_of(events, 0, 0.0)
    await rig.core.ingest({0: records[:10]}, "social.events")
    book.owner[0] = Notes(book)  # another worker has it now, and ours does not know
    records[12] = Record(b"no event", b"c", None, 12, 0.0)
    before = dict(rig.stores[0].segments)
    await rig.core.ingest({0: records[10:]}, "social.events")
    assert rig.stores[0].segments == before
    assert rig.core.state_end(0) is None
