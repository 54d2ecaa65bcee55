"""The second factor: turned on with an app, asked for at the log-in, replaced by a recovery code when the phone is lost."""

import html
import re

import pyotp
from tests.portal.conftest import PASSWORD, Browser

from heliograph.accounts import people, second_factor
from heliograph.accounts.sessions import MOST_OF_PAIR
from heliograph.core.ids import now_ms
from heliograph.runtime import Runtime
from heliograph.store.accounts import user_by_email

ADA = "ada@larkfield.example"


def code_of(secret: str, steps_later: int = 0) -> str:
    return pyotp.HOTP(secret).at(now_ms() // 30_000 + steps_later)


async def turn_on(browser: Browser) -> tuple[str, list[str]]:
    """The secret and the recovery codes. The code of the step before this is used, so that later ones remain."""
    page = await browser.get("/account/second-factor")
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    signed = re.search(r'name="signed" value="([^"]+)"', page.text)
    assert found and signed
    secret = found[1].replace(" ", "")
    fields = {"signed": html.unescape(signed[1])}
    assert (await browser.post("/account/second-factor", {**fields, "code": "000000"})).status == 422
    page = await browser.post("/account/second-factor", {**fields, "code": code_of(secret, -1)})
    codes = re.findall(r"<li>([a-z0-9]{5}-[a-z0-9]{5})</li>", page.text)
    assert len(codes) == second_factor.RECOVERY_CODES
    return secret, codes


async def halfway(browser: Browser, password: str = PASSWORD) -> dict[str, str]:
    page = await browser.log_in(ADA, password)
    found = re.search(r'name="halfway" value="([^"]+)"', page.text)
    assert found, "the code is asked for"
    return {"halfway": found[1], "next": "/account"}


async def test_log_in_with_the_app(ada: Browser, other_browser: Browser) -> None:
    """The password alone does not open the account; a code does, once."""
    secret, _ = await turn_on(ada)
    fields = await halfway(other_browser)
    assert (await other_browser.get("/account")).path.startswith("/login")
    fields = await halfway(other_browser)
    code = code_of(secret)
    page = await other_browser.post("/login/code", {**fields, "code": f"{code[:3]} {code[3:]}"})
    assert page.path == "/account"
    await other_browser.post("/logout")
    fields = await halfway(other_browser)
    page = await other_browser.post("/login/code", {**fields, "code": code})
    assert page.status == 401
    assert "was used already" in page


async def test_recovery_codes(ada: Browser, other_browser: Browser) -> None:
    """A recovery code opens the account once, however it is written."""
    _, codes = await turn_on(ada)
    fields = await halfway(other_browser)
    page = await other_browser.post("/login/code", {**fields, "code": codes[0].upper().replace("-", " ")})
    assert page.path == "/account"
    assert "9 recovery codes are left" in page
    await other_browser.post("/logout")
    fields = await halfway(other_browser)
    assert (await other_browser.post("/login/code", {**fields, "code": codes[0]})).status == 401


async def test_guessing_codes_is_slowed(ada: Browser, other_browser: Browser) -> None:
    """After five wrong codes even the right one waits."""
    secret, _ = await turn_on(ada)
    fields = await halfway(other_browser)
    for _ in range(MOST_OF_PAIR):
        assert (await other_browser.post("/login/code", {**fields, "code": "000000"})).status == 401
    assert (await other_browser.post("/login/code", {**fields, "code": code_of(secret)})).status == 429


async def test_the_first_step_cannot_be_skipped(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """Without a right password there is nothing to give a code to."""
    secret, _ = await turn_on(ada)
    await other_browser.get("/login")
    for forged in ("", "e30=", "A" * 80):
        page = await other_browser.post("/login/code", {"halfway": forged, "code": code_of(secret)})
        assert page.path == "/login"
    assert "That took too long" in page


async def test_turn_it_off(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """Turning it off takes the password; then the password alone opens the account."""
    await turn_on(ada)
    await ada.get("/account")
    page = await ada.post("/account/second-factor/off", {"present_password": "not mine at all"})
    assert "Nothing was changed" in page
    page = await ada.post("/account/second-factor/off", {"present_password": PASSWORD})
    assert "The second factor is off." in page
    assert (await other_browser.log_in(ADA)).path == "/"


async def test_the_secret_is_sealed(ada: Browser, runtime: Runtime) -> None:
    """The database holds neither the secret nor a recovery code in clear, and a secret of another person is refused."""
    secret, codes = await turn_on(ada)
    user = await runtime.database.read(lambda tx: user_by_email(tx, ADA))
    assert user is not None and user.sealed_totp is not None
    assert secret.encode() not in user.sealed_totp
    kept = runtime.settings.sqlite_path.read_bytes()
    assert not any(code.encode() in kept for code in codes)
    await people.create_account(runtime, name="Eve", email="eve@other.example", password=PASSWORD)
    page = await ada.get("/account/second-factor")
    signed = re.search(r'name="signed" value="([^"]+)"', page.text)
    assert signed
    await ada.post("/logout")
    await ada.log_in("eve@other.example")
    fields = {"signed": signed[1], "code": code_of(secret)}
    assert (await ada.post("/account/second-factor", fields)).status == 400
