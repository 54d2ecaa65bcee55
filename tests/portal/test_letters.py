"""What people do through letters: confirm an address, choose a new password, join an account."""

import re
from typing import Any

import pytest
from msgspec import structs
from tests.kit.mail_server import open_mail_server
from tests.kit.waiting import eventually
from tests.portal.conftest import PASSWORD, Browser, new_browser, served
from tests.portal.test_getting_in import FORM

from heliograph.accounts import letters, people
from heliograph.config import Settings, SettingsError
from heliograph.portal.app import Portal
from heliograph.runtime import Runtime

NEW_PASSWORD = "another long password"


async def link_in(runtime: Runtime, kind: str) -> str:
    """The path of the link in the newest letter."""
    newest = (await letters.kept_letters(runtime))[0]
    found = re.search(rf"http://[^/\s]+(/{kind}/\S+)", newest.text)
    assert found, newest.text
    return found[1]


async def test_confirm_an_address(browser: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """A new account gets a letter; following its link confirms the address, once, in any browser."""
    await browser.get("/signup")
    await browser.post("/signup", FORM)
    assert "Confirm that ada@larkfield.example is yours" in await browser.get("/account")
    path = await link_in(runtime, "confirm")
    await other_browser.get(path)
    assert "Confirm that" in await browser.get("/account"), "looking at the link is not enough"
    page = await other_browser.post(path)
    assert "Your e-mail address is confirmed." in page
    assert "Confirm that" not in await browser.get("/account")
    assert (await other_browser.get(path)).status == 404


async def test_send_the_letter_again(ada: Browser, runtime: Runtime) -> None:
    """A new letter makes the link of the old one useless; nobody is flooded with letters."""
    await ada.post("/confirm")
    old = await link_in(runtime, "confirm")
    await ada.post("/confirm")
    assert (await ada.get(old)).status == 404
    assert (await ada.get(await link_in(runtime, "confirm"))).status == 200
    pages = [await ada.post("/confirm") for _ in range(4)]
    assert pages[-1].status == 429


async def test_forgotten_password(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """The link sets a new password and ends every session; a weak password is refused and the link still works."""
    await other_browser.get("/forgot")
    page = await other_browser.post("/forgot", {"email": "ADA@larkfield.example"})
    assert page.path == "/login"
    assert "If this address has an account" in page
    path = await link_in(runtime, "reset")
    await other_browser.get(path)
    assert (await other_browser.post(path, {"password": "short"})).status == 422
    page = await other_browser.post(path, {"password": NEW_PASSWORD})
    assert "Your new password is set" in page
    assert (await ada.get("/account")).path.startswith("/login")
    assert (await ada.log_in("ada@larkfield.example")).status == 401
    assert (await ada.log_in("ada@larkfield.example", NEW_PASSWORD)).status == 200
    assert (await other_browser.get(path)).status == 404


async def test_forgotten_by_nobody(browser: Browser, runtime: Runtime) -> None:
    """An address without an account gets the same answer and no letter."""
    await browser.get("/forgot")
    assert "If this address has an account" in await browser.post("/forgot", {"email": "eve@nowhere.example"})
    assert await letters.kept_letters(runtime) == []


async def test_invite(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """An invited person joins with the role that the owner chose, and can do no more than that."""
    await ada.get("/account/members")
    page = await ada.post("/account/invitations", {"email": "bob@larkfield.example", "role": "viewer"})
    assert "The invitation to bob@larkfield.example is on its way." in page
    path = await link_in(runtime, "invitation")
    assert "Larkfield Cycles invites you as viewer" in await other_browser.get(path)
    page = await other_browser.post(path, {"person": "Bob", "password": "short"})
    assert page.status == 422
    assert 'value="Bob"' in page
    page = await other_browser.post(path, {"person": "Bob", "password": PASSWORD})
    assert (page.status, page.path) == (200, "/")
    assert (await other_browser.post("/developers/tokens", {"name": "Mine"})).status == 403
    assert (await other_browser.get("/account/members")).status == 200
    assert "Bob" in await ada.get("/account/members")
    assert (await ada.post("/account/invitations", {"email": "bob@larkfield.example", "role": "owner"})).status == 409
    assert (await ada.post("/account/invitations", {"email": "nonsense", "role": "owner"})).status == 422
    assert (await ada.post("/account/invitations", {"email": "cat@x.example", "role": "king"})).status == 422


async def test_withdraw_an_invitation(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """A withdrawn invitation opens nothing."""
    await ada.get("/account/members")
    await ada.post("/account/invitations", {"email": "bob@larkfield.example", "role": "member"})
    path = await link_in(runtime, "invitation")
    page = await ada.post("/account/invitations/withdraw", {"email": "bob@larkfield.example"})
    assert "is withdrawn" in page
    assert (await other_browser.get(path)).status == 404


async def test_members_change_and_leave(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """A role counts from the next request on and can be undone; who is removed is out; an owner always remains."""
    await ada.get("/account/members")
    await ada.post("/account/invitations", {"email": "bob@larkfield.example", "role": "owner"})
    path = await link_in(runtime, "invitation")
    await other_browser.get(path)
    await other_browser.post(path, {"person": "Bob", "password": PASSWORD})
    page = await ada.get("/account/members")
    ids = re.findall(r'action="/account/members/(\d+)/role"', page.text)
    assert len(ids) == 2
    page = await ada.post(f"/account/members/{ids[1]}/role", {"role": "viewer"})
    assert "Bob is viewer now." in page
    assert 'name="role" value="owner"' in page, "undo gives the old role back"
    assert (await other_browser.get(f"/account/members/{ids[0]}/remove")).status == 403
    page = await ada.post(f"/account/members/{ids[0]}/role", {"role": "member"})
    assert page.status == 409
    assert "at least one owner" in page
    await ada.get("/account/members")
    assert "cannot log in any more" in await ada.get(f"/account/members/{ids[1]}/remove")
    assert "Bob is no longer a member." in await ada.post(f"/account/members/{ids[1]}/remove")
    assert (await other_browser.get("/account")).path.startswith("/login")
    await ada.get("/account/members")
    assert (await ada.post(f"/account/members/{ids[0]}/remove")).status == 409


async def test_members_of_others(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """An owner of another account can neither change nor remove a member of this one."""
    await people.create_account(runtime, name="Other", email="eve@other.example", password=PASSWORD)
    ids = re.findall(r'action="/account/members/(\d+)/role"', (await ada.get("/account/members")).text)
    await other_browser.log_in("eve@other.example")
    assert (await other_browser.post(f"/account/members/{ids[0]}/role", {"role": "viewer"})).status == 404
    assert (await other_browser.post(f"/account/members/{ids[0]}/remove")).status == 404


async def test_outbox(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """Letters that nobody could send are seen by the operator alone; in a trial by everybody."""
    await ada.post("/confirm")
    assert "Confirm your e-mail address" in await ada.get("/outbox"), "the first person is the operator"
    assert (await other_browser.get("/outbox")).status == 404
    trial = structs.replace(runtime, settings=structs.replace(runtime.settings, open_outbox=True))
    room = Portal(trial)
    async with served(room) as base, new_browser(base) as stranger:
        assert "Confirm your e-mail address" in await stranger.get("/outbox")
    await room.stop()


async def test_letters_by_smtp(runtime: Runtime) -> None:
    """With a mail server a letter goes out through it, also after a refusal, and none is kept."""
    async with open_mail_server() as server:
        given: dict[str, Any] = {"smtp_url": server.url, "public_url": "http://lark.example"}
        mailing = structs.replace(runtime, settings=structs.replace(runtime.settings, **given))
        room = Portal(mailing)
        async with served(room) as base, new_browser(base) as browser:
            await people.create_account(runtime, name="Lark", email="ada@lark.example", password=PASSWORD)
            await browser.get("/forgot")
            await browser.post("/forgot", {"email": "ada@lark.example"})

            async def arrived() -> bool:
                return bool(server.letters)

            await eventually(arrived)
        await room.stop()
    (letter,) = server.letters
    assert letter["To"] == "ada@lark.example"
    assert letter["Subject"] == "Choose a new password"
    assert "http://lark.example/reset/" in letter.get_content()
    assert await letters.kept_letters(runtime) == []


async def test_a_busy_mail_server(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter that was refused is tried again."""
    monkeypatch.setattr(letters, "WAITS_S", (0.01, 0.01, 0.01))
    async with open_mail_server() as server:
        server.refusals = 2
        given: dict[str, Any] = {"smtp_url": server.url, "public_url": "http://lark.example"}
        postman = letters.Postman(structs.replace(runtime, settings=structs.replace(runtime.settings, **given)))
        await postman.post(letters.Letter("ada@lark.example", "Hello", "Text"))
        await postman.stop(10)
    assert len(server.letters) == 1


def test_links_do_not_follow_the_caller(tmp_path: Any) -> None:
    """A mail server without a public address is refused: a stranger's Host header must not get into a letter."""
    with pytest.raises(SettingsError, match="public_url"):
        Settings(home=str(tmp_path), smtp_url="smtp://localhost")
    with pytest.raises(SettingsError, match="smtps"):
        Settings(home=str(tmp_path), smtp_url="http://localhost", public_url="http://lark.example")
