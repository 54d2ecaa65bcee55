"""What holds for every page: any width, no script, the keyboard alone, and nothing that the page did not ask us for."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, ViewportSize, expect
from tests.kit.browser import open_chromium, watch_page
from tests.kit.tour import PRIYA, Tour, enter, open_tour

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SCREENS: tuple[ViewportSize, ...] = ({"width": 360, "height": 780}, {"width": 3840, "height": 2160})
SIDEWAYS = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
FACTS = """() => ({
  headings: document.querySelectorAll("h1").length,
  title: document.title,
  lang: document.documentElement.lang,
  inline: document.querySelectorAll("script:not([src]), style, [style]").length
    + [...document.querySelectorAll("*")].filter((e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length,
})"""

# What has the focus: its name, and whether it, what is around it or the label that stands for it is outlined.
FOCUSED = """() => {
  const here = document.activeElement, label = here.labels && here.labels[0];
  const outlined = (e) => { const look = e && getComputedStyle(e); return look && look.outlineStyle !== "none"; };
  return {
    name: here.getAttribute("aria-label") || (label || here).textContent.trim(),
    seen: here === document.body || [here, here.parentElement, here.nextElementSibling].some(outlined),
    html: here.outerHTML.slice(0, 90),
  };
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tour(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tour]:
    async with open_tour(tmp_path_factory.mktemp("tour")) as opened:
        yield opened


async def test_every_page(tour: Tour) -> None:
    """One h1, a title of its own, a language; nothing inline, no other server, no complaint; no page scrolls sideways."""
    page = await tour.context.new_page()
    wrong: list[str] = []
    titles: dict[str, str] = {}
    for stop in tour.stops:
        heard = watch_page(page, tour.base)
        await page.set_viewport_size(SCREENS[0])
        await tour.visit(page, stop)
        facts = await page.evaluate(FACTS)
        if facts["headings"] != 1 or facts["lang"] != "en" or facts["inline"]:
            wrong.append(f"{stop.address}: {facts}")
        titles[stop.route] = facts["title"].removesuffix("Heliograph").rstrip(" ·")
        for screen in SCREENS:
            await page.set_viewport_size(screen)
            if too_wide := await page.evaluate(SIDEWAYS):
                wrong.append(f"{stop.address}: {too_wide} px too wide for {screen['width']}")
        wrong += [f"{stop.address}: {each}" for each in heard]
    wrong += [f"{route} has no title" for route, title in titles.items() if not title]
    assert not wrong, "\n".join(wrong)


async def test_without_scripts(tour: Tour) -> None:
    """Log in, send, read the list and the message, and reply in the inbox: all of it by links and forms alone."""
    async with open_chromium(tour.base, java_script_enabled=False) as context:
        page = await context.new_page()
        await enter(context, tour.base, tour.cookie)
        await page.goto("/send")
        await page.get_by_role("textbox", name=re.compile("^To ")).fill("+31 6 1234 5671")
        await page.get_by_role("textbox", name=re.compile("^Text")).fill("Sent without a script")
        await page.locator("main").get_by_role("button", name=re.compile("^Send")).first.click()
        await page.goto("/messages")
        await page.get_by_role("row", name="Sent without a script").get_by_role("link").first.click()
        await expect(page.locator("main").get_by_text("Sent without a script").first).to_be_visible()
        await page.goto(f"/inbox/with/{PRIYA}")
        await page.get_by_label("Reply to Priya Shah").fill("We do. Come and see.")
        await page.get_by_role("button", name=re.compile("^Reply")).click()
        await expect(page.locator("#thread").get_by_text("We do. Come and see.")).to_be_visible()


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has that name has the focus; everything on the way shows that it has it."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        here = await page.evaluate(FOCUSED)
        assert here["seen"], f"the focus cannot be seen on {here['html']}"
        if here["name"].startswith(name):
            return
    raise AssertionError(f"Tab never reaches {name}")


async def test_by_keyboard(tour: Tour) -> None:
    """From the link that skips the navigation to a token that is made: Tab, Enter and letters alone; the focus shows."""
    page = await tour.context.new_page()
    await page.set_viewport_size({"width": 1280, "height": 900})
    await enter(tour.context, tour.base, tour.cookie)
    await page.goto("/")
    await tab_to(page, "Skip to content")
    await tab_to(page, "Developers")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/developers")
    await tab_to(page, "Name of the new token")
    await page.keyboard.type("By keyboard")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status", name="New token")).to_be_visible()
    await tab_to(page, "Revoke By keyboard")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("link", name="Keep it")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Revoke By keyboard")).to_be_focused()
