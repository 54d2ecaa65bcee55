"""The people of an account: who they are, what they may do, and how they leave. An account always keeps an owner."""

from heliograph.accounts.mail_links import ROLES
from heliograph.core.ids import NO_ID
from heliograph.errors import Conflict, Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import accounts as store
from heliograph.store import sessions as session_store
from heliograph.store.accounts import User
from heliograph.store.engine import Tx


async def list_members(runtime: Runtime, account_id: int) -> list[User]:
    """In the order in which they joined."""
    return await runtime.database.read(lambda tx: store.users_of_account(tx, account_id))


async def find_member(runtime: Runtime, account_id: int, user_id: int) -> User:
    """Raises NotFound."""
    return await runtime.database.read(lambda tx: member(tx, account_id, user_id))


async def member(tx: Tx, account_id: int, user_id: int) -> User:
    user = await store.user_by_id(tx, user_id)
    if user is None or user.account_id != account_id:
        raise NotFound("There is no such member of this account.")
    return user


async def check_owner_remains(tx: Tx, account_id: int, without: User) -> None:
    owners = [user for user in await store.users_of_account(tx, account_id) if user.role == "owner"]
    if all(user.id == without.id for user in owners):
        raise Conflict("An account keeps at least one owner. Make somebody else an owner first.", code="last_owner")


async def change_role(runtime: Runtime, account_id: int, user_id: int, role: str) -> User:
    """It counts from the next request on. Raises Invalid, NotFound, or Conflict for the last owner."""
    if role not in ROLES:
        raise Invalid.field("role", "A role is owner, member or viewer.")

    async def work(tx: Tx) -> User:
        user = await member(tx, account_id, user_id)
        if user.role == "owner" and role != "owner":
            await check_owner_remains(tx, account_id, user)
        await store.set_role(tx, user_id, role)
        return user

    return await runtime.database.write(work)


async def remove_member(runtime: Runtime, account_id: int, user_id: int) -> User:
    """The person is logged out and can log in no more. Raises NotFound, or Conflict for the last owner."""

    async def work(tx: Tx) -> User:
        user = await member(tx, account_id, user_id)
        await check_owner_remains(tx, account_id, user)
        await session_store.end_other_sessions(tx, user_id, NO_ID)
        await store.drop_recovery_codes(tx, user_id)
        await store.remove_user(tx, user_id)
        return user

    return await runtime.database.write(work)
