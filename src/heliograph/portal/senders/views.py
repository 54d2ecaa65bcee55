"""The senders' pages: the list, a number's own page, its names."""

from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Struct, structs

from heliograph.accounts import numbers, people, sandbox, senders
from heliograph.accounts.tokens import fold_sender
from heliograph.channels.contract import NumberFacts
from heliograph.errors import ChannelRefused, Conflict, Invalid, NotFound
from heliograph.portal.access import Rule
from heliograph.portal.live import Happening, news, swap, watch
from heliograph.portal.senders import registering
from heliograph.portal.senders.words import LIMITS, NAME_STATUS, QUALITY, Standing, explain, standing_of
from heliograph.portal.visit import Answer, Form, OnVisit, Said, Visit
from heliograph.store import connections as store
from heliograph.store.connections import ConnectionRow, Sender

EVENTS_SHOWN = 20


class NumberView(Struct, frozen=True):
    """A number as the pages show it."""

    row: ConnectionRow
    facts: NumberFacts | None
    names: list[Sender]
    standing: Standing
    waiting: int

    @property
    def path(self) -> str:
        return f"/senders/numbers/{self.row.id}"

    @property
    def quality(self) -> str:
        return QUALITY.get(self.facts.quality, self.facts.quality) if self.facts else ""

    @property
    def limit(self) -> str:
        limit = self.facts.messaging_limit if self.facts else None
        return LIMITS.get(limit, limit) if limit else ""

    @property
    def name_status(self) -> str:
        status = self.facts.name_status if self.facts else None
        return NAME_STATUS.get(status, status) if status else ""


async def view_number(visit: Visit, row: ConnectionRow, names: list[Sender] | None = None) -> NumberView:
    if names is None:
        names = await senders.list_senders(visit.runtime, visit.account_id)
    own = [sender for sender in names if sender.connection_id == row.id]
    facts = numbers.facts_of(row)
    waiting = await numbers.count_waiting(visit.runtime, row)
    return NumberView(row, facts, own, standing_of(row, facts, len(own)), waiting)


@get("/senders", opt={"rule": Rule.VIEWER})
async def show_senders(visit: OnVisit) -> Answer:
    names = await senders.list_senders(visit.runtime, visit.account_id)
    rows = await senders.list_connections(visit.runtime, visit.account_id)
    found = [await view_number(visit, row, names) for row in rows]
    return visit.render(
        "senders/list.html",
        numbers=found,
        sender_count=len(names),
        offers_sandbox=sandbox.is_offered(visit.runtime, rows),
    )


# A number


@get("/senders/numbers/{connection_id:int}", opt={"rule": Rule.VIEWER})
async def show_number(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    return await render_number(visit, connection_id)


async def render_number(
    visit: Visit,
    connection_id: int,
    *,
    status: int = 200,
    values: Form | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    events = await visit.runtime.database.read(
        lambda tx: store.connection_events(tx, visit.account_id, connection_id, EVENTS_SHOWN)
    )
    return visit.render(
        "senders/number.html",
        status=status,
        number=await view_number(visit, row),
        held_templates=await senders.held_templates(visit.runtime, row),
        events=events,
        callback_address=senders.callback_address(visit.runtime, row),
        values=values or Form(),
        errors=errors,
    )


@get("/senders/numbers/{connection_id:int}/live", opt={"rule": Rule.VIEWER})
async def watch_number(visit: OnVisit, connection_id: FromPath[int]) -> Stream:
    """What changes while one looks: the first callback, a hold, a resumption."""
    seen: dict[str, str] = {}
    first = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    heard_before = first.heard_at_ms

    async def look() -> list[Happening]:
        row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
        number = await view_number(visit, row)
        found: list[Happening] = []
        for part in ("heard", "standing"):
            # Times that only grow older must not flash: what counts is the row behind them.
            now = repr((row.verified_at_ms, row.heard_at_ms) if part == "heard" else number.standing)
            if seen.get(part, now) != now:
                found.append(swap(visit.part(f"senders/{part}.html", number=number)))
            seen[part] = now
        if heard_before is None and row.heard_at_ms is not None and "told" not in seen:
            seen["told"] = "yes"
            found.append(news(visit.gettext("Meta's first call has arrived.")))
        return found

    return watch(visit, look, topics=("connections", "senders"))


@post("/senders/numbers/{connection_id:int}/ask", opt={"rule": Rule.OWNER})
async def ask_carrier(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    """Ask the carrier how the number stands."""
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    try:
        await numbers.ask_carrier(visit.runtime, visit.desk.whatsapp, row)
    except ChannelRefused as error:
        return await render_number(visit, connection_id, status=422, errors={"": next(iter(explain(error).values()))})
    return visit.go(f"/senders/numbers/{connection_id}", visit.gettext("This is what Meta says now."))


@post("/senders/numbers/{connection_id:int}/pause", opt={"rule": Rule.OWNER})
async def pause_number(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    who = visit.known.user.name or visit.known.user.email
    await numbers.pause(visit.runtime, row, f"{who} paused it.")
    await visit.note("number_paused", f"+{row.display_number}")
    path = f"/senders/numbers/{connection_id}"
    return visit.go(path, Said(visit.gettext("The number is paused; messages wait."), f"{path}/resume"))


@post("/senders/numbers/{connection_id:int}/resume", opt={"rule": Rule.OWNER})
async def resume_number(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    await senders.resume_connection(visit.runtime, visit.account_id, connection_id)
    await visit.note("number_resumed", f"+{row.display_number}")
    return visit.go(f"/senders/numbers/{connection_id}", visit.gettext("The number sends again; what waited leaves."))


@get("/senders/numbers/{connection_id:int}/remove", opt={"rule": Rule.OWNER})
async def ask_remove_number(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    return visit.render("senders/remove_number.html", number=await view_number(visit, row))


@post("/senders/numbers/{connection_id:int}/remove", opt={"rule": Rule.OWNER})
async def remove_number(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    number = await view_number(visit, row)
    try:
        await numbers.remove_number(visit.runtime, row)
    except Conflict as error:
        return await render_number(visit, connection_id, status=409, errors={"": [error.message]})
    await visit.note("number_removed", f"+{row.display_number}")
    if visit.known.account.default_sender in {sender.name for sender in number.names}:
        await people.change_account(visit.runtime, structs.replace(visit.known.account, default_sender=None))
    return visit.go("/senders", visit.gettext("+%(number)s is removed.") % {"number": row.display_number})


# Names


@post("/senders/numbers/{connection_id:int}/names", opt={"rule": Rule.OWNER})
async def add_name(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    form = await visit.form()
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    try:
        sender = await registering.add_sender(visit, row, form["sender_id"])
    except Invalid as error:
        return await render_number(visit, connection_id, status=422, values=form, errors=error.errors)
    return visit.go(f"/senders/numbers/{connection_id}", visit.gettext("%(name)s may send.") % {"name": sender.name})


async def find_sender(visit: Visit, name: str) -> tuple[Sender, ConnectionRow]:
    """Raises NotFound."""
    for sender in await senders.list_senders(visit.runtime, visit.account_id):
        if fold_sender(sender.name) == fold_sender(name):
            return sender, await numbers.find_number(visit.runtime, visit.account_id, sender.connection_id)
    raise NotFound("This account has no such sender.")


@get("/senders/names/{name:str}", opt={"rule": Rule.OWNER})
async def show_name(visit: OnVisit, name: FromPath[str]) -> Answer:
    return await render_name(visit, name)


async def render_name(
    visit: Visit,
    name: str,
    *,
    status: int = 200,
    errors: dict[str, list[str]] | None = None,
    values: dict[str, Any] | None = None,
) -> Answer:
    sender, row = await find_sender(visit, name)
    templates, refusal = await registering.offer_templates(visit, row)
    chosen = f"{sender.window_template_name}:{sender.window_template_language}" if sender.window_template_name else ""
    return visit.render(
        "senders/name.html",
        status=status,
        sender=sender,
        number=await view_number(visit, row),
        templates=templates,
        refusal=refusal,
        values={"window_template": chosen, "resend_unknown": sender.resend_unknown, **(values or {})},
        errors=errors,
    )


@post("/senders/names/{name:str}", opt={"rule": Rule.OWNER})
async def change_name(visit: OnVisit, name: FromPath[str]) -> Answer:
    sender, row = await find_sender(visit, name)
    form = await visit.form()
    resend = form["resend_unknown"] == "yes"
    try:
        template = await registering.read_template(visit, row, sender, form["window_template"])
    except Invalid as error:
        values = {"window_template": form["window_template"], "resend_unknown": resend}
        return await render_name(visit, name, status=422, errors=error.errors, values=values)
    await senders.change_sender(
        visit.runtime, visit.account_id, sender.name, window_template=template, resend_unknown=resend
    )
    return visit.go(f"/senders/numbers/{row.id}", visit.gettext("%(name)s is changed.") % {"name": sender.name})


@post("/senders/default", opt={"rule": Rule.OWNER})
async def choose_default(visit: OnVisit) -> Answer:
    """The sender of whatever names none. An empty name: none."""
    form = await visit.form()
    before = visit.known.account.default_sender or ""
    chosen = (await find_sender(visit, form["name"]))[0].name if form["name"] else None
    await people.change_account(visit.runtime, structs.replace(visit.known.account, default_sender=chosen))
    told = visit.gettext("%(name)s is the default sender.") if chosen else visit.gettext("There is no default sender.")
    return visit.go("/senders", Said(told % {"name": chosen}, "/senders/default", {"name": before}))


@get("/senders/names/{name:str}/remove", opt={"rule": Rule.OWNER})
async def ask_remove_name(visit: OnVisit, name: FromPath[str]) -> Answer:
    sender, row = await find_sender(visit, name)
    return visit.render("senders/remove_name.html", sender=sender, number=await view_number(visit, row))


@post("/senders/names/{name:str}/remove", opt={"rule": Rule.OWNER})
async def remove_name(visit: OnVisit, name: FromPath[str]) -> Answer:
    sender, row = await find_sender(visit, name)
    await senders.remove_sender(visit.runtime, visit.account_id, sender.name)
    await visit.note("sender_removed", sender.name)
    if visit.known.account.default_sender == sender.name:
        await people.change_account(visit.runtime, structs.replace(visit.known.account, default_sender=None))
    return visit.go(f"/senders/numbers/{row.id}", visit.gettext("%(name)s sends no more.") % {"name": sender.name})


ROUTES = (
    show_senders,
    show_number,
    watch_number,
    ask_carrier,
    pause_number,
    resume_number,
    ask_remove_number,
    remove_number,
    add_name,
    show_name,
    change_name,
    choose_default,
    ask_remove_name,
    remove_name,
    *registering.ROUTES,
)
