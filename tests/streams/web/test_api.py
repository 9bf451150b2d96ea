"""The API of the live page: what it tells of the stream, of a post, and of what it cannot tell."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from graph import Event, Kind
from streams.alerts.moment import Quantity
from streams.alerts.rules import Condition, Rule, RuleSet
from streams.engine.raw_record import Record
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from tests.streams.conftest import cascade_events, random_stream
from tests.streams.web.conftest import PARTITIONS, site

START = 1_400_000_000.0


async def get(url: str, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True), headers=headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text


def fast_and_slow() -> list[Event]:
    """One post with 30 reshares in half an hour, one with 3, one with none."""
    fast = cascade_events("fast", START, [60.0 * n for n in range(1, 31)])
    slow = cascade_events("slow", START, [600.0, 1200.0, 1800.0])
    return sorted([*fast, *slow, *cascade_events("silent", START, [])], key=lambda event: event.time)


async def test_the_list_is_led_by_whom_the_order_says(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        await here.take(fast_and_slow(), START + 2000)
        status, top = await get(here.url("/api/v1/cascades"))
        assert status == 200
        assert [post["cascade"] for post in top["cascades"]] == ["fast", "slow"]
        fast = top["cascades"][0]
        assert (fast["observed"], fast["expected"], fast["model"]) == (30, 60.0, "doubling")
        assert fast["age_seconds"] == 2000.0
        assert top["watermark"] == START + 2000
        assert (top["live_cascades"], top["workers"], top["workers_answering"]) == (3, 1, 1)
        _, shortest = await get(here.url("/api/v1/cascades?top=1&sort=observed"))
        assert [post["cascade"] for post in shortest["cascades"]] == ["fast"]


async def test_a_post_is_told_of_wherever_its_producer_has_put_it(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        events = cascade_events("astray", START, [60.0 * n for n in range(1, 31)])
        number = (partition_of("astray", PARTITIONS) + 1) % PARTITIONS
        records = [
            Record(msgspec.json.encode(event), b"astray", None, here.rig.next_offset(number), 0.0) for event in events
        ]
        await here.rig.core.ingest({number: records}, "social.events")
        await here.take([], START + 2000)
        _, top = await get(here.url("/api/v1/cascades"))
        assert [post["cascade"] for post in top["cascades"]] == ["astray"]
        status, post = await get(here.url("/api/v1/cascades/astray"))
        assert (status, post["observed"]) == (200, 30)


async def test_the_list_may_be_of_one_source(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        events = [
            Event(
                id=f"{name}{n}", cascade=f"{name}0", kind=Kind.REPOST if n else Kind.POST, time=START + n, source=name
            )
            for name in ("weibo", "x")
            for n in range(3)
        ]
        await here.take(sorted(events, key=lambda event: event.time), START + 200)
        _, top = await get(here.url("/api/v1/cascades?source=x"))
        assert [(post["cascade"], post["source"]) for post in top["cascades"]] == [("x0", "x")]


async def test_a_post_with_an_alert_says_so(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        rule = Rule("large", (Condition(Quantity.EXPECTED, 20.0, 10.0),), update_factor=100.0)
        here.rig.rules.current = RuleSet((rule,))
        await here.take(fast_and_slow(), START + 2000)
        _, top = await get(here.url("/api/v1/cascades"))
        assert {post["cascade"]: post["alerts"] for post in top["cascades"]} == {"fast": ["large"], "slow": []}
        _, post = await get(here.url("/api/v1/cascades/fast"))
        (alert,) = post["alerts"]
        assert (alert["rule"], alert["state"], alert["severity"]) == ("large", "opened", "warning")
        assert alert["reason"] == "expected size at least 20"


async def test_a_post_tells_its_growth_its_forecasts_and_its_tree(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        await here.take(fast_and_slow(), START + 2000)
        status, post = await get(here.url("/api/v1/cascades/slow"))
        assert status == 200
        assert post["curve"] == [[0.0, 0], [600.0, 1], [1200.0, 2], [1800.0, 3], [2000.0, 3]]
        assert post["observed"] == 3
        (doubling,) = post["forecasts"]
        assert doubling["points"][-1] == [86_400.0, doubling["expected"]]
        assert post["tree"] == {"nodes": 4, "ages": [0.0, 600.0, 1200.0, 1800.0], "parents": [-1, 0, 0, 0]}


async def test_a_post_whose_forecast_is_not_in_memory_is_forecast_for_who_asks(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        await here.take(fast_and_slow(), START + 2000)
        published = len(here.rig.outbox.forecasts())
        here.rig.core.board._found.clear()
        _, post = await get(here.url("/api/v1/cascades/fast"))
        (doubling,) = post["forecasts"]
        assert (doubling["expected"], doubling["as_of"]) == (60.0, START + 2000)
        assert len(here.rig.outbox.forecasts()) == published


async def test_a_withdrawn_post_leaves_the_list_and_says_so(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        undo = Event(id="undo", cascade="fast", kind=Kind.UNDO, time=START + 1900, parent="fast")
        await here.take([*fast_and_slow(), undo], START + 2000)
        _, top = await get(here.url("/api/v1/cascades"))
        assert [post["cascade"] for post in top["cascades"]] == ["slow"]
        _, post = await get(here.url("/api/v1/cascades/fast"))
        assert post["withdrawn"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/v1/cascades?top=0", 400, "top is a whole number from 1 to 200"),
        ("/api/v1/cascades?top=%C2%B2", 400, "top is a whole number"),
        ("/api/v1/cascades?sort=best", 400, "sort is one of rising, expected, observed"),
        ("/api/v1/stream?rate=1000", 400, "rate is a number of updates a second, up to 60"),
        ("/api/v1/stream?rate=nan", 400, "rate is a number"),
        ("/api/v1/cascades/unknown", 404, "no live post has this id"),
        ("/api/v1/cascades/" + "x" * 1025, 404, "no id has more than 1024 bytes"),
        ("/api/v1/cascades/a%2Fb%00%F0%9F%98%80", 404, "no live post"),
    ],
)
async def test_what_cannot_be_answered_says_why(path: str, status: int, says: str, engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        found, problem = await get(here.url("") + path)
        assert found == status
        assert says in problem["error"]


async def test_ids_are_what_they_are(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        await here.take(cascade_events("a/b c?&%#é", START, [10.0]), START + 200)
        status, post = await get(here.url("") + "/api/v1/cascades/a%2Fb%20c%3F%26%25%23%C3%A9")
        assert (status, post["cascade"]) == (200, "a/b c?&%#é")


async def test_any_worker_answers_for_any_post(engine_settings: Settings) -> None:
    urls: dict[int, str] = {}
    events = random_stream(3)
    end = events[-1].time
    async with (
        site(engine_settings) as alone,
        site(engine_settings, {0, 1}, urls) as first,
        site(engine_settings, {2, 3}, urls) as second,
    ):
        urls |= {number: (first if number < 2 else second).url("") for number in range(PARTITIONS)}
        for one in (alone, first, second):
            await one.take(events, end)
        _, whole = await get(alone.url("/api/v1/cascades?top=50"))
        assert len(whole["cascades"]) > 10
        for asked in (first, second):
            _, top = await get(asked.url("/api/v1/cascades?top=50"))
            assert (top["workers"], top["workers_answering"]) == (2, 2)
            assert top["cascades"] == whole["cascades"]
            assert top["live_cascades"] == whole["live_cascades"]
        for post in whole["cascades"][:10]:
            answers = [await get(one.url(f"/api/v1/cascades/{post['cascade']}")) for one in (alone, first, second)]
            assert answers[0] == answers[1] == answers[2]
        assert (await get(first.url("/api/v1/cascades/nobody")))[0] == 404


async def test_a_worker_that_is_gone_is_missed_and_does_not_take_the_list_with_it(engine_settings: Settings) -> None:
    gone = "http://127.0.0.1:9"
    async with site(engine_settings, {0, 1}, dict.fromkeys((2, 3), gone)) as here:
        await here.take(random_stream(3), random_stream(3)[-1].time)
        status, top = await get(here.url("/api/v1/cascades"))
        assert (status, top["workers"], top["workers_answering"]) == (200, 2, 1)
        assert top["cascades"]
        elsewhere = next(f"c{n}" for n in range(99) if partition_of(f"c{n}", PARTITIONS) > 1)
        status, problem = await get(here.url(f"/api/v1/cascades/{elsewhere}"))
        assert status == 503
        assert "try again" in problem["error"]


async def test_workers_that_believe_the_other_has_a_post_do_not_ask_in_circles(engine_settings: Settings) -> None:
    urls: dict[int, str] = {}
    async with site(engine_settings, set(), urls) as first, site(engine_settings, set(), urls) as second:
        urls |= dict.fromkeys(range(PARTITIONS), second.url(""))
        assert (await get(first.url("/api/v1/cascades/c1")))[0] == 503


async def test_with_a_token_the_page_is_empty_and_the_data_need_it(engine_settings: Settings) -> None:
    urls: dict[int, str] = {}
    async with (
        site(engine_settings, {0, 1}, urls, token="secret") as here,
        site(engine_settings, {2, 3}, urls, token="secret") as other,
    ):
        urls |= {number: (here if number < 2 else other).url("") for number in range(PARTITIONS)}
        for path in ("/api/v1/cascades", "/api/v1/cascades/x", "/api/v1/models", "/api/v1/stream"):
            assert (await get(here.url(path)))[0] == 401
            assert (await get(here.url(path), Authorization="Bearer wrong"))[0] == 401
        assert (await get(here.url("/")))[0] == 200
        status, top = await get(here.url("/api/v1/cascades"), Authorization="Bearer secret")
        assert (status, top["workers_answering"]) == (200, 2)


async def test_a_loopback_server_does_not_answer_to_other_names(engine_settings: Settings) -> None:
    async with site(engine_settings) as here:
        for path in ("/", "/api/v1/cascades", "/api/v1/openapi.json"):
            assert (await get(here.url(path), Host="evil.example:80"))[0] == 403
            assert (await get(here.url(path), Host="localhost:6066"))[0] == 200
            assert (await get(here.url(path), Host="[::1]:6066"))[0] == 200


async def test_the_page_asks_no_other_host_and_is_small(engine_settings: Settings) -> None:
    async with site(engine_settings) as here, aiohttp.ClientSession() as session:
        total = 0
        for path in ("/", "/assets/app.css", "/assets/app.js", "/assets/charts.js", "/assets/icon.svg"):
            async with session.get(here.url(path)) as answer:
                body = await answer.read()
                assert answer.status == 200
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            hosts = body.replace(b"http://www.w3.org/2000/svg", b"").count(b"http")
            assert hosts == 0, path
            total += len(body)
        assert total < 200_000


async def test_watchers_are_told_of_what_changed_and_only_then(engine_settings: Settings) -> None:
    async with (
        site(engine_settings) as here,
        aiohttp.ClientSession() as session,
        session.get(here.url("/api/v1/stream?rate=60")) as stream,
    ):
        first = await _event(stream)
        assert first["cascades"] == []
        await here.take(fast_and_slow(), START + 2000)
        while len((told := await _event(stream))["cascades"]) < 2:
            pass
        while (more := await _event_within(stream, 0.3)) is not None:  # a busy machine may tell of it in several steps
            told = more
        assert told["cascades"][0]["cascade"] == "fast"


async def _event_within(stream: aiohttp.ClientResponse, seconds: float) -> Any:
    try:
        return await asyncio.wait_for(_event(stream), seconds)
    except TimeoutError:
        return None


async def _event(stream: aiohttp.ClientResponse) -> Any:
    line = b""
    while not line.startswith(b"data: "):
        line = await stream.content.readline()
    return json.loads(line[6:])


async def test_a_worker_that_stops_does_not_wait_for_watchers(engine_settings: Settings) -> None:
    async with aiohttp.ClientSession() as session:
        async with site(engine_settings) as here:
            stream = await session.get(here.url("/api/v1/stream?rate=60"))
            await _event(stream)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 5
        stream.close()


async def test_asking_for_a_forecast_changes_nothing_of_what_is_to_come(engine_settings: Settings) -> None:
    events = random_stream(5)
    half = len(events) // 2
    sent = []
    for asks in (False, True):
        async with site(engine_settings) as here:
            await here.take(events[:half])
            if asks:
                here.rig.core.board._found.clear()
                for number in range(40):
                    await get(here.url(f"/api/v1/cascades/c{number}"))
            await here.take(events[half:], events[-1].time + 3600)
            sent.append(sorted(here.rig.outbox.forecasts(), key=lambda record: str(record["id"])))
    assert sent[0] == sent[1]
