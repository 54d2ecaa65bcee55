"""Logging in to the portal: sessions kept on the server, and limits on guessing passwords."""

import hashlib

from msgspec import Struct, structs

from heliograph.accounts import people, second_factor
from heliograph.core.ids import NO_ID, new_id, new_secret, now_ms
from heliograph.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated
from heliograph.runtime import Runtime
from heliograph.store import accounts as account_store
from heliograph.store import sessions as store
from heliograph.store.accounts import Account, User, fold_email
from heliograph.store.engine import Tx
from heliograph.store.sessions import PortalSession

IDLE_MS = 7 * 86_400_000  # a session that nobody used for so long has ended
LONGEST_MS = 30 * 86_400_000  # and after so long everyone logs in again
TOUCH_EVERY_MS = 60_000  # how exact "last seen" is

# Failures in a window, by whom they are counted. The pair is the tight one: guessing from one place locks out that place,
# not the owner elsewhere; the other two stop many guessers and one who tries many people.
WINDOW_MS = 600_000
MOST_OF_PAIR, MOST_OF_EMAIL, MOST_OF_ADDRESS = 5, 50, 50


class Visitor(Struct, frozen=True):
    """Who is at the portal: a living session, its person and their account.

    An operator may act for another account: then `account` is that one, and `user` the operator with an owner's role."""

    session: PortalSession
    user: User
    account: Account

    @property
    def is_acting(self) -> bool:
        return self.account.id != self.user.account_id


class NewSession(Struct, frozen=True):
    """A session that was just opened. `token` goes into the cookie and is never stored."""

    session: PortalSession
    token: str

    def __repr__(self) -> str:
        return f"NewSession({self.session!r})"


class CodeNeeded(Struct, frozen=True):
    """The password was right; this person also has a second factor."""

    user: User


class WrongPassword(Unauthenticated):
    """`tries_left` before this address has to wait."""

    code = "wrong_password"

    def __init__(self, tries_left: int) -> None:
        super().__init__("E-mail and password do not match.")
        self.tries_left = tries_left


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def subjects_of(email: str, address: str) -> dict[str, int]:
    """By whom failures are counted, and how many each may have. Addresses of people are kept as hashes."""
    who = hashlib.sha256(fold_email(email).encode()).hexdigest()[:32]
    return {
        f"pair {who} {address}": MOST_OF_PAIR,
        f"email {who}": MOST_OF_EMAIL,
        f"address {address}": MOST_OF_ADDRESS,
    }


async def check_may_try(runtime: Runtime, email: str, address: str) -> None:
    """Raises TooManyRequests with the seconds to wait."""
    at_ms = now_ms()

    async def work(tx: Tx) -> float:
        wait_ms = 0
        for subject, most in subjects_of(email, address).items():
            failures, since_ms = await store.login_failures_of(tx, subject)
            if failures >= most and since_ms > at_ms - WINDOW_MS:
                wait_ms = max(wait_ms, since_ms + WINDOW_MS - at_ms)
        return wait_ms / 1000

    wait_s = await runtime.database.read(work)
    if wait_s > 0:
        raise TooManyRequests(wait_s)


async def record_failure(runtime: Runtime, email: str, address: str) -> int:
    """Count a wrong password; returns how many tries are left."""
    at_ms = now_ms()

    async def work(tx: Tx) -> int:
        left = MOST_OF_PAIR
        for subject, most in subjects_of(email, address).items():
            left = min(left, most - await store.count_login_failure(tx, subject, at_ms, at_ms - WINDOW_MS))
        return max(0, left)

    return await runtime.database.write(work)


async def use_quota(runtime: Runtime, what: str, email: str, address: str) -> None:
    """Count one more of what a stranger may ask for (letters, accounts). Raises TooManyRequests."""
    who, at_ms = hashlib.sha256(fold_email(email).encode()).hexdigest()[:32], now_ms()

    async def work(tx: Tx) -> bool:
        by_email = await store.count_login_failure(tx, f"{what} {who}", at_ms, at_ms - WINDOW_MS)
        by_address = await store.count_login_failure(tx, f"{what} {address}", at_ms, at_ms - WINDOW_MS)
        return by_email <= MOST_OF_PAIR and by_address <= MOST_OF_ADDRESS

    if not await runtime.database.write(work):
        raise TooManyRequests(WINDOW_MS / 1000)


async def log_in(runtime: Runtime, email: str, password: str, address: str, agent: str) -> NewSession | CodeNeeded:
    """Raises WrongPassword, TooManyRequests, or Forbidden when the account is suspended."""
    await check_may_try(runtime, email, address)
    user = await people.check_login(runtime, email, password)
    if user is None:
        raise WrongPassword(await record_failure(runtime, email, address))
    account = await people.find_account(runtime, user.account_id)
    if account.suspended_at_ms is not None:
        raise Forbidden("This account is suspended. Ask the operator of this installation.", code="account_suspended")
    if user.sealed_totp is not None:
        return CodeNeeded(user)
    await forget_failures(runtime, email, address)
    return await open_session(runtime, user.id, address, agent)


async def log_in_with_code(runtime: Runtime, user_id: int, code: str, address: str, agent: str) -> NewSession:
    """The second step, for someone whose password was right moments ago. Raises WrongPassword or TooManyRequests."""
    user = await runtime.database.read(lambda tx: account_store.user_by_id(tx, user_id))
    if user is None:
        raise WrongPassword(0)
    await check_may_try(runtime, user.email, address)
    if not await second_factor.check_code(runtime, user_id, code):
        raise WrongPassword(await record_failure(runtime, user.email, address))
    await forget_failures(runtime, user.email, address)
    return await open_session(runtime, user_id, address, agent)


async def forget_failures(runtime: Runtime, email: str, address: str) -> None:
    pair = next(iter(subjects_of(email, address)))
    await runtime.database.write(lambda tx: store.forget_login_failures(tx, pair))


async def open_session(runtime: Runtime, user_id: int, address: str, agent: str) -> NewSession:
    token, at_ms = new_secret(), now_ms()
    session = PortalSession(
        id=new_id(),
        token_sha256=hash_token(token),
        user_id=user_id,
        address=address[:64],
        agent=agent[:300],
        created_at_ms=at_ms,
        last_seen_at_ms=at_ms,
        expires_at_ms=at_ms + IDLE_MS,
    )
    await runtime.database.write(lambda tx: store.add_session(tx, session))
    return NewSession(session, token)


async def recognise_visitor(runtime: Runtime, token: str) -> Visitor | None:
    """Whose session the token opens; None when it has ended, or the account is suspended."""
    at_ms = now_ms()
    presented = hash_token(token)

    async def work(tx: Tx) -> Visitor | None:
        session = await store.session_by_token(tx, presented, at_ms)
        if session is None:
            return None
        user = await account_store.user_by_id(tx, session.user_id)
        account = await account_store.account_by_id(tx, user.account_id) if user else None
        if user is None or account is None or account.suspended_at_ms is not None:
            return None
        if session.acting_account_id is not None and user.is_operator:
            acting_for = await account_store.account_by_id(tx, session.acting_account_id)
            if acting_for is not None:
                return Visitor(session, structs.replace(user, role="owner"), acting_for)
        return Visitor(session, user, account)

    visitor = await runtime.database.read(work)
    if visitor is not None and visitor.session.last_seen_at_ms < at_ms - TOUCH_EVERY_MS:
        session = visitor.session
        ends_at_ms = min(at_ms + IDLE_MS, session.created_at_ms + LONGEST_MS)
        await runtime.database.write(lambda tx: store.touch_session(tx, session.id, at_ms, ends_at_ms))
    return visitor


async def list_sessions(runtime: Runtime, user_id: int) -> list[PortalSession]:
    at_ms = now_ms()
    return await runtime.database.read(lambda tx: store.sessions_of_user(tx, user_id, at_ms))


async def end_session(runtime: Runtime, user_id: int, session_id: bytes) -> None:
    """The browser is logged out with its next request. Raises NotFound."""
    if not await runtime.database.write(lambda tx: store.end_session(tx, user_id, session_id)):
        raise NotFound("This session has ended already.")


async def end_other_sessions(runtime: Runtime, user_id: int, kept_id: bytes = NO_ID) -> int:
    """Log a user out everywhere but in the session `kept_id`. How many sessions ended."""
    return await runtime.database.write(lambda tx: store.end_other_sessions(tx, user_id, kept_id))


async def sweep_sessions(runtime: Runtime) -> None:
    at_ms = now_ms()
    await runtime.database.write(lambda tx: store.drop_ended_sessions(tx, at_ms, at_ms - WINDOW_MS))
