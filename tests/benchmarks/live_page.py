"""What the live page costs who looks at it: until it is painted, bytes, updates a second, violations that axe finds.

    python -m tests.benchmarks.live_page --json

A worker without Kafka serves simulated posts to a headless Chromium on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from statistics import median
from typing import Final

import structlog
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ViewportSize

from streams.settings import Settings
from tests.browser import browser
from tests.streams.conftest import random_stream
from tests.streams.web.conftest import Site, site

EVENTS: Final = random_stream(3)
END: Final = EVENTS[-1].time
SETTINGS: Final = Settings(
    models=("doubling",), allowed_lateness_seconds=0, forecast_delay_seconds=60, inference_batch=8
)
DESK: Final[ViewportSize] = {"width": 1400, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}

PAINTED: Final = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
BYTES: Final = (
    "performance.getEntriesByType('resource').filter((one) => !one.name.includes('/api/'))"
    ".concat(performance.getEntriesByType('navigation')).reduce((sum, one) => sum + one.decodedBodySize, 0)"
)
COUNT_UPDATES: Final = (
    "window.updates = 0; new MutationObserver(() => window.updates++)"
    ".observe(document.getElementById('watermark'), {childList: true, characterData: true, subtree: true})"
)


async def painting(chrome: Browser, here: Site, visits: int) -> dict[str, float]:
    """Each visit is of a browser that was never here."""
    painted, listed = [], []
    size = 0
    for _ in range(visits):
        context = await chrome.new_context(viewport=DESK)
        page = await context.new_page()
        await page.goto(here.url("/"))
        await page.locator("#rows tr").first.wait_for()
        listed.append(float(await page.evaluate("performance.now()")))
        await page.wait_for_function(PAINTED)
        painted.append(float(await page.evaluate(PAINTED)))
        size = int(await page.evaluate(BYTES))
        await context.close()
    return {
        "first_contentful_paint_seconds": median(painted) / 1000,
        "first_contentful_paint_slowest_seconds": max(painted) / 1000,
        "posts_listed_seconds": median(listed) / 1000,
        "bytes": size,
    }


async def updates(chrome: Browser, here: Site, seconds: float) -> dict[str, float]:
    """How many updates a second a reader sees who asks for 60, of a stream that changes more often."""
    page = await chrome.new_page(viewport=DESK)
    await page.goto(here.url("/?rate=60"))
    await page.locator("#rows tr").first.wait_for()
    await page.evaluate(COUNT_UPDATES)
    loop = asyncio.get_running_loop()
    began, changes = loop.time(), 0
    while loop.time() < began + seconds:
        changes += 1
        await here.take([], END + changes)
        await asyncio.sleep(0.005)
    took = loop.time() - began
    seen = int(await page.evaluate("window.updates"))
    await page.close()
    return {"updates_per_second": seen / took, "changes_per_second": changes / took}


async def violations(chrome: Browser, here: Site) -> int:
    """What axe finds on the list and on a post, on a desk and on a telephone, by day and by night."""
    found = 0
    for viewport in (DESK, PHONE):
        for scheme in ("light", "dark"):
            page = await chrome.new_page(viewport=viewport, color_scheme=scheme)
            await page.goto(here.url("/"))
            await page.locator("#rows tr").first.wait_for()
            found += (await Axe().run(page)).violations_count
            await page.locator("#rows tr a").first.click()
            await page.locator("#tree svg").wait_for()
            found += (await Axe().run(page)).violations_count
            await page.close()
    return found


async def measured(visits: int, seconds: float) -> dict[str, float]:
    """All of it."""
    async with site(SETTINGS) as here, browser() as chrome:
        await here.take(EVENTS, END)
        figures = await painting(chrome, here, visits)
        figures |= await updates(chrome, here, seconds)
        return {**figures, "axe_violations": await violations(chrome, here)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0, help="of updates")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    figures = asyncio.run(measured(arguments.visits, arguments.seconds))
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value:,.3f}")


if __name__ == "__main__":
    main()
