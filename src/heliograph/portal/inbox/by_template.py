"""Answer by a template: choose one that Meta has approved, fill it in, see it, send it."""

import msgspec
from babel import Locale
from litestar import get, post
from litestar.params import FromPath

from heliograph.accounts import templates
from heliograph.channels.whatsapp.templates import show, slots_of, template_object
from heliograph.core.ids import new_secret
from heliograph.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from heliograph.portal.access import Rule
from heliograph.portal.inbox import answering
from heliograph.portal.inbox.listing import address_of, read_asked, read_talk
from heliograph.portal.inbox.reading import Talk
from heliograph.portal.templates import telling
from heliograph.portal.visit import Answer, Form, OnVisit, Visit
from heliograph.store import connections as connection_store
from heliograph.store import templates as store
from heliograph.store.engine import Tx
from heliograph.store.templates import Template

MOST_LISTED = 100


async def read_choice(visit: Visit, talk: Talk) -> list[Template]:
    """Approved templates of the business account of the number that the person wrote to; those that are held are left out."""
    if talk.connection is None:
        return []
    account_id, business, wanted = visit.account_id, talk.connection.business_account, visit.query["name"][:100]

    async def work(tx: Tx) -> list[Template]:
        found = await store.templates_of_account(
            tx, account_id, MOST_LISTED, status="APPROVED", business_account=business, holding=wanted
        )
        held = await connection_store.template_holds(tx, account_id, business)
        return [one for one in found if (one.name, one.language) not in held]

    return await visit.runtime.database.read(work)


async def find_choice(visit: Visit, talk: Talk, carrier_id: str) -> Template:
    """Raises NotFound for one of another business account, or that cannot be sent."""
    found = await templates.find_template(visit.runtime, visit.account_id, carrier_id)
    if (
        talk.connection is None
        or found.business_account != talk.connection.business_account
        or found.status != "APPROVED"
    ):
        raise NotFound("This template cannot be sent from the number that the person wrote to.")
    return found


@get("/inbox/with/{person:str}/template", opt={"rule": Rule.MEMBER})
async def choose_template(visit: OnVisit, person: FromPath[str]) -> Answer:
    """The list to choose from; with `id`, the one that was chosen."""
    talk = await read_talk(visit, person)
    if visit.query["id"]:
        return await render_choice(visit, talk, await find_choice(visit, talk, visit.query["id"]), Form())
    await templates.fetch_if_never(visit.runtime, visit.desk.whatsapp, visit.account_id)
    found = await read_choice(visit, talk)
    return visit.render(
        "inbox/choose.html",
        talk=talk,
        asked=read_asked(visit, person),
        found=[(one, show(msgspec.json.decode(one.components))) for one in found],
        telling=telling,
        locale=Locale.parse(visit.caller.language),
    )


async def render_choice(
    visit: Visit,
    talk: Talk,
    template: Template,
    values: Form,
    *,
    status: int = 200,
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    components = msgspec.json.decode(template.components)
    return visit.render(
        "inbox/fill_in.html",
        status=status,
        talk=talk,
        asked=read_asked(visit, talk.line.person),
        chosen=template,
        slots=slots_of(components),
        values=values,
        errors=errors or {},
        shown=show(components, values),
        once=values["once"] or new_secret(12),
        telling=telling,
        locale=Locale.parse(visit.caller.language),
    )


@post("/inbox/with/{person:str}/template/preview", opt={"rule": Rule.MEMBER}, status_code=200)
async def preview_choice(visit: OnVisit, person: FromPath[str]) -> Answer:
    form = await visit.form()
    template = await find_choice(visit, await read_talk(visit, person), form["id"])
    shown = show(msgspec.json.decode(template.components), form)
    return visit.render("templates/preview_part.html", shown=shown, is_code=False, telling=telling)


@post("/inbox/with/{person:str}/template", opt={"rule": Rule.MEMBER})
async def send_template(visit: OnVisit, person: FromPath[str]) -> Answer:
    talk, form = await read_talk(visit, person), await visit.form()
    template = await find_choice(visit, talk, form["id"])
    components = msgspec.json.decode(template.components)
    try:
        made = template_object(template.name, template.language, template.parameter_format, components, form)
        await answering.answer(visit, talk, form["once"], show(components, form).body, made)
    except (Invalid, Conflict, Forbidden, Unavailable) as error:
        errors = error.errors if isinstance(error, Invalid) else {"form": [error.message]}
        return await render_choice(visit, talk, template, form, status=error.http_status, errors=errors)
    return visit.go(address_of(person, read_asked(visit, person)))


ROUTES = (choose_template, preview_choice, send_template)
