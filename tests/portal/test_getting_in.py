"""Opening an account, logging in and out, and what keeps strangers out."""

import re
from pathlib import Path

import aiohttp
import pytest
from msgspec import structs
from tests.portal.conftest import PASSWORD, Browser, new_browser, served

from heliograph.accounts import people
from heliograph.accounts.sessions import MOST_OF_PAIR
from heliograph.portal import languages
from heliograph.portal.app import Portal
from heliograph.runtime import Runtime

FORM = {
    "name": "Larkfield Cycles",
    "email": "ada@larkfield.example",
    "password": PASSWORD,
    "default_country": "GB",
    "time_zone": "Europe/London",
}


async def test_open_an_account(browser: Browser, runtime: Runtime) -> None:
    """Who fills in the form has an account with that zone and country, and is logged in."""
    page = await browser.get("/signup", headers={"Accept-Language": "nl-NL,nl"})
    assert '<option value="NL" selected>' in page
    page = await browser.post("/signup", FORM)
    assert (page.status, page.path) == (200, "/")
    assert "Your account is open" in page
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    assert (account.name, account.default_country, account.time_zone) == ("Larkfield Cycles", "GB", "Europe/London")
    assert "Your account is open" not in await browser.get("/"), "a sentence is said once"


async def test_a_carrier_for_trials_in_trouble_keeps_nobody_out(runtime: Runtime) -> None:
    """Where the carrier for trials does not answer, the account is open all the same, and the page says what is missing."""
    trial = structs.replace(runtime, settings=structs.replace(runtime.settings, sandbox_url="http://127.0.0.1:9"))
    room = Portal(trial)
    await room.start()
    try:
        async with served(room) as base, new_browser(base) as browser:
            await browser.get("/signup")
            page = await browser.post("/signup", FORM)
            assert (page.status, page.path) == (200, "/")
            assert "Your account is open. The carrier for trials does not answer" in page
            assert "Try a sandbox number" in await browser.get("/senders")
    finally:
        await room.stop()


async def test_errors_keep_what_was_typed(browser: Browser) -> None:
    """Each field at fault says so beside itself; nothing typed is lost, except the password."""
    await browser.get("/signup")
    page = await browser.post("/signup", {**FORM, "password": "short"})
    assert page.status == 422
    assert 'id="password-error"' in page
    assert 'value="Larkfield Cycles"' in page
    assert '<option value="Europe/London" selected>' in page
    assert "short" not in re.sub(r"<style.*?</style>", "", page.text)
    page = await browser.post("/signup", {**FORM, "time_zone": "Mars/Olympus"})
    assert page.status == 422
    assert 'id="time_zone-error"' in page


async def test_one_account_per_address(browser: Browser, other_browser: Browser) -> None:
    """An address that is in use is refused, however it is spelled."""
    await browser.get("/signup")
    await browser.post("/signup", FORM)
    await other_browser.get("/signup")
    page = await other_browser.post("/signup", {**FORM, "email": "ADA@larkfield.example"})
    assert page.status == 409
    assert 'id="email-error"' in page


async def test_log_in_and_out(ada: Browser) -> None:
    """After the log-out the session's cookie opens nothing, not even when it is presented again."""
    cookies = {cookie.key: cookie.value for cookie in ada.session.cookie_jar}
    assert "Larkfield Cycles" in await ada.get("/")
    page = await ada.post("/logout")
    assert page.path == "/login"
    async with aiohttp.ClientSession(cookies=cookies) as thief:
        answer = await thief.get(ada.base + "/", allow_redirects=False)
        assert (answer.status, answer.headers["location"]) == (303, "/login")


async def test_leads_back_to_the_page_asked_for(ada: Browser) -> None:
    """Who asks for a page without being logged in comes to it after the log-in; never to another site."""
    await ada.post("/logout")
    page = await ada.get("/developers?tab=1")
    assert page.path.startswith("/login?next=")
    assert 'name="next" value="/developers?tab=1"' in page
    page = await ada.post(
        "/login", {"email": "ada@larkfield.example", "password": PASSWORD, "next": "/developers?tab=1"}
    )
    assert page.path == "/developers?tab=1"
    for outside in ("//evil.example", "https://evil.example", "/\\evil.example"):
        page = await ada.get("/login")
        await ada.post("/logout")
        await ada.get("/login")
        page = await ada.post(
            "/login", {"email": "ada@larkfield.example", "password": PASSWORD, "next": outside}, allow_redirects=False
        )
        assert page.headers["location"] == "/"
        await ada.get("/")


async def test_guessing_passwords_is_slowed(ada: Browser, other_browser: Browser) -> None:
    """After five wrong passwords even the right one waits, from that address; other people are not hindered."""
    await other_browser.get("/login")
    for left in range(MOST_OF_PAIR - 1, -1, -1):
        page = await other_browser.post("/login", {"email": "ada@larkfield.example", "password": "not the one"})
        assert page.status == 401
        assert ("One try left" if left == 1 else f"{left} tries left" if left else "Wait ten minutes") in page
    page = await other_browser.post("/login", {"email": "ada@larkfield.example", "password": PASSWORD})
    assert page.status == 429
    assert "Too many tries" in page
    assert (await ada.get("/")).status == 200, "who is logged in stays so"
    page = await other_browser.post("/login", {"email": "ben@larkfield.example", "password": "x"})
    assert page.status == 401


async def test_unknown_and_known_addresses_are_told_apart_by_nothing(ada: Browser, other_browser: Browser) -> None:
    """A wrong password and an unknown address get the same answer."""

    async def answer(email: str) -> str:
        await other_browser.get("/login")
        page = await other_browser.post("/login", {"email": email, "password": "not the one"})
        return re.sub(r'value="[^"]*"', "", page.text)

    assert await answer("ada@larkfield.example") == await answer("nobody@larkfield.example")


async def test_suspended_account(ada: Browser, runtime: Runtime) -> None:
    """Nobody of a suspended account gets in, and who was in is out."""
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    await people.suspend_account(runtime, account.id, suspended=True)
    assert (await ada.get("/")).path == "/login"
    page = await ada.log_in("ada@larkfield.example")
    assert page.status == 403
    assert "suspended" in page


async def test_sessions_are_listed_and_ended(ada: Browser, other_browser: Browser) -> None:
    """Each browser shows up; ending one logs that browser out, and only that one."""
    await other_browser.log_in("ada@larkfield.example")
    page = await ada.get("/account")
    ends = re.findall(r'action="(/account/sessions/[0-9a-f]{32}/end)"', page.text)
    assert len(ends) == 1, "the own session has no such button"
    page = await ada.post(ends[0])
    assert "The session is ended." in page
    assert (await other_browser.get("/account")).path.startswith("/login")
    assert (await ada.get("/account")).path == "/account"
    assert (await ada.post(ends[0])).status == 404


async def test_somebody_elses_session_cannot_be_ended(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """The id of another person's session is no key to it."""
    await people.create_account(runtime, name="Other", email="eve@other.example", password=PASSWORD)
    await other_browser.log_in("eve@other.example")
    await ada.session.get(ada.base + "/account")
    from tests.portal.conftest import cookie_of

    await cookie_of(runtime, "ada@larkfield.example")
    target = re.findall(r'action="(/account/sessions/[0-9a-f]{32}/end)"', (await ada.get("/account")).text)[0]
    await other_browser.get("/account")
    assert (await other_browser.post(target)).status == 404
    assert target in await ada.get("/account")


async def test_password_change_ends_other_sessions(ada: Browser, other_browser: Browser) -> None:
    """The old password is asked for; then it opens nothing any more, and other browsers are out."""
    await other_browser.log_in("ada@larkfield.example")
    await ada.get("/account")
    page = await ada.post("/account/password", {"old_password": "wrong one here", "password": "a new long password"})
    assert page.status == 422
    assert 'id="old_password-error"' in page
    page = await ada.post("/account/password", {"old_password": PASSWORD, "password": "a new long password"})
    assert "Your password is changed" in page
    assert (await other_browser.get("/account")).path.startswith("/login")
    assert (await other_browser.log_in("ada@larkfield.example")).status == 401
    assert (await other_browser.log_in("ada@larkfield.example", "a new long password")).status == 200


async def test_language_and_colours(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a browser chooses holds on every page, before the log-in too, until it leaves the choice to the system again."""
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (tmp_path / "he.po").write_text(f'{header}msgid "Log in"\nmsgstr "כניסה"\n')
    monkeypatch.setattr(languages.Languages.__init__, "__defaults__", (tmp_path,))
    await people.create_account(runtime, name="Lark", email="ada@larkfield.example", password=PASSWORD)
    room = Portal(runtime)
    await room.start()
    try:
        async with served(room) as base, new_browser(base) as one:
            page = await one.get("/login")
            assert '<html lang="en" dir="ltr">' in page
            before = {"Referer": f"{base}/login"}
            page = await one.post("/appearance", {"theme": "dark", "language": "he"}, headers=before)
            assert page.path == "/login"
            assert '<html lang="he" dir="rtl" data-theme="dark">' in page
            assert "כניסה" in page
            await one.log_in("ada@larkfield.example")
            page = await one.get("/account")
            assert '<html lang="he" dir="rtl" data-theme="dark">' in page
            assert '<option value="he" selected>' in page
            assert '<option value="dark" selected>' in page
            page = await one.post("/appearance", {"theme": ""}, headers={"Referer": f"{base}/account"})
            assert (page.path, '<html lang="he" dir="rtl">' in page) == ("/account", True)
            page = await one.post("/appearance", {"language": ""}, headers={"Referer": "https://evil.example/"})
            assert (page.path, '<html lang="en" dir="ltr">' in page) == ("/", True)
            for wrong in ({"theme": "pink"}, {"language": "tlh"}):
                assert (await one.post("/appearance", wrong)).status == 422
    finally:
        await room.stop()


async def test_forms_need_their_token(ada: Browser, other_browser: Browser) -> None:
    """A form without the token of this very browser changes nothing."""
    await ada.get("/developers")
    good = ada.csrf
    await other_browser.get("/login")
    for token in ("", "nonsense", "A" * 88, other_browser.csrf):
        page = await ada.post("/developers/tokens", {"csrf": token, "name": "Stolen"})
        assert page.status == 403, token
    page = await ada.post(
        "/developers/tokens", {"csrf": good, "name": "Stolen"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert page.status == 403
    assert "Stolen" not in await ada.get("/developers")
    assert (await ada.post("/developers/tokens", {"csrf": good, "name": "Mine", "scopes": "read"})).status == 200


async def test_headers_of_every_answer(browser: Browser) -> None:
    """Pages, errors and files carry the headers that a strict check asks for, and cookies are out of scripts' reach."""
    for path in ("/login", "/nothing/here", "/static/0/look.css"):
        page = await browser.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["referrer-policy"] == "same-origin"
    async with aiohttp.ClientSession() as fresh:
        answer = await fresh.get(browser.base + "/login")
        assert answer.headers["cache-control"] == "no-store"
        for cookie in answer.headers.getall("set-cookie"):
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
        html = await answer.text()
    assert "<style" not in html
    assert not re.search(r"\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html), "nothing is inline"
    assert not re.findall(r"(?:src|href|action)=\"(?:https?:)?//", html), "nothing comes from elsewhere"


async def test_templates_have_nothing_inline() -> None:
    """No template has a style attribute, a style element, a handler or a script of its own, nor asks another server."""
    folder = Path(__file__).parents[2] / "src" / "heliograph" / "portal"
    templates = list(folder.rglob("*.html"))
    assert templates
    for path in templates:
        text = path.read_text()
        found = re.findall(r"\sstyle=|<style|\son[a-z]+=\"|<script(?![^>]*\ssrc=)|src=\"https?:", text)
        assert not found, f"{path}: {found}"


async def test_files_are_kept_by_browsers(browser: Browser) -> None:
    """A file's address names its content, so it may be kept for ever; pages may not be kept at all."""
    page = await browser.get("/login")
    found = re.search(r'href="(/static/[0-9a-f]{12}/look\.css)"', page.text)
    assert found
    sheet = await browser.get(found[1])
    assert sheet.headers["content-type"].startswith("text/css")
    assert "immutable" in sheet.headers["cache-control"]
    assert sheet.headers["content-encoding"] == "gzip"
    assert (await browser.get("/static/0/..%2Fapp.py")).status == 404
