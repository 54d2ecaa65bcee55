"""The log of the account's last API calls: what was asked, what was answered, and why it was refused."""

from litestar import get
from litestar.response import Stream

from heliograph.accounts import tokens
from heliograph.core.ids import id_of
from heliograph.portal.access import Rule
from heliograph.portal.developers import console
from heliograph.portal.live import Happening, newer, watch
from heliograph.portal.paging import PER_PAGE, Cursor, cut_page, read_cursor
from heliograph.portal.visit import Answer, OnVisit, Visit
from heliograph.store import api_calls as store
from heliograph.store.api_calls import ApiCall

MOST_NEWER = 100  # counted


async def find_calls(visit: Visit, cursor: Cursor, limit: int) -> list[ApiCall]:
    refused = visit.query["refused"] == "1"
    before, after = id_of(cursor.before), id_of(cursor.after)
    return await visit.runtime.database.read(
        lambda tx: store.api_calls(tx, visit.account_id, limit, before=before, after=after, refused_only=refused)
    )


@get("/developers/log", opt={"rule": Rule.VIEWER})
async def show_calls(visit: OnVisit) -> Answer:
    cursor = read_cursor(visit.query)
    found = await find_calls(visit, cursor, PER_PAGE + 1)
    page = cut_page(found, cursor, lambda call: call.id.hex())
    names = {token.id: token.name for token in await tokens.list_tokens(visit.runtime, visit.account_id)}
    return visit.render(
        "developers/calls.html",
        page=page,
        names=names,
        console_name=console.TOKEN_NAME,
        refused_only=visit.query["refused"] == "1",
        newest=page.rows[0].id.hex() if page.rows else "0" * 32,
        first_page=not (cursor.before or cursor.after),
    )


@get("/developers/log/live", opt={"rule": Rule.VIEWER})
async def watch_calls(visit: OnVisit) -> Stream:
    """How many calls came after the newest one on the page."""
    since = Cursor(after=visit.query["newest"] or "0" * 32)
    told = 0

    async def look() -> list[Happening]:
        nonlocal told
        count = len(await find_calls(visit, since, MOST_NEWER))
        if count == told:
            return []
        told = count
        return [newer(count)]

    return watch(visit, look)


ROUTES = (show_calls, watch_calls)
