"""Models change under a worker at work: no event and no forecast is lost, and challengers are kept apart."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from forecasters.base import Example, Forecasts
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import ForecastService
from streams.engine.lineup import Lineup, Role, Seat, Tenure
from streams.engine.lineup_loading import LineupLoader, Refusal, SeatPlan
from streams.settings import Settings
from streams.worker.model_watch import ModelWatch
from tests.streams.conftest import Doubling, random_stream
from tests.streams.worker_rig import Rig


def version(number: str) -> Doubling:
    model = Doubling()
    model.version = number
    return model


def from_time(since: float) -> Lineup:
    """Version 2 speaks from ``since`` on."""
    return Lineup((Seat(Role.CHAMPION, "doubling", (Tenure(-math.inf, version("1")), Tenure(since, version("2")))),))


def identity(record: dict[str, object]) -> tuple[object, object]:
    return record["cascade"], record["as_of"]


async def test_a_swap_under_way_loses_and_repeats_no_forecast(engine_settings: Settings) -> None:
    events = random_stream(31)
    complete = {
        (record.cascade, record.as_of)
        for record in forecast_events(events, engine_settings, ForecastService([Doubling()], 86_400.0))
    }
    rig = Rig(engine_settings.model_copy(update={"shed": False, "max_backlog": 20}))
    await rig.core.own({0})
    swaps = 0

    async def swap_often() -> None:
        nonlocal swaps
        while True:
            swaps += 1
            rig.service.lineup = Lineup.of([version(str(swaps))])
            await asyncio.sleep(0.003)

    swapping = asyncio.create_task(swap_often())
    await rig.play(events, 1)
    swapping.cancel()
    made = Counter(identity(record) for record in rig.outbox.forecasts())
    assert set(made) == complete
    assert set(made.values()) == {1}
    assert len({record["model_version"] for record in rig.outbox.forecasts()}) > 1, "no swap fell into the run"
    assert len({record["id"] for record in rig.outbox.forecasts()}) == len(made)


async def test_a_batch_ends_with_the_models_it_began_with(engine_settings: Settings) -> None:
    class Swapping(Doubling):
        """Is replaced while it forecasts."""

        def forecast(self, examples: Sequence[Example]) -> Forecasts:
            rig.service.lineup = Lineup.of([version("2"), version("3")])
            return super().forecast(examples)

    rig = Rig(engine_settings)
    rig.service.lineup = Lineup.of([Swapping(), version("also-1")])
    await rig.core.own({0})
    await rig.play(random_stream(32), 1)
    by_forecast: dict[tuple[object, object], set[object]] = {}
    for record in rig.outbox.forecasts():
        by_forecast.setdefault(identity(record), set()).add(record["model_version"])
    kinds = Counter(frozenset(versions) for versions in by_forecast.values())
    assert set(kinds) == {frozenset({"1", "also-1"}), frozenset({"2", "3"})}
    assert kinds[frozenset({"1", "also-1"})] <= engine_settings.inference_batch


async def test_a_promotion_from_an_event_time_is_the_same_everywhere(engine_settings: Settings) -> None:
    """One worker, three partitions on two workers, or a file: the same versions for the same forecasts."""
    events = random_stream(33)
    since = events[len(events) // 2].time
    rows = forecast_events(events, engine_settings, ForecastService(from_time(since), 86_400.0))
    wanted = {record.id: (record.as_of, record.model_version) for record in rows}
    assert {number for _, number in wanted.values()} == {"1", "2"}
    assert all((as_of >= since) == (number == "2") for as_of, number in wanted.values())
    for partitions in (1, 3):
        rig = Rig(engine_settings)
        rig.service.lineup = from_time(since)
        await rig.core.own(set(range(partitions)))
        await rig.play(events, partitions)
        found = {str(r["id"]): (r["as_of"], r["model_version"]) for r in rig.outbox.forecasts()}
        assert found == wanted


async def test_challengers_are_published_apart_and_the_counts_add_up(engine_settings: Settings) -> None:
    events = random_stream(34)
    rig = Rig(engine_settings)
    rig.service.lineup = Lineup.of([version("1")], [version("2")])
    await rig.core.own({0, 1})
    await rig.play(events, 2)
    main = rig.outbox.forecasts()
    apart = [json.loads(value) for _, value, _ in rig.outbox.sent["forecasts.challenger"]]
    assert {record["model_version"] for record in main} == {"1"}
    assert {record["model_version"] for record in apart} == {"2"}
    assert Counter(map(identity, main)) == Counter(map(identity, apart))
    assert list(main[0]) == list(apart[0]), "the same schema"
    assert not {record["id"] for record in main} & {record["id"] for record in apart}
    made = rig.total("cascadecast_forecasts_made_total")
    for role in ("champion", "challenger"):
        assert rig.value("cascadecast_forecasts_published_total", model="doubling", role=role) == made


async def test_a_challenger_that_fails_costs_no_champions_forecast(engine_settings: Settings) -> None:
    class Broken(Doubling):
        def forecast(self, examples: Sequence[Example]) -> Forecasts:
            raise RuntimeError("cannot")

    broken = Broken()
    broken.version = "2"
    events = random_stream(35)
    rig = Rig(engine_settings)
    rig.service.lineup = Lineup.of([version("1")], [broken])
    await rig.core.own({0})
    await rig.play(events, 1)
    made = rig.total("cascadecast_forecasts_made_total")
    assert len(rig.outbox.forecasts()) == made > 0
    assert rig.value("cascadecast_forecasts_failed_total", model="doubling", role="challenger") == made
    assert not rig.outbox.sent.get("forecasts.challenger")


async def test_events_and_forecasts_go_on_while_a_version_is_loaded(engine_settings: Settings) -> None:
    class SlowLoader(LineupLoader):
        """Takes for a load as long as the test wants."""

        entered, released = threading.Event(), threading.Event()

        def refresh(self, spared: Iterable[SeatPlan] = ()) -> tuple[Lineup | None, list[Refusal]]:
            self.entered.set()
            self.released.wait(30.0)
            return Lineup.of([version("2")]), []

    rig = Rig(engine_settings)
    await rig.core.own({0})
    loader = SlowLoader(engine_settings)
    watching = asyncio.create_task(ModelWatch(loader, rig.service, rig.metrics).run(0.001))
    await asyncio.to_thread(loader.entered.wait, 30.0)
    events = random_stream(36)
    await rig.play(events, 1)
    assert rig.total("cascadecast_events_received_total") == len(events) + 1
    assert {record["model_version"] for record in rig.outbox.forecasts()} == {"1"}
    loader.released.set()
    while rig.core.models()[0]["version"] != "2":
        await asyncio.sleep(0.01)
    watching.cancel()
    assert rig.core.models() == [{"model": "doubling", "version": "2", "role": "champion"}]
