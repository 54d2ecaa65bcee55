"""Accounts and the people who log in to them."""

import asyncio
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pwdlib import PasswordHash

from heliograph.accounts.tokens import fold_sender
from heliograph.core.ids import now_ms
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import accounts as store
from heliograph.store.accounts import Account, User
from heliograph.store.connections import senders_of_account
from heliograph.store.engine import Tx

SHORTEST_PASSWORD = 10
PASSWORDS = PasswordHash.recommended()  # argon2id with the parameters of RFC 9106 §4


@cache
def nobodys_hash() -> str:
    """Checked against when nobody has the address, so that the time of an answer does not tell who has an account."""
    return PASSWORDS.hash("nobody has this password")


def check_account_facts(name: str, time_zone: str, default_country: str | None) -> None:
    """Raises Invalid with the field at fault."""
    if not 1 <= len(name.strip()) <= 100:
        raise Invalid.field("name", "An account's name has 1 to 100 characters.")
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid.field("time_zone", f"{time_zone!r} is no time zone; names look like Europe/Amsterdam.") from None
    if default_country is not None and default_country not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid.field("default_country", f"{default_country!r} is no country; codes look like NL.")


def check_email(email: str) -> None:
    local, at, domain = email.strip().rpartition("@")
    if not (local and at and "." in domain) or len(email) > 254 or any(c.isspace() for c in email.strip()):
        raise Invalid.field("email", "This is not an e-mail address.")


def check_password(password: str, *not_containing: str) -> None:
    """Long enough, and not the name or address (NIST SP 800-63B §5.1.1.2). Raises Invalid."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid.field("password", f"A password has at least {SHORTEST_PASSWORD} characters.")
    if len(password) > 1024:
        raise Invalid.field("password", "A password has at most 1024 characters.")
    if len(set(password)) < 4 or password.casefold() in {text.casefold() for text in not_containing}:
        raise Invalid.field("password", "This password is too easy to guess.")


async def create_account(
    runtime: Runtime,
    *,
    name: str,
    email: str,
    password: str,
    person: str = "",
    time_zone: str = "UTC",
    default_country: str | None = None,
) -> tuple[Account, User]:
    """Open an account with its owner, both or neither. Raises Invalid, or Conflict when the address is taken.

    The first person of an installation is its operator."""
    check_account_facts(name, time_zone, default_country)
    check_email(email)
    check_password(password, email, name)
    password_hash = await asyncio.to_thread(PASSWORDS.hash, password)

    async def work(tx: Tx) -> tuple[Account, User]:
        if await store.user_by_email(tx, email) is not None:
            raise Conflict("Somebody has an account with this e-mail address.", code="email_taken")
        is_first = not await store.has_users(tx)
        account = await store.add_account(tx, name.strip(), time_zone, default_country, now_ms())
        user = await store.add_user(tx, account.id, email, person, password_hash, "owner", now_ms())
        if user is None:
            raise Conflict("Somebody has an account with this e-mail address.", code="email_taken")
        if is_first:
            await store.set_operator(tx, user.id, is_operator=True)
        return account, user

    return await runtime.database.write(work)


async def find_account(runtime: Runtime, account_id: int) -> Account:
    """Raises NotFound."""
    account = await runtime.database.read(lambda tx: store.account_by_id(tx, account_id))
    if account is None:
        raise NotFound(f"There is no account {account_id}.")
    return account


async def find_account_by_email(runtime: Runtime, email: str) -> Account:
    """The account that a person logs in to. Raises NotFound."""

    async def work(tx: Tx) -> Account | None:
        user = await store.user_by_email(tx, email)
        return await store.account_by_id(tx, user.account_id) if user else None

    account = await runtime.database.read(work)
    if account is None:
        raise NotFound(f"Nobody has an account with the address {email}.")
    return account


async def list_accounts(runtime: Runtime) -> list[Account]:
    return await runtime.database.read(store.all_accounts)


async def change_account(runtime: Runtime, account: Account) -> None:
    """Store the name, zone, country and default sender of `account`. Raises Invalid."""
    check_account_facts(account.name, account.time_zone, account.default_country)

    async def work(tx: Tx) -> None:
        if account.default_sender is not None:
            names = {fold_sender(sender.name) for sender in await senders_of_account(tx, account.id)}
            if fold_sender(account.default_sender) not in names:
                raise Invalid.field("default_sender", f"The account has no sender {account.default_sender}.")
        await store.change_account(tx, account)

    await runtime.database.write(work)


async def suspend_account(runtime: Runtime, account_id: int, *, suspended: bool) -> None:
    """A suspended account's API requests are refused; what it had queued still leaves."""
    since = now_ms() if suspended else None
    await runtime.database.write(lambda tx: store.suspend_account(tx, account_id, since))


def check_person(name: str) -> None:
    if len(name.strip()) > 100:
        raise Invalid.field("person", "A person's name has at most 100 characters.")


async def rename_user(runtime: Runtime, user_id: int, name: str) -> None:
    """Raises Invalid."""
    check_person(name)
    await runtime.database.write(lambda tx: store.rename_user(tx, user_id, name.strip()))


async def set_password(runtime: Runtime, email: str, password: str) -> None:
    """Give a user a new password. Raises Invalid, or NotFound."""
    check_password(password, email)
    password_hash = await asyncio.to_thread(PASSWORDS.hash, password)

    async def work(tx: Tx) -> None:
        user = await store.user_by_email(tx, email)
        if user is None:
            raise NotFound(f"Nobody has an account with the address {email}.")
        await store.set_password(tx, user.id, password_hash)

    await runtime.database.write(work)


async def set_operator(runtime: Runtime, email: str, *, is_operator: bool) -> None:
    """Let a person look after the whole installation, or no longer. Raises NotFound."""

    async def work(tx: Tx) -> None:
        user = await store.user_by_email(tx, email)
        if user is None:
            raise NotFound(f"Nobody has an account with the address {email}.")
        await store.set_operator(tx, user.id, is_operator=is_operator)

    await runtime.database.write(work)


async def check_login(runtime: Runtime, email: str, password: str) -> User | None:
    """The user whose address and password these are. Takes the same time whether the address exists or not."""
    user = await runtime.database.read(lambda tx: store.user_by_email(tx, email))
    if user is None:
        await asyncio.to_thread(lambda: PASSWORDS.verify(password, nobodys_hash()))
        return None
    good, fresh_hash = await asyncio.to_thread(PASSWORDS.verify_and_update, password, user.password_hash)
    if not good:
        return None

    async def work(tx: Tx) -> None:
        if fresh_hash is not None:
            await store.set_password(tx, user.id, fresh_hash)
        await store.record_login(tx, user.id, now_ms())

    await runtime.database.write(work)
    return user
