"""Templates: fetched from the emulated Meta, shown as the phone shows them, submitted, deleted, sent from the inbox."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import (
    BUSINESS_ACCOUNT_ID,
    EMULATOR_APP_SECRET,
    EMULATOR_TOKEN,
    PHONE_NUMBER_ID,
    open_house,
)
from tests.portal.conftest import Browser, new_browser
from tests.portal.test_inbox import PRIYA, Line, add_person, log_in, once_of, say

from heliograph.accounts import people, senders, templates
from heliograph.channels.contract import NumberFacts
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.core.ids import now_ms
from heliograph.emulators.cloud_api.options import Options
from heliograph.emulators.cloud_api.server import Running
from heliograph.portal.templates.telling import describe_status, name_of
from heliograph.runtime import Runtime, open_whatsapp
from heliograph.store import connections as connection_store
from heliograph.store import templates as store

NEW = {
    "business_account": BUSINESS_ACCOUNT_ID,
    "name": "pickup_ready",
    "language": "en_US",
    "category": "UTILITY",
    "header": "Good news",
    "body": "Hello {{1}}, your *bicycle* is ready.\r\nWe are open until {{2}} today.",
    "sample_1": "Priya",
    "sample_2": "18:00",
    "footer": "Larkfield Cycles",
    "kind_2": "URL",
    "label_2": "See the bill",
    "target_2": "https://lark.example/{{1}}",
    "example_2": "A-17",
}


@pytest.fixture
async def meta() -> AsyncIterator[str]:
    """The address of an emulated Meta."""
    async with Running(Options(port=0, review_after_s=0.05)) as running:
        yield running.url


@pytest.fixture
async def channel(runtime: Runtime) -> AsyncIterator[WhatsApp]:
    opened = open_whatsapp(runtime.settings)
    yield opened
    await opened.close()


async def connect(runtime: Runtime, base_url: str, token: str = EMULATOR_TOKEN) -> Line:
    """Ada's account with a number at that Meta, and a sender."""
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    number = senders.Number(
        phone_number_id=PHONE_NUMBER_ID,
        business_account_id=BUSINESS_ACCOUNT_ID,
        token=token,
        app_secret=EMULATOR_APP_SECRET,
        base_url=base_url,
    )
    row = await senders.connect_number(runtime, account.id, number, NumberFacts(display_number="15550100001"))
    await senders.add_sender(runtime, row, "LarkService")
    return Line(runtime, row)


@pytest.fixture
async def line(ada: Browser, runtime: Runtime, meta: str) -> Line:
    assert ada
    return await connect(runtime, meta)


def ids(page: Any) -> dict[str, str]:
    """Meta's id of each listed template by its name; of one in two languages the last."""
    return {name: key for key, name in re.findall(r'href="/templates/one/(\d+)">([^<]+)</a>', page.text)}


async def test_without_a_number(ada: Browser) -> None:
    """Templates come with a number; until then the page says so, and a form to submit one is not offered."""
    assert "Templates come with a number" in await ada.get("/templates")
    assert "Templates come with a number" in await ada.get("/templates/new")
    assert (await ada.post("/templates/new", NEW)).status == 422
    assert (await ada.post("/templates/fetch")).path == "/templates"


async def test_the_first_visit_fetches(ada: Browser, line: Line) -> None:
    """The first look at the page fetches everything; status, language and quality stand in the list, filters are links."""
    page = await ada.get("/templates")
    assert set(ids(page)) >= {"heliograph_message", "order_ready", "paused_offer", "pending_notice"}
    for text in ("Approved", "Paused", "In review", "Disabled", "Dutch (nl)", "Marketing"):
        assert text in page, text
    assert set(ids(await ada.get("/templates?status=PAUSED"))) == {"paused_offer"}
    assert set(ids(await ada.get("/templates?find=READY&status=APPROVED"))) == {"order_ready"}
    assert "No template is like that" in await ada.get("/templates?find=nothing_like_it")
    page = await ada.post("/templates/fetch")
    assert "Fetched from Meta." in page
    assert re.search(r'data-live="/templates/live\?mark=[0-9a-f]+"', page.text)
    assert line.row.business_account == BUSINESS_ACCOUNT_ID


async def test_pages_of_the_list(ada: Browser, line: Line) -> None:
    """Long lists go on where they ended, and back."""
    at_ms, account_id = now_ms(), line.row.account_id
    made = [
        templates.read_template(account_id, "9", {"name": f"t{n:03}", "language": "nl", "id": str(n + 1)}, at_ms)
        for n in range(120)
    ]
    rows = [one for one in made if one is not None]
    await line.runtime.database.write(lambda tx: store.put_templates(tx, account_id, "9", rows, at_ms))
    await line.runtime.database.write(
        lambda tx: store.put_templates(tx, account_id, line.row.business_account, [], at_ms)
    )
    path, seen = "/templates", list[str]()
    while path:
        page = await ada.get(path)
        seen += list(ids(page))
        further = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = further[1].replace("&amp;", "&") if further else ""
    assert seen == [f"t{n:03}" for n in range(120)]
    back = re.search(r'rel="prev" href="([^"]+)"', page.text)
    assert back
    page = await ada.get(back[1].replace("&amp;", "&"))
    assert list(ids(page)) == [f"t{n:03}" for n in range(50, 100)]


async def test_a_template_of_low_quality(ada: Browser, line: Line) -> None:
    """The list tells by a mark and a word that people block it."""
    at_ms, account_id = now_ms(), line.row.account_id
    told = {"id": "7", "name": "spring", "language": "nl", "status": "APPROVED", "quality_score": {"score": "RED"}}
    made = templates.read_template(account_id, line.row.business_account, told, at_ms)
    assert made is not None
    business = line.row.business_account
    await line.runtime.database.write(lambda tx: store.put_templates(tx, account_id, business, [made], at_ms))
    page = await ada.get("/templates")
    assert page.status == 200
    assert "Low" in page
    assert "Low: many people block or report it" in await ada.get("/templates/one/7")


async def test_one(ada: Browser, line: Line) -> None:
    """A template is shown as the phone shows it, with what to do when Meta has stopped it or the dispatcher holds it."""
    known = ids(await ada.get("/templates"))
    page = await ada.get(f"/templates/one/{known['order_ready']}")
    for text in ("Hello Ada, order A-17 is ready for you.", "The emulated shop", "Track it", "Picture", "no sender"):
        assert text in page, text
    assert "Meta pauses it for 3 hours" in await ada.get(f"/templates/one/{known['paused_offer']}")
    row = line.row
    held = ("order_ready", "en_US")
    await line.runtime.database.write(
        lambda tx: connection_store.hold_template(
            tx, row.account_id, row.business_account, held, now_ms(), "template_missing", "Meta did not know it."
        )
    )
    assert "It is not sent now: Meta did not know it." in await ada.get(f"/templates/one/{known['order_ready']}")
    assert (await ada.get("/templates/one/4711")).status == 404
    assert describe_status("NEW_WORD")[0] == "Unknown"
    assert name_of("xx_XX_XX", Locale("en")) == "xx_XX_XX"


async def test_submit(ada: Browser, line: Line, channel: WhatsApp) -> None:
    """What the form says is submitted as Meta wants it; its review is known after the next fetch."""
    page = await ada.post("/templates/new", NEW)
    assert page.status == 200, re.findall(r'class="error"[^>]*>.*?<span>([^<]+)', page.text)
    assert "Submitted. Meta reviews it now." in page
    assert "Hello Priya, your <b>bicycle</b> is ready.<br>We are open until 18:00 today." in page
    (business,) = await templates.list_business_accounts(line.runtime, line.row.account_id)
    await templates.sync_templates(line.runtime, channel, line.row.account_id, business)
    key = page.path.rpartition("/")[2]
    found = await templates.find_template(line.runtime, line.row.account_id, key)
    assert found.category == "UTILITY"
    assert '"url":"https://lark.example/{{1}}","example":["https://lark.example/A-17"]' in found.components
    page = await ada.post("/templates/new", NEW)
    assert page.status == 422
    assert "There is a template of this name in this language." in page, "what Meta refuses stands at its field"
    code = await ada.post("/templates/new", {**NEW, "name": "a_code", "category": "AUTHENTICATION", "body": ""})
    assert "Meta writes this one" in code


async def test_what_is_wrong_stands_beside_its_field(ada: Browser, line: Line) -> None:
    """Meta's rules are checked before; what was typed is kept, and fields that are needed appear."""
    assert line
    page = await ada.post("/templates/new", {**NEW, "name": "Pickup Ready", "sample_2": "", "example_2": ""})
    assert page.status == 422
    for name in ("name", "sample_2", "button_2"):
        assert f'id="{name}-error"' in page, name
    assert 'value="Pickup Ready"' in page
    assert "3 things are to be mended below" in page
    assert '<div data-sample="2">' in page
    assert '<div data-sample="3" hidden>' in page
    page = await ada.post("/templates/preview", NEW)
    assert "Hello Priya, your <b>bicycle</b>" in page


async def test_delete(ada: Browser, line: Line) -> None:
    """Deleting asks first and says what is lost; a sender's window template cannot be deleted."""
    known = ids(await ada.get("/templates"))
    account_id = line.row.account_id
    key = ("order_ready", "en_US")
    await senders.change_sender(line.runtime, account_id, "LarkService", window_template=key, resend_unknown=False)
    path = f"/templates/one/{known['order_ready']}/delete"
    assert "Meta blocks the name for 30 days" in await ada.get(path)
    page = await ada.post(path)
    assert page.status == 409
    assert "LarkService sends with it" in page
    await senders.change_sender(line.runtime, account_id, "LarkService", window_template=None, resend_unknown=False)
    page = await ada.post(path)
    assert "order_ready is deleted." in page
    assert "order_ready" not in ids(page)
    assert (await ada.post(path)).status == 404


async def test_meta_says_no(ada: Browser, runtime: Runtime, meta: str) -> None:
    """A wrong token and a Meta that cannot be reached are told in plain words, on the page that has what was known."""
    await connect(runtime, meta, token="EMULATOR-TOKEN-expired")
    page = await ada.get("/templates")
    assert page.status == 200
    assert "could not be fetched" in page
    assert "expired" in page
    page = await ada.post("/templates/new", NEW)
    assert page.status == 422
    assert "expired" in page


async def test_who_may(ada: Browser, line: Line, portal: str) -> None:
    """A member looks and sends, an owner submits and deletes; another account sees nothing."""
    known = ids(await ada.get("/templates"))
    await add_person(line.runtime, line.row.account_id, "ben@larkfield.example", "member")
    await people.create_account(line.runtime, name="Other", email="eve@other.example", password="correct horse battery")
    async with new_browser(portal) as ben, new_browser(portal) as eve:
        await ben.log_in("ben@larkfield.example")
        page = await ben.get(f"/templates/one/{known['order_ready']}")
        assert page.status == 200
        assert "/delete" not in page
        assert (await ben.post("/templates/new", NEW)).status == 403
        await eve.log_in("eve@other.example")
        assert (await eve.get(f"/templates/one/{known['order_ready']}")).status == 404
        assert (await eve.post(f"/templates/one/{known['order_ready']}/delete")).status == 404


async def test_answer_by_template(ada: Browser, line: Line) -> None:
    """Beyond the window one chooses a template, fills it in and sends it once; the thread shows what it said."""
    await line.hear(PRIYA, received_at_ms=now_ms() - 86_400_001)
    assert "Choose a template" in await ada.get(f"/inbox/with/{PRIYA}")
    here = f"/inbox/with/{PRIYA}/template"
    page = await ada.get(here)
    assert "appointment_reminder" in page
    assert "paused_offer" not in page, "only what can be sent is offered"
    keys = dict(re.findall(r'template\?id=(\d+)"><span class="row between"><b>([^<]+)', page.text))
    key = next(key for key, name in keys.items() if name == "order_ready")
    page = await ada.get(f"{here}?id={key}")
    assert "Hello Ada, order A-17" in page
    fields = {"id": key, "once": once_of(page), "body.1": "Priya", "body.2": "B-3", "button.0": "B-3"}
    page = await ada.post(here, fields)
    assert page.status == 422
    assert 'id="header.link-error"' in page
    assert 'value="Priya"' in page
    fields["header.link"] = "https://lark.example/wheel.jpg"
    assert "Hello Priya, order B-3" in await ada.post(f"{here}/preview", fields)
    for _ in range(2):
        page = await ada.post(here, fields)
        assert (page.status, page.path) == (200, f"/inbox/with/{PRIYA}")
    assert "Hello Priya, order B-3 is ready for you." in page
    (sent,) = await line.sent()
    assert sent.template
    assert '"link":"https://lark.example/wheel.jpg"' in sent.template
    assert (await ada.get(f"{here}?id=4711")).status == 404


async def test_the_form_shows_the_phone(tmp_path: Path) -> None:
    """The form asks for examples as variables appear, shows the phone as one types, and what was submitted is in the list."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        await house.open_account("Larkfield", "LarkService")
        await say(house, PRIYA, "Hello", "Priya S.")
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await log_in(page, "/inbox")
        await page.goto("/templates")
        await page.get_by_role("link", name="New template").click()
        await page.get_by_label("Name", exact=True).fill("pickup_ready")
        await page.locator("#body").fill("Hello {{1}}, it is ready.")
        await page.get_by_label("Example of {{1}}", exact=True).fill("Priya")
        await page.locator("#preview", has_text="Hello Priya, it is ready.").wait_for()
        await page.get_by_role("button", name="Submit for review").click()
        await page.get_by_text("Submitted. Meta reviews it now.").wait_for()
        await page.goto("/templates")
        row = page.locator("tr", has_text="pickup_ready")
        await row.wait_for()
        assert not wrong
