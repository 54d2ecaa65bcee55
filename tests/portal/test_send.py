"""Writing to one person or many: what the page says beforehand, and what is stored."""

import re
from pathlib import Path

import msgspec
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import open_house
from tests.portal.conftest import PASSWORD, Browser
from tests.portal.makers import EMAIL, account_of, make_message, make_sender, open_window, path_of, stored

from heliograph.accounts import people
from heliograph.accounts.templates import read_template
from heliograph.core.ids import now_ms
from heliograph.portal.send.drafts import read_draft
from heliograph.portal.visit import Form
from heliograph.runtime import Runtime
from heliograph.store import templates as template_store

FORM = {"recipients": "+31 6 12345678", "sender": "Lark", "kind": "text", "text": "Hello", "key": "k1"}


async def test_send_one(ada: Browser, runtime: Runtime) -> None:
    """A form sent is a message stored, by the rules of the API, and leads to its page."""
    await make_sender(runtime)
    await ada.get("/send")
    page = await ada.post("/send", {**FORM, "text": "one\r\ntwo"})
    (message,) = await stored(runtime)
    assert (page.status, page.path) == (200, path_of(message))
    assert (message.person, message.sender, message.text) == ("31612345678", "Lark", "one\ntwo")
    user = msgspec.json.decode(message.details or "{}")
    assert set(user) == {"user_id"}, "who sent it is known"
    assert "1 message is on its way." in page


async def test_a_double_click_sends_once(ada: Browser, runtime: Runtime) -> None:
    """The same form sent twice is one message; a form that was changed in between is another."""
    await make_sender(runtime)
    await ada.get("/send")
    first = await ada.post("/send", FORM)
    second = await ada.post("/send", FORM)
    assert second.path == first.path
    assert "it does not go twice" in second
    assert len(await stored(runtime)) == 1
    await ada.post("/send", {**FORM, "text": "Hello again"})
    await ada.post("/send", {**FORM, "key": "k2"})
    assert len(await stored(runtime)) == 3


async def test_many_recipients(ada: Browser, runtime: Runtime) -> None:
    """Numbers are pasted as they come, each once; a bad one stops the form until it is to be left out."""
    await make_sender(runtime)
    await ada.get("/send")
    many = {**FORM, "recipients": "31612345678, 31612345679;\n+31 612 345 678\n0612"}
    page = await ada.post("/send", many)
    assert page.status == 422
    assert 'id="recipient-error"' in page
    assert "0612 has no country code" in page
    assert ">\nHello</textarea>" in page, "what was typed is kept"
    assert not await stored(runtime)
    page = await ada.post("/send", {**many, "leave_out": "yes"})
    assert page.path == "/messages"
    assert sorted(message.person for message in await stored(runtime)) == ["31612345678", "31612345679"]


async def test_what_is_refused(ada: Browser, runtime: Runtime) -> None:
    """Each field says what is wrong with it, and nothing is stored."""
    await make_sender(runtime)
    await ada.get("/send")
    for fields, field in (
        ({"recipients": ""}, "recipient"),
        ({"text": ""}, "message"),
        ({"text": "x" * 4097}, "message"),
        ({"schedule": "2001-01-01T10:00"}, "schedule"),
        ({"media_url": "ftp://x"}, "media_url"),
        ({"kind": "template", "template_name": "No Name"}, "template_name"),
    ):
        page = await ada.post("/send", {**FORM, **fields})
        assert page.status == 422, fields
        assert f'id="{field}-error"' in page, fields
    assert not await stored(runtime)


async def test_schedule_in_the_accounts_zone(ada: Browser, runtime: Runtime) -> None:
    """The time of the form is the account's; a message that waits can be taken back on the next page."""
    account = await people.find_account_by_email(runtime, EMAIL)
    await people.change_account(runtime, msgspec.structs.replace(account, time_zone="Asia/Tokyo"))
    await make_sender(runtime)
    page = await ada.get("/send")
    assert "Asia/Tokyo" in page
    page = await ada.post("/send", {**FORM, "schedule": "2027-01-02T09:00"})
    (message,) = await stored(runtime)
    assert message.schedule_at_ms == 1798848000000, "2027-01-02 00:00 UTC"
    assert f'action="{path_of(message)}/cancel"' in page
    page = await ada.post(f"{path_of(message)}/cancel")
    assert "it will not leave" in page
    assert (await stored(runtime))[0].state == "cancelled"


async def test_templates(ada: Browser, runtime: Runtime) -> None:
    """Name, language and variables become the carrier's own template object."""
    await make_sender(runtime)
    await ada.get("/send")
    fields = {"kind": "template", "template_name": "order_ready", "variables": "Ada\r\n20418", "text": "not this"}
    page = await ada.post("/send", {**FORM, **fields, "template_image": "https://lark.example/a.png"})
    assert page.status == 200
    (message,) = await stored(runtime)
    assert message.text == ""
    assert msgspec.json.decode(message.template or "") == {
        "name": "order_ready",
        "language": {"code": "en_US"},
        "components": [
            {
                "type": "header",
                "parameters": [{"type": "image", "image": {"link": "https://lark.example/a.png"}}],
            },
            {"type": "body", "parameters": [{"type": "text", "text": "Ada"}, {"type": "text", "text": "20418"}]},
        ],
    }


READY = [
    {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
    {"type": "BODY", "text": "Hi {{1}}, it is ready."},
]


async def approve(runtime: Runtime, name: str, components: object, status: str = "APPROVED") -> None:
    """A template as the carrier would tell of it."""
    account_id = await account_of(runtime)
    told = {"id": f"9{name}", "name": name, "language": "en_US", "status": status, "components": components}
    made = read_template(account_id, "200000000000002", told, now_ms())
    assert made
    await runtime.database.write(lambda tx: template_store.put_template(tx, made))


async def test_choose_a_template(ada: Browser, runtime: Runtime) -> None:
    """Approved templates stand to be chosen; each asks for what it wants filled in, shows it, and is sent with its words."""
    await make_sender(runtime)
    await approve(runtime, "order_ready", READY)
    await approve(runtime, "in_review", READY, "PENDING")
    page = await ada.get("/send")
    assert "order_ready, English" in page
    assert "in_review" not in page
    form = {**FORM, "kind": "template", "choice": "9order_ready", "slot.header.1": "20418"}
    page = await ada.post("/send", form)
    assert page.status == 422
    assert 'id="slot.body.1-error"' in page
    assert not await stored(runtime)
    form["slot.body.1"] = "Ada\nand *Bo*"
    page = await ada.post("/send/preview", form, headers={"X-Part": "1"})
    assert "Order 20418" in page
    assert "Hi Ada" in page
    await ada.post("/send", form)
    (message,) = await stored(runtime)
    assert msgspec.json.decode(message.template or "")["components"] == [
        {"type": "header", "parameters": [{"type": "text", "text": "20418"}]},
        {"type": "body", "parameters": [{"type": "text", "text": "Ada and *Bo*"}]},
    ]
    assert message.text.startswith("Hi Ada")
    page = await ada.get(f"/send?again={message.id.hex()}")
    assert 'value="20418"' in page
    assert '<option value="9order_ready" selected>' in page
    page = await ada.post("/send/preview", {**form, "choice": "other"}, headers={"X-Part": "1"})
    assert 'name="template_name"' in page


async def test_preview_tells_the_window(ada: Browser, runtime: Runtime) -> None:
    """Before sending: whose window is open, who gets the template, how long it is, how the phone shows it."""
    sender = await make_sender(runtime, window_template=("news_line", "en_US"))
    await open_window(runtime, sender, "31612345678")
    await ada.get("/send")
    form = {**FORM, "recipients": "31612345678 \n 31612345679", "text": "*Hi*\nthere"}
    page = await ada.post("/send/preview", form, headers={"X-Part": "1"})
    assert page.status == 200
    assert "<html" not in page.text
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page.text)
    assert "Open until" in rows[0]
    assert "Template" not in rows[0]
    assert "never wrote" in rows[1]
    assert "news_line" in rows[1]
    assert "<b>Hi</b><br>there" in page
    assert "<b>Hi</b> there" in page, "in the template, the line break folds"
    assert "10 of 4,096" in page
    assert "Send 2 messages" in page
    whole = await ada.post("/send/preview", form)
    assert "<html" in whole.text, "the same without scripts"
    assert not await stored(runtime)


async def test_no_sender_no_form(ada: Browser) -> None:
    """Without a sender the page says what to do first."""
    page = await ada.get("/send")
    assert "No sender yet" in page
    assert "<textarea" not in page


async def test_the_first_form_is_filled_in_for_trials_only(ada: Browser, runtime: Runtime) -> None:
    """Where the carrier is one for trials, the first form can be sent as it is; elsewhere nobody is written to by mistake."""
    await make_sender(runtime)
    assert "202 555" not in await ada.get("/send")
    await make_sender(runtime, "Trial", base_url="http://127.0.0.1:9", phone_number_id="100000000000002")
    page = await ada.get("/send")
    assert "+1 202 555 0101" in page
    assert '<option value="Trial" selected>' in page
    await make_message(runtime)
    assert "202 555" not in await ada.get("/send")


async def test_send_again(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """A message's form comes back filled in; another account's message fills in nothing."""
    await make_sender(runtime)
    made = await make_message(runtime, text="Come *back*", person="447700900104")
    page = await ada.get(f"/send?again={made.id.hex()}")
    assert "Come *back*</textarea>" in page
    assert "+447700900104</textarea>" in page
    await people.create_account(runtime, name="Eve", email="eve@eve.example", password=PASSWORD)
    await make_sender(runtime, email="eve@eve.example", phone_number_id="100000000000003")
    await other_browser.log_in("eve@eve.example")
    assert "Come *back*" not in await other_browser.get(f"/send?again={made.id.hex()}")


def test_drafts() -> None:
    """A draft's key is its own where none came, and what is no kind is text."""
    one, other = read_draft(Form()), read_draft(Form(kind="<b>"))
    assert one.key != other.key
    assert other.kind == "text"
    assert one.idempotency_key(1) != one.idempotency_key(2)


async def test_first_message_in_a_browser(tmp_path: Path) -> None:
    """Log in, press Send, watch it being read, and find the very line that does it by API; nothing goes wrong meanwhile."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        await house.open_account("Demo", "YourName")
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await page.goto("/send")
        await page.get_by_label("E-mail").fill("demo@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("heading", name="Send").wait_for()
        await page.locator("#text").press("Control+End")
        await page.locator("#text").press_sequentially(" *Now*")
        await page.locator("#preview b", has_text="Now").wait_for()
        await page.locator("#text").press("Control+Enter")
        await page.get_by_role("heading", name="Now do it by API").wait_for()
        await page.locator("#story .badge", has_text="Read").wait_for()
        curl = await page.locator("pre code").first.text_content()
        assert curl
        assert '"recipient": "12025550101"' in curl
        assert "*Now*" in curl
        assert not wrong


async def test_sending_without_scripts(tmp_path: Path) -> None:
    """With JavaScript off the form sends, and the message's page tells the end."""
    async with open_house(tmp_path) as house, open_chromium(house.url, java_script_enabled=False) as context:
        await house.open_account("Demo", "YourName")
        page = await context.new_page()
        await page.goto("/send")
        await page.get_by_label("E-mail").fill("demo@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("button", name="Preview").click()
        await page.get_by_text("Not open: never wrote").wait_for()
        await page.get_by_role("button", name="Send").click()
        for _ in range(100):
            if await page.locator("#story .badge", has_text="Read").count():
                break
            await page.reload()
        assert await page.locator("#story .badge", has_text="Read").count()
