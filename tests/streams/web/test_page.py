"""The live page in a browser: what a reader sees, types and hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from streams.settings import Settings
from tests.browser import browser
from tests.streams.conftest import cascade_events, random_stream
from tests.streams.web.conftest import Site, site

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("page")]

EVENTS = random_stream(3)
END = EVENTS[-1].time
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1400, "height": 900}


@pytest_asyncio.fixture(loop_scope="module")
async def here(engine_settings: Settings) -> AsyncIterator[Site]:
    async with site(engine_settings) as found:
        await found.take(EVENTS, END)
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chrome() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def opened(chrome: Browser, url: str, **options: object) -> Page:
    """A page whose errors fail the test, and which asks no other host."""
    context = await chrome.new_context(**options)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("request", lambda request: request.url.startswith("http://127.0.0.1") or pytest.fail(request.url))
    await page.goto(url)
    return page


async def test_the_list_and_a_post_are_shown_and_follow_the_stream(chrome: Browser, here: Site) -> None:
    page = await opened(chrome, here.url("/?rate=20"), viewport=DESK)
    await expect(page.locator("#rows tr")).to_have_count(30)
    await expect(page.locator("#connection")).to_have_text("live")
    await page.locator("#rows tr a").first.click()
    await expect(page.locator("#chart svg")).to_be_visible()
    await expect(page.locator("#detail")).to_be_focused()
    await expect(page.locator("#forecast-rows tr")).to_have_count(1)
    assert "doubling expects" in (await page.locator("#chart svg").get_attribute("aria-label") or "")
    viral = cascade_events("viral", END, [1.0 + n * 0.1 for n in range(300)])
    await here.take(viral, END + 200)
    await expect(page.locator("#rows tr a").first).to_have_text("viral")
    await page.keyboard.press("Escape")
    await expect(page.locator("#detail")).to_be_hidden()


async def test_a_post_is_found_by_its_id_and_by_a_link(chrome: Browser, here: Site) -> None:
    await here.take(cascade_events("odd/id é&=", END, [1.0, 2.0]), END + 200)
    page = await opened(chrome, here.url("/"))
    await page.get_by_label("Post id").fill("odd/id é&=")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#facts")).to_contain_text("2 reshares")
    again = await opened(chrome, page.url)
    await expect(again.locator("#detail-title")).to_have_text("Post odd/id é&=")
    await again.get_by_label("Post id").fill("nobody")
    await again.keyboard.press("Enter")
    await expect(again.locator("#detail-problem")).to_contain_text("no live post has this id")


async def test_an_id_is_text_whatever_it_holds(chrome: Browser, here: Site) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    await here.take(cascade_events(hostile, END, [n * 0.1 for n in range(1, 400)]), END + 200)
    page = await opened(chrome, here.url("/"))
    await page.get_by_role("link", name=hostile).click()
    await expect(page.locator("#detail-title")).to_have_text(f"Post {hostile}")
    assert await page.locator("main img").count() == 0


async def test_sixty_updates_a_second_take_no_letter_from_who_types(chrome: Browser, here: Site) -> None:
    page = await opened(chrome, here.url("/?rate=60"), viewport=DESK)
    await expect(page.locator("#rows tr")).to_have_count(30)
    await page.evaluate(
        "window.drawn = 0; new MutationObserver(() => window.drawn++)"
        ".observe(document.getElementById('watermark'), {childList: true, characterData: true, subtree: true})"
    )
    typed = "the quick brown fox jumps over the lazy dog"

    async def flood() -> None:
        for step in range(1, 240):
            await here.take([], END + step)
            await asyncio.sleep(1 / 60)

    flooding = asyncio.create_task(flood())
    await page.get_by_label("Post id").press_sequentially(typed, delay=40)
    assert await page.get_by_label("Post id").input_value() == typed
    await flooding
    assert await page.evaluate("window.drawn") > 30


async def test_all_can_be_done_by_keyboard(chrome: Browser, here: Site) -> None:
    page = await opened(chrome, here.url("/"), viewport=DESK)
    await expect(page.locator("#rows tr")).to_have_count(30)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the posts")).to_be_focused()
    reached = set()
    for _ in range(8):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
            )
        )
    assert {"sort", "wanted", "pause", "scroll", "A"} <= reached
    await page.locator("#rows tr a").nth(2).focus()
    name = await page.locator("#rows tr a").nth(2).inner_text()
    await page.keyboard.press("Enter")
    await expect(page.locator("#detail-title")).to_have_text(f"Post {name}")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()


async def test_paused_it_stands_still_and_then_catches_up(chrome: Browser, here: Site) -> None:
    page = await opened(chrome, here.url("/?rate=20"), viewport=DESK)
    await expect(page.locator("#rows tr")).to_have_count(30)
    await page.get_by_role("button", name="Pause").click()
    await here.take(cascade_events("viral", END, [n * 0.1 for n in range(1, 400)]), END + 200)
    await asyncio.sleep(0.3)
    await expect(page.get_by_role("link", name="viral")).to_have_count(0)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("link", name="viral")).to_have_count(1)


async def test_it_asks_for_the_token_and_keeps_it_for_the_session(chrome: Browser, engine_settings: Settings) -> None:
    async with site(engine_settings, token="secret") as guarded:
        await guarded.take(EVENTS, END)
        page = await opened(chrome, guarded.url("/"))
        await page.get_by_label("Token").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#token-problem")).to_have_text("This is not the token.")
        await page.get_by_label("Token").fill("secret")
        await page.keyboard.press("Enter")
        await expect(page.locator("#rows tr")).to_have_count(30)
        await page.reload()
        await expect(page.locator("#rows tr")).to_have_count(30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
async def test_axe_finds_nothing(scheme: str, viewport: dict[str, int], chrome: Browser, here: Site) -> None:
    page = await opened(chrome, here.url("/"), viewport=viewport, color_scheme=scheme)
    await expect(page.locator("#rows tr")).to_have_count(30)
    axe = Axe()
    found = await axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    await page.locator("#rows tr a").first.click()
    await expect(page.locator("#tree svg")).to_be_visible()
    await page.locator("summary").click()
    found = await axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [360, 768, 1120, 1366, 1400])
async def test_nothing_is_cut_off_and_the_words_of_the_chart_can_be_read(
    width: int, chrome: Browser, here: Site
) -> None:
    large = cascade_events("1234567890123456", END - 9000, [n * 0.7 for n in range(1, 12_000)])
    await here.take(large, END + 200)
    page = await opened(chrome, here.url("/"), viewport={"width": width, "height": 800})
    await expect(page.locator("#rows tr")).to_have_count(30)
    fits = (
        "document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth"
        " && document.documentElement.scrollWidth <= innerWidth"
    )
    assert await page.evaluate(fits)
    await page.locator("#rows tr a").first.click()
    await expect(page.locator("#chart text").first).to_be_visible()
    assert await page.evaluate(fits)
    drawn = "[...document.querySelectorAll('#chart text')].map((one) => one.getBoundingClientRect().height)"
    assert min(await page.evaluate(drawn)) >= 12
    await expect(page.locator("#detail")).to_be_in_viewport()


async def test_it_is_painted_at_once_and_small(chrome: Browser, here: Site) -> None:
    page = await opened(chrome, here.url("/"), viewport=DESK)
    await expect(page.locator("#rows tr")).to_have_count(30)
    bytes_of_all = await page.evaluate(
        "performance.getEntriesByType('resource').filter(one => !one.name.includes('/api/'))"
        ".concat(performance.getEntriesByType('navigation'))"
        ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )
    assert 0 < bytes_of_all < 200_000
