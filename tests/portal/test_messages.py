"""The list of messages, one message's page, cancelling, and files."""

import asyncio
import csv
import io
import re
from pathlib import Path

import pytest
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import Client, open_house
from tests.portal.conftest import PASSWORD, Browser
from tests.portal.makers import make_message, make_messages, make_sender, move, path_of, stored

from heliograph.accounts import people
from heliograph.core.ids import now_ms
from heliograph.core.statuses import State
from heliograph.portal.messages.rows import read_known, read_seq
from heliograph.runtime import Runtime
from heliograph.store import messages as message_store
from heliograph.store import searches, sends
from heliograph.store.engine import Tx
from heliograph.store.messages import Event


def texts(page: object) -> list[str]:
    """The texts of the rows, in order."""
    found = re.findall(r'<span class="cut block" dir="auto">(.*?)</span>', getattr(page, "text", ""), re.DOTALL)
    return [re.sub(r"<[^>]+>", "", text).strip() for text in found]


async def make_history(runtime: Runtime, count: int = 120) -> None:
    each = [
        {
            "text": f"Message {place}",
            "person": f"3161234567{place % 3}",
            "sender": "Lark" if place % 2 else "Service",
            "state": State.FAILED if place % 40 == 7 else State.DELIVERED if place % 2 else State.QUEUED,
        }
        for place in range(count)
    ]
    await make_messages(runtime, each)


async def test_empty_list(ada: Browser) -> None:
    """An account without messages is told what to do."""
    assert "No messages yet" in await ada.get("/messages")
    assert "Nothing found" in await ada.get("/messages?status=failed")


async def test_pages_of_the_list(ada: Browser, runtime: Runtime) -> None:
    """Older and Newer walk the whole list, and every filter stays in the address."""
    await make_history(runtime)
    first = await ada.get("/messages")
    assert texts(first) == [f"Message {place}" for place in range(119, 69, -1)]
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older
    second = await ada.get(older[1].replace("&amp;", "&"))
    assert texts(second)[0] == "Message 69"
    newer = re.search(r'rel="prev" href="([^"]+)"', second.text)
    assert newer
    assert texts(await ada.get(newer[1].replace("&amp;", "&"))) == texts(first)
    page = await ada.get("/messages?status=delivered")
    older = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert older
    assert "status=delivered" in older[1]
    assert len(texts(await ada.get(older[1].replace("&amp;", "&")))) == 57 - 50
    assert (await ada.get("/messages?before=nonsense")).status == 200


async def test_filters(ada: Browser, runtime: Runtime) -> None:
    """State, direction, sender, number, text and time narrow the list, alone and together."""
    await make_history(runtime, 20)
    await make_message(runtime, text="Hi from *me*", direction="incoming", state=State.RECEIVED, due_at_ms=None)
    for query, expected in (
        ("status=failed", ["Message 7"]),
        ("status=waiting&find=MESSAGE 1", [f"Message {n}" for n in (18, 16, 14, 12, 10)]),
        ("direction=incoming", ["Hi from *me*"]),
        ("sender=Service&find=message 1", [f"Message {n}" for n in (18, 16, 14, 12, 10)]),
        ("find=%2B31 6 12345670&status=delivered", ["Message 15", "Message 9", "Message 3"]),
        ("recipient=31612345671&find=ge 4", ["Message 4"]),
        ("find=100%25", []),
        ("since=2100-01-01", []),
        ("until=2001-01-01", []),
        ("since=2001-01-01&find=Message 19", ["Message 19"]),
    ):
        page = await ada.get(f"/messages?{query.replace(' ', '%20')}")
        assert page.status == 200
        assert texts(page) == expected, query
    assert (await ada.get("/messages?since=yesterday")).status == 422


async def test_find_a_uid(ada: Browser, runtime: Runtime) -> None:
    """Who searches for a uid is led to its message."""
    made = await make_message(runtime)
    assert (await ada.get(f"/messages?find={made.id.hex().upper()}")).path == path_of(made)


async def test_bounded_search_says_so(ada: Browser, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that no index serves looks at a stretch of the list, says back to when, and goes on from there."""
    monkeypatch.setitem(searches.search_older.__kwdefaults__ or {}, "most", 50)
    await make_history(runtime, 120)
    page = await ada.get("/messages?find=Message 5")
    assert texts(page) == []
    further = re.search(r'href="([^"]+)">Search further back', page.text)
    assert "Searched back to" in page
    assert further
    page = await ada.get(further[1].replace("&amp;", "&"))
    assert texts(page) == [f"Message {n}" for n in range(59, 49, -1)]


async def test_a_message_tells_its_story(ada: Browser, runtime: Runtime) -> None:
    """State, what failed and what to do, each piece of evidence with the carrier's own words, and the API's line."""
    sender = await make_sender(runtime)
    made = await make_message(runtime, text="*Hi* <b>", state=State.FAILED, connection_id=sender.connection_id)
    raw = '{"errors":[{"code":131047,"title":"<i>"}]}'
    event = Event(
        account_id=made.account_id,
        message_id=made.id,
        name="failed",
        at_ms=now_ms(),
        source="carrier",
        code="window_closed",
        carrier_code="131047",
        sentence="The window was closed.",
        raw=raw,
    )
    await runtime.database.write(lambda tx: message_store.add_events(tx, [event]))
    page = await ada.get(path_of(made))
    assert "<b>Hi</b> &lt;b&gt;" in page
    assert "131047" in page
    assert "&lt;i&gt;" in page
    assert "Send again as template" in page
    assert f"/send?again={made.id.hex()}" in page
    assert "/api/v3/sms/send" in page
    assert (await ada.get("/messages/" + "0" * 32)).status == 404
    assert (await ada.get("/messages/nonsense")).status == 404


async def test_an_incoming_message_leads_to_its_conversation(ada: Browser, runtime: Runtime) -> None:
    """What a person wrote is answered in the inbox, and is neither cancelled nor sent again."""
    made = await make_message(
        runtime, text="Can you?", direction="incoming", state=State.RECEIVED, due_at_ms=None, person="GB.14x"
    )
    page = await ada.get(path_of(made))
    assert 'href="/inbox/with/GB.14x"' in page
    assert "/cancel" not in page
    assert "/send?again" not in page


async def test_cancel(ada: Browser, runtime: Runtime) -> None:
    """A message that waits is cancelled and never leaves; one that has left is not, and the page says so."""
    waiting, gone = await make_message(runtime), await make_message(runtime)
    await ada.get(path_of(waiting))
    page = await ada.post(f"{path_of(waiting)}/cancel")
    assert "it will not leave" in page
    assert "Cancelled" in page

    async def leave(tx: Tx) -> None:
        await sends.drop_send(tx, gone.account_id, gone.id)
        await message_store.move_message(tx, gone.account_id, gone.id, State.SENT, now_ms())

    await runtime.database.write(leave)
    assert "too late to cancel" in await ada.post(f"{path_of(gone)}/cancel")
    assert [message.state for message in await stored(runtime)] == ["sent", "cancelled"]


async def test_nothing_of_other_accounts(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """Another account's messages are not in the list, the file or the stream, and their pages do not exist."""
    made = await make_message(runtime, text="for Ada's eyes")
    await people.create_account(runtime, name="Eve", email="eve@eve.example", password=PASSWORD)
    await other_browser.log_in("eve@eve.example")
    await other_browser.get("/messages")
    for path in ("", "?find=for", "/export.csv"):
        assert "eyes" not in await other_browser.get(f"/messages{path}")
    for path in ("", "/live"):
        assert (await other_browser.get(path_of(made) + path)).status == 404
    assert (await other_browser.post(f"{path_of(made)}/cancel")).status == 404
    assert (await stored(runtime))[0].state == "queued"


async def test_export(ada: Browser, runtime: Runtime) -> None:
    """The file holds every message that fits, safe for spreadsheets; the page before it tells how many."""
    await make_history(runtime, 60)
    await make_message(runtime, text='=cmd|"/c calc"!A1\nsecond, line', person="31600000000")
    assert "61 messages will be in the file" in await ada.get("/messages/export")
    page = await ada.get("/messages/export.csv")
    assert page.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in page.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(page.text.removeprefix("\ufeff"))))
    assert len(rows) == 61
    assert rows[0]["text"] == '\'=cmd|"/c calc"!A1\nsecond, line'
    assert {row["uid"] for row in rows} == {message.id.hex() for message in await stored(runtime)}
    assert rows[0]["to"] == "31600000000"
    only = await ada.get("/messages/export.csv?status=failed")
    assert len(list(csv.DictReader(io.StringIO(only.text.removeprefix("\ufeff"))))) == 2
    assert "2 messages will be in the file" in await ada.get("/messages/export?status=failed")


async def read_until(content: asyncio.StreamReader, wanted: str) -> str:
    """What a stream says, until it has said something."""
    said = ""
    async with asyncio.timeout(20):
        while wanted not in said:
            said += (await content.readline()).decode()
    return said


async def test_rows_change_live(ada: Browser, runtime: Runtime) -> None:
    """The stream of a page tells the rows that stand otherwise than the page shows, and how many came since."""
    made, other = await make_message(runtime), await make_message(runtime)
    page = await ada.get("/messages")
    live = re.search(r'data-live="([^"]+)"', page.text)
    assert live
    await move(runtime, made, State.READ)
    async with ada.session.get(ada.base + live[1].replace("&amp;", "&")) as answer:
        content: asyncio.StreamReader = answer.content  # type: ignore[assignment]
        said = await read_until(content, "1 message: Read.")
        assert 'id="m1"' in said
        assert 'id="m2"' not in said
        await move(runtime, other, State.DELIVERED)
        await make_message(runtime)
        said = await read_until(content, "event: newer\ndata: 1\n")
        assert "event: swap" in said


def test_what_a_stream_is_told() -> None:
    """An address that was tampered with asks for nothing, or for less."""
    assert read_known("12sent.13queued") == {12: "sent", 13: "queued"}
    assert read_known("") == {}
    assert read_known("x.-1sent.9" + "9" * 30 + "sent") == {}
    assert len(read_known(".".join(f"{n}sent" for n in range(500)))) <= 50
    assert read_seq("12") == 12
    assert read_seq("²") == read_seq("9" * 30) == 2**62


async def test_live_list_in_a_browser(tmp_path: Path) -> None:
    """A row is swapped while one looks, a new message waits behind a button, and a failed one's page says what to do."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        tenant = await house.open_account("Demo", "YourName")
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await page.goto("/messages")
        await page.get_by_label("E-mail").fill("demo@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_text("No messages yet").wait_for()
        async with Client(house, tenant) as client:
            await client.send(recipient="12025550131")
            await page.get_by_role("link", name="1 newer").wait_for()
            await page.keyboard.press("n")
            await page.locator("td .st", has_text="Failed").wait_for()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Send again").wait_for()
        assert await page.locator("tr[aria-selected] .st", has_text="Failed").count(), "beside the list"
        assert page.url.startswith(f"{house.url}/messages/"), "its address is in the bar"
        await page.set_viewport_size({"width": 360, "height": 700})
        await page.goto("/messages")
        await page.locator("a.cell").click()
        await page.get_by_role("link", name="Send again").wait_for()
        assert not await page.locator("table").count(), "on a phone it is a page of its own"
        assert not wrong
