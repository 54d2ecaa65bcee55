"""What waits: sends, raw callbacks, errands. One claim module for all.

A queue is a narrow table. A row is due at a time, claimed by an owner until its lease ends, and deleted when it is done.
A claim whose lease ended belongs to a process that died, or was cut off; whoever finds it decides what that means.
"""

from typing import Any

from msgspec import Struct

from heliograph.store.engine import Statement, Tx, statement


class Queue(Struct, frozen=True):
    """The statements of one queue. Keys come first in every row."""

    table: str
    keys: tuple[str, ...]
    claim_due: Statement
    finish: Statement
    postpone: Statement
    lapsed: Statement
    take_lapsed: Statement
    release_owner: Statement
    lapse_others: Statement
    next_due: Statement
    depth: Statement
    give_back: Statement


def make_queue(table: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> Queue:
    key = ", ".join(keys)
    where_key = " AND ".join(f"{name} = ${place}" for place, name in enumerate(keys, start=1))
    after = len(keys) + 1
    due = f"SELECT {key} FROM {table} WHERE owner IS NULL AND due_at_ms <= $3 ORDER BY due_at_ms LIMIT $4"
    claim = f"UPDATE {table} SET owner = $1, lease_until_ms = $2, attempts = {table}.attempts + 1"
    returning = f"RETURNING {', '.join(f'{table}.{name}' for name in (*keys, *columns))}, {table}.attempts"
    lapsed = (
        f"SELECT {', '.join((*keys, *columns))}, attempts, owner FROM {table} "
        "WHERE owner IS NOT NULL AND lease_until_ms < $1 ORDER BY lease_until_ms LIMIT $2"
    )
    return Queue(
        table,
        keys,
        claim_due=statement(
            f"claim_{table}",
            f"{claim} WHERE ({key}) IN ({due}) {returning}",
            # Materialized, so that what is locked is looked for once, whatever the plan.
            postgresql=f"WITH due AS MATERIALIZED ({due} FOR UPDATE SKIP LOCKED) {claim} FROM due "
            f"WHERE {' AND '.join(f'{table}.{name} = due.{name}' for name in keys)} {returning}",
        ),
        finish=statement(f"finish_{table}", f"DELETE FROM {table} WHERE {where_key} AND owner = ${after}"),
        postpone=statement(
            f"postpone_{table}",
            f"UPDATE {table} SET owner = NULL, lease_until_ms = NULL, due_at_ms = ${after + 1} "
            f"WHERE {where_key} AND owner = ${after}",
        ),
        lapsed=statement(f"lapsed_{table}", lapsed),
        take_lapsed=statement(f"take_lapsed_{table}", lapsed, postgresql=f"{lapsed} FOR UPDATE SKIP LOCKED"),
        release_owner=statement(
            f"release_{table}", f"UPDATE {table} SET owner = NULL, lease_until_ms = NULL WHERE owner = $1"
        ),
        lapse_others=statement(
            f"lapse_{table}", f"UPDATE {table} SET lease_until_ms = 0 WHERE owner IS NOT NULL AND owner <> $1"
        ),
        next_due=statement(f"next_{table}", f"SELECT min(due_at_ms) FROM {table} WHERE owner IS NULL"),
        depth=statement(f"depth_{table}", f"SELECT count(*), min(due_at_ms) FROM {table} WHERE due_at_ms <= $1"),
        give_back=statement(
            f"give_back_{table}",
            f"UPDATE {table} SET owner = NULL, lease_until_ms = NULL, due_at_ms = ${after} WHERE {where_key}",
        ),
    )


SENDS = make_queue("send_due", ("account_id", "message_id"), ("connection_id", "lane", "due_at_ms"))
CALLBACKS = make_queue("callback_due", ("account_id", "callback_id"), ("due_at_ms",))
ERRANDS = make_queue("errand_due", ("account_id", "message_id", "kind"), ("connection_id", "subject", "due_at_ms"))
QUEUES = (SENDS, CALLBACKS, ERRANDS)

Key = tuple[Any, ...]


async def claim_due(tx: Tx, queue: Queue, owner: bytes, lease_until_ms: int, now_ms: int, limit: int) -> list[Key]:
    """Take up to `limit` due rows: keys, the queue's own columns, and which attempt this is."""
    return await tx.rows(queue.claim_due, owner, lease_until_ms, now_ms, limit)


async def finish(tx: Tx, queue: Queue, owner: bytes, keys: list[Key]) -> None:
    """Done: rows that are still ours go."""
    await tx.run_many(queue.finish, [(*key, owner) for key in keys])


async def postpone(tx: Tx, queue: Queue, owner: bytes, due: list[tuple[Key, int]]) -> None:
    """Not yet: rows that are still ours are due again at a time (ms)."""
    await tx.run_many(queue.postpone, [(*key, owner, due_at_ms) for key, due_at_ms in due])


async def lapsed(tx: Tx, queue: Queue, now_ms: int, limit: int) -> list[Key]:
    """Claims whose lease has ended: keys, columns, attempts, owner."""
    return await tx.rows(queue.lapsed, now_ms, limit)


async def take_lapsed(tx: Tx, queue: Queue, now_ms: int, limit: int) -> list[Key]:
    """The same, and each is this transaction's alone: what the caller does about it, nobody else does too."""
    return await tx.rows(queue.take_lapsed, now_ms, limit)


async def release_owner(tx: Tx, queue: Queue, owner: bytes) -> int:
    """Give back every claim of `owner`, which has not begun any of them."""
    return await tx.run(queue.release_owner, owner)


async def lapse_others(tx: Tx, queue: Queue, owner: bytes) -> int:
    """End the lease of everyone else at once. Only for one who knows that every other owner is dead."""
    return await tx.run(queue.lapse_others, owner)


async def give_back(tx: Tx, queue: Queue, keys: list[Key], due_at_ms: int) -> None:
    """Whoever held them: they are due again."""
    await tx.run_many(queue.give_back, [(*key, due_at_ms) for key in keys])


async def next_due_at_ms(tx: Tx, queue: Queue) -> int | None:
    row = await tx.row(queue.next_due)
    return row[0] if row else None


async def depth(tx: Tx, queue: Queue, now_ms: int) -> tuple[int, int | None]:
    """How many rows are due, and since when the oldest waits (ms)."""
    row = await tx.row(queue.depth, now_ms)
    return (row[0], row[1]) if row else (0, None)
