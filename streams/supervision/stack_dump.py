"""What a process is doing: the stacks of its threads and of its asyncio tasks, without values, which may be secret."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any


def thread_stacks() -> Iterator[str]:
    """Each thread's name and stack."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield f"thread {names.get(ident, ident)}:\n{_frames(traceback.extract_stack(frame))}"


def task_stacks(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Each unfinished task's name and where it waits, down to what it waits for. May be called from another thread."""
    for _ in range(3):
        try:
            tasks = list(asyncio.all_tasks(loop))
            break
        except RuntimeError:  # the set of tasks changed meanwhile
            continue
    else:
        yield "tasks: they change too fast to be listed"
        return
    for task in sorted(tasks, key=lambda task: task.get_name()):
        summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in _waiting(task.get_coro()))
        yield f"task {task.get_name()}:\n{_frames(summary)}"


def _waiting(awaited: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine and of those it awaits, outermost first."""
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):  # coroutines, generators, asynchronous generators
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await", None)
                break
        else:
            awaited = _wrapped(awaited)


def _wrapped(awaited: Any) -> Any:
    """What a wrapper without a frame of its own wraps: only the collector of garbage knows it."""
    if type(awaited).__name__ in ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow"):
        inner = gc.get_referents(awaited)
        return next((one for one in inner if hasattr(one, "cr_frame") or hasattr(one, "ag_frame")), None)
    return None


def _frames(summary: traceback.StackSummary) -> str:
    return "".join(summary.format()).rstrip() or "  (finished)"
