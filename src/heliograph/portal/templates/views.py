"""The templates' addresses: the list, one of them, a new one."""

from collections.abc import Sequence
from typing import Any

import msgspec
from babel import Locale
from litestar import get, post
from litestar.params import FromPath
from litestar.response import Stream

from heliograph.accounts import senders, templates
from heliograph.accounts.templates import BusinessAccount
from heliograph.channels.whatsapp.templates import (
    MOST_BUTTONS,
    NewButton,
    NewTemplate,
    components_for,
    new_template_object,
    show,
    slots_of,
    variables_of,
)
from heliograph.core.ids import short_hash
from heliograph.errors import ChannelRefused, Conflict, Invalid
from heliograph.portal.access import Rule
from heliograph.portal.live import Happening, swap, watch
from heliograph.portal.paging import PageOf, cut_page, read_cursor
from heliograph.portal.templates import telling
from heliograph.portal.visit import Answer, Form, OnVisit, Visit
from heliograph.store import templates as store
from heliograph.store.templates import Template

PER_PAGE = 50
MOST_SAMPLES = 10
SHOWN_STATUSES = ("APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED")


def key_of(template: Template) -> str:
    return f"{template.name},{template.language},{template.business_account}"


def read_key(key: str) -> tuple[str, str, str] | None:
    parts = key.split(",")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


async def read_list(visit: Visit) -> PageOf[Template]:
    query, cursor, account_id = visit.query, read_cursor(visit.query), visit.account_id
    # Newer and older are places in the alphabet here: "older" is what comes after.
    after, before = read_key(cursor.before) or store.FIRST, read_key(cursor.after) if cursor.after else None
    found = await visit.runtime.database.read(
        lambda tx: store.templates_of_account(
            tx,
            account_id,
            PER_PAGE + 1,
            status=query["status"].upper(),
            holding=query["find"][:100],
            after=after,
            before=before,
        )
    )
    return cut_page(found, cursor, key_of, PER_PAGE)


async def render_list(visit: Visit, *, status: int = 200) -> Answer:
    await templates.fetch_if_never(visit.runtime, visit.desk.whatsapp, visit.account_id)
    businesses = await templates.list_business_accounts(visit.runtime, visit.account_id)
    page = await read_list(visit)
    return visit.render(
        "templates/list.html",
        status=status,
        page=page,
        page_mark=mark_of(page),
        businesses=businesses,
        statuses=SHOWN_STATUSES,
        telling=telling,
        locale=Locale.parse(visit.caller.language),
    )


@get("/templates", opt={"rule": Rule.VIEWER})
async def show_templates(visit: OnVisit) -> Answer:
    return await render_list(visit)


@get("/templates/live", opt={"rule": Rule.VIEWER})
async def watch_templates(visit: OnVisit) -> Stream:
    """The open page fetches what has become old, and shows what changes: an approval comes while one looks."""
    known: dict[str, Template] = {}
    first = True

    async def look() -> Sequence[Happening]:
        nonlocal first, known
        waiting = any(one.status in {"PENDING", "IN_APPEAL"} for one in known.values())
        older_ms = templates.IN_REVIEW_MS if waiting else templates.STALE_MS
        await templates.sync_stale(visit.runtime, visit.desk.whatsapp, visit.account_id, older_ms)
        page = await read_list(visit)
        now = {template.carrier_id: template for template in page.rows}
        changed = [one for key, one in now.items() if key in known and tells_other(known[key], one)]
        if first and mark_of(page) != visit.query["mark"]:
            changed = page.rows  # something changed between the making of the page and this first look
        arrived = [key for key in now if key not in known]
        gone = [key for key in known if key not in now]
        fresh = bool(arrived or gone) and (not first or bool(visit.query["empty"]))
        known, first = now, False
        if fresh:
            return [swap(visit.part("templates/changed.html"))]
        locale = Locale.parse(visit.caller.language)
        return [swap(visit.part("templates/row.html", chosen=one, telling=telling, locale=locale)) for one in changed]

    return watch(visit, look, topics=[f"templates:{visit.account_id}"], every_s=5.0)


def mark_of(page: PageOf[Template]) -> str:
    """Another one as soon as a row shows something else."""
    rows = [(one.carrier_id, one.status, one.quality, one.category) for one in page.rows]
    return f"{short_hash(repr(rows)) % 2**48:x}"


def tells_other(before: Template, now: Template) -> bool:
    return (before.status, before.quality, before.category) != (now.status, now.quality, now.category)


@post("/templates/fetch", opt={"rule": Rule.MEMBER})
async def fetch_templates(visit: OnVisit) -> Answer:
    trouble = ""
    for business in await templates.list_business_accounts(visit.runtime, visit.account_id):
        trouble = (
            await templates.sync_templates(visit.runtime, visit.desk.whatsapp, visit.account_id, business) or trouble
        )
    return visit.go("/templates", None if trouble else visit.gettext("Fetched from Meta."))


@get("/templates/one/{carrier_id:str}", opt={"rule": Rule.VIEWER})
async def show_template(visit: OnVisit, carrier_id: FromPath[str]) -> Answer:
    return await render_template(visit, carrier_id)


async def render_template(visit: Visit, carrier_id: str, *, status: int = 200, trouble: str = "") -> Answer:
    template = await templates.find_template(visit.runtime, visit.account_id, carrier_id)
    components = msgspec.json.decode(template.components)
    numbers = [
        row
        for row in await senders.list_connections(visit.runtime, visit.account_id)
        if row.business_account == template.business_account
    ]
    held = await senders.held_templates(visit.runtime, numbers[0]) if numbers else {}
    used_by = [
        sender.name
        for sender in await senders.list_senders(visit.runtime, visit.account_id)
        if sender.connection_id in {row.id for row in numbers}
        and (sender.window_template_name, sender.window_template_language or "en_US")
        == (template.name, template.language)
    ]
    return visit.render(
        "templates/one.html",
        status=status,
        chosen=template,
        shown=show(components),
        slots=slots_of(components),
        components=msgspec.json.format(template.components, indent=2),
        hold=held.get((template.name, template.language)),
        used_by=used_by,
        trouble=trouble,
        telling=telling,
        locale=Locale.parse(visit.caller.language),
    )


@get("/templates/one/{carrier_id:str}/delete", opt={"rule": Rule.OWNER})
async def ask_delete(visit: OnVisit, carrier_id: FromPath[str]) -> Answer:
    """Says what will be lost."""
    template = await templates.find_template(visit.runtime, visit.account_id, carrier_id)
    return visit.render("templates/delete.html", chosen=template)


@post("/templates/one/{carrier_id:str}/delete", opt={"rule": Rule.OWNER})
async def delete_template(visit: OnVisit, carrier_id: FromPath[str]) -> Answer:
    try:
        gone = await templates.delete_template(visit.runtime, visit.desk.whatsapp, visit.account_id, carrier_id)
    except (Conflict, ChannelRefused) as error:
        trouble = f"{error.message} {getattr(error, 'advice', '')}".strip()
        return await render_template(visit, carrier_id, status=409, trouble=trouble)
    return visit.go("/templates", visit.gettext("%(name)s is deleted.") % {"name": gone.name})


# A new one


@get("/templates/new", opt={"rule": Rule.OWNER})
async def show_new(visit: OnVisit) -> Answer:
    return await render_new(visit, Form(language=guess_language(visit), category="UTILITY"))


def guess_language(visit: Visit) -> str:
    return {"en": "en_US"}.get(visit.caller.language, visit.caller.language)


def read_new(form: Form) -> NewTemplate:
    """The template as it was typed. Buttons without a kind are none."""
    return NewTemplate(
        name=form["name"],
        language=form["language"],
        category=form["category"],
        header=form["header"],
        header_sample=form["header_sample"],
        body=form["body"].replace("\r\n", "\n"),
        samples={str(n): form[f"sample_{n}"] for n in range(1, MOST_SAMPLES + 1)},
        footer=form["footer"],
        buttons=[
            NewButton(form[f"kind_{n}"], form[f"label_{n}"], form[f"target_{n}"], form[f"example_{n}"])
            for n in range(1, MOST_BUTTONS + 1)
            if form[f"kind_{n}"]
        ],
    )


def used_rows(form: Form) -> list[int]:
    """The number of the row in the form of each button that is one: errors speak of the buttons, the form has gaps."""
    return [n for n in range(1, MOST_BUTTONS + 1) if form[f"kind_{n}"]]


async def render_new(
    visit: Visit, form: Form, *, status: int = 200, errors: dict[str, list[str]] | None = None
) -> Answer:
    businesses: list[BusinessAccount] = await templates.list_business_accounts(visit.runtime, visit.account_id)
    new = read_new(form)
    rows = used_rows(form)
    placed = {
        f"button_{rows[int(name[7:]) - 1]}" if name.startswith("button_") and rows else name: sentences
        for name, sentences in (errors or {}).items()
    }
    return visit.render(
        "templates/new.html",
        status=status,
        values=form,
        errors=placed,
        businesses=businesses,
        languages_of_templates=telling.language_choices(Locale.parse(visit.caller.language)),
        telling=telling,
        wanted=max([0, *(int(v) for v in variables_of(new.body) if v.isdecimal() and int(v) <= MOST_SAMPLES)]),
        wants_header_sample=bool(variables_of(new.header)),
        most_samples=MOST_SAMPLES,
        button_rows=range(1, MOST_BUTTONS + 1),
        rows_in_use=max([0, *rows]),
        **preview_of(new),
    )


def preview_of(new: NewTemplate) -> dict[str, Any]:
    made = new_template_object(new)["components"] if new.category == "AUTHENTICATION" else components_for(new)
    return {"shown": show(made), "is_code": new.category == "AUTHENTICATION"}


@post("/templates/preview", opt={"rule": Rule.OWNER}, status_code=200)
async def preview_new(visit: OnVisit) -> Answer:
    """What the form would look like on a phone, while one types."""
    return visit.render("templates/preview_part.html", **preview_of(read_new(await visit.form())), telling=telling)


@post("/templates/new", opt={"rule": Rule.OWNER}, status_code=200)
async def create_template(visit: OnVisit) -> Answer:
    form = await visit.form()
    try:
        made = await templates.create_template(
            visit.runtime, visit.desk.whatsapp, visit.account_id, form["business_account"], read_new(form)
        )
    except Invalid as error:
        return await render_new(visit, form, status=422, errors=error.errors)
    return visit.go(f"/templates/one/{made.carrier_id}", visit.gettext("Submitted. Meta reviews it now."))


ROUTES = (
    show_templates,
    watch_templates,
    fetch_templates,
    show_template,
    ask_delete,
    delete_template,
    show_new,
    preview_new,
    create_template,
)
