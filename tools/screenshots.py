"""Pictures of every page, light and dark, on a desk and on a phone: `make screenshots` puts them into screenshots/.

They show a furnished account of a temporary installation whose messages go to the emulator; nothing of it stays."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, ViewportSize

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the tests' kit is no part of the package

from tests.kit.browser import open_chromium  # noqa: E402
from tests.kit.house import open_house  # noqa: E402
from tests.kit.tour import OWNER, Stop, enter, furnish, walk  # noqa: E402
from tests.portal.conftest import cookie_of  # noqa: E402

from heliograph.runtime import open_runtime  # noqa: E402

FOLDER = ROOT / "screenshots"
SCREENS: dict[str, ViewportSize] = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


async def photograph(page: Page, stop: Stop) -> None:
    """One page in the four ways."""
    await page.goto(stop.address)
    for screen, size in SCREENS.items():
        await page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.screenshot(path=FOLDER / f"{stop.name}.{screen}.{scheme}.png", full_page=True)


async def take_all(folder: Path) -> int:
    async with open_house(folder, open_outbox="true") as house:
        async with open_runtime(house.settings) as runtime:
            letters = await furnish(runtime, house.carrier.url)
            cookie = await cookie_of(runtime, OWNER)
        stops = await walk(house.url, cookie, letters)
        async with open_chromium(house.url, reduced_motion="reduce") as context:
            page = await context.new_page()
            for stop in stops:
                await enter(context, house.url, cookie if stop.logged_in else "")
                await photograph(page, stop)
    return len(stops)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        count = asyncio.run(take_all(Path(folder)))
    print(f"{count} pages, each in {2 * len(SCREENS)} pictures, in {FOLDER.relative_to(ROOT)}/")  # noqa: T201


if __name__ == "__main__":
    main()
