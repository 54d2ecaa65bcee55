"""Log-in sessions and failed log-ins, on every engine."""

from typing import Any

import msgspec

from heliograph.core.ids import NO_ID, new_id
from heliograph.store import accounts, sessions
from heliograph.store.accounts import User
from heliograph.store.engine import Database
from heliograph.store.sessions import PortalSession
from tests.store.makers import NOON_MS, make_account, read, write


async def make_user(database: Database, email: str) -> User:
    account = await make_account(database)
    user = await write(database, accounts.add_user, account.id, email, "Ann", "hash", "owner", NOON_MS)
    assert user is not None
    return user


async def make_session(database: Database, user: User, token: bytes, **changes: Any) -> PortalSession:
    made = PortalSession(
        new_id(), token * 32, user.id, "192.0.2.1", "Firefox", NOON_MS, NOON_MS + token[0], NOON_MS + 100
    )
    made = msgspec.structs.replace(made, **changes)
    await write(database, sessions.add_session, made)
    return made


async def test_user_of_a_session(database: Database) -> None:
    """A user is found by the number that their session holds."""
    ann = await make_user(database, "ann@example.org")
    assert await read(database, accounts.user_by_id, ann.id) == ann
    assert await read(database, accounts.user_by_id, ann.id + 1) is None


async def test_sessions(database: Database) -> None:
    """A session is found by its token while it lives, and listed for its user, the one last used first."""
    ann, bob = await make_user(database, "ann@example.org"), await make_user(database, "bob@example.org")
    first, second = await make_session(database, ann, b"\1"), await make_session(database, ann, b"\2")
    await make_session(database, bob, b"\3")
    assert await read(database, sessions.session_by_token, first.token_sha256, NOON_MS + 99) == first
    assert await read(database, sessions.session_by_token, first.token_sha256, NOON_MS + 100) is None
    assert await read(database, sessions.session_by_token, bytes(32), NOON_MS) is None
    assert await read(database, sessions.sessions_of_user, ann.id, NOON_MS) == [second, first]
    assert await read(database, sessions.sessions_of_user, ann.id, NOON_MS + 100) == []


async def test_act_as(database: Database) -> None:
    """A session may look after another account, and stop that."""
    ann = await make_user(database, "ann@example.org")
    made = await make_session(database, ann, b"\1")
    for account_id in (ann.account_id + 1, None):
        await write(database, sessions.act_as, made.id, account_id)
        kept = await read(database, sessions.session_by_token, made.token_sha256, NOON_MS)
        assert kept is not None
        assert kept.acting_account_id == account_id


async def test_touch_session(database: Database) -> None:
    """A session that is used lives longer, and is never set back by a slower node."""
    ann = await make_user(database, "ann@example.org")
    made = await make_session(database, ann, b"\1")
    await write(database, sessions.touch_session, made.id, NOON_MS + 50, NOON_MS + 150)
    await write(database, sessions.touch_session, made.id, NOON_MS + 40, NOON_MS + 140)
    (found,) = await read(database, sessions.sessions_of_user, ann.id, NOON_MS + 120)
    assert (found.last_seen_at_ms, found.expires_at_ms) == (NOON_MS + 50, NOON_MS + 150)


async def test_end_sessions(database: Database) -> None:
    """A user ends one session, or all others, of their own only."""
    ann, bob = await make_user(database, "ann@example.org"), await make_user(database, "bob@example.org")
    made = [await make_session(database, ann, bytes([place])) for place in (1, 2, 3)]
    theirs = await make_session(database, bob, b"\4")
    assert not await write(database, sessions.end_session, bob.id, made[0].id)
    assert await write(database, sessions.end_session, ann.id, made[0].id)
    assert not await write(database, sessions.end_session, ann.id, made[0].id)
    assert await write(database, sessions.end_other_sessions, ann.id, made[1].id) == 1
    assert await read(database, sessions.sessions_of_user, ann.id, NOON_MS) == [made[1]]
    assert await write(database, sessions.end_other_sessions, ann.id, NO_ID) == 1
    assert await read(database, sessions.sessions_of_user, bob.id, NOON_MS) == [theirs]


async def test_failures_and_sweep(database: Database) -> None:
    """Failed log-ins are counted per subject from the first on, begin anew with time, and are forgotten or swept."""
    for count in (1, 2):
        assert await write(database, sessions.count_login_failure, "ann", NOON_MS + count, NOON_MS - 100) == count
    assert await write(database, sessions.count_login_failure, "bob", NOON_MS, NOON_MS - 100) == 1
    assert await read(database, sessions.login_failures_of, "ann") == (2, NOON_MS + 1)
    assert await write(database, sessions.count_login_failure, "ann", NOON_MS + 500, NOON_MS + 400) == 1
    assert await read(database, sessions.login_failures_of, "ann") == (1, NOON_MS + 500)
    await write(database, sessions.forget_login_failures, "ann")
    assert await read(database, sessions.login_failures_of, "ann") == (0, 0)
    ann = await make_user(database, "ann@example.org")
    await make_session(database, ann, b"\1")
    living = await make_session(database, ann, b"\2", expires_at_ms=NOON_MS + 101)
    await write(database, sessions.drop_ended_sessions, NOON_MS + 100, NOON_MS)
    assert await read(database, sessions.sessions_of_user, ann.id, NOON_MS) == [living]
    assert await read(database, sessions.login_failures_of, "bob") == (0, 0)
