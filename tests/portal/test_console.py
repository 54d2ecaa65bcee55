"""The developers' place: snippets in each language, the console, the log of calls."""

import asyncio
import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import Client, House, Tenant, open_house
from tests.kit.waiting import eventually
from tests.portal.conftest import PASSWORD, Browser, Page, new_browser

from heliograph.accounts import people
from heliograph.core.ids import new_id, now_ms
from heliograph.portal.developers.snippets import make_http_snippet, make_snippets
from heliograph.runtime import Runtime
from heliograph.store.api_calls import ApiCall, add_api_calls

PROGRAMS = {
    "curl": ("sh", "-c"),
    "Python": (sys.executable, "-c"),
    "PHP": ("php", "-r"),
    "JavaScript": ("node", "--input-type=module", "-e"),
    "HTTP API": ("sh", "-c"),
}


def snippet_of(language: str, house: House, tenant: Tenant) -> str:
    if language == "HTTP API":
        return make_http_snippet(house.url, tenant.token, "O'Lark").text
    found = {one.name: one.text for one in make_snippets(house.url, tenant.token, "O'Lark")}
    return found[language].removeprefix("<?php\n")


@pytest.mark.parametrize("language", PROGRAMS)
async def test_snippets_run(tmp_path: Path, language: str) -> None:
    """The snippet of each language sends a message as it stands."""
    program, *options = PROGRAMS[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed on this machine")
    async with open_house(tmp_path) as house:
        tenant = await house.open_account("Demo", "O'Lark")
        process = await asyncio.create_subprocess_exec(
            program, *options, snippet_of(language, house, tenant), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        uid = re.search(r"[0-9a-f]{32}", output.decode())
        assert uid, output.decode()
        async with Client(house, tenant) as client:
            assert (await client.view(uid[0]))["from"] == "O'Lark"


async def log_in(browser: Browser) -> None:
    assert (await browser.log_in("demo@example.org")).status == 200


def answer_of(page: Page) -> str:
    found = re.search(r'aria-label="Answer"[^>]*><code>(.*?)</code>', page.text, re.DOTALL)
    assert found, page.text
    return found[1]


async def test_console_and_log(tmp_path: Path) -> None:
    """A request of the console is a real one: it sends, it is refused with the reason, and both stand in the log."""
    async with open_house(tmp_path) as house, new_browser(house.url) as browser:
        await house.open_account("Demo", "Larkfield")
        await log_in(browser)
        page = await browser.get("/developers/console")
        body = (
            '{"recipient": "31612345678", "sender_id": "Larkfield", "type": "whatsapp", "message": "From the console"}'
        )
        page = await browser.post(
            "/developers/console", {"method": "POST", "path": "/api/v3/sms/send", "body": body, "token": ""}
        )
        assert "Answer, 200 OK in" in page
        assert "&#34;status&#34;: &#34;success&#34;" in answer_of(page)

        async def arrived() -> bool:
            return any(one["text"] == "From the console" for one in await house.carrier.messages())

        await eventually(arrived)
        page = await browser.get("/developers")
        assert "one request" not in page, "its token lived for one request, and is not listed"

        wrong = body.replace("Larkfield", "Nobody")
        page = await browser.post(
            "/developers/console", {"method": "POST", "path": "/api/v3/sms/send", "body": wrong, "token": ""}
        )
        assert "is not approved for this account" in answer_of(page)
        request_id = re.search(r"x-request-id: (\w+)", page.text)
        assert request_id

        async def logged() -> Page | None:
            found = await browser.get("/developers/log?refused=1")
            return found if request_id[1] in found else None

        listed = await eventually(logged)
        assert listed is not None
        assert "is not approved for this account" in listed, "with the reason"
        assert "/docs/errors#" in listed
        assert "POST /v3/sms/send" in listed
        assert "From the console" not in listed, "no text"
        page = await browser.post(
            "/developers/console", {"method": "GET", "path": "/api/v3/sms", "body": "", "token": "1|wrong"}
        )
        assert "Answer, 401" in page


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"path": "/login"}, "path"),
        ({"path": "http://169.254.169.254/"}, "path"),
        ({"path": "/api/v3/../../metrics"}, "path"),
        ({"path": "/api/v3/sms/{uid}"}, "path"),
        ({"method": "BREW"}, "method"),
        ({"token": "two words"}, "token"),
        ({"token": "a\r\nHost: x"}, "token"),
        ({"body": "x" * 70_000}, "body"),
    ],
)
async def test_console_calls_the_api_only(ada: Browser, changes: dict[str, str], field: str) -> None:
    """The console cannot be led elsewhere."""
    await ada.get("/developers/console")
    page = await ada.post("/developers/console", {"method": "GET", "path": "/api/v3/sms", **changes})
    assert page.status == 422
    assert f'id="{field}-error"' in page


def new_call(account_id: int, n: int) -> ApiCall:
    return ApiCall(
        account_id=account_id,
        id=new_id(),
        token_id=7,
        method="GET",
        path=f"/api/v3/sms/{n}",
        http_status=404 if n % 2 else 200,
        code="not_found" if n % 2 else "",
        sentence="There is no such message." if n % 2 else "",
        request_id=f"request{n}",
        address="192.0.2.1",
        took_ms=n,
        at_ms=now_ms(),
    )


async def test_log_by_pages(ada: Browser, runtime: Runtime) -> None:
    """Newest first, fifty a page, there and back; refused ones alone; another account's never."""
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    made = [new_call(account.id, n) for n in range(120)]
    stranger = new_call(account.id + 1, 999)
    await runtime.database.write(lambda tx: add_api_calls(tx, [*made, stranger]))
    seen: list[str] = []
    page = await ada.get("/developers/log")
    while True:
        seen += re.findall(r">(request\d+)<", page.text)
        older = re.search(r'rel="next" href="([^"]+)"', page.text)
        if not older:
            break
        page = await ada.get(older[1])
    assert seen == [f"request{n}" for n in range(119, -1, -1)]
    newer = re.search(r'rel="prev" href="([^"]+)"', page.text)
    assert newer
    assert re.findall(r">(request\d+)<", (await ada.get(newer[1])).text)[0] == "request69"
    page = await ada.get("/developers/log?refused=1")
    assert re.findall(r">(request\d+)<", page.text)[:2] == ["request119", "request117"]
    for odd in ("x", "0" * 31, "zz" * 16):
        assert (await ada.get(f"/developers/log?before={odd}")).status == 200


async def test_log_is_live(tmp_path: Path) -> None:
    """In a browser: calls that come in are counted on the open page, and a click shows them."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        tenant = await house.open_account("Demo", "Larkfield")
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await page.goto("/developers/log")
        await page.get_by_label("E-mail").fill("demo@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("heading", name="No call yet").wait_for()
        async with Client(house, tenant) as client:
            await client.call("GET", "/api/v3/sms")
            await client.call("GET", "/api/v3/sms")
        await page.get_by_role("link", name="2 newer calls").click()
        assert await page.get_by_text("GET /v3/sms").count() == 2
        assert not wrong
