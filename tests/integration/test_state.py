"""The state tools beside a running worker: what they tell is what the events make."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from typer.testing import CliRunner, Result

from graph import Event, Kind, read_events, write_events
from graph.errors import UserError
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.cli import state as state_command
from streams.engine.changes import Changes
from streams.engine.partition import Partition
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from streams.state.changelog import changelog_topic
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from tests.integration.harness import Stream, Worker, settle
from tests.integration.single_pass import lines, totals


class State:
    """A worker with a stream behind it: three hours of cascades, of which early ones have left."""

    def __init__(self, stream: Stream, path: Path) -> None:
        self.stream, self.path = stream, path
        self.truth = totals(json.loads(line) for line in lines(path))
        self._app = typer.Typer()
        state_command.register(self._app)

    def run(self, *arguments: str) -> Result:
        variables = {name: value for name, value in self.stream.environment().items() if "CASCADECAST" in name}
        return CliRunner().invoke(self._app, ["state", *arguments], env=variables)

    def results(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run(*arguments, "--json").stdout)["results"]
        return found


@pytest.fixture(scope="module")
def state(kafka: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("state")
    path = directory / "events.jsonl"
    simulation = Simulation(seed=5, hours=3.0, mean_size=30.0, lifetime_hours=3.0)
    events = list(ordered(simulated_events(simulation, 80)))
    write_events(path, events)
    early, last = directory / "early.jsonl", directory / "last.jsonl"
    write_events(early, events[:-200])
    write_events(last, events[-200:])
    settings = {"HORIZON_SECONDS": "5400", "RETENTION_GRACE_SECONDS": "600", "SCORE_AGES_SECONDS": "300,1800"}
    stream = Stream(kafka.bootstrap_servers, "state-tools", settings).create()
    with Worker(stream, directory) as worker:
        for part in (early, last):  # cascades leave with the batch that follows their last forecasts
            replay(ReplayPlan(str(part), stream.bootstrap_servers, stream.prefix, drain_seconds=0))
            settle(stream, [worker])
        yield State(stream, path)


def test_export_lists_the_live_cascades_one_a_line(state: State) -> None:
    run = state.run("export")
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert 10 < len(found) < len(state.truth), "early ones have left"
    assert {one["cascade"] for one in found} <= set(state.truth)
    posts = {event.cascade for event in read_events(str(state.path)) if event.kind is Kind.POST}
    assert {one["cascade"] for one in found} <= posts


def test_inspect_tells_everything_of_one_cascade(state: State) -> None:
    listed = [json.loads(line) for line in state.run("export").stdout.splitlines()]
    largest = max(listed, key=lambda one: one["size"])
    (found,) = state.results("inspect", largest["cascade"])
    for name in ("cascade", "partition", "size", "depth", "users", "nodes", "root_time", "last_time", "rooted"):
        assert found[name] == largest[name]
    assert found["age_seconds"] == found["watermark"] - found["root_time"]
    assert sum(place["bytes"] for place in found["places"]) > 30 * found["nodes"]
    scored_before = found["watermark"] // 3600 * 3600  # a scored post may be there until the next batch
    assert found["kept"] or found["age_seconds"] < 300 or found["root_time"] + 5400 < scored_before
    assert all(kept["matures"] == found["root_time"] + 5400.0 for kept in found["kept"])
    told = state.run("inspect", largest["cascade"]).stdout
    assert f"size {found['size']:,}, depth {found['depth']}" in told
    assert "stored at offset" in told


def test_inspect_says_why_a_cascade_is_not_there(state: State) -> None:
    assert "no event of it has come" in str(state.run("inspect", "nobody").exception)
    listed = {json.loads(line)["cascade"] for line in state.run("export").stdout.splitlines()}
    assert "it has left" in str(state.run("inspect", min(set(state.truth) - listed)).exception)
    absent = state.run("inspect", "x", "--app-id", "absent").exception
    assert isinstance(absent, UserError)
    assert "no worker with app id 'absent' has run here" in str(absent)


def test_verify_finds_the_state_as_the_events_make_it(state: State) -> None:
    run = state.run("verify")
    assert run.exit_code == 0, (run.output, run.exception)
    found = state.results("verify")
    assert [one["partition"] for one in found] == [0, 1, 2, 3]
    assert all(one["equal"] == one["cascades"] > 0 for one in found)
    assert sum(one["records"] for one in found) == sum(1 for _ in lines(state.path))


def test_verify_names_what_differs_and_what_retention_has_removed(state: State, kafka: EmbeddedBroker) -> None:
    """A changelog of another app id, written as a worker with a fault would: an event lost, a cascade invented."""
    app = f"{state.stream.prefix}-faulty"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for answer in admin.create_topics([NewTopic(changelog_topic(app), 4, 1)]).values():
        answer.result(30)
    settings = Settings(horizon_seconds=5400, retention_grace_seconds=600)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    listed = map(json.loads, state.run("export").stdout.splitlines())
    youngest = max((one for one in listed if one["partition"] == 0 and one["size"]), key=lambda one: one["root_time"])
    lost = None
    for number in range(4):
        held = [message for message in state.stream.messages("events") if message.partition() == number]
        events = [msgspec.json.decode(message.value(), type=Event) for message in held]
        if number == 0:
            lost = next(
                event
                for event in reversed(events)
                if event.kind is Kind.REPOST and event.cascade == youngest["cascade"]
            )
            events.remove(lost)
            events.append(Event("invented", "invented", Kind.POST, lost.time))
        for key, value in written(settings, number, events, len(held)).items():
            producer.produce(changelog_topic(app), value, key, partition=number)
    producer.flush(30)
    run = state.run("verify", "--app-id", app)
    assert run.exit_code == 1
    differing = {
        one["cascade"] for verdict in state.results("verify", "--app-id", app) for one in verdict["differences"]
    }
    assert lost is not None
    assert differing == {"invented", lost.cascade}
    assert f"differs: {lost.cascade}" in run.stdout
    ends = admin.list_offsets({TopicPartition(f"{state.stream.prefix}.events", 1): OffsetSpec.latest()})
    (end,) = (answer.result(30).offset for answer in ends.values())
    cut = TopicPartition(f"{state.stream.prefix}.events", 1, end - 20)
    for removed in admin.delete_records([cut]).values():
        removed.result(30)
    verdict = state.results("verify", "--app-id", app)[1]
    assert verdict["beyond_retention"] > 0
    assert verdict["differences"] == []
    assert verdict["first_offset"] == end - 20
    assert "not comparable" in state.run("verify").stdout


def written(settings: Settings, number: int, events: list[Event], next_offset: int) -> dict[bytes, bytes]:
    """The segments that a worker would have written of these events."""
    store = MemorySegmentStore()
    partition, log = Partition(number, settings), SegmentLog(store)

    async def write() -> None:
        await log.recover(partition)
        changes: Changes = partition.apply_events(events)
        await log.append(partition, changes, next_offset)

    asyncio.run(write())
    return store.segments
