"""The page that sends, its preview while one types, and what its button does."""

import msgspec
from babel import Locale
from litestar import get, post
from msgspec import structs

from heliograph.accept.sending import prepare_send
from heliograph.accept.storing import Entry
from heliograph.accounts import templates
from heliograph.accounts.tokens import fold_sender
from heliograph.channels.whatsapp.payloads import template_name
from heliograph.channels.whatsapp.templates import values_of
from heliograph.core.ids import id_of, now_ms, uid_of
from heliograph.errors import Forbidden, Invalid
from heliograph.portal.access import Rule
from heliograph.portal.send.drafts import Desk, Draft, open_desk, plan_draft, read_draft
from heliograph.portal.templates import telling
from heliograph.portal.visit import Answer, OnVisit, Said, Visit
from heliograph.store import messages as message_store
from heliograph.store.messages import Message

SANDBOX_RECIPIENT = "+1 202 555 0101"  # the emulator's person who reads everything (docs/emulator.md)


@get("/send", opt={"rule": Rule.MEMBER})
async def show_send(visit: OnVisit) -> Answer:
    """Filled in from the address (`?recipients=…&text=…`), from a message (`?again=<uid>`), or for a first try."""
    desk = await open_desk(visit)
    draft = read_draft(visit.query)
    if again := await find_again(visit):
        draft = draft_of(again, draft)
    elif not draft.recipients and not draft.text and await is_first(visit):
        draft = first_draft(visit, desk, draft)
    return await render_send(visit, desk, with_sender(visit, desk, draft), is_again=again is not None)


async def find_again(visit: Visit) -> Message | None:
    identifier = id_of(visit.query["again"])
    if identifier is None:
        return None
    return await visit.runtime.database.read(lambda tx: message_store.message_by_id(tx, visit.account_id, identifier))


def draft_of(message: Message, draft: Draft) -> Draft:
    """The same once more, a template with the values that it went with."""
    template = msgspec.json.decode(message.template) if message.template else {}
    name, language = template_name(template) if template else ("", "")
    return structs.replace(
        draft,
        template_name=name,
        template_language=language or draft.template_language,
        slots=values_of(template),
        recipients=f"+{message.person}" if message.person.isdecimal() else message.person,
        sender=message.sender,
        kind="template" if message.template else draft.kind,
        text="" if message.template else message.text,
        media_url=message.media_url or "" if message.direction == "outgoing" else "",
    )


async def is_first(visit: Visit) -> bool:
    return not await visit.runtime.database.read(lambda tx: message_store.last_seq(tx, visit.account_id))


def first_draft(visit: Visit, desk: Desk, draft: Draft) -> Draft:
    """Where a carrier that is not the real one is connected, one press of the button is the whole first try."""
    sandbox = next((sender for sender in desk.senders if desk.is_sandbox(sender)), None)
    if sandbox is None:
        return draft
    text = visit.gettext("Hello from *Heliograph*. This is my _first_ message.")
    return structs.replace(draft, recipients=SANDBOX_RECIPIENT, sender=sandbox.name, text=text)


def with_sender(visit: Visit, desk: Desk, draft: Draft) -> Draft:
    """A draft always names one of the account's senders, if there is any."""
    if desk.choose(draft.sender) or not desk.senders:
        return draft
    own = visit.known.account.default_sender
    name = next((s.name for s in desk.senders if own and fold_sender(s.name) == fold_sender(own)), desk.senders[0].name)
    return structs.replace(draft, sender=name)


async def render_send(
    visit: Visit,
    desk: Desk,
    draft: Draft,
    *,
    status: int = 200,
    errors: dict[str, list[str]] | None = None,
    is_again: bool = False,
) -> Answer:
    if draft.is_template:
        await templates.fetch_if_never(visit.runtime, visit.desk.whatsapp, visit.account_id)
    plan = await plan_draft(visit, desk, draft)
    return visit.render(
        "send/parts.html" if visit.wants_part else "send/send.html",
        status=status,
        draft=plan.draft,
        plan=plan,
        senders=desk.senders,
        telling=telling,
        locale=Locale.parse(visit.caller.language),
        errors=errors,
        is_again=is_again,
    )


@post("/send/preview", opt={"rule": Rule.MEMBER}, status_code=200)
async def preview(visit: OnVisit) -> Answer:
    """The form as it is, with what would become of it. Stores nothing."""
    desk = await open_desk(visit)
    return await render_send(visit, desk, with_sender(visit, desk, read_draft(await visit.form())))


@post("/send", opt={"rule": Rule.MEMBER})
async def send(visit: OnVisit) -> Answer:
    """Every message is on disk when this answers. The same form sent twice sends once, and leads to the same page."""
    desk = await open_desk(visit)
    draft = with_sender(visit, desk, read_draft(await visit.form()))
    known = {fold_sender(sender.name): sender for sender in desk.senders}
    user_id = visit.known.user.id
    chosen = (await plan_draft(visit, desk, draft)).chosen if draft.is_template else None
    try:
        prepared = prepare_send(
            visit.known.account, known, draft.request(chosen), visit.settings, now_ms(), {"user_id": user_id}
        )
        if prepared.refused and not draft.leave_out:
            raise Invalid({"recipient": [one.sentence for one in prepared.refused[:20]]})
    except Invalid as error:
        return await render_send(visit, desk, draft, status=422, errors=dict(error.errors))
    except Forbidden as error:
        return await render_send(visit, desk, draft, status=422, errors={"sender_id": [error.message]})
    made = prepared.messages
    path = f"/messages/{uid_of(made[0].id)}" if len(made) == 1 else "/messages"
    key = draft.idempotency_key(visit.account_id)
    kept = await visit.desk.acceptor.store(Entry(made, 303, path.encode(), key))
    if kept is not None:
        return visit.go(kept.answer.decode(), visit.gettext("This was sent already; it does not go twice."))
    if len(made) == 1 and made[0].schedule_at_ms:
        return visit.go(path, Said(visit.gettext("The message waits for its time."), f"{path}/cancel"))
    said = visit.ngettext("%(num)d message is on its way.", "%(num)d messages are on their way.", len(made))
    return visit.go(path, said % {"num": len(made)})


ROUTES = (show_send, preview, send)
