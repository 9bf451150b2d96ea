"""The benchmark of the live page measures what it says."""

from __future__ import annotations

import pytest

from tests.benchmarks.live_page import END, EVENTS, SETTINGS, painting, updates
from tests.browser import browser
from tests.streams.web.conftest import site


@pytest.mark.xdist_group("page")
async def test_a_visit_and_the_updates_that_its_reader_sees() -> None:
    async with site(SETTINGS) as here, browser() as chrome:
        await here.take(EVENTS, END)
        visit = await painting(chrome, here, visits=1)
        seen = await updates(chrome, here, seconds=0.5)
    assert min(visit["first_contentful_paint_seconds"], visit["posts_listed_seconds"]) > 0
    assert 0 < visit["bytes"] < 200_000
    assert seen["changes_per_second"] > 0
    assert seen["updates_per_second"] >= 0  # how many a busy machine draws is no matter of this test
