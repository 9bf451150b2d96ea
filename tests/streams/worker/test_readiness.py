"""What a worker that is not ready says of how far it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from streams.settings import Settings
from streams.worker.readiness import Stage, look, show
from tests.streams.worker_rig import Rig


@dataclass
class Changelogs:
    is_joining: bool = False
    records: int = 0
    standby: int = 0

    def joining(self) -> bool:
        return self.is_joining

    def records_remaining(self) -> int:
        return self.records

    def standby_records_remaining(self) -> int:
        return self.standby


def test_without_partitions_it_is_joining(engine_settings: Settings) -> None:
    found = look(Rig(engine_settings).core, Changelogs(is_joining=True))
    assert (found.ready, found.stage) == (False, Stage.JOINING)


def test_while_changelogs_are_read_it_says_how_many_records_are_left(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    found = look(rig.core, Changelogs(records=1234, standby=5))
    assert (found.stage, found.changelog_records_remaining) == (Stage.CHANGELOG, 1234)
    show(found, rig.metrics)
    assert rig.value("cascadecast_recovery_records_remaining") == 1234
    assert rig.value("cascadecast_standby_records_remaining") == 5
    assert rig.value("cascadecast_ready") == 0


async def test_while_state_is_read_it_says_which_partitions_are_left(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    owning = asyncio.create_task(rig.core.own({0, 1}))
    await asyncio.sleep(0)
    found = look(rig.core, Changelogs())
    assert (found.stage, found.partitions_remaining) == (Stage.STATE, [0, 1])
    await owning
    rig.core.ready = True
    found = look(rig.core, Changelogs())
    assert found.page() == {
        "ready": True,
        "stage": Stage.READY,
        "partitions": [0, 1],
        "changelog_records_remaining": 0,
        "partitions_remaining": [],
        "standby_records_remaining": 0,
    }
    show(found, rig.metrics)
    assert rig.value("cascadecast_ready") == 1
