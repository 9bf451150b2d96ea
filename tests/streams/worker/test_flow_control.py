"""No changelog record is lost between a recovery and the reading of copies, when Faust resumes flow once more."""

from __future__ import annotations

import asyncio

import faust

from streams.worker.flow_control import KeepingFlowControl

ROOM = 4


def app(keeping: bool) -> faust.App:
    made = faust.App("flow", broker="kafka://127.0.0.1:1", stream_buffer_maxsize=ROOM)
    if keeping:
        made.flow_control = KeepingFlowControl()
    return made


async def after_resuming(keeping: bool) -> list[int]:
    """What a reader of changelogs gets of six records of which two wait for room when flow resumes."""
    made = app(keeping)
    queue = made.tables.changelog_queue
    made.flow_control.resume()
    waiting = [asyncio.ensure_future(queue.put(number)) for number in range(ROOM + 2)]
    await asyncio.sleep(0)
    assert queue.full()
    made.flow_control.resume()
    got: list[int] = []
    while not all(one.done() for one in waiting) or not queue.empty():
        while not queue.empty():
            got.append(queue.get_nowait())
        await asyncio.sleep(0)
    return got


async def test_what_is_under_way_when_flow_resumes_arrives_in_order() -> None:
    assert await after_resuming(keeping=True) == list(range(ROOM + 2))


async def test_fausts_own_would_lose_it() -> None:
    """Once this fails Faust keeps it by itself, and ours can go."""
    assert await after_resuming(keeping=False) == []


async def test_a_rebalance_still_empties_the_queue() -> None:
    made = app(keeping=True)
    queue = made.tables.changelog_queue
    made.flow_control.resume()
    await queue.put(1)
    made.flow_control.suspend()
    made.flow_control.clear()
    made.flow_control.resume()
    assert queue.empty()


async def test_while_flow_is_suspended_nothing_is_put() -> None:
    made = app(keeping=True)
    queue = made.tables.changelog_queue
    made.flow_control.resume()
    made.flow_control.suspend()
    waiting = asyncio.ensure_future(queue.put(1))
    await asyncio.sleep(0)
    assert queue.empty()
    made.flow_control.resume()
    await waiting
    assert queue.get_nowait() == 1
