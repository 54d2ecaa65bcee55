"""The list of messages, one message's page, cancelling, and files."""

from urllib.parse import quote

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Stream

from heliograph.accept.cancelling import TOO_LATE, cancel_message
from heliograph.accounts import senders, tokens
from heliograph.accounts.tokens import NewToken
from heliograph.core.ids import now_ms
from heliograph.portal.access import Rule
from heliograph.portal.developers.snippets import YOUR_TOKEN
from heliograph.portal.languages import N_
from heliograph.portal.live import Happening, swap, watch
from heliograph.portal.messages.by_api import curl_of
from heliograph.portal.messages.export import stream_csv
from heliograph.portal.messages.filters import DIRECTIONS, STATES, Asked, read_filters
from heliograph.portal.messages.rows import Watched, list_rows, read_known, write_known
from heliograph.portal.messages.story import read_story
from heliograph.portal.paging import read_cursor
from heliograph.portal.rendering import query_string
from heliograph.portal.visit import Answer, OnVisit, Visit
from heliograph.store import messages as message_store
from heliograph.store.engine import Tx

MOST_COUNTED = 10_000


@get("/messages", opt={"rule": Rule.VIEWER})
async def show_messages(visit: OnVisit) -> Answer:
    asked = read_filters(visit.query, visit.known.account)
    if asked.uid is not None:
        uid = asked.uid
        if await visit.runtime.database.read(lambda tx: message_store.message_by_id(tx, visit.account_id, uid)):
            return visit.go(f"/messages/{uid.hex()}")
    cursor = read_cursor(visit.query)
    listing = await list_rows(visit, asked.search, cursor)
    is_first_page = not cursor.before and not cursor.after
    live = query_string(
        asked.values,
        rows=write_known(listing.page.rows),
        top=listing.newest_seq if is_first_page else None,
    )
    return visit.render(
        "messages/list.html",
        status=422 if asked.errors else 200,
        asked=asked,
        page=listing.page,
        stopped_at_ms=listing.stopped_at_ms,
        is_first_page=is_first_page,
        live_path=f"/messages/live?{live}",
        senders=await senders.list_senders(visit.runtime, visit.account_id),
        states=STATES,
        directions=DIRECTIONS,
    )


@get("/messages/live", opt={"rule": Rule.VIEWER})
async def watch_messages(visit: OnVisit) -> Stream:
    """What changes on a page of the list: `rows` names its rows with their states, `top` its newest number."""
    asked = read_filters(visit.query, visit.known.account)
    top = visit.query["top"]
    top_seq = int(top) if top.isascii() and top.isdecimal() and len(top) < 19 else None
    watched = Watched(visit, read_known(visit.query["rows"]), asked.search, top_seq=top_seq)
    return watch(visit, watched.look)


@get("/messages/export", opt={"rule": Rule.VIEWER})
async def show_export(visit: OnVisit) -> Answer:
    """Says what will be in the file before it is asked for."""
    asked = read_filters(visit.query, visit.known.account)
    return visit.render("messages/export.html", asked=asked, how_many=await count_messages(visit, asked))


async def count_messages(visit: Visit, asked: Asked) -> int | None:
    """How many messages match; None where counting them would take as long as the file itself."""
    search = asked.search

    async def work(tx: Tx) -> int | None:
        if not search:
            return await message_store.last_seq(tx, visit.account_id)
        if not search.is_indexed or search.text or search.sender is not None:
            return None
        count = await message_store.filtered_count(tx, visit.account_id, search.filters)
        return count if count <= MOST_COUNTED else None

    return await visit.runtime.database.read(work)


@get("/messages/export.csv", opt={"rule": Rule.VIEWER})
async def export_messages(visit: OnVisit) -> Stream:
    asked = read_filters(visit.query, visit.known.account)
    name = quote(f"messages {visit.known.account.name}.csv")
    return Stream(
        stream_csv(visit.runtime, visit.known.account, asked.search),
        media_type="text/csv",
        headers={
            "content-disposition": f"attachment; filename=\"messages.csv\"; filename*=UTF-8''{name}",
            "cache-control": "no-store",
        },
    )


@get("/messages/{uid:str}", opt={"rule": Rule.VIEWER})
async def show_message(visit: OnVisit, uid: FromPath[str]) -> Answer:
    return await render_message(visit, uid)


@post("/messages/{uid:str}/token", opt={"rule": Rule.OWNER}, status_code=200)
async def create_first_token(visit: OnVisit, uid: FromPath[str]) -> Answer:
    """A token for the line beside the message, which then runs as it stands. In this one answer only, so not by leading there."""
    await read_story(visit, uid)
    made = await tokens.create_token(visit.runtime, visit.account_id, visit.gettext("First program"))
    await visit.note("token_created", made.token.name)
    return await render_message(visit, uid, made)


async def render_message(visit: Visit, uid: str, made: NewToken | None = None) -> Answer:
    story = await read_story(visit, uid)
    newest = await visit.runtime.database.read(lambda tx: message_store.last_seq(tx, visit.account_id))
    return visit.render(
        "messages/message.html",
        story=story,
        is_among_first=made is not None or (newest <= 3 and story.message.direction == "outgoing"),
        made=made,
        curl=curl_of(story.message, story.template, visit.caller.base_url, made.text if made else YOUR_TOKEN),
    )


@get("/messages/{uid:str}/live", opt={"rule": Rule.VIEWER})
async def watch_message(visit: OnVisit, uid: FromPath[str]) -> Stream:
    shown = visit.query["version"]
    await read_story(visit, uid)

    async def look() -> list[Happening]:
        nonlocal shown
        story = await read_story(visit, uid)
        if story.version == shown:
            return []
        shown = story.version
        return [swap(visit.part("messages/story.html", story=story))]

    return watch(visit, look)


@post("/messages/{uid:str}/cancel", opt={"rule": Rule.MEMBER})
async def cancel(visit: OnVisit, uid: FromPath[str]) -> Answer:
    """As the API cancels: it will never leave, or it is too late; never both."""
    story = await read_story(visit, uid)
    message = story.message
    done, _ = await visit.runtime.database.write(lambda tx: cancel_message(tx, visit.account_id, message.id, now_ms()))
    said = N_("The message is cancelled; it will not leave.") if done else TOO_LATE
    return visit.go(f"/messages/{uid}", visit.gettext(said))


ROUTES = (
    show_messages,
    watch_messages,
    show_export,
    export_messages,
    show_message,
    create_first_token,
    watch_message,
    cancel,
)
