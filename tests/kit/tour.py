"""A furnished account, and a walk through every page that a person can reach: for tests of all pages, and for pictures."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from msgspec import Struct
from playwright.async_api import BrowserContext, Page

from heliograph.accounts import mail_links, people, tokens
from heliograph.channels.contract import InboundMessage
from heliograph.config import read_settings
from heliograph.core.ids import new_id, now_ms, uid_of
from heliograph.core.statuses import State
from heliograph.portal.access import Rule
from heliograph.portal.app import Portal, Route, all_routes
from heliograph.portal.visit import SESSION_COOKIE
from heliograph.runtime import Runtime, open_runtime
from heliograph.status.applying import apply_event
from heliograph.store.connections import Sender, connections_of_account
from heliograph.store.conversations import Note, add_note
from heliograph.store.migrate import migrate
from heliograph.store.templates import Template, put_template
from tests.kit.browser import open_chromium
from tests.kit.house import EMULATOR_APP_SECRET, EMULATOR_TOKEN
from tests.portal.conftest import cookie_of, served
from tests.portal.makers import make_messages, make_sender, open_window

OWNER, PASSWORD = "ada@larkfield.example", "correct horse battery"
PRIYA, TOMAS, LAILA = "31612345671", "4915112345672", "971501234563"
HOUR_MS = 3_600_000
NO_CARRIER = "http://127.0.0.1:9"  # refuses every call at once

# What people are sent and what they write: short, long, marked up, from right to left, and without a place to break.
SENT: tuple[tuple[State, str, str], ...] = (
    (State.READ, PRIYA, "Your bicycle is ready. We are open until *18:00* today."),
    (State.DELIVERED, TOMAS, "Ihre Rechnung liegt bereit: https://larkfield.example/invoices/2026/" + "4711-" * 30),
    (State.SENT, LAILA, "طلبك جاهز للاستلام اليوم حتى الساعة السادسة مساءً"),
    (State.FAILED, "31612345674", "We could not reach you by phone. May we call tomorrow?"),
    (State.EXPIRED, "31612345675", "Your code is 220 471. It is valid for ten minutes."),
    (State.UNKNOWN, "31612345676", "See you on Saturday 🚲"),
    (State.CANCELLED, "31612345677", "This one was sent by mistake."),
    (State.DELIVERED, "31612345678", "Your service is due in March. Reply _yes_ and we keep a place for you. " * 4),
)
WRITTEN: tuple[tuple[str, str, str], ...] = (
    (TOMAS, "Tomás Müller-Lüdenscheidt", "Can I pick it up on Saturday instead?"),
    (LAILA, "ليلى", "شكرا جزيلا"),
    (PRIYA, "Priya Shah", "Great, thank you!\nDo you also sell _lights_?"),
)


async def furnish(runtime: Runtime, carrier_url: str = NO_CARRIER) -> list[str]:
    """An account that has been at work: senders, tokens, messages in every state, people who answered.

    Returns the addresses in the letters that people were sent."""
    account, owner = await people.create_account(
        runtime,
        name="Larkfield Cycles",
        email=OWNER,
        password=PASSWORD,
        person="Ada Lark",
        time_zone="Europe/Amsterdam",
    )
    await people.set_operator(runtime, OWNER, is_operator=True)
    for name in ("Shop backend", "Ada’s laptop"):
        await tokens.create_token(runtime, account.id, name)
    sender = await make_sender(
        runtime, "Larkfield", base_url=carrier_url, token=EMULATOR_TOKEN, app_secret=EMULATOR_APP_SECRET
    )
    await make_messages(
        runtime,
        [
            {
                "state": state,
                "person": person,
                "text": text,
                "sender": sender.name,
                "connection_id": sender.connection_id,
                "created_at_ms": now_ms() - age * HOUR_MS,
                "due_at_ms": now_ms() - age * HOUR_MS,
            }
            for age, (state, person, text) in enumerate(SENT, 1)
        ],
    )
    await open_window(runtime, sender, PRIYA)
    for person, name, text in WRITTEN:
        await hear(runtime, sender, person, name, text)
    await runtime.database.write(lambda tx: put_template(tx, template_of(account.id)))
    note = Note(account.id, new_id(), PRIYA, owner.id, "She has had the *blue* one since 2019.", now_ms())
    await runtime.database.write(lambda tx: add_note(tx, note))
    return [
        f"/confirm/{await mail_links.make_link(runtime, 'confirm', account.id, OWNER)}",
        f"/reset/{await mail_links.make_link(runtime, 'reset', account.id, OWNER)}",
        f"/invitation/{await mail_links.invite(runtime, account.id, 'bo@larkfield.example', 'member')}",
    ]


def template_of(account_id: int) -> Template:
    return Template(
        account_id=account_id,
        business_account="200000000000002",
        name="order_ready",
        language="en_GB",
        carrier_id="4711",
        category="UTILITY",
        status="APPROVED",
        quality="GREEN",
        rejected_reason="NONE",
        parameter_format="POSITIONAL",
        components='[{"type": "BODY", "text": "Your order {{1}} is ready.", "example": {"body_text": [["4711"]]}}]',
        seen_at_ms=now_ms(),
    )


async def hear(runtime: Runtime, sender: Sender, person: str, name: str, text: str) -> None:
    """Somebody writes to the number of `sender`."""
    rows = await runtime.database.read(lambda tx: connections_of_account(tx, sender.account_id))
    said = InboundMessage(
        phone_number_id=rows[0].address,
        carrier_message_id=f"wamid.{uid_of(new_id())}",
        kind="text",
        text=text,
        received_at_ms=now_ms(),
        sender=person,
        profile_name=name,
    )
    await runtime.database.write(lambda tx: apply_event(tx, {rows[0].address: rows[0]}, said, now_ms()))


async def enter(context: BrowserContext, base: str, cookie: str) -> None:
    """Let a browser come as the person of that session; with "" it comes as nobody."""
    await context.clear_cookies()
    if cookie:
        await context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": base}])


# The walk


class Stop(Struct, frozen=True, order=True):
    """A page that was reached: its route, its address, and whether one is logged in there."""

    route: str
    address: str
    logged_in: bool

    @property
    def name(self) -> str:
        """As a name of a file: /messages/{uid:str} is messages-uid."""
        return re.sub(r"\W+", "-", re.sub(r":\w+", "", self.route)).strip("-") or "overview"


def needs_a_link(route: Route) -> bool:
    return "{" in route.path


def pattern_of(route: Route) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{\w+:\w+\}", "[^/]+", route.path) + "$")


async def walk(base: str, cookie: str, letters: Iterable[str]) -> list[Stop]:
    """Every page behind a GET route: those with a fixed path are asked for, the others are found by links of pages and letters."""
    routes = [route for route in all_routes() if route.method == "GET"]
    found: dict[str, Stop] = {}
    async with aiohttp.ClientSession() as guest, aiohttp.ClientSession(cookies={SESSION_COOKIE: cookie}) as person:

        async def stop_at(route: Route, address: str) -> Iterable[str]:
            logged_in = route.rule is not Rule.PUBLIC
            async with (person if logged_in else guest).get(base + address, allow_redirects=False) as answer:
                if answer.status != 200 or answer.content_type != "text/html":
                    return ()
                text = await answer.text()
            found[route.path] = Stop(route.path, address, logged_in)
            return [urlsplit(unescape(link)).path for link in re.findall(r'href="(/[^"#]*)', text)]

        fixed = [route for route in routes if not needs_a_link(route)]
        links = set(letters) | {
            link for each in await asyncio.gather(*(stop_at(r, r.path) for r in fixed)) for link in each
        }
        while links:
            steps = [
                (route, address)
                for route in routes
                if needs_a_link(route) and route.path not in found
                for address in [next((link for link in sorted(links) if pattern_of(route).match(link)), None)]
                if address and not is_fixed(routes, address)
            ]
            links = {link for route, address in steps for link in await stop_at(route, address)}
    return sorted(found.values())


def is_fixed(routes: list[Route], address: str) -> bool:
    return any(route.path == address for route in routes)


def unreached(stops: list[Stop]) -> set[str]:
    """GET routes with a parameter that the walk did not find. Streams, files and choices of a language are no pages."""
    reached = {stop.route for stop in stops}
    no_page = re.compile(r".*/live$|/static/|/language/|/inbox/media/")
    return {
        route.path
        for route in all_routes()
        if route.method == "GET" and needs_a_link(route) and route.path not in reached and not no_page.match(route.path)
    }


# A tour: portal, browser and walk, once for all tests of a module


class Tour(Struct, frozen=True):
    """A furnished portal behind a real server, one browser in front of it, and the stops of the walk."""

    runtime: Runtime
    base: str
    cookie: str
    context: BrowserContext
    stops: list[Stop]

    async def visit(self, page: Page, stop: Stop) -> None:
        """Go there as the person that the page is for."""
        await enter(self.context, self.base, self.cookie if stop.logged_in else "")
        await page.goto(stop.address)


@contextlib.asynccontextmanager
async def open_tour(folder: Path) -> AsyncIterator[Tour]:
    settings = read_settings({"HELIOGRAPH_OPEN_OUTBOX": "true"}, home=str(folder))
    migrate(settings)
    async with open_runtime(settings) as runtime:
        room = Portal(runtime)
        await room.start()
        async with served(room) as base:
            letters = await furnish(runtime)
            cookie = await cookie_of(runtime, OWNER)
            stops = await walk(base, cookie, letters)
            async with open_chromium(base, reduced_motion="reduce") as context:
                yield Tour(runtime, base, cookie, context, stops)
            room.hang_up()
        await room.stop()
