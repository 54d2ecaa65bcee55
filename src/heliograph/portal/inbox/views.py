"""The inbox's addresses."""

from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Stream

from heliograph.core.ids import id_of, new_id, new_secret, now_ms, uid_of
from heliograph.errors import Conflict, Forbidden, HeliographError, Invalid, NotFound, Unavailable
from heliograph.portal.access import Rule
from heliograph.portal.inbox import answering, by_template
from heliograph.portal.inbox.listing import NOBODY_WROTE, address_of, read, read_asked, read_count, read_talk
from heliograph.portal.inbox.media import show_media
from heliograph.portal.inbox.reading import BOXES, Asked
from heliograph.portal.inbox.watching import Seen, Watcher
from heliograph.portal.live import watch
from heliograph.portal.rendering import query_string
from heliograph.portal.security import check_origin
from heliograph.portal.visit import Answer, OnVisit, Said, Visit
from heliograph.store import conversations as store
from heliograph.store.conversations import Conversation, Note

LONGEST_NOTE = 2000


async def count_news(visit: Visit) -> int:
    """Conversations with something unread, counted up to a hundred: the number beside the place in the navigation."""
    account_id = visit.account_id
    return await visit.runtime.database.read(lambda tx: store.count_unread(tx, account_id))


async def render_inbox(visit: Visit, asked: Asked, *, status: int = 200, **values: Any) -> Answer:
    at_ms = now_ms()
    page = await read(visit, asked)
    if asked.person and page.talk is None:
        raise NotFound(NOBODY_WROTE)
    talk = page.talk
    way = talk.way(at_ms) if talk is not None else ""
    watched = {
        "person": asked.person,
        "box": asked.box,
        "find": asked.find,
        "before": asked.before,
        "at": at_ms,
        "seq": talk.newest_seq if talk is not None else 0,
        "way": way,
        "mark": page.mark,
        "top": max((line.conversation.last_inbound_at_ms for line in page.lines), default=0),
    }
    shown = {"text": "", "note_text": "", "errors": None} | values
    visit.news["inbox"] = page.unread
    return visit.render(
        "inbox/inbox.html",
        status=status,
        page=page,
        asked=asked,
        talk=talk,
        way=way,
        at_ms=at_ms,
        boxes=BOXES,
        changed=False,
        live_address=f"/inbox/live?{query_string(watched)}" if asked.before_seq is None else "",
        once=new_secret(12),
        **shown,
    )


@get("/inbox", opt={"rule": Rule.VIEWER})
async def show_inbox(visit: OnVisit) -> Answer:
    return await render_inbox(visit, read_asked(visit))


@get("/inbox/live", opt={"rule": Rule.VIEWER})
async def watch_inbox(visit: OnVisit) -> Stream:
    query = visit.query
    seen = Seen(
        at_ms=read_count(query["at"]) or now_ms(),
        seq=read_count(query["seq"]) or 0,
        way=query["way"],
        mark=query["mark"],
        top_ms=read_count(query["top"]) or 0,
    )
    watcher = Watcher(visit, read_asked(visit, query["person"]), seen)
    return watch(visit, watcher.look, topics=[f"inbound:{visit.account_id}"])


@get("/inbox/with/{person:str}", opt={"rule": Rule.VIEWER})
async def show_conversation(visit: OnVisit, person: FromPath[str]) -> Answer:
    """A member who opens it has read it; a viewer, another site's page and a browser that guesses ahead have not."""
    if visit.may(Rule.MEMBER) and is_opened(visit):
        await answering.mark_read(visit, person)
    return await render_inbox(visit, read_asked(visit, person))


def is_opened(visit: Visit) -> bool:
    headers = dict(visit.request.scope["headers"])
    try:
        check_origin(headers)
    except Forbidden:
        return False
    return b"prefetch" not in headers.get(b"sec-purpose", b"")


@post("/inbox/with/{person:str}/read", opt={"rule": Rule.MEMBER}, status_code=204)
async def mark_read(visit: OnVisit, person: FromPath[str]) -> None:
    """The open page says that somebody looks at what has just arrived."""
    await answering.mark_read(visit, person)


@post("/inbox/with/{person:str}/reply", opt={"rule": Rule.MEMBER})
async def reply(visit: OnVisit, person: FromPath[str]) -> Answer:
    asked = read_asked(visit, person)
    talk = await read_talk(visit, person)
    text, once = (await visit.raw("text")).replace("\r\n", "\n").strip(), (await visit.form())["once"]
    try:
        if not text:
            raise Invalid.field("text", "Write something first.")
        await answering.answer(visit, talk, once, text)
    except (Invalid, Conflict, Forbidden, Unavailable) as error:
        return await render_inbox(visit, asked, status=error.http_status, text=text, errors=errors_of(error))
    return visit.go(address_of(person, asked))


def errors_of(error: HeliographError) -> dict[str, list[str]]:
    """Everything that is wrong with a reply, at its one field."""
    return {"text": [error.message]}


# Done, assignee, notes


async def find_conversation(visit: Visit, person: str) -> Conversation:
    """Raises NotFound."""
    account_id = visit.account_id
    found = await visit.runtime.database.read(lambda tx: store.conversation_by_person(tx, account_id, person))
    if found is None:
        raise NotFound(NOBODY_WROTE)
    return found


@post("/inbox/with/{person:str}/done", opt={"rule": Rule.MEMBER})
async def mark_done(visit: OnVisit, person: FromPath[str]) -> Answer:
    """Out of the way until the person writes again. Undo opens it again at once."""
    found, asked = await find_conversation(visit, person), read_asked(visit)
    await visit.runtime.database.write(lambda tx: store.set_conversation_done(tx, found.account_id, person, now_ms()))
    said = visit.gettext("Done: %(name)s") % {"name": found.profile_name or person}
    return visit.go(f"/inbox{asked.tail}", Said(said, f"/inbox/with/{person}/open{asked.tail}"))


@post("/inbox/with/{person:str}/open", opt={"rule": Rule.MEMBER})
async def open_again(visit: OnVisit, person: FromPath[str]) -> Answer:
    found = await find_conversation(visit, person)
    await visit.runtime.database.write(lambda tx: store.set_conversation_done(tx, found.account_id, person, None))
    return visit.go(address_of(person, read_asked(visit)), visit.gettext("Open again."))


@post("/inbox/with/{person:str}/assign", opt={"rule": Rule.MEMBER})
async def assign(visit: OnVisit, person: FromPath[str]) -> Answer:
    found, asked = await find_conversation(visit, person), read_asked(visit)
    account_id, wanted = found.account_id, read_count((await visit.form())["assignee"])
    members = await visit.runtime.database.read(lambda tx: store.members(tx, account_id))
    names = {member.id: member.name for member in members if member.role != "viewer"}
    if wanted is not None and wanted not in names:
        raise Invalid.field("assignee", "This person cannot answer in this account.")
    await visit.runtime.database.write(lambda tx: store.assign_conversation(tx, account_id, person, wanted))
    before = {"assignee": "" if found.assignee_id is None else str(found.assignee_id)}
    said = (
        visit.gettext("Looked after by %(name)s.") % {"name": names[wanted]}
        if wanted is not None
        else visit.gettext("Looked after by nobody.")
    )
    return visit.go(address_of(person, asked), Said(said, f"/inbox/with/{person}/assign{asked.tail}", before))


@post("/inbox/with/{person:str}/notes", opt={"rule": Rule.MEMBER})
async def add_note(visit: OnVisit, person: FromPath[str]) -> Answer:
    found, asked = await find_conversation(visit, person), read_asked(visit, person)
    text = (await visit.form())["note"].replace("\r\n", "\n")
    if not 1 <= len(text) <= LONGEST_NOTE:
        errors = {"note": [f"A note has 1 to {LONGEST_NOTE} characters."]}
        return await render_inbox(visit, asked, status=422, note_text=text, errors=errors)
    note = Note(found.account_id, new_id(), person, visit.known.user.id, text, now_ms())
    await visit.runtime.database.write(lambda tx: store.add_note(tx, note))
    return visit.go(
        address_of(person, asked),
        Said(visit.gettext("Note added."), f"/inbox/with/{person}/notes/{uid_of(note.id)}/delete{asked.tail}"),
    )


@get("/inbox/with/{person:str}/notes/{note_uid:str}/delete", opt={"rule": Rule.MEMBER})
async def ask_delete_note(visit: OnVisit, person: FromPath[str], note_uid: FromPath[str]) -> Answer:
    """Says what will be lost."""
    account_id = visit.account_id
    notes = await visit.runtime.database.read(lambda tx: store.notes_of_conversation(tx, account_id, person))
    note = next((one for one in notes if uid_of(one.id) == note_uid), None)
    if note is None:
        raise NotFound("This note is gone.")
    return visit.render("inbox/delete_note.html", written=note, asked=read_asked(visit, person))


@post("/inbox/with/{person:str}/notes/{note_uid:str}/delete", opt={"rule": Rule.MEMBER})
async def delete_note(visit: OnVisit, person: FromPath[str], note_uid: FromPath[str]) -> Answer:
    account_id, note_id = visit.account_id, id_of(note_uid)
    if note_id is None or not await visit.runtime.database.write(lambda tx: store.drop_note(tx, account_id, note_id)):
        raise NotFound("This note is gone.")
    return visit.go(address_of(person, read_asked(visit)), visit.gettext("The note is deleted."))


ROUTES = (
    show_inbox,
    watch_inbox,
    show_conversation,
    mark_read,
    reply,
    mark_done,
    open_again,
    assign,
    add_note,
    ask_delete_note,
    delete_note,
    show_media,
    *by_template.ROUTES,
)
