"""No page has a fault that axe can see: light and dark, on a desk and on a phone."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, ViewportSize
from tests.kit.tour import Tour, open_tour, unreached

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 780}
ALL: dict[str, Any] = {"resultTypes": ["violations"]}
COLOURS: dict[str, Any] = {**ALL, "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tour(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tour]:
    async with open_tour(tmp_path_factory.mktemp("tour")) as opened:
        yield opened


async def test_every_page_is_visited(tour: Tour) -> None:
    """The walk is made from the route table: a new page that no link of a furnished account leads to fails here."""
    assert {stop.route for stop in tour.stops} >= {"/", "/login", "/messages/{uid:str}", "/inbox/with/{person:str}"}
    assert unreached(tour.stops) == set()


async def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """What axe finds: the rule, and each place with its reason."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate("options => axe.run(options)", options)
    return [
        f"{rule['id']} {node['target']}: {[check['message'] for check in node['any'] + node['all'] + node['none']]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


async def test_no_violation(tour: Tour) -> None:
    """Every rule on a desk in light and on a phone in dark; what depends on colours alone in the other two as well."""
    page = await tour.context.new_page()
    wrong: list[str] = []
    for stop in tour.stops:
        await page.set_viewport_size(DESK)
        await page.emulate_media(color_scheme="light")
        await tour.visit(page, stop)
        for screen, scheme, options in (
            (DESK, "light", ALL),
            (DESK, "dark", COLOURS),
            (PHONE, "dark", ALL),
            (PHONE, "light", COLOURS),
        ):
            await page.set_viewport_size(screen)
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            found = await violations(page, options)
            wrong += [f"{stop.address} {screen['width']} {scheme}: {each}" for each in found]
    assert not wrong, "\n".join(wrong)
