"""The first minute of a developer, in a real browser against real processes."""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Page
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import Tenant, open_house

PASSWORD = "correct horse battery"


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return output.decode()


async def open_an_account(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("link", name="Open a free account").click()
    await page.get_by_label("Name").fill("Larkfield Cycles")
    await page.get_by_label("E-mail").fill("ada@larkfield.example")
    await page.get_by_label("Password").fill(PASSWORD)
    assert await page.get_by_label("Time zone").input_value() == "Asia/Tokyo", "the browser's own zone"
    assert await page.get_by_label("Country").input_value() == "GB", "of the browser's language"
    await page.get_by_role("button", name="Open the account").click()
    await page.get_by_text("Your account is open").wait_for()


async def create_a_token(page: Page) -> str:
    await page.get_by_role("navigation", name="Main").first.get_by_role("link", name="Developers").click()
    await page.get_by_label("Name of the new token").fill("Shop backend")
    await page.get_by_role("button", name="Create a token").click()
    token = await page.locator("#new-token").text_content()
    assert token
    return token


async def test_the_whole_first_minute(tmp_path: Path) -> None:
    """Open an account, press Send, see it read, press for a token, run the line shown: it sends the same message again."""
    async with (
        open_house(tmp_path, sandbox_url="{carrier}") as house,
        open_chromium(
            house.url, timezone_id="Asia/Tokyo", permissions=["clipboard-read", "clipboard-write"]
        ) as context,
    ):
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await open_an_account(page)
        await page.get_by_role("heading", name="Send", exact=True).wait_for()
        assert await page.locator("#sender").input_value() == "Sandbox"
        await page.get_by_role("button", name="Send", exact=True).click()
        await page.locator("#story .badge", has_text="Read").wait_for()
        await page.get_by_role("heading", name="Now do it by API").wait_for()
        await page.get_by_role("button", name="Create a token").click()
        token = await page.locator("#new-token").text_content()
        curl = await page.locator("pre[aria-label=curl] code").first.text_content()
        assert token
        assert curl
        assert token in curl
        await page.get_by_role("button", name="Copy", exact=True).click()
        await page.get_by_text("Copied").wait_for(state="attached")
        assert await page.evaluate("navigator.clipboard.readText()") == curl
        assert '"status":"success"' in await run("sh", "-c", curl)
        sent = await house.carrier.messages()
        await page.goto("/messages")
        await page.locator("tbody tr").nth(1).wait_for()
        assert await page.locator("tbody tr").count() == 2, sent
        assert not wrong


async def test_from_sign_up_to_the_first_call(tmp_path: Path) -> None:
    """Open an account, create a token, run the snippet as it stands; a revoked token opens nothing."""
    async with open_house(tmp_path) as house, open_chromium(house.url, timezone_id="Asia/Tokyo") as context:
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await open_an_account(page)
        token = await create_a_token(page)
        curl = await page.locator("pre[aria-label=curl] code").first.text_content()
        assert curl
        assert token in curl
        answer = await run("sh", "-c", curl)
        assert "is not approved for this account" in answer, "the token works; the account has no sender yet"

        await page.get_by_role("link", name="Revoke Shop backend").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke the token").click()
        await page.get_by_text("Shop backend is revoked.").wait_for()
        assert "Unauthenticated" in await run("sh", "-c", curl)
        await page.get_by_role("button", name="Log out").first.click()
        await page.get_by_role("heading", name="Log in").wait_for()
        assert not wrong


async def test_snippets_send(tmp_path: Path) -> None:
    """The snippets of an account with a sender send a message as they stand: curl, Python, JavaScript, the HTTP API."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        tenant: Tenant = await house.open_account("Demo", "O'Lark")
        page = await context.new_page()
        await page.goto("/developers")
        await page.get_by_label("E-mail").fill("demo@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await create_a_token(page)

        async def snippet(number: int, name: str) -> str:
            text = await page.locator(f"pre[aria-label='{name}'] code").nth(number).text_content()
            assert text
            return text

        assert '"status":"success"' in await run("sh", "-c", await snippet(0, "curl"))
        assert '"status":"success"' in await run("sh", "-c", await snippet(1, "curl"))
        assert len((await run(sys.executable, "-c", await snippet(0, "Python"))).strip()) == 32
        async with page.expect_console_message() as said:
            await page.evaluate(f"(async () => {{ {await snippet(0, 'JavaScript')} }})()")
        assert len((await said.value).text) == 32
        assert tenant.account_id
