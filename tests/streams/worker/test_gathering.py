"""All that comes while a batch is in hand makes the next one: nothing queues up, is lost or changes its order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from streams.worker.gathering import Gathering


class Working:
    """A worker that is busy for so many looks at it; ``on_wait`` is called when one waits for it."""

    def __init__(self, busy_looks: int = 0) -> None:
        self.busy_looks = busy_looks
        self.on_wait: Callable[[], None] = lambda: None

    def is_busy(self) -> bool:
        return self.busy_looks > 0

    async def wait_free(self, at_most_seconds: float) -> None:
        self.busy_looks -= 1
        self.on_wait()


class Fetches:
    """What fetch after fetch brings; then nothing."""

    def __init__(self, fetches: Iterable[Mapping[str, Sequence[int]]]) -> None:
        self._fetches = iter(fetches)
        self.made = 0

    async def __call__(self) -> Mapping[str, Sequence[int]]:
        self.made += 1
        return next(self._fetches, {})


def always() -> bool:
    return True


async def test_while_the_worker_is_busy_all_that_comes_is_gathered_and_no_longer() -> None:
    fetch = Fetches([{"a": [2]}, {}, {"b": [1], "a": [3]}, {"a": [99]}])
    found = await Gathering(Working(3), 0.0, 100).gather({"a": [1]}, fetch, always)
    assert found == {"a": [1, 2, 3], "b": [1]}


async def test_a_worker_that_is_free_gets_what_there_is_at_once() -> None:
    fetch = Fetches([{"a": [2]}])
    assert await Gathering(Working(), 60.0, 100).gather({"a": [1]}, fetch, always) == {"a": [1]}
    assert fetch.made == 0


async def test_after_one_batch_the_next_may_fill_for_the_time_that_is_set() -> None:
    gathering, fetch = Gathering(Working(), 0.05, 100), Fetches([{"a": [3]}])
    started = time.monotonic()
    assert await gathering.gather({"a": [1]}, fetch, always) == {"a": [1]}
    assert await gathering.gather({"a": [2]}, fetch, always) == {"a": [2, 3]}
    assert time.monotonic() - started >= 0.05


async def test_enough_is_enough_but_waits_for_the_worker() -> None:
    worker, fetch = Working(5), Fetches([{"a": [3, 4]}, {"a": [5]}])
    found = await Gathering(worker, 60.0, 4).gather({"a": [1, 2]}, fetch, always)
    assert (found, fetch.made, worker.busy_looks) == ({"a": [1, 2, 3, 4]}, 1, 0)


async def test_when_partitions_move_it_ends_with_what_it_has() -> None:
    worker, fetch = Working(1_000_000), Fetches([{"a": [2]}])
    found = await Gathering(worker, 60.0, 100).gather({"a": [1]}, fetch, lambda: worker.busy_looks > 999_990)
    assert found == {"a": [1, 2]}


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(), max_size=4)), min_size=1, max_size=12))
async def test_nothing_is_lost_and_no_order_changes(fetches: list[dict[str, list[int]]]) -> None:
    first, *later = fetches
    found = await Gathering(Working(len(later)), 0.0, 1000).gather(first, Fetches(later), always)
    assert found == {place: [n for one in fetches for n in one.get(place, ())] for one in fetches for place in one}
