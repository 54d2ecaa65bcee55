"""What only an operator asks: accounts by search, the state of every number, the limits of tokens."""

from msgspec import Struct

from heliograph.store.accounts import ACCOUNT, Account
from heliograph.store.engine import Tx, statement


class AccountFound(Struct, frozen=True):
    """An account in the operator's list. `email`: of its first owner; `numbers`: how many it has at carriers."""

    account: Account
    email: str
    numbers: int
    last_login_at_ms: int | None


FOUND = (
    ", ".join(f"a.{name.strip()}" for name in ACCOUNT.split(","))
    + ", coalesce((SELECT u.email FROM account_user AS u WHERE u.account_id = a.id ORDER BY u.id LIMIT 1), ''), "
    "(SELECT count(*) FROM connection AS c WHERE c.account_id = a.id), "
    "(SELECT max(u.last_login_at_ms) FROM account_user AS u WHERE u.account_id = a.id)"
)
MATCHES = (
    "($2 = '' OR lower(a.name) LIKE $2 ESCAPE '\\' OR EXISTS (SELECT 1 FROM account_user AS u "
    "WHERE u.account_id = a.id AND u.email_folded LIKE $2 ESCAPE '\\'))"
)
ACCOUNTS = statement(
    "accounts_page", f"SELECT {FOUND} FROM account AS a WHERE a.id < $1 AND {MATCHES} ORDER BY a.id DESC LIMIT $3"
)
ACCOUNTS_AFTER = statement(
    "accounts_page_after", f"SELECT {FOUND} FROM account AS a WHERE a.id > $1 AND {MATCHES} ORDER BY a.id LIMIT $3"
)
COUNT_ACCOUNTS = statement("count_accounts", "SELECT count(*), count(suspended_at_ms) FROM account")
SET_RATE_LIMIT = statement(
    "set_token_rate_limit", "UPDATE api_token SET rate_limit_per_minute = $3 WHERE account_id = $1 AND id = $2"
)
FAILURES = statement(
    "newest_failures",
    "SELECT connection_id, failure_code, updated_at_ms FROM message WHERE account_id = $1 AND state = 'failed' "
    "ORDER BY seq DESC LIMIT $2",
)
LARGEST_ID = (1 << 63) - 1


def search_pattern(text: str) -> str:
    """A LIKE pattern for what contains the text; "" for everything."""
    escaped = text.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%" if escaped else ""


async def find_accounts(
    tx: Tx, search: str, limit: int, *, before: int | None = None, after: int | None = None
) -> list[AccountFound]:
    """Accounts whose name, or whose people's address, contains the text: newest first, or after an id oldest first."""
    pattern = search_pattern(search)
    if after is not None:
        rows = await tx.rows(ACCOUNTS_AFTER, after, pattern, limit)
    else:
        rows = await tx.rows(ACCOUNTS, LARGEST_ID if before is None else before, pattern, limit)
    width = len(Account.__struct_fields__)
    return [AccountFound(Account(*row[:width]), *row[width:]) for row in rows]


async def count_accounts(tx: Tx) -> tuple[int, int]:
    """How many there are, and how many of them are suspended."""
    row = await tx.row(COUNT_ACCOUNTS)
    return (int(row[0]), int(row[1])) if row else (0, 0)


async def set_token_rate_limit(tx: Tx, account_id: int, token_id: int, per_minute: int | None) -> bool:
    """Requests a minute of one token; None: the installation's limit. Every node goes by it at once."""
    changed = await tx.run(SET_RATE_LIMIT, account_id, token_id, per_minute)
    tx.announce("tokens")
    return changed > 0


async def newest_failures(tx: Tx, account_id: int, limit: int) -> list[tuple[int, str, int]]:
    """Of the account's newest failed messages: connection, code, and when (ms). Newest first."""
    return [(row[0], row[1], row[2]) for row in await tx.rows(FAILURES, account_id, limit)]
