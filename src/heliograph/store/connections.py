"""Connections (our numbers at the carriers) and the senders that go out through them."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class ConnectionRow(Struct, frozen=True):
    """One number of ours at a carrier. `address` is the carrier's id of it, `business_account` that of the group it is in.

    sealed_secrets: token and app secret, encrypted. app_mark: which app its secret belongs to, without telling the secret.
    A hold (hold_code, hold_sentence, held_until_ms; no end = until someone mends it) keeps its messages waiting.
    facts: what the carrier said of the number when it was last asked, as JSON. verified_at_ms: when the carrier verified our
    callback address; heard_at_ms: about when it last called there.
    """

    id: int
    account_id: int
    channel: str
    address: str
    business_account: str
    display_number: str
    sealed_secrets: bytes
    app_mark: bytes
    callback_uid: bytes
    verify_token: str
    base_url: str
    api_version: str
    use_appsecret_proof: bool
    pace_per_s: int
    hold_code: str | None
    hold_sentence: str | None
    held_until_ms: int | None
    created_at_ms: int
    facts: str | None = None
    facts_at_ms: int | None = None
    verified_at_ms: int | None = None
    heard_at_ms: int | None = None

    def __repr__(self) -> str:
        return f"ConnectionRow(id={self.id}, account_id={self.account_id}, address={self.address!r})"


class Sender(Struct, frozen=True):
    """What the recipient's side is told, and the connection that carries it."""

    account_id: int
    name: str
    channel: str
    connection_id: int
    window_template_name: str | None
    window_template_language: str | None
    resend_unknown: bool
    created_at_ms: int


CONNECTION = (
    "id, account_id, channel, address, business_account, display_number, sealed_secrets, app_mark, callback_uid, verify_token, "
    "base_url, api_version, use_appsecret_proof, pace_per_s, hold_code, hold_sentence, held_until_ms, created_at_ms, "
    "facts, facts_at_ms, verified_at_ms, heard_at_ms"
)
SENDER = "account_id, name, channel, connection_id, window_template_name, window_template_language, resend_unknown, created_at_ms"

PUT_CONNECTION = statement(
    "put_connection",
    "INSERT INTO connection (account_id, channel, address, business_account, display_number, sealed_secrets, app_mark, "
    "callback_uid, verify_token, base_url, api_version, use_appsecret_proof, pace_per_s, created_at_ms) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
    "ON CONFLICT (account_id, channel, address) DO UPDATE SET business_account = excluded.business_account, "
    "display_number = excluded.display_number, sealed_secrets = excluded.sealed_secrets, app_mark = excluded.app_mark, "
    "base_url = excluded.base_url, api_version = excluded.api_version, "
    "use_appsecret_proof = excluded.use_appsecret_proof, pace_per_s = excluded.pace_per_s, "
    f"hold_code = NULL, hold_sentence = NULL, held_until_ms = NULL RETURNING {CONNECTION}",
)
CONNECTION_BY_ID = statement(
    "connection_by_id", f"SELECT {CONNECTION} FROM connection WHERE account_id = $1 AND id = $2"
)
CONNECTION_BY_CALLBACK = statement(
    "connection_by_callback",
    f"SELECT {CONNECTION} FROM connection WHERE callback_uid = $1",
)
ALL_CONNECTIONS = statement("all_connections", f"SELECT {CONNECTION} FROM connection ORDER BY id")
CONNECTIONS_OF_ACCOUNT = statement(
    "connections_of_account",
    f"SELECT {CONNECTION} FROM connection WHERE account_id = $1 ORDER BY id",
)
CONNECTIONS_OF_APP = statement(
    "connections_of_app",
    f"SELECT {CONNECTION} FROM connection WHERE channel = $1 AND app_mark = $2 ORDER BY id",
)
CONNECTIONS_AT_ADDRESS = statement(
    "connections_at_address",
    f"SELECT {CONNECTION} FROM connection WHERE channel = $1 AND address = $2",
)
SET_PACE = statement("set_pace", "UPDATE connection SET pace_per_s = $3 WHERE account_id = $1 AND id = $2")
KEEP_FACTS = statement(
    "keep_facts",
    "UPDATE connection SET facts = $3, facts_at_ms = $4, display_number = $5, pace_per_s = $6 "
    "WHERE account_id = $1 AND id = $2",
)
RECORD_VERIFIED = statement(
    "record_verified", "UPDATE connection SET verified_at_ms = $3 WHERE account_id = $1 AND id = $2"
)
RECORD_HEARD = statement(
    "record_heard",
    "UPDATE connection SET heard_at_ms = $3 WHERE account_id = $1 AND id = $2 "
    "AND (heard_at_ms IS NULL OR heard_at_ms < $3)",
)
REMOVE_CONNECTION = statement("remove_connection", "DELETE FROM connection WHERE account_id = $1 AND id = $2")
REMOVE_SENDERS = statement(
    "remove_senders_of_connection", "DELETE FROM sender WHERE account_id = $1 AND connection_id = $2"
)
WAITING = statement(
    "sends_of_connection",
    "SELECT count(*) FROM (SELECT 1 AS one FROM send_due WHERE account_id = $1 AND connection_id = $2 AND owner IS NULL "
    "UNION ALL SELECT 1 AS one FROM send_due WHERE account_id = $1 AND connection_id = $2 AND owner IS NOT NULL "
    "LIMIT $3) AS waiting",
)
HOLD = (
    "UPDATE connection SET hold_code = $2, hold_sentence = $3, held_until_ms = $4 "
    "WHERE (hold_code IS NULL OR (hold_code <> $2 AND substr(hold_code, 1, 8) <> 'operator') OR held_until_ms IS NOT NULL) AND "
)
HOLD_NUMBER = statement("hold_number", HOLD + "id = $1")
HOLD_BUSINESS_ACCOUNT = statement(
    "hold_business_account",
    HOLD + "EXISTS (SELECT 1 FROM connection AS hit WHERE hit.id = $1 AND hit.account_id = connection.account_id "
    "AND hit.channel = connection.channel AND hit.business_account = connection.business_account)",
)
HOLD_APP = statement(
    "hold_app",
    HOLD + "EXISTS (SELECT 1 FROM connection AS hit WHERE hit.id = $1 AND hit.account_id = connection.account_id "
    "AND hit.channel = connection.channel AND hit.app_mark = connection.app_mark)",
)
RELEASE = statement(
    "release_connection",
    "UPDATE connection SET hold_code = NULL, hold_sentence = NULL, held_until_ms = NULL "
    "WHERE account_id = $1 AND id = $2 AND hold_code IS NOT NULL",
)
RELEASE_LAPSED = statement(
    "release_lapsed_holds",
    "UPDATE connection SET hold_code = NULL, hold_sentence = NULL, held_until_ms = NULL "
    "WHERE held_until_ms IS NOT NULL AND held_until_ms <= $1",
)
RENEW = statement("renew_connections", "UPDATE connection SET owned_until_ms = $2 WHERE owner = $1")
FREE_SQL = "SELECT id FROM connection WHERE owner IS NULL OR owned_until_ms < $2 ORDER BY id LIMIT $4"
TAKE = statement(
    "take_connections",
    f"UPDATE connection SET owner = $1, owned_until_ms = $3 WHERE id IN ({FREE_SQL})",
    postgresql=f"WITH free AS MATERIALIZED ({FREE_SQL} FOR UPDATE SKIP LOCKED) "
    "UPDATE connection SET owner = $1, owned_until_ms = $3 FROM free WHERE connection.id = free.id",
)
OWNED = statement("owned_connections", f"SELECT {CONNECTION} FROM connection WHERE owner = $1 ORDER BY id")
COUNT_CONNECTIONS = statement(
    "count_connections",
    "SELECT count(*), coalesce(sum(CASE WHEN owner IS NULL OR owned_until_ms < $1 THEN 1 ELSE 0 END), 0) FROM connection",
)
DISOWN_ONE = statement(
    "disown_connection",
    "UPDATE connection SET owner = NULL, owned_until_ms = NULL WHERE account_id = $1 AND id = $2 AND owner = $3",
)
DISOWN = statement("disown_connections", "UPDATE connection SET owner = NULL, owned_until_ms = NULL WHERE owner = $1")
DISOWN_OTHERS = statement(
    "disown_connections_of_others",
    "UPDATE connection SET owner = NULL, owned_until_ms = NULL WHERE owner IS NOT NULL AND owner <> $1",
)
ADD_SENDER = statement(
    "add_sender",
    "INSERT INTO sender (account_id, name_folded, name, channel, connection_id, window_template_name, "
    "window_template_language, resend_unknown, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
    f"ON CONFLICT (account_id, name_folded) DO NOTHING RETURNING {SENDER}",
)
CHANGE_SENDER = statement(
    "change_sender",
    "UPDATE sender SET window_template_name = $3, window_template_language = $4, resend_unknown = $5 "
    "WHERE account_id = $1 AND name_folded = $2",
)
REMOVE_SENDER = statement("remove_sender", "DELETE FROM sender WHERE account_id = $1 AND name_folded = $2")
SENDERS_OF_ACCOUNT = statement(
    "senders_of_account",
    f"SELECT {SENDER} FROM sender WHERE account_id = $1 ORDER BY created_at_ms, name_folded",
)
ADD_CONNECTION_EVENT = statement(
    "add_connection_event",
    "INSERT INTO connection_event (account_id, id, connection_id, at_ms, name, sentence, raw) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
)
CONNECTION_EVENTS = statement(
    "connection_events",
    "SELECT at_ms, name, sentence, raw FROM connection_event WHERE account_id = $1 AND connection_id = $2 "
    "ORDER BY id DESC LIMIT $3",
)
HOLD_TEMPLATE = statement(
    "hold_template",
    "INSERT INTO template_hold (account_id, business_account, name, language, since_ms, code, sentence) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
)
RELEASE_TEMPLATE = statement(
    "release_template",
    "DELETE FROM template_hold WHERE account_id = $1 AND business_account = $2 AND name = $3 AND language = $4",
)
RELEASE_TEMPLATES = statement(
    "release_templates", "DELETE FROM template_hold WHERE account_id = $1 AND business_account = $2"
)
RELEASE_LAPSED_TEMPLATES = statement("release_lapsed_template_holds", "DELETE FROM template_hold WHERE since_ms <= $1")
TEMPLATE_HOLDS = statement(
    "template_holds",
    "SELECT name, language, code, sentence FROM template_hold WHERE account_id = $1 AND business_account = $2",
)


def to_connection(row: tuple[object, ...]) -> ConnectionRow:
    return ConnectionRow(*row)  # type: ignore[arg-type]


async def put_connection(tx: Tx, made: ConnectionRow) -> ConnectionRow:
    """Add a number, or give the one with the same address new credentials: then its hold ends. `made.id` is not looked at."""
    rows = await tx.rows(
        PUT_CONNECTION,
        made.account_id,
        made.channel,
        made.address,
        made.business_account,
        made.display_number,
        made.sealed_secrets,
        made.app_mark,
        made.callback_uid,
        made.verify_token,
        made.base_url,
        made.api_version,
        made.use_appsecret_proof,
        made.pace_per_s,
        made.created_at_ms,
    )
    tx.announce("connections")
    return to_connection(rows[0])


async def connection_by_id(tx: Tx, account_id: int, connection_id: int) -> ConnectionRow | None:
    row = await tx.row(CONNECTION_BY_ID, account_id, connection_id)
    return to_connection(row) if row else None


async def connection_by_callback(tx: Tx, callback_uid: bytes) -> ConnectionRow | None:
    row = await tx.row(CONNECTION_BY_CALLBACK, callback_uid)
    return to_connection(row) if row else None


async def all_connections(tx: Tx) -> list[ConnectionRow]:
    return [to_connection(row) for row in await tx.rows(ALL_CONNECTIONS)]


async def connections_of_account(tx: Tx, account_id: int) -> list[ConnectionRow]:
    return [to_connection(row) for row in await tx.rows(CONNECTIONS_OF_ACCOUNT, account_id)]


async def connections_of_app(tx: Tx, channel: str, app_mark: bytes) -> list[ConnectionRow]:
    """Every number that the same carrier app speaks for: one callback may bring news of any of them."""
    return [to_connection(row) for row in await tx.rows(CONNECTIONS_OF_APP, channel, app_mark)]


async def connections_at_address(tx: Tx, channel: str, address: str) -> list[ConnectionRow]:
    """Whoever has the carrier's number of that id."""
    return [to_connection(row) for row in await tx.rows(CONNECTIONS_AT_ADDRESS, channel, address)]


async def set_pace(tx: Tx, account_id: int, connection_id: int, pace_per_s: int) -> None:
    await tx.run(SET_PACE, account_id, connection_id, pace_per_s)
    tx.announce("connections")


async def keep_facts(
    tx: Tx, account_id: int, connection_id: int, facts: str, at_ms: int, display_number: str, pace_per_s: int
) -> None:
    """What the carrier just said of the number: all of it as JSON, and what sending goes by."""
    await tx.run(KEEP_FACTS, account_id, connection_id, facts, at_ms, display_number, pace_per_s)
    tx.announce("connections")


async def record_verified(tx: Tx, account_id: int, connection_id: int, at_ms: int) -> None:
    """The carrier verified the callback address."""
    await tx.run(RECORD_VERIFIED, account_id, connection_id, at_ms)


async def record_heard(tx: Tx, account_id: int, connection_id: int, at_ms: int) -> None:
    """The carrier called. An older time changes nothing."""
    await tx.run(RECORD_HEARD, account_id, connection_id, at_ms)


async def count_waiting(tx: Tx, account_id: int, connection_id: int, most: int) -> int:
    """How many messages wait to go out through the number, scheduled ones among them; counting ends at `most`."""
    row = await tx.row(WAITING, account_id, connection_id, most)
    return int(row[0]) if row else 0


async def remove_connection(tx: Tx, account_id: int, connection_id: int) -> bool:
    """Forget a number, its credentials and its senders."""
    await tx.run(REMOVE_SENDERS, account_id, connection_id)
    changed = await tx.run(REMOVE_CONNECTION, account_id, connection_id)
    tx.announce("senders")
    tx.announce("connections")
    return changed > 0


async def hold(tx: Tx, connection_id: int, scope: str, code: str, sentence: str, until_ms: int | None) -> int:
    """Let the messages of a number wait; scope: number, business_account or app (of the same account). How many it hit.

    A hold whose code begins with "operator" was made by a person, and only a person ends it: no other hold takes its place."""
    what = {"number": HOLD_NUMBER, "business_account": HOLD_BUSINESS_ACCOUNT, "app": HOLD_APP}[scope]
    changed = await tx.run(what, connection_id, code, sentence, until_ms)
    tx.announce("connections")
    return changed


async def release(tx: Tx, account_id: int, connection_id: int) -> bool:
    changed = await tx.run(RELEASE, account_id, connection_id)
    tx.announce("connections")
    return changed > 0


async def release_lapsed_holds(tx: Tx, now_ms: int) -> int:
    return await tx.run(RELEASE_LAPSED, now_ms)


async def own_connections(
    tx: Tx, owner: bytes, now_ms: int, until_ms: int, most: int = 1_000_000
) -> list[ConnectionRow]:
    """Renew our own leases, and take numbers that nobody holds a living lease on until we have `most`. All that are ours now."""
    ours = await tx.run(RENEW, owner, until_ms)
    if ours < most:
        await tx.run(TAKE, owner, now_ms, until_ms, most - ours)
    return [to_connection(row) for row in await tx.rows(OWNED, owner)]


async def count_connections(tx: Tx, now_ms: int) -> tuple[int, int]:
    """How many numbers there are, and how many of them nobody holds a living lease on."""
    row = await tx.row(COUNT_CONNECTIONS, now_ms)
    assert row is not None
    return int(row[0]), int(row[1])


async def disown_connection(tx: Tx, owner: bytes, account_id: int, connection_id: int) -> None:
    """Give one number back, for others to take."""
    await tx.run(DISOWN_ONE, account_id, connection_id, owner)
    tx.announce("connections")


async def disown_connections(tx: Tx, owner: bytes) -> None:
    await tx.run(DISOWN, owner)
    tx.announce("connections")


async def disown_connections_of_others(tx: Tx, owner: bytes) -> None:
    """Only for one who knows that every other owner is dead."""
    await tx.run(DISOWN_OTHERS, owner)


async def add_sender(tx: Tx, sender: Sender, name_folded: str) -> Sender | None:
    """None when the account has a sender of that name."""
    rows = await tx.rows(
        ADD_SENDER,
        sender.account_id,
        name_folded,
        sender.name,
        sender.channel,
        sender.connection_id,
        sender.window_template_name,
        sender.window_template_language,
        sender.resend_unknown,
        sender.created_at_ms,
    )
    tx.announce("senders")
    return Sender(*rows[0]) if rows else None


async def change_sender(
    tx: Tx, account_id: int, name_folded: str, template: tuple[str, str] | None, *, resend_unknown: bool
) -> bool:
    name, language = template or (None, None)
    changed = await tx.run(CHANGE_SENDER, account_id, name_folded, name, language, resend_unknown)
    tx.announce("senders")
    return changed > 0


async def remove_sender(tx: Tx, account_id: int, name_folded: str) -> bool:
    changed = await tx.run(REMOVE_SENDER, account_id, name_folded)
    tx.announce("senders")
    return changed > 0


async def senders_of_account(tx: Tx, account_id: int) -> list[Sender]:
    return [Sender(*row) for row in await tx.rows(SENDERS_OF_ACCOUNT, account_id)]


async def add_connection_event(
    tx: Tx, connection: ConnectionRow, event_id: bytes, at_ms: int, name: str, sentence: str, raw: str
) -> None:
    """What a carrier told us about our own number; a repeated event_id changes nothing."""
    await tx.run(ADD_CONNECTION_EVENT, connection.account_id, event_id, connection.id, at_ms, name, sentence, raw)


async def connection_events(tx: Tx, account_id: int, connection_id: int, limit: int) -> list[tuple[int, str, str, str]]:
    """Newest first: at_ms, name, sentence, raw."""
    return await tx.rows(CONNECTION_EVENTS, account_id, connection_id, limit)


async def hold_template(
    tx: Tx, account_id: int, business_account: str, template: tuple[str, str], since_ms: int, code: str, sentence: str
) -> None:
    await tx.run(HOLD_TEMPLATE, account_id, business_account, *template, since_ms, code, sentence)


async def release_template(tx: Tx, account_id: int, business_account: str, template: tuple[str, str]) -> None:
    await tx.run(RELEASE_TEMPLATE, account_id, business_account, *template)


async def release_templates(tx: Tx, account_id: int, business_account: str) -> int:
    """End the holds of all templates of one of the account's business accounts. How many there were."""
    return await tx.run(RELEASE_TEMPLATES, account_id, business_account)


async def release_lapsed_template_holds(tx: Tx, since_before_ms: int) -> int:
    """End the holds that began at that time or before: the next message tries the template again. How many there were."""
    return await tx.run(RELEASE_LAPSED_TEMPLATES, since_before_ms)


async def template_holds(tx: Tx, account_id: int, business_account: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(name, language) → (code, sentence) of the templates that must not be sent."""
    rows = await tx.rows(TEMPLATE_HOLDS, account_id, business_account)
    return {(name, language): (code, sentence) for name, language, code, sentence in rows}
