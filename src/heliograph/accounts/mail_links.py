"""What a person does through a link that was mailed to them: confirm the address, choose a new password, join an account."""

import asyncio

from msgspec import Struct

from heliograph.accounts import people
from heliograph.accounts.sessions import hash_token
from heliograph.core.ids import NO_ID, new_secret, now_ms
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import accounts as account_store
from heliograph.store import mail_links as store
from heliograph.store import sessions as session_store
from heliograph.store.accounts import Account, User
from heliograph.store.engine import Tx
from heliograph.store.mail_links import MailLink

LIFE_MS = {"confirm": 7 * 86_400_000, "reset": 3_600_000, "invite": 7 * 86_400_000}
ROLES = ("owner", "member", "viewer")
TOO_OLD = "This link was used already, or is too old. Ask for a new one."


class Invitation(Struct, frozen=True):
    """An invitation as the invited person sees it."""

    link: MailLink
    account: Account


async def make_link(runtime: Runtime, purpose: str, account_id: int, email: str, role: str = "") -> str:
    """The token of a new link; links of the same purpose that were sent to the address before stop working."""
    token, at_ms = new_secret(), now_ms()
    link = MailLink(hash_token(token), purpose, email.strip(), account_id, role, at_ms, at_ms + LIFE_MS[purpose])

    async def work(tx: Tx) -> None:
        await store.drop_links(tx, account_id, purpose, email)
        await store.add_link(tx, link)

    await runtime.database.write(work)
    return token


async def find_link(runtime: Runtime, purpose: str, token: str) -> MailLink:
    """Raises NotFound for a link that was used, withdrawn or never made, or is too old."""
    presented, at_ms = hash_token(token), now_ms()
    link = await runtime.database.read(lambda tx: store.link_by_token(tx, presented, purpose, at_ms))
    if link is None:
        raise NotFound(TOO_OLD)
    return link


async def spend_link(tx: Tx, purpose: str, token: str) -> MailLink:
    """The link, which works no more once the transaction is done. Raises NotFound."""
    link = await store.link_by_token(tx, hash_token(token), purpose, now_ms())
    if link is None or not await store.drop_links(tx, link.account_id, purpose, link.email):
        raise NotFound(TOO_OLD)
    return link


async def confirm_email(runtime: Runtime, token: str) -> None:
    """Raises NotFound."""

    async def work(tx: Tx) -> None:
        link = await spend_link(tx, "confirm", token)
        await account_store.confirm_email(tx, link.email, now_ms())

    await runtime.database.write(work)


async def ask_reset(runtime: Runtime, email: str) -> str | None:
    """The token of a link to choose a new password; None when nobody has the address."""
    user = await runtime.database.read(lambda tx: account_store.user_by_email(tx, email))
    return await make_link(runtime, "reset", user.account_id, user.email) if user else None


async def reset_password(runtime: Runtime, token: str, password: str) -> User:
    """Every session of the person ends; their address is confirmed by the way. Raises Invalid, or NotFound."""
    link = await find_link(runtime, "reset", token)
    people.check_password(password, link.email)
    password_hash = await asyncio.to_thread(people.PASSWORDS.hash, password)

    async def work(tx: Tx) -> User:
        await spend_link(tx, "reset", token)
        user = await account_store.user_by_email(tx, link.email)
        if user is None:
            raise NotFound(TOO_OLD)
        await account_store.set_password(tx, user.id, password_hash)
        await account_store.confirm_email(tx, link.email, now_ms())
        await session_store.end_other_sessions(tx, user.id, NO_ID)
        return user

    return await runtime.database.write(work)


async def invite(runtime: Runtime, account_id: int, email: str, role: str) -> str:
    """The token of an invitation to the account. Raises Invalid, or Conflict when the address has an account."""
    people.check_email(email)
    if role not in ROLES:
        raise Invalid.field("role", "A role is owner, member or viewer.")
    if await runtime.database.read(lambda tx: account_store.user_by_email(tx, email)) is not None:
        raise Conflict("Somebody has an account with this e-mail address.", code="email_taken")
    return await make_link(runtime, "invite", account_id, email, role)


async def find_invitation(runtime: Runtime, token: str) -> Invitation:
    """Raises NotFound."""
    link = await find_link(runtime, "invite", token)
    return Invitation(link, await people.find_account(runtime, link.account_id))


async def accept_invitation(runtime: Runtime, token: str, person: str, password: str) -> User:
    """The person joins the account with the role that the invitation names. Raises Invalid, Conflict or NotFound."""
    link = await find_link(runtime, "invite", token)
    people.check_person(person)
    people.check_password(password, link.email)
    password_hash = await asyncio.to_thread(people.PASSWORDS.hash, password)

    async def work(tx: Tx) -> User:
        spent = await spend_link(tx, "invite", token)
        at_ms = now_ms()
        user = await account_store.add_user(
            tx, spent.account_id, spent.email, person.strip(), password_hash, spent.role, at_ms
        )
        if user is None:
            raise Conflict("Somebody has an account with this e-mail address.", code="email_taken")
        await account_store.confirm_email(tx, spent.email, at_ms)
        return user

    return await runtime.database.write(work)


async def list_invitations(runtime: Runtime, account_id: int) -> list[MailLink]:
    at_ms = now_ms()
    return await runtime.database.read(lambda tx: store.invitations(tx, account_id, at_ms))


async def withdraw_invitation(runtime: Runtime, account_id: int, email: str) -> None:
    """Raises NotFound."""
    if not await runtime.database.write(lambda tx: store.drop_links(tx, account_id, "invite", email)):
        raise NotFound("There is no such invitation.")


async def sweep_links(runtime: Runtime) -> None:
    at_ms = now_ms()
    await runtime.database.write(lambda tx: store.drop_ended_links(tx, at_ms))
