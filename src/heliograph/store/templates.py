"""Templates of the account's business accounts, as the carrier described them last; who may send them is the carrier's to say."""

from collections.abc import Iterable

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class Template(Struct, frozen=True, kw_only=True):
    """One template in one language. `components`: the carrier's own, as JSON text. Words of the carrier in capitals.

    carrier_id is unique in an account; quality: GREEN, YELLOW, RED or UNKNOWN."""

    account_id: int
    business_account: str
    name: str
    language: str
    carrier_id: str
    category: str
    status: str
    quality: str
    rejected_reason: str
    parameter_format: str
    components: str
    seen_at_ms: int


class Sync(Struct, frozen=True):
    """When a business account's templates were fetched last (0: never, or they are to be fetched now), and what went wrong."""

    business_account: str
    synced_at_ms: int
    trouble: str


FIELDS = Template.__struct_fields__
TEMPLATE = ", ".join(FIELDS)
PUT = statement(
    "put_template",
    f"INSERT INTO message_template ({TEMPLATE}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
    "ON CONFLICT (account_id, business_account, name, language) DO UPDATE SET "
    + ", ".join(f"{field} = excluded.{field}" for field in FIELDS[4:]),
)
DROP_UNSEEN = statement(
    "drop_unseen_templates",
    "DELETE FROM message_template WHERE account_id = $1 AND business_account = $2 AND seen_at_ms < $3",
)
DROP = statement("drop_template", "DELETE FROM message_template WHERE account_id = $1 AND carrier_id = $2")
BY_ID = statement(
    "template_by_id", f"SELECT {TEMPLATE} FROM message_template WHERE account_id = $1 AND carrier_id = $2"
)
BY_NAME = statement(
    "template_by_name",
    f"SELECT {TEMPLATE} FROM message_template WHERE account_id = $1 AND business_account = $2 AND name = $3 "
    "AND language = $4",
)
PLACE = "(name, language, business_account)"
WANTED = (
    "account_id = $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR business_account = $3) AND name LIKE $4 ESCAPE '!'"
)
PAGE_AFTER = statement(
    "templates_after",
    f"SELECT {TEMPLATE} FROM message_template WHERE {WANTED} AND {PLACE} > ($5, $6, $7) "
    "ORDER BY name, language, business_account LIMIT $8",
)
PAGE_BEFORE = statement(
    "templates_before",
    f"SELECT {TEMPLATE} FROM message_template WHERE {WANTED} AND {PLACE} < ($5, $6, $7) "
    "ORDER BY name DESC, language DESC, business_account DESC LIMIT $8",
)
CHANGE = statement(
    "change_template",
    "UPDATE message_template SET status = CASE WHEN $5 = '' THEN status ELSE $5 END, "
    "quality = CASE WHEN $6 = '' THEN quality ELSE $6 END, category = CASE WHEN $7 = '' THEN category ELSE $7 END "
    "WHERE account_id = $1 AND business_account = $2 AND name = $3 AND language = $4",
)
SYNCED = statement(
    "record_template_sync",
    "INSERT INTO template_sync (account_id, business_account, synced_at_ms, trouble) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (account_id, business_account) DO UPDATE SET synced_at_ms = excluded.synced_at_ms, "
    "trouble = excluded.trouble",
)
CLAIM = statement(
    "claim_template_sync",
    "INSERT INTO template_sync (account_id, business_account, synced_at_ms, trouble) VALUES ($1, $2, $3, '') "
    "ON CONFLICT (account_id, business_account) DO UPDATE SET synced_at_ms = excluded.synced_at_ms "
    "WHERE template_sync.synced_at_ms < $4",
)
SYNCS = statement(
    "template_syncs",
    "SELECT business_account, synced_at_ms, trouble FROM template_sync WHERE account_id = $1 ORDER BY business_account",
)
FIRST = ("", "", "")  # the place before the first template


def to_template(row: tuple[object, ...]) -> Template:
    return Template(**dict(zip(FIELDS, row, strict=True)))  # type: ignore[arg-type]


async def put_templates(
    tx: Tx, account_id: int, business_account: str, templates: Iterable[Template], synced_at_ms: int
) -> None:
    """What the carrier has now: all of it, so what it no longer tells is gone. Each `seen_at_ms` is `synced_at_ms`."""
    await tx.run_many(PUT, [tuple(getattr(one, field) for field in FIELDS) for one in templates])
    await tx.run(DROP_UNSEEN, account_id, business_account, synced_at_ms)
    await tx.run(SYNCED, account_id, business_account, synced_at_ms, "")
    tx.announce(f"templates:{account_id}")


async def put_template(tx: Tx, template: Template) -> None:
    await tx.run(PUT, *(getattr(template, field) for field in FIELDS))
    tx.announce(f"templates:{template.account_id}")


async def drop_template(tx: Tx, account_id: int, carrier_id: str) -> bool:
    tx.announce(f"templates:{account_id}")
    return await tx.run(DROP, account_id, carrier_id) > 0


async def template_by_id(tx: Tx, account_id: int, carrier_id: str) -> Template | None:
    row = await tx.row(BY_ID, account_id, carrier_id)
    return to_template(row) if row else None


async def template_by_name(tx: Tx, account_id: int, business_account: str, name: str, language: str) -> Template | None:
    row = await tx.row(BY_NAME, account_id, business_account, name, language)
    return to_template(row) if row else None


async def templates_of_account(
    tx: Tx,
    account_id: int,
    limit: int,
    *,
    status: str = "",
    business_account: str = "",
    holding: str = "",
    after: tuple[str, str, str] = FIRST,
    before: tuple[str, str, str] | None = None,
) -> list[Template]:
    """By name and language, those whose name holds `holding`; empty: all. Places: name, language, business account.

    After `after` in that order, or before `before` the nearest first."""
    pattern = "%" + "".join(f"!{c}" if c in "!%_" else c for c in holding.lower()) + "%"
    what, place = (PAGE_AFTER, after) if before is None else (PAGE_BEFORE, before)
    rows = await tx.rows(what, account_id, status, business_account, pattern, *place, limit)
    return [to_template(row) for row in rows]


async def change_template(
    tx: Tx,
    account_id: int,
    business_account: str,
    template: tuple[str, str],
    *,
    status: str = "",
    quality: str = "",
    category: str = "",
) -> bool:
    """News of one that we know: name and language; what is empty stays. False where we do not know it."""
    tx.announce(f"templates:{account_id}")
    return await tx.run(CHANGE, account_id, business_account, *template, status, quality, category) > 0


async def want_sync(tx: Tx, account_id: int, business_account: str) -> None:
    """Whoever looks next fetches the templates anew."""
    await tx.run(SYNCED, account_id, business_account, 0, "")
    tx.announce(f"templates:{account_id}")


async def claim_sync(tx: Tx, account_id: int, business_account: str, now_ms: int, older_than_ms: int) -> bool:
    """Whether it is for the caller to fetch them: they were fetched before that time, and nobody else does it now."""
    return await tx.run(CLAIM, account_id, business_account, now_ms, older_than_ms) > 0


async def record_sync_trouble(tx: Tx, account_id: int, business_account: str, at_ms: int, trouble: str) -> None:
    await tx.run(SYNCED, account_id, business_account, at_ms, trouble)
    tx.announce(f"templates:{account_id}")


async def syncs_of_account(tx: Tx, account_id: int) -> dict[str, Sync]:
    """By business account."""
    return {row[0]: Sync(*row) for row in await tx.rows(SYNCS, account_id)}
