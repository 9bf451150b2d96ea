"""Which events the benchmarks of the pipeline play."""

from __future__ import annotations

from pathlib import Path

import msgspec

from graph import Event, Kind
from streams.bench.plan import DAY_SECONDS, PipelinePlan, events_of


def file_of_two_years(path: Path) -> str:
    events = [
        Event(f"{cascade}{n}", f"{cascade}0", Kind.REPOST if n else Kind.POST, start + 10.0 * n)
        for cascade, start in (("old", 5000.0), ("new", 5005.0 + 365 * DAY_SECONDS))
        for n in range(3)
    ]
    path.write_bytes(b"\n".join(map(msgspec.json.encode, events)))
    return str(path)


def test_posts_of_years_lie_over_one_day_or_as_they_followed_one_another(tmp_path: Path) -> None:
    file = file_of_two_years(tmp_path / "posts.jsonl")
    folded = [event.id for event in events_of(PipelinePlan(file=file))]
    own = [event.id for event in events_of(PipelinePlan(file=file, own_order=True))]
    assert folded == ["old0", "new0", "old1", "new1", "old2", "new2"]
    assert own == ["old0", "old1", "old2", "new0", "new1", "new2"]


def test_what_is_skipped_are_the_earliest(tmp_path: Path) -> None:
    file = file_of_two_years(tmp_path / "posts.jsonl")
    assert [event.id for event in events_of(PipelinePlan(2, file, skip=3))] == ["new1", "old2"]
    whole = list(events_of(PipelinePlan(400)))
    part = list(events_of(PipelinePlan(100, skip=300)))
    assert [event.id for event in part] == [event.id for event in whole[300:]]
