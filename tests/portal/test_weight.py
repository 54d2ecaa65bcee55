"""How heavy pages are on the wire, and what their headers forbid."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.kit.tour import LAILA, PRIYA, Tour, open_tour
from tests.portal.conftest import Browser
from tests.portal.makers import make_messages

from heliograph.config import Settings, read_settings
from heliograph.core.statuses import State

MOST_BYTES = 60_000
LONG_WORDS = "Your order {0} of {0} bicycles left our house at {0} minutes past noon and will be with you before {0}. "


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tour(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tour]:
    async with open_tour(tmp_path_factory.mktemp("tour")) as opened:
        await make_messages(
            opened.runtime,
            [
                {"state": state, "person": person, "text": LONG_WORDS.format(number), "sender": "Larkfield"}
                for number in range(150)
                for person, state in ((PRIYA, State.DELIVERED), (LAILA, State.SENT))
            ],
        )
        yield opened


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(300)
async def test_weight(tour: Tour) -> None:
    """After the first page each further one takes less than 60 kB from the wire, headers and all, with 300 messages behind it."""
    page = await tour.context.new_page()
    wire = await tour.context.new_cdp_session(page)
    await wire.send("Network.enable")
    taken: list[float] = []
    wire.on("Network.loadingFinished", lambda part: taken.append(part["encodedDataLength"]))
    await tour.visit(page, tour.stops[0])
    weights: dict[str, int] = {}
    for stop in tour.stops:
        taken.clear()
        await tour.visit(page, stop)
        await page.wait_for_load_state("load")
        for _ in range(500):  # what was taken is told apart from the page, and may come after it
            if taken:
                break
            await page.wait_for_timeout(20)
        weights[stop.address] = int(sum(taken))
    assert all(weights.values()), "a page that weighs nothing was not measured"
    assert {address: weight for address, weight in weights.items() if weight >= MOST_BYTES} == {}


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    """An installation that people reach by https, through a proxy."""
    return read_settings({"HELIOGRAPH_PUBLIC_URL": "https://messages.example"}, home=str(tmp_path))


@pytest.mark.parametrize("path", ["/login", "/no-such-page", "/static/x/look.css"])
async def test_headers(browser: Browser, path: str) -> None:
    """What graders of headers look for, on pages, errors and files alike; each line is a way in that stays shut."""
    headers = (await browser.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert not re.search(r"unsafe|data:|\*|https?:", headers["content-security-policy"])
    assert (policy["base-uri"], policy["frame-ancestors"], policy["form-action"]) == ("'none'", "'none'", "'self'")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "no-referrer", "strict-origin"}
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    span = re.fullmatch(r"max-age=(\d+); includeSubDomains", headers["strict-transport-security"])
    assert span
    assert int(span[1]) >= 31_536_000
    assert "server" not in headers or not re.search(r"\d", headers["server"]), "no version for strangers"


async def test_cookies(browser: Browser) -> None:
    """A cookie is bound to this host and to https, and neither scripts nor other sites' forms have it."""
    for cookie in (await browser.get("/login")).headers.getall("set-cookie"):
        name, *attributes = (part.strip() for part in cookie.split(";"))
        assert name.startswith("__Host-"), name
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(attributes)


async def test_compression(browser: Browser) -> None:
    """Pages are compressed for who asks; the only secret in them, the form's token, is masked anew each time (BREACH)."""
    first = await browser.get("/login", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in (await browser.get("/login", headers={"Accept-Encoding": "identity"})).headers
    again = await browser.get("/login")
    assert first.csrf != again.csrf
