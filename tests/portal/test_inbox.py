"""The inbox: who wrote, what they are answered, and who may do it. Messages come in as callbacks bring them."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page as BrowserPage
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import House, Tenant, open_house
from tests.portal.conftest import Browser, new_browser

from heliograph.accounts import people, senders
from heliograph.channels.contract import InboundMedia, InboundMessage, NumberFacts, OptOut
from heliograph.core.ids import new_id, now_ms, uid_of
from heliograph.dispatch.errands import media_file
from heliograph.portal.inbox.media import disposition
from heliograph.portal.inbox.reading import MediaFacts, read_place, split_text
from heliograph.runtime import Runtime
from heliograph.status.applying import apply_event
from heliograph.store import accounts as account_store
from heliograph.store import messages as message_store
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Database, Statement, Tx, statement
from heliograph.store.messages import Filters, Message

PRIYA, TOMAS, HIDDEN = "31612345671", "31612345672", "NL.4711"
DAY_MS = 86_400_000
ERRANDS = statement("errands_in_test", "SELECT kind, subject FROM errand_due ORDER BY subject")


async def rows(database: Database, what: Statement) -> list[tuple[Any, ...]]:
    return await database.read(lambda tx: tx.rows(what))


class Line:
    """A number of Ada's account, and people who write to it."""

    def __init__(self, runtime: Runtime, row: ConnectionRow) -> None:
        self.runtime = runtime
        self.row = row

    async def hear(self, person: str = PRIYA, text: str = "Hello", **facts: Any) -> str:
        """Somebody writes; the carrier's id of their message."""
        number = person if person.isdecimal() else None
        given: dict[str, Any] = {
            "phone_number_id": self.row.address,
            "carrier_message_id": f"wamid.{uid_of(new_id())}",
            "kind": "text",
            "text": text,
            "received_at_ms": now_ms(),
            "sender": number,
            "sender_user_id": None if number else person,
            **facts,
        }
        said = InboundMessage(**given)
        numbers = {self.row.address: self.row}
        await self.runtime.database.write(lambda tx: apply_event(tx, numbers, said, now_ms()))
        return said.carrier_message_id

    async def sent(self, person: str = PRIYA) -> list[Message]:
        """What was written to a person, newest first."""
        filters = Filters(person=person, direction="outgoing")
        return await self.runtime.database.read(
            lambda tx: message_store.filtered_page(tx, self.row.account_id, filters, before_seq=None, limit=100)
        )


async def connect(runtime: Runtime, email: str, *names: str, window_template: tuple[str, str] | None = None) -> Line:
    account = await people.find_account_by_email(runtime, email)
    number = senders.Number(
        phone_number_id=f"10000000000000{account.id}", business_account_id="2", token="token", app_secret="secret"
    )
    facts = NumberFacts(display_number="15550100001", throughput_per_s=80)
    row = await senders.connect_number(runtime, account.id, number, facts)
    for name in names:
        await senders.add_sender(runtime, row, name, window_template=window_template)
    return Line(runtime, row)


@pytest.fixture
async def line(ada: Browser, runtime: Runtime) -> Line:
    assert ada
    return await connect(runtime, "ada@larkfield.example", "LarkService")


async def add_person(runtime: Runtime, account_id: int, email: str, role: str) -> None:
    owner = await runtime.database.read(lambda tx: account_store.user_by_email(tx, "ada@larkfield.example"))
    assert owner is not None

    async def work(tx: Tx) -> None:
        await account_store.add_user(tx, account_id, email, "", owner.password_hash, role, now_ms())

    await runtime.database.write(work)


def listed(page: Any) -> list[str]:
    """Whose conversations a page lists, in its order."""
    return re.findall(r'class="person[^"]*" id="p-([^"]+)"', page.text)


def once_of(page: Any) -> str:
    found = re.search(r'name="once" value="([^"]+)"', page.text)
    assert found, "the page has no reply form"
    return found[1]


async def test_nobody_has_written(ada: Browser) -> None:
    """An empty inbox says what it is for; a conversation that never was is not found."""
    page = await ada.get("/inbox")
    assert page.status == 200
    assert "Nobody has written yet" in page
    assert (await ada.get(f"/inbox/with/{PRIYA}")).status == 404
    assert (await ada.post(f"/inbox/with/{PRIYA}/done")).status == 404


async def test_boxes_and_search(ada: Browser, line: Line) -> None:
    """Each box lists its own, newest first; name and number find a conversation in any box."""
    await line.hear(PRIYA, profile_name="Priya <b>S.</b>")
    await line.hear(TOMAS, received_at_ms=now_ms() + 5)
    page = await ada.get("/inbox")
    assert listed(page) == [TOMAS, PRIYA]
    assert "Priya &lt;b&gt;S." in page
    assert page.text.count('<span class="count">2') == 2, "both navigations tell how many are unread"
    page = await ada.get(f"/inbox/with/{PRIYA}?box=unread")
    assert listed(page) == [TOMAS, PRIYA], "the one that is open stays in sight, though it is read"
    assert listed(await ada.get("/inbox?box=unread")) == [TOMAS]
    page = await ada.post(f"/inbox/with/{PRIYA}/done")
    assert "Done: Priya" in page
    assert (page.path, listed(page)) == ("/inbox", [TOMAS])
    assert listed(await ada.get("/inbox?box=done")) == [PRIYA]
    assert listed(await ada.get("/inbox?find=priya")) == [PRIYA]
    assert listed(await ada.get("/inbox?find=%2B31+6+1234+5672")) == [TOMAS]
    assert "Nobody’s name or number holds" in await ada.get("/inbox?find=%25")
    page = await ada.post(f"/inbox/with/{PRIYA}/open")
    assert (page.status, page.path) == (200, f"/inbox/with/{PRIYA}")
    assert listed(await ada.get("/inbox?box=unassigned")) == [TOMAS, PRIYA]
    await line.hear(PRIYA, received_at_ms=now_ms() + 9)
    assert listed(await ada.get("/inbox")) == [PRIYA, TOMAS]


async def test_pages_of_the_list(ada: Browser, line: Line) -> None:
    """Fifty conversations are on a page, and the next one goes on where it ends."""
    for number in range(53):
        await line.hear(f"316123450{number:02}", received_at_ms=now_ms() + number)
    page = await ada.get("/inbox")
    assert len(listed(page)) == 50
    older = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert older
    rest = await ada.get(older[1].replace("&amp;", "&"))
    assert listed(rest) == ["31612345002", "31612345001", "31612345000"]
    assert read_place("12") is read_place("x-31612345671") is None


async def test_reply(ada: Browser, line: Line) -> None:
    """A reply goes to the person, from the number that they wrote to; the same form sent twice is one message."""
    await senders.add_sender(line.runtime, line.row, "Workshop")
    await line.hear(PRIYA, "My gears slip.")
    page = await ada.get(f"/inbox/with/{PRIYA}")
    assert "You may write freely for 23 h 59 min" in page
    fields = {"text": "Bring it in.\r\n*Today*", "once": once_of(page)}
    for _ in range(2):
        page = await ada.post(f"/inbox/with/{PRIYA}/reply", fields)
        assert (page.status, page.path) == (200, f"/inbox/with/{PRIYA}")
    assert "Bring it in.<br><b>Today</b>" in page
    (sent,) = await line.sent()
    assert (sent.person, sent.sender, sent.text) == (PRIYA, "LarkService", "Bring it in.\n*Today*")
    assert sent.connection_id == line.row.id
    page = await ada.post(f"/inbox/with/{PRIYA}/reply", {**fields, "text": "Or tomorrow."})
    assert len(await line.sent()) == 2, "other words are another message, also from an old form"
    for text, why in (("", "Write something first."), ("x" * 4097, "at most 4096 characters")):
        page = await ada.post(f"/inbox/with/{PRIYA}/reply", {**fields, "text": text})
        assert page.status == 422
        assert why in page
    assert "x" * 4097 in page, "what was typed is kept"


async def test_someone_without_a_number(ada: Browser, line: Line) -> None:
    """Who hides their number has a conversation under their user id, and is answered there."""
    await line.hear(HIDDEN, "Is the tandem for hire?")
    page = await ada.get(f"/inbox/with/{HIDDEN}")
    page = await ada.post(f"/inbox/with/{HIDDEN}/reply", {"text": "It is.", "once": once_of(page)})
    assert page.status == 200
    (sent,) = await line.sent(HIDDEN)
    assert (sent.person, sent.person_user_id) == (HIDDEN, HIDDEN)


async def test_window(ada: Browser, line: Line) -> None:
    """Beyond 24 hours nothing goes as text, unless the sender has a template that carries it."""
    await line.hear(PRIYA, received_at_ms=now_ms() - DAY_MS - 1)
    page = await ada.get(f"/inbox/with/{PRIYA}")
    assert "only a template reaches this person" in page
    assert 'id="reply"' not in page
    page = await ada.post(f"/inbox/with/{PRIYA}/reply", {"text": "Too late", "once": "1"})
    assert page.status == 422
    assert "The 24-hour window is closed" in page
    assert not await line.sent()
    template = ("window_template", "en_US")
    account_id = line.row.account_id
    await senders.change_sender(line.runtime, account_id, "LarkService", window_template=template, resend_unknown=False)
    page = await ada.get(f"/inbox/with/{PRIYA}")
    assert "your text goes within the template" in page
    page = await ada.post(f"/inbox/with/{PRIYA}/reply", {"text": "In time", "once": once_of(page)})
    assert [one.text for one in await line.sent()] == ["In time"]
    await senders.remove_sender(line.runtime, account_id, "LarkService")
    page = await ada.post(f"/inbox/with/{PRIYA}/reply", {"text": "As nobody", "once": "1"})
    assert page.status == 409
    assert "No sender" in page


async def test_reading_reaches_the_carrier(ada: Browser, line: Line) -> None:
    """Opening a conversation owes the carrier one mark, of its newest message; a reaction is nothing to mark."""
    await line.hear(PRIYA, "First")
    last = await line.hear(PRIYA, "Second")
    await line.hear(PRIYA, "[reaction] 👍", kind="reaction")
    await ada.get(f"/inbox/with/{PRIYA}", headers={"Sec-Fetch-Site": "cross-site"})
    await ada.get(f"/inbox/with/{PRIYA}", headers={"Sec-Purpose": "prefetch"})
    assert await rows(line.runtime.database, ERRANDS) == []
    await ada.get(f"/inbox/with/{PRIYA}")
    await ada.get(f"/inbox/with/{PRIYA}")
    assert await rows(line.runtime.database, ERRANDS) == [("mark_read", last)]
    last_of_tomas = await line.hear(TOMAS)
    assert (await ada.post(f"/inbox/with/{TOMAS}/read")).status == 204
    assert await rows(line.runtime.database, ERRANDS) == sorted([("mark_read", last), ("mark_read", last_of_tomas)])


async def test_notes_and_assignee(ada: Browser, line: Line) -> None:
    """Members leave notes and give a conversation to one of them; each can be undone."""
    await line.hear(PRIYA)
    await ada.get(f"/inbox/with/{PRIYA}")
    page = await ada.post(f"/inbox/with/{PRIYA}/notes", {"note": "Call after 17:00\n<i>"})
    assert "Call after 17:00\n&lt;i&gt;" in page
    assert (await ada.post(f"/inbox/with/{PRIYA}/notes", {"note": " "})).status == 422
    undo = re.search(r'action="(/inbox/with/\d+/notes/\w+/delete)"', page.text)
    assert undo
    assert "Delete this note?" in await ada.get(undo[1])
    assert "Call after" not in await ada.post(undo[1])
    assert (await ada.post(undo[1])).status == 404
    await add_person(line.runtime, line.row.account_id, "ben@larkfield.example", "member")
    await add_person(line.runtime, line.row.account_id, "vic@larkfield.example", "viewer")
    page = await ada.get(f"/inbox/with/{PRIYA}")
    found = dict(re.findall(r'<option value="(\d+)"[^>]*>([^<( ]+)', page.text))
    assert sorted(found.values()) == ["Ada", "ben@larkfield.example"], "who may not answer is given nothing"
    ben = next(number for number, name in found.items() if name.startswith("ben"))
    page = await ada.post(f"/inbox/with/{PRIYA}/assign", {"assignee": ben})
    assert "Looked after by ben@larkfield.example." in page
    assert listed(await ada.get("/inbox?box=mine")) == []
    assert listed(await ada.get("/inbox?box=unassigned")) == []
    assert (await ada.post(f"/inbox/with/{PRIYA}/assign", {"assignee": "999999"})).status == 422
    await ada.post(f"/inbox/with/{PRIYA}/assign", {"assignee": ""})
    assert listed(await ada.get("/inbox?box=unassigned")) == [PRIYA]


async def test_viewers_only_read(ada: Browser, line: Line, portal: str) -> None:
    """A viewer sees the conversation, marks nothing as read and finds no form; other accounts find nothing at all."""
    assert ada
    await line.hear(PRIYA, "For your eyes")
    await add_person(line.runtime, line.row.account_id, "vic@larkfield.example", "viewer")
    await people.create_account(line.runtime, name="Other", email="eve@other.example", password="correct horse battery")
    async with new_browser(portal) as vic, new_browser(portal) as eve:
        await vic.log_in("vic@larkfield.example")
        page = await vic.get(f"/inbox/with/{PRIYA}")
        assert "For your eyes" in page
        assert f'action="/inbox/with/{PRIYA}' not in page
        assert (await vic.post(f"/inbox/with/{PRIYA}/reply", {"text": "No"})).status == 403
        assert await rows(line.runtime.database, ERRANDS) == []
        await eve.log_in("eve@other.example")
        assert (await eve.get(f"/inbox/with/{PRIYA}")).status == 404
        assert (await eve.post(f"/inbox/with/{PRIYA}/reply", {"text": "No"})).status == 404
        assert listed(await eve.get("/inbox")) == []


PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000376ef924")


async def test_files(ada: Browser, line: Line, portal: str) -> None:
    """A file is served to its account alone; pictures are shown, anything else is saved, and nothing of it can run."""
    runtime = line.runtime

    async def receive(kind: str, mime_type: str, content: bytes, name: str | None) -> str:
        media = InboundMedia(media_id="1", mime_type=mime_type, file_name=name)
        await line.hear(PRIYA, f"[{kind}]", kind=kind, media=media)
        (message,) = await runtime.database.read(
            lambda tx: message_store.filtered_page(
                tx, line.row.account_id, Filters(person=PRIYA), before_seq=None, limit=1
            )
        )
        facts = f'{{"media":{{"mime_type":"{mime_type}","sha256":"00","bytes":{len(content)}}}}}'
        await runtime.database.write(lambda tx: message_store.set_details(tx, message, facts, None, now_ms()))
        path = media_file(runtime.settings.media_path, line.row.account_id, message.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"/inbox/media/{uid_of(message.id)}"

    picture = await receive("image", "image/png", PNG, None)
    page = await ada.get(f"/inbox/with/{PRIYA}")
    assert f'<img class="shot" src="{picture}"' in page
    async with ada.session.get(ada.base + picture) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", PNG)
        assert answer.headers["content-disposition"].startswith("inline")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for asked, got in (("bytes=4-7", PNG[4:8]), ("bytes=-3", PNG[-3:]), ("bytes=8-", PNG[8:])):
        async with ada.session.get(ada.base + picture, headers={"Range": asked}) as answer:
            assert (answer.status, await answer.read()) == (206, got)
            assert answer.headers["content-range"].endswith(f"/{len(PNG)}")
    for odd in ("bytes=99-4", "bytes=-", "lines=1-2", "bytes=1-2,4-5"):
        async with ada.session.get(ada.base + picture, headers={"Range": odd}) as answer:
            assert (answer.status, await answer.read()) == (200, PNG)
    script = await receive("image", "image/png", b"<html><script>alert(1)</script></html>", "x.png")
    async with ada.session.get(ada.base + script) as answer:
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
    paper = await receive("document", "application/pdf", b"%PDF-1.7", None)
    async with ada.session.get(ada.base + paper) as answer:
        assert answer.headers["content-disposition"].startswith("attachment")
    await people.create_account(runtime, name="Other", email="eve@other.example", password="correct horse battery")
    async with new_browser(portal) as eve:
        await eve.log_in("eve@other.example")
        assert (await eve.get(picture)).status == 404
    assert (await ada.get(f"/inbox/media/{uid_of(new_id())}")).status == 404
    media_file(runtime.settings.media_path, line.row.account_id, bytes.fromhex(picture[-32:])).unlink()
    assert (await ada.get(picture)).status == 404


def test_names_of_files() -> None:
    """A name that a stranger chose cannot leave its header or name a folder."""
    shown = disposition(MediaFacts(file_name='a"b\r\n/../é.pdf'), "00", inline=False)
    assert shown == "attachment; filename=\"a_b___..__.pdf\"; filename*=UTF-8''a%22b%0D%0A_.._%C3%A9.pdf"


async def test_every_kind_is_told(ada: Browser, line: Line) -> None:
    """Kinds that are not shown say so, with the carrier's word; the others show what they are."""
    question = await line.hear(PRIYA, "The question")
    await line.hear(PRIYA, "The answer", reply_to=question)
    await line.hear(PRIYA, "[unsupported: poll_creation]", kind="unsupported")
    await line.hear(PRIYA, "[hologram]", kind="hologram")
    await line.hear(PRIYA, "[location] Dam, Amsterdam", kind="location")
    await line.hear(PRIYA, "[reaction] 👍", kind="reaction")
    await line.hear(PRIYA, "[deleted by the sender]", kind="revoke")
    await line.hear(PRIYA, "[image] Look", kind="image", media=InboundMedia(media_id="1", mime_type="image/png"))
    numbers = {line.row.address: line.row}
    stop = OptOut(phone_number_id=line.row.address, stopped=True, reported_at_ms=now_ms(), person=PRIYA)
    await line.runtime.database.write(lambda tx: apply_event(tx, numbers, stop, now_ms()))
    page = await ada.get(f"/inbox/with/{PRIYA}")
    for text in (
        '<blockquote class="quoted cut" dir="auto">The question',
        "cannot be shown here (unsupported)",
        "cannot be shown here (hologram)",
        "Dam, Amsterdam",
        "reacted with 👍",
        "deleted a message",
        "the file is not here yet",
        "stopped marketing messages",
    ):
        assert text in page, text
    assert split_text("text", "[image] typed by hand") == ("", "[image] typed by hand")


async def test_earlier_messages(ada: Browser, line: Line) -> None:
    """A long conversation opens at its end, and leads to what was before, down to the first message."""
    for number in range(65):
        await line.hear(PRIYA, f"Message {number}.")
    page = await ada.get(f"/inbox/with/{PRIYA}")
    assert "Message 64." in page
    assert "Message 4.<" not in page
    earlier = re.search(r'<a href="([^"]+)">Earlier messages', page.text)
    assert earlier
    page = await ada.get(earlier[1].replace("&amp;", "&"))
    assert "Message 4.<" in page
    assert "Message 0.<" in page
    assert "Earlier messages" not in page
    assert "data-live" not in page


# In a browser, with the carrier's emulator


async def say(house: House, person: str, text: str, name: str = "") -> None:
    await house.carrier.post("/__emulator/say", {"from": person, "text": text, "name": name})


async def log_in(page: BrowserPage, path: str) -> None:
    await page.goto(path)
    await page.get_by_label("E-mail").fill("larkfield@example.org")
    await page.get_by_label("Password").fill("correct horse battery")
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Inbox").wait_for()


async def test_a_conversation_lives(tmp_path: Path) -> None:
    """Somebody writes and it shows at once; the reply is sent once, its state changes in place; keys do it all."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        await house.open_account("Larkfield", "LarkService")
        await say(house, PRIYA, "My gears slip.", "Priya S.")
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await log_in(page, "/inbox")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Priya S.").wait_for()
        await page.keyboard.press("r")
        await page.keyboard.type("Bring it in.")
        twice = (
            "() => { const form = document.getElementById('reply-form'); form.requestSubmit(); form.requestSubmit(); }"
        )
        await page.evaluate(twice)
        await page.locator("#thread .st", has_text="Delivered").wait_for()
        assert await page.locator(".bubble.out").count() == 1
        assert await page.locator("#reply").input_value() == ""
        assert await page.evaluate("document.activeElement.id") == "reply"

        await say(house, PRIYA, "At five then!", "Priya S.")
        await page.locator(".bubble.in", has_text="At five then!").wait_for()
        await page.locator("#news", has_text="At five then!").wait_for(state="attached")
        await say(house, TOMAS, "Hello?", "Tomas B.")
        await page.get_by_text("newer, show them").wait_for()
        await page.locator("#count-side-inbox", has_text="1").wait_for()
        await page.keyboard.press("Escape")
        await page.keyboard.press("e")
        await page.get_by_text("Done: Priya S.").wait_for()
        assert await page.locator(".person").count() == 1
        await page.keyboard.press("z")
        await page.get_by_text("Open again.").wait_for()
        assert not wrong


async def test_without_scripts_on_a_phone(tmp_path: Path) -> None:
    """Reading and replying need no script; on a narrow screen list and conversation are pages of their own."""
    async with (
        open_house(tmp_path) as house,
        open_chromium(house.url, java_script_enabled=False, viewport={"width": 360, "height": 740}) as context,
    ):
        tenant: Tenant = await house.open_account("Larkfield", "LarkService")
        assert tenant
        await say(house, PRIYA, "My gears slip.", "Priya S.")
        page = await context.new_page()
        await log_in(page, "/inbox")
        await page.get_by_role("link", name="Priya S.").click()
        await page.get_by_label("Reply to Priya S.").fill("Bring it in.")
        await page.get_by_role("button", name="Reply").click()
        await page.locator(".bubble.out", has_text="Bring it in.").wait_for()
        assert not await page.locator(".person").first.is_visible()
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 360
        await page.get_by_role("link", name="Back to the inbox").click()
        assert await page.locator(".person").first.is_visible()
