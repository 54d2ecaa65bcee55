"""What all pages share: lists by cursor, live rows, languages, the account's zone, errors."""

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from litestar import get
from litestar.response import Stream
from msgspec import structs
from tests.portal.conftest import PASSWORD, Browser, new_browser, served

from heliograph.accounts import people
from heliograph.portal import app, languages, live
from heliograph.portal.access import Rule
from heliograph.portal.languages import Languages
from heliograph.portal.live import Happening, news, swap, watch
from heliograph.portal.paging import Cursor, cut_page, read_cursor
from heliograph.portal.rendering import Pages
from heliograph.portal.streams import Streams
from heliograph.portal.visit import Form, OnVisit
from heliograph.portal.whatsapp_text import render_whatsapp_text
from heliograph.runtime import Runtime


def pages_of(rows: list[int], limit: int) -> list[list[int]]:
    """Walk a list of numbers, newest first, from the top to the end and back."""
    found, cursor = [], Cursor()
    for _ in range(100):
        if cursor.after:
            near = sorted(n for n in rows if n > int(cursor.after))[: limit + 1]
        else:
            near = sorted((n for n in rows if not cursor.before or n < int(cursor.before)), reverse=True)[: limit + 1]
        page = cut_page(near, cursor, str, limit)
        found.append(page.rows)
        going_up = bool(cursor.after) or not page.older
        if going_up and not page.newer:
            return found
        cursor = Cursor(after=page.newer) if going_up else Cursor(before=page.older)
    raise AssertionError("the walk does not end")


def test_pages_by_cursor() -> None:
    """Every row is on one page on the way down, and the way up shows the same pages."""
    assert pages_of([1, 2, 3, 4, 5], 2) == [[5, 4], [3, 2], [1], [3, 2], [5, 4]]
    assert pages_of([1, 2, 3, 4], 2) == [[4, 3], [2, 1], [4, 3]]
    assert pages_of([], 2) == [[]]
    assert read_cursor(Form(before="7", after="9")) == Cursor(after="9")


def test_happenings_keep_their_lines() -> None:
    """HTML of several lines arrives as one event (HTML Standard §9.2.6)."""
    assert swap("<p>\n</p>").encode() == b"event: swap\ndata: <p>\ndata: </p>\n\n"
    assert news("").encode() == b"event: news\ndata: \n\n"
    assert Happening("x", "a\r\nb").encode() == b"event: x\ndata: a\ndata: b\n\n"


async def test_streams_are_woken_and_ended(runtime: Runtime) -> None:
    """An announcement of its topic wakes a stream, another one does not; stopping wakes every stream."""
    streams = Streams()
    streams.start(runtime.database)
    with streams.opened(["accounts"]) as bell:
        woken = asyncio.create_task(bell.wait(60))
        runtime.database.announce("tokens")
        runtime.database.announce("accounts")
        await asyncio.wait_for(woken, 10)
        woken = asyncio.create_task(bell.wait(60))
        streams.stop()
        await asyncio.wait_for(woken, 10)
        assert streams.closing


CATALOGUE = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"

msgid "Log in"
msgstr "Se connecter"

msgid "%(num)d revoked token"
msgid_plural "%(num)d revoked tokens"
msgstr[0] "%(num)d jeton révoqué"
msgstr[1] "%(num)d jetons révoqués"
"""


def test_catalogues(tmp_path: Path) -> None:
    """A .po file in the folder is a language; what it lacks stays English; plurals follow its own rule."""
    (tmp_path / "fr.po").write_text(CATALOGUE)
    known = Languages(tmp_path)
    french = known.translations("fr")
    assert french.gettext("Log in") == "Se connecter"
    assert french.gettext("Account") == "Account"
    assert french.ngettext("%(num)d revoked token", "%(num)d revoked tokens", 0) == "%(num)d jeton révoqué"
    assert known.choose("", "nl, fr-CA;q=0.8, en;q=0.1") == "fr"
    assert known.choose("en", "fr") == "en"
    assert known.choose("xx", "de, fr;q=0") == "en"
    assert known.choose("", "fr;q=much") == "en"


def test_a_page_in_another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates speak the language, and a value in a translated sentence is escaped."""
    (tmp_path / "fr.po").write_text(CATALOGUE)
    monkeypatch.setattr(languages.Languages.__init__, "__defaults__", (tmp_path,))
    pages = Pages()
    template = pages._environments["fr"].from_string('{{ _("Log in") }} {{ "<b>"|translate }} {{ 1234.5|number }}')
    assert template.render() == "Se connecter &lt;b&gt; 1\u202f234,5"


async def test_times_are_of_the_accounts_zone(ada: Browser, runtime: Runtime) -> None:
    """A clock time on a page is the account's, and says its zone."""
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    page = await ada.get("/account")
    fields = {"person": "Ada <i>", "name": "Larkfield", "time_zone": "Asia/Tokyo", "default_country": "JP"}
    page = await ada.post("/account/profile", {**fields, "default_sender": ""})
    assert "Your profile is saved." in page
    assert "Ada &lt;i&gt;" in page
    assert "Asia/Tokyo" in re.findall(r'<time [^>]*title="([^"]*)"', page.text)[0]
    changed = await people.find_account(runtime, account.id)
    assert (changed.name, changed.time_zone, changed.default_country) == ("Larkfield", "Asia/Tokyo", "JP")
    for field, value in (("time_zone", "Mars"), ("default_sender", "Stolen"), ("name", ""), ("person", "x" * 101)):
        page = await ada.post("/account/profile", {**fields, "default_sender": "", field: value})
        assert page.status == 422, field
        assert f'id="{field}-error"' in page
        assert 'value="Ada &lt;i&gt;"' in page or field == "person"
    assert await people.find_account(runtime, account.id) == changed


async def test_errors_are_pages(ada: Browser) -> None:
    """What does not exist, what cannot be read and what is too large is answered by a page with a way out."""
    page = await ada.get("/nothing/here")
    assert page.status == 404
    assert "Go to the overview" in page
    assert (await ada.post("/developers/tokens", {"name": "x" * 5_000_000})).status == 413
    assert (await ada.get("/developers/tokens/abc/revoke")).status == 404
    async with aiohttp.ClientSession() as plain:
        answer = await plain.request("BREW", ada.base + "/login")
        assert answer.status in {404, 405}


def test_whatsapp_marks() -> None:
    """Marks count where they hug their text at a word's edge; everything else is text, and HTML stays text."""
    shown = render_whatsapp_text("*bold* _it_ ~no~ ```a*b*``` 2*3*4 <b>\nnext")
    assert shown == ("<p><b>bold</b> <i>it</i> <s>no</s> <code>a*b*</code> 2*3*4 &lt;b&gt;<br>next</p>")


async def test_log_in_over_https(runtime: Runtime, monkeypatch: Any) -> None:
    """Behind https the session's cookie is bound to the host and to https, and browsers are told to stay there."""
    await people.create_account(runtime, name="Lark", email="ada@lark.example", password=PASSWORD)
    safe = structs.replace(runtime, settings=structs.replace(runtime.settings, public_url="https://lark.example"))
    room = app.Portal(safe)
    await room.start()
    async with served(room) as base, new_browser(base) as browser:
        page = await browser.get("/login")
        assert page.headers["strict-transport-security"].startswith("max-age=31536000")
        guest = page.headers["set-cookie"].split(";")[0]
        page = await browser.post(
            "/login",
            {"email": "ada@lark.example", "password": PASSWORD},
            headers={"Cookie": guest},
            allow_redirects=False,
        )
        assert page.status == 303
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-heliograph=")
        assert {"Secure", "HttpOnly", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "samesite=lax" in cookie.lower()
        assert "domain" not in cookie.lower()
        room.hang_up()
    await room.stop()


async def test_every_place_is_whole() -> None:
    """Each place of the navigation has a drawing, a key of its own and a page at its path."""
    from heliograph.portal.app import all_routes
    from heliograph.portal.places import PLACES

    shown = [place for place in PLACES if place.path]
    assert len({place.key for place in shown}) == len(shown)
    drawings = (Path(languages.__file__).parent / "layout" / "marks.html").read_text()
    paths = {route.path for route in all_routes() if route.method == "GET"}
    for place in shown:
        assert f'"{place.name}": \'<' in drawings
        assert place.path in paths


async def read_until(stream: aiohttp.StreamReader, wanted: bytes) -> bytes:
    got = b""
    async with asyncio.timeout(10):
        while wanted not in got:
            line = await stream.readline()
            assert line, got
            got += line
    return got


async def test_live_rows(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is told what changed at once when the store announces it; the stream ends with its session and with the server."""
    found: list[Happening] = [swap("<p id=one>1</p>")]

    @get("/try-live", opt={"rule": Rule.VIEWER})
    async def try_live(visit: OnVisit) -> Stream:
        async def look() -> list[Happening]:
            seen = list(found)
            found.clear()
            return seen

        return watch(visit, look, topics=["accounts"], every_s=30)

    handlers = [*app.all_handlers(), try_live]
    monkeypatch.setattr(app, "all_handlers", lambda: handlers)
    monkeypatch.setattr(live, "PROVE_EVERY_S", 0)
    await people.create_account(runtime, name="Lark", email="ada@lark.example", password=PASSWORD)
    room = app.Portal(runtime)
    await room.start()
    async with served(room) as base, new_browser(base) as ada:
        assert (await ada.get("/try-live")).path.startswith("/login")
        await ada.log_in("ada@lark.example")
        async with ada.session.get(base + "/try-live") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            await read_until(answer.content, b"data: <p id=one>1</p>\n\n")
            found.append(news("Two"))
            runtime.database.announce("accounts")
            await read_until(answer.content, b"event: news\ndata: Two\n\n")
            await ada.post("/logout")
            runtime.database.announce("accounts")
            await read_until(answer.content, b"event: ended")
        await ada.log_in("ada@lark.example")
        async with ada.session.get(base + "/try-live") as answer:
            await read_until(answer.content, b"retry:")
            room.hang_up()
            async with asyncio.timeout(10):
                await answer.content.read()
    await room.stop()


async def test_a_slow_body(runtime: Runtime) -> None:
    """Who never ends a form is not waited for."""
    hasty = structs.replace(runtime, settings=structs.replace(runtime.settings, body_timeout_s=0.2))
    room = app.Portal(hasty)
    async with served(room) as base:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
        writer.write(
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na="
        )
        async with asyncio.timeout(10):
            assert await reader.read(), "an answer, or the end"
        writer.close()
    await room.stop()
