"""Where processor time goes: each stack counts for the stage of its innermost frame that belongs to one."""

from __future__ import annotations

from streams.bench.stages import OTHER, shares_of

MAIN = "main (streams/cli/main.py:65);BaseEventLoop._run_once (asyncio/base_events.py:1922)"
INGEST = (
    f"{MAIN};Intake._take_part (streams/worker/intake.py:99);Partition.apply_records (streams/engine/partition.py:139)"
)


def test_a_stack_counts_for_the_innermost_stage() -> None:
    found = shares_of(
        [
            f"{INGEST};GrowingCascade.apply (graph/growth.py:46) 30",
            f"{INGEST};decode_batch (graph/events.py:108) 10",
            f"{MAIN} 10",
            "ServiceThread (mode/threads.py:211);PartitionRecords.__next__ (aiokafka/consumer/fetcher.py:213) 50",
        ]
    )
    assert found == {"fetch": 0.5, "apply": 0.3, "decode": 0.1, OTHER: 0.1}


def test_threads_that_wait_do_not_count() -> None:
    waiting = [
        f"{MAIN};EpollSelector.select (selectors.py:468) 900",
        "Watchdog._run (x.py:1);Condition.wait (t.py:3) 9",
    ]
    assert shares_of([*waiting, f"{INGEST} 1"]) == {"apply": 1.0}
    assert shares_of(waiting) == {}
