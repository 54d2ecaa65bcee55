"""What an operator does with the accounts of an installation, and what they see of its numbers and queues."""

from collections import Counter

from msgspec import Struct

from heliograph.accounts import people
from heliograph.accounts.audit import Actor, record
from heliograph.accounts.numbers import MOST_COUNTED
from heliograph.accounts.sessions import Visitor
from heliograph.core.ids import now_ms
from heliograph.errors import Invalid, NotFound
from heliograph.runtime import Runtime
from heliograph.store import accounts as account_store
from heliograph.store import callbacks as callback_store
from heliograph.store import connections as connection_store
from heliograph.store import operating as store
from heliograph.store import queues
from heliograph.store import sessions as session_store
from heliograph.store.accounts import Account
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Tx

MOST_SHOWN = 100
FAILURES_READ = 500  # of each account: the newest
FAILURES_MS = 3_600_000
MOST_PER_MINUTE = 10_000_000


class NumberHealth(Struct, frozen=True):
    """One number of the installation. `failures`: of the last hour, by code, most first; `waiting`: up to MOST_COUNTED."""

    row: ConnectionRow
    account: Account
    waiting: int
    failures: list[tuple[str, int]]

    @property
    def failed(self) -> int:
        return sum(count for _, count in self.failures)


class NumbersFound(Struct, frozen=True):
    """`shown` of `count` numbers; `held` of them stand still."""

    shown: list[NumberHealth]
    count: int
    held: int


class QueueDepth(Struct, frozen=True):
    """`oldest_at_ms`: since when the oldest row has been due."""

    name: str
    count: int
    oldest_at_ms: int | None


async def read_queues(runtime: Runtime) -> list[QueueDepth]:
    async def work(tx: Tx) -> list[QueueDepth]:
        return [QueueDepth(queue.table, *await queues.depth(tx, queue, now_ms())) for queue in queues.QUEUES]

    return await runtime.database.read(work)


async def read_numbers(runtime: Runtime) -> NumbersFound:
    """Numbers that stand still first, then the newest; what costs a question each is asked for MOST_SHOWN of them."""
    since_ms = now_ms() - FAILURES_MS

    async def work(tx: Tx) -> NumbersFound:
        rows = await connection_store.all_connections(tx)
        shown = sorted(rows, key=lambda row: (row.hold_code is None, -row.id))[:MOST_SHOWN]
        accounts: dict[int, Account] = {}
        failures: dict[int, Counter[str]] = {}
        for account_id in dict.fromkeys(row.account_id for row in shown):
            account = await account_store.account_by_id(tx, account_id)
            if account is not None:
                accounts[account_id] = account
            for connection_id, code, at_ms in await store.newest_failures(tx, account_id, FAILURES_READ):
                if at_ms >= since_ms:
                    failures.setdefault(connection_id, Counter())[code] += 1
        found = [
            NumberHealth(
                row,
                accounts[row.account_id],
                await connection_store.count_waiting(tx, row.account_id, row.id, MOST_COUNTED),
                failures.get(row.id, Counter()).most_common(),
            )
            for row in shown
            if row.account_id in accounts
        ]
        return NumbersFound(found, len(rows), sum(row.hold_code is not None for row in rows))

    return await runtime.database.read(work)


async def suspend(runtime: Runtime, actor: Actor, account_id: int, *, suspended: bool) -> None:
    """Refuse, or allow again, what the account does by API and in the portal; what it had queued still leaves."""
    await people.suspend_account(runtime, account_id, suspended=suspended)
    name = "account_suspended" if suspended else "account_allowed"
    await record(runtime, actor, name, account_id=account_id, as_operator=True)


async def set_rate_limit(
    runtime: Runtime, actor: Actor, account_id: int, token_id: int, per_minute: int | None
) -> None:
    """Requests a minute of a token; None: the installation's limit, 0: none. Raises Invalid, NotFound."""
    if per_minute is not None and not 0 <= per_minute <= MOST_PER_MINUTE:
        raise Invalid.field("rate_limit", f"A limit is a number from 0 (no limit) to {MOST_PER_MINUTE}.")
    if not await runtime.database.write(lambda tx: store.set_token_rate_limit(tx, account_id, token_id, per_minute)):
        raise NotFound("This account has no such token.")
    told = "the installation's" if per_minute is None else f"{per_minute} a minute"
    await record(
        runtime, actor, "rate_limit_set", account_id=account_id, subject=f"token {token_id}: {told}", as_operator=True
    )


async def act_as(runtime: Runtime, visitor: Visitor, address: str, account_id: int | None) -> None:
    """See and do what an owner of the account sees and does, in this session; None: stop it. Raises NotFound."""

    async def work(tx: Tx) -> None:
        if account_id is not None and await account_store.account_by_id(tx, account_id) is None:
            raise NotFound("There is no such account.")
        await session_store.act_as(tx, visitor.session.id, account_id)

    actor = Actor(visitor.user, address)
    if account_id is not None:  # the line is there before the first look
        await record(runtime, actor, "acting_began", account_id=account_id, as_operator=True)
    await runtime.database.write(work)
    if account_id is None and visitor.is_acting:
        await record(runtime, actor, "acting_ended", account_id=visitor.account.id, as_operator=True)


async def replay(runtime: Runtime, actor: Actor, account_id: int, callback_id: bytes) -> None:
    """Apply a raw callback once more; applying twice changes nothing. Raises NotFound."""

    async def work(tx: Tx) -> None:
        if await callback_store.callback_by_id(tx, account_id, callback_id) is None:
            raise NotFound("This callback is no longer kept.")
        await callback_store.replay_callback(tx, account_id, callback_id, now_ms())

    await runtime.database.write(work)
    subject = callback_id.hex()
    await record(runtime, actor, "callback_replayed", account_id=account_id, subject=subject, as_operator=True)


async def replay_all(runtime: Runtime, actor: Actor, most: int = 1000) -> int:
    """Apply every callback with trouble once more, `most` at a time. How many."""

    async def work(tx: Tx) -> int:
        found = await callback_store.troubled_callbacks(tx, b"\0" * 16, most)
        for one in found:
            await callback_store.replay_callback(tx, one.account_id, one.id, now_ms())
        return len(found)

    count = await runtime.database.write(work)
    await record(runtime, actor, "callbacks_replayed", account_id=None, subject=str(count), as_operator=True)
    return count
