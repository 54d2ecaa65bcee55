"""The operator's pages. Every one that changes something writes a line into the audit log."""

from litestar import get, post
from litestar.params import FromPath

from heliograph.accounts import members, operating, people, senders, tokens
from heliograph.accounts.audit import Actor
from heliograph.core.ids import id_of, now_ms
from heliograph.errors import Invalid, NotFound
from heliograph.portal.access import Rule
from heliograph.portal.operator.words import NAMES, QUEUES
from heliograph.portal.paging import PER_PAGE, Cursor, cut_page, read_cursor
from heliograph.portal.senders.words import standing_of
from heliograph.portal.visit import Answer, OnVisit, Said, Visit
from heliograph.store import audit as audit_store
from heliograph.store import callbacks as callback_store
from heliograph.store import operating as store

OLD_MS = 300_000  # a queue whose oldest row waits for longer deserves a look
BODY_SHOWN = 4_000
LINES_SHOWN = 10


def actor(visit: Visit) -> Actor:
    return Actor(visit.known.user, visit.caller.address)


# Health


@get("/operator", opt={"rule": Rule.OPERATOR})
async def show_health(visit: OnVisit) -> Answer:
    queued = await operating.read_queues(visit.runtime)
    found = await operating.read_numbers(visit.runtime)
    accounts, suspended = await visit.runtime.database.read(store.count_accounts)
    troubled = await visit.runtime.database.read(lambda tx: callback_store.troubled_callbacks(tx, b"\0" * 16, 100))
    return visit.render(
        "operator/health.html",
        queues=queued,
        queue_names=QUEUES,
        numbers=found.shown,
        number_count=found.count,
        held=found.held,
        accounts=accounts,
        suspended=suspended,
        troubled=len(troubled),
        now_ms=now_ms(),
        old_ms=OLD_MS,
    )


# Accounts


@get("/operator/accounts", opt={"rule": Rule.OPERATOR})
async def show_accounts(visit: OnVisit) -> Answer:
    cursor, search = read_cursor(visit.query), visit.query["find"]
    before, after = read_number(cursor.before), read_number(cursor.after)
    found = await visit.runtime.database.read(
        lambda tx: store.find_accounts(tx, search, PER_PAGE + 1, before=before, after=after)
    )
    page = cut_page(found, Cursor(str(before or ""), str(after or "")), lambda one: str(one.account.id))
    return visit.render("operator/accounts.html", page=page, search=search)


def read_number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


@get("/operator/accounts/{account_id:int}", opt={"rule": Rule.OPERATOR})
async def show_account(visit: OnVisit, account_id: FromPath[int]) -> Answer:
    return await render_account(visit, account_id)


async def render_account(
    visit: Visit, account_id: int, *, status: int = 200, errors: dict[str, list[str]] | None = None
) -> Answer:
    chosen = await people.find_account(visit.runtime, account_id)
    names = await senders.list_senders(visit.runtime, account_id)
    rows = await senders.list_connections(visit.runtime, account_id)
    lines = await visit.runtime.database.read(
        lambda tx: audit_store.audit_events(tx, LINES_SHOWN, account_id=account_id)
    )
    living = [one for one in await tokens.list_tokens(visit.runtime, account_id) if one.revoked_at_ms is None]
    return visit.render(
        "operator/account.html",
        status=status,
        chosen=chosen,
        people=await members.list_members(visit.runtime, account_id),
        numbers=[(row, standing_of(row, None, sum(one.connection_id == row.id for one in names))) for row in rows],
        senders=names,
        tokens=living[::-1],
        default_limit=visit.settings.rate_limit_per_minute,
        lines=lines,
        line_names=NAMES,
        errors=errors,
    )


@get("/operator/accounts/{account_id:int}/suspend", opt={"rule": Rule.OPERATOR})
async def ask_suspend(visit: OnVisit, account_id: FromPath[int]) -> Answer:
    chosen = await people.find_account(visit.runtime, account_id)
    return visit.render("operator/suspend.html", chosen=chosen)


@post("/operator/accounts/{account_id:int}/suspend", opt={"rule": Rule.OPERATOR})
async def suspend(visit: OnVisit, account_id: FromPath[int]) -> Answer:
    chosen = await people.find_account(visit.runtime, account_id)
    path = f"/operator/accounts/{account_id}"
    if account_id == visit.known.user.account_id:
        sentence = visit.gettext("This is your own account: you would be logged out of the installation.")
        return await render_account(visit, account_id, status=409, errors={"": [sentence]})
    await operating.suspend(visit.runtime, actor(visit), account_id, suspended=True)
    told = visit.gettext("%(name)s is suspended.") % {"name": chosen.name}
    return visit.go(path, Said(told, f"{path}/allow"))


@post("/operator/accounts/{account_id:int}/allow", opt={"rule": Rule.OPERATOR})
async def allow(visit: OnVisit, account_id: FromPath[int]) -> Answer:
    chosen = await people.find_account(visit.runtime, account_id)
    await operating.suspend(visit.runtime, actor(visit), account_id, suspended=False)
    told = visit.gettext("%(name)s may send again.") % {"name": chosen.name}
    return visit.go(f"/operator/accounts/{account_id}", told)


@post("/operator/accounts/{account_id:int}/tokens/{token_id:int}/limit", opt={"rule": Rule.OPERATOR})
async def set_limit(visit: OnVisit, account_id: FromPath[int], token_id: FromPath[int]) -> Answer:
    """An empty limit: the installation's."""
    typed = (await visit.form())["rate_limit"]
    try:
        if typed and read_number(typed) is None:
            raise Invalid.field("rate_limit", "A limit is a number of requests a minute; 0 for none, or nothing.")
        limit = read_number(typed)
        await operating.set_rate_limit(visit.runtime, actor(visit), account_id, token_id, limit)
    except Invalid as error:
        return await render_account(visit, account_id, status=422, errors=error.errors)
    return visit.go(f"/operator/accounts/{account_id}", visit.gettext("The limit is set."))


@post("/operator/accounts/{account_id:int}/act", opt={"rule": Rule.OPERATOR})
async def act(visit: OnVisit, account_id: FromPath[int]) -> Answer:
    """See the portal as an owner of that account does, in this session, until it is stopped."""
    chosen = await people.find_account(visit.runtime, account_id)
    if account_id == visit.known.user.account_id:
        return visit.go("/", visit.gettext("This is your own account."))
    await operating.act_as(visit.runtime, visit.known, visit.caller.address, chosen.id)
    return visit.go("/")


@post("/operator/stop-acting", opt={"rule": Rule.OPERATOR})
async def stop_acting(visit: OnVisit) -> Answer:
    left = visit.known.account.id
    await operating.act_as(visit.runtime, visit.known, visit.caller.address, None)
    return visit.go(f"/operator/accounts/{left}", visit.gettext("You are yourself again."))


# Callbacks


@get("/operator/callbacks", opt={"rule": Rule.OPERATOR})
async def show_callbacks(visit: OnVisit) -> Answer:
    """Those that could not be applied, oldest first."""
    after = id_of(visit.query["after"]) or b"\0" * 16
    found = await visit.runtime.database.read(lambda tx: callback_store.troubled_callbacks(tx, after, PER_PAGE + 1))
    names = {one.id: one.name for one in await people.list_accounts(visit.runtime)} if found else {}
    rows = [(one, names.get(one.account_id, ""), one.body[:BODY_SHOWN].decode(errors="replace")) for one in found]
    return visit.render(
        "operator/callbacks.html",
        rows=rows[:PER_PAGE],
        next_after=found[PER_PAGE - 1].id.hex() if len(found) > PER_PAGE else "",
        keep_days=visit.settings.callback_keep_days,
    )


@post("/operator/callbacks/{account_id:int}/{callback_uid:str}/replay", opt={"rule": Rule.OPERATOR})
async def replay(visit: OnVisit, account_id: FromPath[int], callback_uid: FromPath[str]) -> Answer:
    callback_id = id_of(callback_uid)
    if callback_id is None:
        raise NotFound("This callback is no longer kept.")
    await operating.replay(visit.runtime, actor(visit), account_id, callback_id)
    return visit.go("/operator/callbacks", visit.gettext("The callback is applied once more."))


@post("/operator/callbacks/replay", opt={"rule": Rule.OPERATOR})
async def replay_all(visit: OnVisit) -> Answer:
    count = await operating.replay_all(visit.runtime, actor(visit))
    told = visit.ngettext("%(num)d callback is applied once more.", "%(num)d callbacks are applied once more.", count)
    return visit.go("/operator/callbacks", told % {"num": count})


# Audit log


@get("/operator/audit", opt={"rule": Rule.OPERATOR})
async def show_audit(visit: OnVisit) -> Answer:
    cursor, account_id = read_cursor(visit.query), read_number(visit.query["account"])
    before, after = id_of(cursor.before), id_of(cursor.after)
    found = await visit.runtime.database.read(
        lambda tx: audit_store.audit_events(tx, PER_PAGE + 1, before=before, after=after, account_id=account_id)
    )
    page = cut_page(found, cursor if before or after else Cursor(), lambda line: line.id.hex())
    chosen = await people.find_account(visit.runtime, account_id) if account_id else None
    wanted = {line.account_id for line in page.rows if line.account_id is not None}
    names = {one: (await people.find_account(visit.runtime, one)).name for one in wanted}
    return visit.render("operator/audit.html", page=page, chosen=chosen, names=names, line_names=NAMES)


ROUTES = (
    show_health,
    show_accounts,
    show_account,
    ask_suspend,
    suspend,
    allow,
    set_limit,
    act,
    stop_acting,
    show_callbacks,
    replay,
    replay_all,
    show_audit,
)
