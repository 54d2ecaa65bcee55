"""Accounts and their users."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class Account(Struct, frozen=True):
    """Who pays. time_zone is an IANA name; default_country an ISO 3166 code; default_sender a name of one of its senders."""

    id: int
    name: str
    time_zone: str
    default_country: str | None
    default_sender: str | None
    suspended_at_ms: int | None
    created_at_ms: int


class User(Struct, frozen=True):
    """A person who may log in. `role`: owner, member or viewer of the account."""

    id: int
    account_id: int
    email: str
    name: str
    password_hash: str
    role: str
    created_at_ms: int
    last_login_at_ms: int | None

    def __repr__(self) -> str:
        return f"User(id={self.id}, account_id={self.account_id}, role={self.role!r})"


ACCOUNT = "id, name, time_zone, default_country, default_sender, suspended_at_ms, created_at_ms"
USER = "id, account_id, email, name, password_hash, role, created_at_ms, last_login_at_ms"

ADD_ACCOUNT = statement(
    "add_account",
    f"INSERT INTO account (name, time_zone, default_country, created_at_ms) VALUES ($1, $2, $3, $4) RETURNING {ACCOUNT}",
)
ACCOUNT_BY_ID = statement("account_by_id", f"SELECT {ACCOUNT} FROM account WHERE id = $1")
ALL_ACCOUNTS = statement("all_accounts", f"SELECT {ACCOUNT} FROM account ORDER BY id")
CHANGE_ACCOUNT = statement(
    "change_account",
    "UPDATE account SET name = $2, time_zone = $3, default_country = $4, default_sender = $5 WHERE id = $1",
)
SUSPEND_ACCOUNT = statement("suspend_account", "UPDATE account SET suspended_at_ms = $2 WHERE id = $1")
ADD_USER = statement(
    "add_user",
    "INSERT INTO account_user (account_id, email, email_folded, name, password_hash, role, created_at_ms) "
    f"VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email_folded) DO NOTHING RETURNING {USER}",
)
USER_BY_EMAIL = statement("user_by_email", f"SELECT {USER} FROM account_user WHERE email_folded = $1")
USER_BY_ID = statement("user_by_id", f"SELECT {USER} FROM account_user WHERE id = $1")
SET_PASSWORD = statement("set_password", "UPDATE account_user SET password_hash = $2 WHERE id = $1")
RENAME_USER = statement("rename_user", "UPDATE account_user SET name = $2 WHERE id = $1")
RECORD_LOGIN = statement("record_login", "UPDATE account_user SET last_login_at_ms = $2 WHERE id = $1")


def fold_email(email: str) -> str:
    """The form in which two spellings of one address are equal."""
    return email.strip().casefold()


async def add_account(tx: Tx, name: str, time_zone: str, default_country: str | None, now_ms: int) -> Account:
    rows = await tx.rows(ADD_ACCOUNT, name, time_zone, default_country, now_ms)
    return Account(*rows[0])


async def account_by_id(tx: Tx, account_id: int) -> Account | None:
    row = await tx.row(ACCOUNT_BY_ID, account_id)
    return Account(*row) if row else None


async def all_accounts(tx: Tx) -> list[Account]:
    return [Account(*row) for row in await tx.rows(ALL_ACCOUNTS)]


async def change_account(tx: Tx, account: Account) -> None:
    """Store name, time zone, default country and default sender of `account`."""
    values = (account.id, account.name, account.time_zone, account.default_country, account.default_sender)
    await tx.run(CHANGE_ACCOUNT, *values)
    tx.announce("accounts")


async def suspend_account(tx: Tx, account_id: int, since_ms: int | None) -> None:
    """Stop (or with None: allow again) all that the account does by API."""
    await tx.run(SUSPEND_ACCOUNT, account_id, since_ms)
    tx.announce("accounts")


async def add_user(
    tx: Tx, account_id: int, email: str, name: str, password_hash: str, role: str, now_ms: int
) -> User | None:
    """None when the e-mail address is taken."""
    rows = await tx.rows(ADD_USER, account_id, email.strip(), fold_email(email), name, password_hash, role, now_ms)
    return User(*rows[0]) if rows else None


async def user_by_email(tx: Tx, email: str) -> User | None:
    row = await tx.row(USER_BY_EMAIL, fold_email(email))
    return User(*row) if row else None


async def user_by_id(tx: Tx, user_id: int) -> User | None:
    row = await tx.row(USER_BY_ID, user_id)
    return User(*row) if row else None


async def set_password(tx: Tx, user_id: int, password_hash: str) -> None:
    await tx.run(SET_PASSWORD, user_id, password_hash)


async def rename_user(tx: Tx, user_id: int, name: str) -> None:
    await tx.run(RENAME_USER, user_id, name)


async def record_login(tx: Tx, user_id: int, now_ms: int) -> None:
    await tx.run(RECORD_LOGIN, user_id, now_ms)
