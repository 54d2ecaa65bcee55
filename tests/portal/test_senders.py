"""Senders: registering a number against the emulator with each wrong answer, names, pause, removal."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from msgspec import structs
from tests.kit.browser import open_chromium, watch_page
from tests.kit.house import Client, Tenant, open_house
from tests.portal.conftest import PASSWORD, Browser, Page, new_browser

from heliograph.accounts import people, senders, tokens
from heliograph.channels.contract import NumberFacts
from heliograph.config import Settings
from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.options import Options
from heliograph.emulators.cloud_api.server import Running
from heliograph.runtime import Runtime, open_runtime
from heliograph.store.accounts import Account
from heliograph.store.connections import ConnectionRow, Sender

GOOD = {
    "phone_number_id": defaults.PHONE_NUMBER_ID,
    "business_account_id": defaults.WABA_ID,
    "token": defaults.TOKEN,
    "app_secret": defaults.APP_SECRET,
}
UNREGISTERED = "100000000000008"


@pytest.fixture
async def carrier() -> AsyncIterator[Running]:
    async with Running(Options(port=0)) as running:
        yield running


@pytest.fixture
def settings(settings: Settings, carrier: Running) -> Settings:
    """An installation whose carrier is the emulator."""
    return structs.replace(settings, whatsapp_base_url=carrier.url)


async def account_of(runtime: Runtime) -> Account:
    return await people.find_account_by_email(runtime, "ada@larkfield.example")


async def only_number(runtime: Runtime) -> ConnectionRow:
    rows = await senders.list_connections(runtime, (await account_of(runtime)).id)
    assert len(rows) == 1
    return rows[0]


async def own_senders(runtime: Runtime) -> list[Sender]:
    return await senders.list_senders(runtime, (await account_of(runtime)).id)


async def connect(ada: Browser, **changes: str) -> Page:
    await ada.get("/senders/new")
    return await ada.post("/senders/new", {**GOOD, **changes})


def error_at(page: Page, field: str) -> str:
    """The sentence below a field; "" = of the whole step."""
    found = re.search(rf'id="{field}-error">.*?<span>(.*?)</span>', page.text, re.DOTALL)
    assert found, f"no error at {field!r}: {re.findall(r'id=.[a-z_]*-error.*', page.text)}"
    return found[1]


WRONG = [
    ({"phone_number_id": "+1 555-010-0001"}, "phone_number_id", "This is a phone number."),
    ({"phone_number_id": "my-number"}, "phone_number_id", "An id has digits only."),
    ({"phone_number_id": "999999999999999"}, "phone_number_id", "Meta does not know this phone number id"),
    ({"phone_number_id": defaults.WABA_ID}, "business_account_id", "This is the phone number id once more."),
    (
        {"phone_number_id": defaults.WABA_ID, "business_account_id": defaults.PHONE_NUMBER_ID},
        "phone_number_id",
        "Meta does not know this phone number id",
    ),
    ({"business_account_id": "999999999999999"}, "business_account_id", "Meta does not know this business account id"),
    (
        {"business_account_id": "210000000000001"},
        "business_account_id",
        "The number is not one of this business account",
    ),
    ({"token": ""}, "token", "This is missing."),
    ({"token": "EAA in two pieces"}, "token", "This has a blank or a line break inside."),
    ({"token": "EAAsomebodyelses000000000000"}, "token", "Meta does not accept this token."),
    ({"token": defaults.EXPIRED_TOKEN}, "token", "This token has expired."),
    ({"app_secret": defaults.TOKEN}, "app_secret", "This is the token once more."),
    ({"app_secret": "0123456789abcdef0123456789abcdef"}, "app_secret", "This is not the secret of the app"),
    ({"base_url": "http://169.254.169.254"}, "base_url", ""),
]


@pytest.mark.parametrize(("changes", "field", "sentence"), WRONG, ids=[f"{f}-{n}" for n, (_, f, _) in enumerate(WRONG)])
async def test_each_wrong_answer(
    ada: Browser, carrier: Running, runtime: Runtime, changes: dict[str, str], field: str, sentence: str
) -> None:
    """Each id, token and secret that is wrong is told at its own field, in its own words; nothing is kept."""
    async with aiohttp.ClientSession() as session:
        made = {"id": "100000000000077", "digits": "15550100077", "waba_id": "210000000000001"}
        assert (await session.post(f"{carrier.url}/__emulator/numbers", json=made)).status == 200
    page = await connect(ada, **changes)
    assert page.status == 422
    if field != "base_url":  # shown only where there is a choice
        assert sentence in error_at(page, field)
        assert f'value="{changes.get("phone_number_id", defaults.PHONE_NUMBER_ID)}"' in page, "what was typed is kept"
    assert defaults.TOKEN not in page.text.replace(changes.get("app_secret", "-"), ""), "secrets are not shown again"
    assert await senders.list_connections(runtime, (await account_of(runtime)).id) == []


async def test_unreachable_carrier(ada: Browser, carrier: Running) -> None:
    """A carrier that cannot be reached is no fault of what was typed."""
    await ada.get("/senders/new")
    await carrier.stop()
    page = await ada.post("/senders/new", GOOD)
    assert "Meta cannot be reached from this server." in error_at(page, "")


async def test_a_number_of_another_account(ada: Browser, runtime: Runtime, carrier: Running) -> None:
    """A number belongs to one account."""
    other, _ = await people.create_account(runtime, name="Bolt", email="bob@bolt.example", password=PASSWORD)
    number = structs.replace(senders.Number(**GOOD), base_url=carrier.url)  # type: ignore[arg-type]
    await senders.connect_number(runtime, other.id, number, NumberFacts(display_number="15550100001"))
    page = await connect(ada)
    assert page.status == 409
    assert "Another account of this installation has this number." in error_at(page, "phone_number_id")


async def test_register_a_number(ada: Browser, runtime: Runtime, carrier: Running) -> None:
    """Ids, code, PIN, name, window template: each step says what is wrong, and the number sends in the end."""
    page = await connect(ada, phone_number_id=UNREGISTERED)
    current = re.findall(r'<a href="([^"]+)" aria-current="page" data-key', page.text)
    assert current == ["/senders"], "and not /send, too"
    assert "Meta answered: “Heliograph Emulator”" in page
    row = await only_number(runtime)
    assert bool(row.use_appsecret_proof)
    here = f"/senders/numbers/{row.id}"
    assert row.verify_token in page
    assert f"/callbacks/whatsapp/{row.callback_uid.hex()}" in page

    page = await ada.post(f"{here}/subscribe")
    assert page.status == 422
    assert "Meta called the callback address and did not get through." in error_at(page, "")

    await ada.get(f"{here}/setup?step=register")
    page = await ada.post(f"{here}/register", {"pin": "12345"})
    assert "A PIN has six digits." in error_at(page, "pin")
    page = await ada.post(f"{here}/register", {"pin": "123456"})
    assert "Meta wants the number verified first." in error_at(page, "pin")
    page = await ada.post(f"{here}/code", {"method": "PIGEON"})
    assert "Choose SMS or a call." in error_at(page, "method")
    page = await ada.post(f"{here}/code", {"method": "VOICE", "language": "nl"})
    assert "Meta sends a code to +15550100008." in page
    page = await ada.post(f"{here}/verify", {"code": "12"})
    assert "The code has six digits." in error_at(page, "code")
    page = await ada.post(f"{here}/verify", {"code": "999-999"})
    assert "This is not the code that Meta sent." in error_at(page, "code")
    page = await ada.post(f"{here}/verify", {"code": "123-456"})
    assert "The code was right." in page
    assert "Meta has verified the number." in page
    page = await ada.post(f"{here}/register", {"pin": "246810"})
    assert "+15550100008 is registered." in page

    page = await ada.post(f"{here}/setup/name", {"sender_id": "Much too long a name"})
    assert "11 characters" in error_at(page, "sender_id")
    page = await ada.post(f"{here}/setup/name", {"sender_id": "Larkfield"})
    assert (await account_of(runtime)).default_sender == "Larkfield", "the first one"
    page = await ada.get(f"{here}/setup?step=template")
    assert "heliograph_message" in page
    for unfit in ("order_ready", "login_code", "hello_world", "paused_offer", "appointment_reminder"):
        assert unfit not in page, "only what can carry one text is offered"
    page = await ada.post(f"{here}/setup/template", {"window_template": "order_ready:en_US"})
    assert "exactly one variable" in error_at(page, "window_template")
    page = await ada.post(f"{here}/setup/template", {"window_template": "heliograph_message:en_US"})
    assert page.path == here
    assert (await own_senders(runtime))[0].window_template_name == "heliograph_message"


async def test_wrong_pin(ada: Browser, runtime: Runtime, carrier: Running) -> None:
    """A number that has a PIN keeps it, and is registered with no other."""
    carrier.emulator.world.state.numbers[defaults.PHONE_NUMBER_ID].pin = "111111"
    await connect(ada)
    here = f"/senders/numbers/{(await only_number(runtime)).id}"
    await ada.get(f"{here}/setup?step=register")
    page = await ada.post(f"{here}/register", {"pin": "222222"})
    assert "The number has another PIN." in error_at(page, "pin")
    page = await ada.post(f"{here}/code", {"method": "SMS"})
    assert page.status == 422
    assert "The number is verified already." in page
    for _ in range(9):
        await ada.post(f"{here}/register", {"pin": "333333"})
    page = await ada.post(f"{here}/register", {"pin": "111111"})
    assert "allows it again after 72 hours" in error_at(page, "pin")


async def test_names_of_a_number(ada: Browser, runtime: Runtime) -> None:
    """Names are added, made the default, changed and removed; the number says what its list says."""
    await connect(ada)
    row = await only_number(runtime)
    here = f"/senders/numbers/{row.id}"
    await ada.get(here)
    await ada.post(f"{here}/names", {"sender_id": "Larkfield"})
    page = await ada.post(f"{here}/names", {"sender_id": "O'Lark & Co"})
    assert "O&#39;Lark &amp; Co may send." in page
    page = await ada.post(f"{here}/names", {"sender_id": "larkfield"})
    assert (page.status, error_at(page, "sender_id")) == (422, "This account has a sender of that name already.")
    page = await ada.post(f"{here}/names", {"sender_id": "<script>"})
    assert "letters, digits" in error_at(page, "sender_id")

    page = await ada.post("/senders/default", {"name": "O'Lark & Co"})
    assert (await account_of(runtime)).default_sender == "O'Lark & Co"
    assert 'action="/senders/default" class="row tight"' in page, "which can be undone"
    assert (await ada.post("/senders/default", {"name": "Nobody"})).status == 404

    page = await ada.get("/senders/names/O%27Lark%20%26%20Co")
    assert "heliograph_message" in page
    fields = {"window_template": "heliograph_message:en_US", "resend_unknown": "yes"}
    page = await ada.post("/senders/names/O%27Lark%20%26%20Co", fields)
    changed = {sender.name: sender for sender in await own_senders(runtime)}["O'Lark & Co"]
    assert (changed.window_template_name, bool(changed.resend_unknown)) == ("heliograph_message", True)

    page = await ada.get("/senders/names/O%27Lark%20%26%20Co/remove")
    assert "The account has no default sender then." in page
    page = await ada.post("/senders/names/O%27Lark%20%26%20Co/remove")
    assert "sends no more." in page
    assert [sender.name for sender in await own_senders(runtime)] == ["Larkfield"]
    assert (await account_of(runtime)).default_sender is None


async def test_pause_and_resume(ada: Browser, runtime: Runtime) -> None:
    """A paused number says so and by whom; no other hold takes the pause's place; resuming ends it."""
    await connect(ada)
    here = f"/senders/numbers/{(await only_number(runtime)).id}"
    await ada.get(here)
    page = await ada.post(f"{here}/pause")
    assert "Ada paused it." in page
    assert f'action="{here}/resume" class="row tight"' in page, "the toast can undo it"
    assert (await only_number(runtime)).hold_code == "operator_paused", "which the dispatcher's probes leave alone"
    assert "Paused" in await ada.get("/senders")
    page = await ada.post(f"{here}/resume")
    assert (await only_number(runtime)).hold_code is None


async def test_facts_are_asked_again(ada: Browser, runtime: Runtime, carrier: Running) -> None:
    """What the carrier says of quality, limit and throughput is shown, and asked again at the press of a button."""
    await connect(ada)
    row = await only_number(runtime)
    here = f"/senders/numbers/{row.id}"
    page = await ada.get(here)
    assert "High" in page
    assert "1,000 a second" in page
    number = carrier.emulator.world.state.numbers[defaults.PHONE_NUMBER_ID]
    number.quality, number.level = "RED", "STANDARD"
    page = await ada.post(f"{here}/ask")
    assert "Low" in page
    assert "80 a second" in page
    assert (await only_number(runtime)).pace_per_s == 80
    await carrier.stop()
    page = await ada.post(f"{here}/ask")
    assert "Meta cannot be reached" in error_at(page, "")


async def test_remove_a_number(ada: Browser, runtime: Runtime) -> None:
    """Removing asks once, says what goes, and leaves nothing of the number's secrets."""
    await connect(ada)
    row = await only_number(runtime)
    here = f"/senders/numbers/{row.id}"
    await ada.get(here)
    await ada.post(f"{here}/names", {"sender_id": "Larkfield"})
    page = await ada.get(f"{here}/remove")
    assert "1 sender goes with it" in page
    page = await ada.post(f"{here}/remove")
    assert "+15550100001 is removed." in page
    assert await own_senders(runtime) == []
    assert (await ada.get(here)).status == 404


async def test_other_accounts_numbers(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """Nobody sees or changes the numbers and senders of another account."""
    await connect(ada)
    row = await only_number(runtime)
    await ada.get(f"/senders/numbers/{row.id}")
    await ada.post(f"/senders/numbers/{row.id}/names", {"sender_id": "Larkfield"})
    await people.create_account(runtime, name="Bolt", email="bob@bolt.example", password=PASSWORD)
    await other_browser.log_in("bob@bolt.example")
    await other_browser.get("/senders")
    for what in ("", "/setup", "/remove"):
        assert (await other_browser.get(f"/senders/numbers/{row.id}{what}")).status == 404
    for what in ("pause", "resume", "remove", "ask", "subscribe", "code", "verify", "register", "names", "setup/name"):
        page = await other_browser.post(f"/senders/numbers/{row.id}/{what}", {"sender_id": "Stolen", "pin": "123456"})
        assert page.status == 404, what
    assert (await other_browser.post("/senders/names/Larkfield/remove")).status == 404
    kept = await only_number(runtime)
    assert (kept.hold_code, [sender.name for sender in await own_senders(runtime)]) == (None, ["Larkfield"])


async def test_the_first_callback_shows_by_itself(tmp_path: Path) -> None:
    """In a browser: a number is registered, subscribed by API, and its first callback appears on the open page."""
    async with open_house(tmp_path) as house, open_chromium(house.url) as context:
        await house.open_account("Demo", "Demo")
        page = await context.new_page()
        wrong = watch_page(page, house.url)
        await page.goto("/senders")
        await page.get_by_label("E-mail").fill("demo@example.org")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("link", name="Register a number").click()
        await page.get_by_label("Phone number id").fill("100000000000002")
        await page.get_by_label("WhatsApp Business Account id").fill(GOOD["business_account_id"])
        await page.get_by_label("Access token").fill(GOOD["token"])
        await page.get_by_label("App secret").fill(GOOD["app_secret"])
        await page.get_by_label("Carrier").select_option(house.carrier.url)
        await page.get_by_role("button", name="Try them").click()
        await page.get_by_text("Waiting for Meta's first call.").wait_for()
        await page.get_by_role("button", name="Subscribe by API").click()
        await page.get_by_text("Meta has verified the address", exact=False).last.wait_for()
        await house.carrier.post("/__emulator/say", {"text": "Hello", "from": "31612345678", "to": "15550100002"})
        await page.get_by_text("Callbacks arrive.").wait_for()
        assert not wrong


async def test_a_sandbox_number_sends_at_once(tmp_path: Path) -> None:
    """Where an emulated carrier runs, a fresh account has a number with one press, and its first message is delivered."""
    async with (
        open_house(tmp_path, sandbox_url="{carrier}") as house,
        open_runtime(house.settings) as runtime,
        new_browser(house.url) as browser,
    ):
        account, _ = await people.create_account(runtime, name="Lark", email="ada@lark.example", password=PASSWORD)
        await browser.log_in("ada@lark.example")
        assert "Try a sandbox number" in await browser.get("/senders")
        page = await browser.post("/senders/sandbox")
        assert "Your sandbox number is ready." in page
        assert "Try a sandbox number" not in await browser.get("/senders")
        await browser.post("/senders/sandbox")
        rows = await senders.list_connections(runtime, account.id)
        assert [row.display_number for row in rows] == [f"15551{account.id:06}"], "pressing twice makes one"
        token = await tokens.create_token(runtime, account.id, "test")
        async with Client(house, Tenant(account.id, token.text, "", "")) as client:
            sent = await client.send(sender_id="Sandbox")
            await client.until(sent["uid"], "Delivered")
