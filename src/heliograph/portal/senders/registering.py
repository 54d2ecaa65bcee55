"""Registering a number step by step: each step tests itself against the world before the next."""

from typing import Any

from babel import Locale
from litestar import get, post
from litestar.params import FromPath
from msgspec import Struct, structs

from heliograph.accounts import numbers, people, sandbox, senders
from heliograph.accounts.numbers import WindowTemplate
from heliograph.accounts.senders import Number
from heliograph.channels.contract import NumberFacts
from heliograph.errors import ChannelRefused, Conflict, Invalid
from heliograph.portal.access import Rule
from heliograph.portal.senders.words import QUALITY, REGISTERED, explain
from heliograph.portal.visit import Answer, Form, OnVisit, Visit
from heliograph.store.connections import ConnectionRow, Sender

STEPS = ("credentials", "callback", "register", "name", "template")
CODE_LANGUAGES = ("en_US", "de", "es", "fr", "it", "nl", "pt_BR", "ar", "he", "hi", "id", "tr")


class Setup(Struct, frozen=True):
    """A number on its way: what is done, and which step is open."""

    row: ConnectionRow | None
    facts: NumberFacts | None
    names: list[Sender]
    done: frozenset[str]
    step: str


def steps_done(row: ConnectionRow | None, facts: NumberFacts | None, names: list[Sender]) -> frozenset[str]:
    done = set()
    if row is not None:
        done.add("credentials")
        if row.verified_at_ms or row.heard_at_ms:
            done.add("callback")
    if facts is not None and facts.status == REGISTERED:
        done.add("register")
    if names:
        done.add("name")
        if any(sender.window_template_name for sender in names):
            done.add("template")
    return frozenset(done)


async def render_setup(
    visit: Visit,
    row: ConnectionRow | None,
    *,
    step: str = "",
    status: int = 200,
    values: dict[str, Any] | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    """`step`: which one is open; "" = the first that is not done."""
    names: list[Sender] = []
    facts = None
    if row is not None:
        facts = numbers.facts_of(row)
        own = await senders.list_senders(visit.runtime, visit.account_id)
        names = [sender for sender in own if sender.connection_id == row.id]
    done = steps_done(row, facts, names)
    opened = step if step in STEPS else next((one for one in STEPS if one not in done), "")
    if row is None:
        opened = "credentials"
    templates: list[WindowTemplate] = []
    refusal = ""
    if opened == "template" and row is not None:
        templates, refusal = await offer_templates(visit, row)
    return visit.render(
        "senders/setup.html",
        status=status,
        setup=Setup(row, facts, names, done, opened),
        values=Form({**(values or {})}),
        errors=errors,
        carriers=await carriers(visit),
        callback_address=senders.callback_address(visit.runtime, row) if row else "",
        languages_of_code=[
            (code, Locale.parse(code).get_display_name(visit.caller.language)) for code in CODE_LANGUAGES
        ],
        templates=templates,
        refusal=refusal,
        quality=QUALITY,
    )


async def carriers(visit: Visit) -> list[str]:
    """The base URLs to choose among: the installation's, its carrier for trials, and those of the account's numbers.

    Not any address: the server must not be led to call what is in its own network."""
    own = await senders.list_connections(visit.runtime, visit.account_id)
    known = [visit.settings.whatsapp_base_url, visit.settings.sandbox_url, *(row.base_url for row in own)]
    return list(dict.fromkeys(url.rstrip("/") for url in known if url))


async def offer_templates(visit: Visit, row: ConnectionRow) -> tuple[list[WindowTemplate], str]:
    """The templates that fit, and why they cannot be told if so."""
    try:
        return await numbers.window_templates(visit.runtime, visit.desk.whatsapp, row), ""
    except ChannelRefused as error:
        return [], next(iter(explain(error).values()))[0]


async def read_template(visit: Visit, row: ConnectionRow, sender: Sender, chosen: str) -> tuple[str, str] | None:
    """The window template of a form, `name:language`. Raises Invalid for one that cannot carry a text."""
    if not chosen:
        return None
    name, _, language = chosen.partition(":")
    if (name, language) == (sender.window_template_name, sender.window_template_language):
        return name, language  # kept, even while the carrier cannot be asked
    templates, refusal = await offer_templates(visit, row)
    if (name, language) not in {(one.name, one.language) for one in templates}:
        raise Invalid.field("window_template", refusal or "Meta has no such template with exactly one variable.")
    return name, language


# Ids, token, app secret


@get("/senders/new", opt={"rule": Rule.OWNER})
async def start(visit: OnVisit) -> Answer:
    return await render_setup(visit, None)


@post("/senders/new", opt={"rule": Rule.OWNER})
async def connect(visit: OnVisit) -> Answer:
    """The test call; what is right is kept, encrypted. A known number gets the new credentials."""
    form = await visit.form()
    base_url = form["base_url"] or (await carriers(visit))[0]
    number = Number(
        phone_number_id=form["phone_number_id"],
        business_account_id=form["business_account_id"],
        token=form["token"],
        app_secret=form["app_secret"],
        base_url=base_url,
        use_appsecret_proof=True,
    )
    try:
        if base_url not in await carriers(visit):
            raise Invalid.field("base_url", "Choose one of the carriers in the list.")
        facts = await numbers.try_number(visit.runtime, visit.desk.whatsapp, number)
        row = await senders.connect_number(visit.runtime, visit.account_id, number, facts)
    except Invalid as error:
        return await render_setup(visit, None, status=422, values=form, errors=error.errors)
    except ChannelRefused as error:
        return await render_setup(visit, None, status=422, values=form, errors=explain(error))
    except Conflict as error:
        refused = explain(ChannelRefused(error.message, code=error.code))
        return await render_setup(visit, None, status=409, values=form, errors=refused)
    await visit.note("number_connected", f"+{row.display_number}")
    return visit.go(setup_path(row), visit.gettext("Meta knows +%(number)s.") % {"number": row.display_number})


def setup_path(row: ConnectionRow) -> str:
    return f"/senders/numbers/{row.id}/setup"


@get("/senders/numbers/{connection_id:int}/setup", opt={"rule": Rule.OWNER})
async def show_setup(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    values = None
    if visit.query["step"] == "credentials":
        values = {"phone_number_id": row.address, "business_account_id": row.business_account, "base_url": row.base_url}
    return await render_setup(visit, row, step=visit.query["step"], values=values)


@post("/senders/sandbox", opt={"rule": Rule.OWNER})
async def open_sandbox(visit: OnVisit) -> Answer:
    """A number for trials, ready to send."""
    row = await sandbox.open_sandbox(visit.runtime, visit.desk.whatsapp, visit.known.account)
    await visit.note("number_connected", f"+{row.display_number}")
    told = visit.gettext("Your sandbox number is ready. What it sends reaches nobody, and costs nothing.")
    return visit.go(f"/senders/numbers/{row.id}", told)


# Callbacks


@post("/senders/numbers/{connection_id:int}/subscribe", opt={"rule": Rule.OWNER})
async def subscribe(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    """Have Meta's callbacks pointed at us; Meta calls the address while we wait."""
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    try:
        numbers.reach(visit.runtime, row)
        await senders.subscribe(visit.runtime, visit.desk.whatsapp, row)
    except ChannelRefused as error:
        return await render_setup(visit, row, step="callback", status=422, errors=whole_step(error))
    return visit.go(f"{setup_path(row)}?step=callback", visit.gettext("Meta has verified the address."))


def whole_step(error: ChannelRefused) -> dict[str, list[str]]:
    """A refusal of a step without fields of its own."""
    return {"": next(iter(explain(error).values()))}


# The number is yours


async def render_register(visit: Visit, row: ConnectionRow, form: Form, error: Invalid | ChannelRefused) -> Answer:
    errors = explain(error) if isinstance(error, ChannelRefused) else error.errors
    kept = {name: value for name, value in errors.items() if name in {"method", "code", "pin"}}
    shown = kept or {"": next(iter(errors.values()))}
    return await render_setup(visit, row, step="register", status=422, values=form, errors=shown)


@post("/senders/numbers/{connection_id:int}/code", opt={"rule": Rule.OWNER})
async def request_code(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    form = await visit.form()
    language = form["language"] if form["language"] in CODE_LANGUAGES else "en_US"
    try:
        await numbers.request_code(visit.runtime, visit.desk.whatsapp, row, form["method"] or "SMS", language)
    except (Invalid, ChannelRefused) as error:
        return await render_register(visit, row, form, error)
    told = visit.gettext("Meta sends a code to +%(number)s.") % {"number": row.display_number}
    return visit.go(f"{setup_path(row)}?step=register", told)


@post("/senders/numbers/{connection_id:int}/verify", opt={"rule": Rule.OWNER})
async def verify_code(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    form = await visit.form()
    try:
        await numbers.verify_code(visit.runtime, visit.desk.whatsapp, row, form["code"])
    except (Invalid, ChannelRefused) as error:
        return await render_register(visit, row, form, error)
    return visit.go(f"{setup_path(row)}?step=register", visit.gettext("The code was right."))


@post("/senders/numbers/{connection_id:int}/register", opt={"rule": Rule.OWNER})
async def register(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    form = await visit.form()
    try:
        await numbers.register(visit.runtime, visit.desk.whatsapp, row, form["pin"])
    except (Invalid, ChannelRefused) as error:
        return await render_register(visit, row, form, error)
    told = visit.gettext("+%(number)s is registered.") % {"number": row.display_number}
    return visit.go(setup_path(row), told)


# Name and window template


async def add_sender(visit: Visit, row: ConnectionRow, name: str) -> Sender:
    """The account's first sender becomes its default. Raises Invalid at the field `sender_id`."""
    try:
        sender = await senders.add_sender(visit.runtime, row, name)
    except Conflict:
        raise Invalid.field("sender_id", "This account has a sender of that name already.") from None
    await visit.note("sender_added", sender.name)
    if visit.known.account.default_sender is None:
        await people.change_account(visit.runtime, structs.replace(visit.known.account, default_sender=sender.name))
    return sender


@post("/senders/numbers/{connection_id:int}/setup/name", opt={"rule": Rule.OWNER})
async def name_sender(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    form = await visit.form()
    try:
        await add_sender(visit, row, form["sender_id"])
    except Invalid as error:
        return await render_setup(visit, row, step="name", status=422, values=form, errors=error.errors)
    return visit.go(setup_path(row))


@post("/senders/numbers/{connection_id:int}/setup/template", opt={"rule": Rule.OWNER})
async def choose_template(visit: OnVisit, connection_id: FromPath[int]) -> Answer:
    """The window template of every name of the number."""
    row = await numbers.find_number(visit.runtime, visit.account_id, connection_id)
    form = await visit.form()
    own = await senders.list_senders(visit.runtime, visit.account_id)
    try:
        for sender in (one for one in own if one.connection_id == row.id):
            template = await read_template(visit, row, sender, form["window_template"])
            await senders.change_sender(
                visit.runtime,
                visit.account_id,
                sender.name,
                window_template=template,
                resend_unknown=bool(sender.resend_unknown),
            )
    except Invalid as error:
        return await render_setup(visit, row, step="template", status=422, values=form, errors=error.errors)
    return visit.go(f"/senders/numbers/{row.id}", visit.gettext("The number is ready."))


ROUTES = (
    start,
    connect,
    open_sandbox,
    show_setup,
    subscribe,
    request_code,
    verify_code,
    register,
    name_sender,
    choose_template,
)
