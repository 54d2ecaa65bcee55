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
    """A person who may log in. `role`: owner, member or viewer of the account; `is_operator`: of the whole installation.

    `sealed_totp`: the secret of their second factor, if they have one; `totp_step`: the last step whose code they used."""

    id: int
    account_id: int
    email: str
    name: str
    password_hash: str
    role: str
    created_at_ms: int
    last_login_at_ms: int | None
    is_operator: bool
    email_confirmed_at_ms: int | None
    sealed_totp: bytes | None
    totp_step: int

    def __repr__(self) -> str:
        return f"User(id={self.id}, account_id={self.account_id}, role={self.role!r})"


ACCOUNT = "id, name, time_zone, default_country, default_sender, suspended_at_ms, created_at_ms"
USER = (
    "id, account_id, email, name, password_hash, role, created_at_ms, last_login_at_ms, "
    "is_operator, email_confirmed_at_ms, sealed_totp, totp_step"
)

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
SET_OPERATOR = statement("set_operator", "UPDATE account_user SET is_operator = $2 WHERE id = $1")
ANY_USER = statement("any_user", "SELECT 1 FROM account_user LIMIT 1")
USERS_OF_ACCOUNT = statement("users_of_account", f"SELECT {USER} FROM account_user WHERE account_id = $1 ORDER BY id")
SET_ROLE = statement("set_role", "UPDATE account_user SET role = $2 WHERE id = $1")
REMOVE_USER = statement("remove_user", "DELETE FROM account_user WHERE id = $1")
CONFIRM_EMAIL = statement(
    "confirm_email",
    "UPDATE account_user SET email_confirmed_at_ms = $2 WHERE email_folded = $1 AND email_confirmed_at_ms IS NULL",
)
SET_TOTP = statement("set_totp", "UPDATE account_user SET sealed_totp = $2, totp_step = $3 WHERE id = $1")
USE_TOTP_STEP = statement("use_totp_step", "UPDATE account_user SET totp_step = $2 WHERE id = $1 AND totp_step < $2")
ADD_RECOVERY_CODE = statement("add_recovery_code", "INSERT INTO recovery_code (user_id, code_sha256) VALUES ($1, $2)")
USE_RECOVERY_CODE = statement("use_recovery_code", "DELETE FROM recovery_code WHERE user_id = $1 AND code_sha256 = $2")
DROP_RECOVERY_CODES = statement("drop_recovery_codes", "DELETE FROM recovery_code WHERE user_id = $1")
COUNT_RECOVERY_CODES = statement("count_recovery_codes", "SELECT count(*) FROM recovery_code WHERE user_id = $1")
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


async def set_operator(tx: Tx, user_id: int, *, is_operator: bool) -> None:
    await tx.run(SET_OPERATOR, user_id, is_operator)


async def record_login(tx: Tx, user_id: int, now_ms: int) -> None:
    await tx.run(RECORD_LOGIN, user_id, now_ms)


async def has_users(tx: Tx) -> bool:
    return await tx.row(ANY_USER) is not None


async def users_of_account(tx: Tx, account_id: int) -> list[User]:
    """In the order in which they joined."""
    return [User(*row) for row in await tx.rows(USERS_OF_ACCOUNT, account_id)]


async def set_role(tx: Tx, user_id: int, role: str) -> None:
    await tx.run(SET_ROLE, user_id, role)


async def remove_user(tx: Tx, user_id: int) -> None:
    """Their sessions and recovery codes must be gone."""
    await tx.run(REMOVE_USER, user_id)


async def confirm_email(tx: Tx, email: str, now_ms: int) -> None:
    """Somebody proved that they read the letters to this address. The first time counts."""
    await tx.run(CONFIRM_EMAIL, fold_email(email), now_ms)


# Second factors


async def set_totp(tx: Tx, user_id: int, sealed_totp: bytes | None, used_step: int) -> None:
    """None takes the second factor away."""
    await tx.run(SET_TOTP, user_id, sealed_totp, used_step)


async def use_totp_step(tx: Tx, user_id: int, step: int) -> bool:
    """False when a code of this step or a later one was used before."""
    return await tx.run(USE_TOTP_STEP, user_id, step) > 0


async def add_recovery_codes(tx: Tx, user_id: int, codes_sha256: list[bytes]) -> None:
    await tx.run_many(ADD_RECOVERY_CODE, [(user_id, code) for code in codes_sha256])


async def use_recovery_code(tx: Tx, user_id: int, code_sha256: bytes) -> bool:
    """Whether the person had this code; now they have it no more."""
    return await tx.run(USE_RECOVERY_CODE, user_id, code_sha256) > 0


async def drop_recovery_codes(tx: Tx, user_id: int) -> None:
    await tx.run(DROP_RECOVERY_CODES, user_id)


async def count_recovery_codes(tx: Tx, user_id: int) -> int:
    row = await tx.row(COUNT_RECOVERY_CODES, user_id)
    return int(row[0]) if row else 0
