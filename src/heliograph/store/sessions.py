"""Log-in sessions of the portal. Only the SHA-256 of a session's token is kept; the token is 256 random bits."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class PortalSession(Struct, frozen=True):
    """One browser that somebody logged in with. `id` names it on the sessions page; the token opens it.

    acting_account_id: the account that an operator looks after in this session, as its owner."""

    id: bytes
    token_sha256: bytes
    user_id: int
    address: str
    agent: str
    created_at_ms: int
    last_seen_at_ms: int
    expires_at_ms: int
    acting_account_id: int | None = None

    def __repr__(self) -> str:
        return f"PortalSession(id={self.id.hex()}, user_id={self.user_id})"


SESSION = "id, token_sha256, user_id, address, agent, created_at_ms, last_seen_at_ms, expires_at_ms, acting_account_id"

ADD_SESSION = statement(
    "add_session", f"INSERT INTO portal_session ({SESSION}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
SESSION_BY_TOKEN = statement(
    "session_by_token", f"SELECT {SESSION} FROM portal_session WHERE token_sha256 = $1 AND expires_at_ms > $2"
)
SESSIONS_OF_USER = statement(
    "sessions_of_user",
    f"SELECT {SESSION} FROM portal_session WHERE user_id = $1 AND expires_at_ms > $2 ORDER BY last_seen_at_ms DESC",
)
TOUCH_SESSION = statement(
    "touch_session",
    "UPDATE portal_session SET last_seen_at_ms = $2, expires_at_ms = $3 WHERE id = $1 AND last_seen_at_ms < $2",
)
ACT_AS = statement("act_as", "UPDATE portal_session SET acting_account_id = $2 WHERE id = $1")
END_SESSION = statement("end_session", "DELETE FROM portal_session WHERE user_id = $1 AND id = $2")
END_OTHER_SESSIONS = statement("end_other_sessions", "DELETE FROM portal_session WHERE user_id = $1 AND id <> $2")
DROP_ENDED = statement("drop_ended_sessions", "DELETE FROM portal_session WHERE expires_at_ms <= $1")

COUNT_FAILURE = statement(
    "count_login_failure",
    "INSERT INTO login_failure (subject, failures, since_ms) VALUES ($1, 1, $2) ON CONFLICT (subject) DO UPDATE SET "
    "failures = CASE WHEN login_failure.since_ms <= $3 THEN 1 ELSE login_failure.failures + 1 END, "
    "since_ms = CASE WHEN login_failure.since_ms <= $3 THEN $2 ELSE login_failure.since_ms END RETURNING failures",
)
FAILURES_OF = statement("login_failures_of", "SELECT failures, since_ms FROM login_failure WHERE subject = $1")
FORGET_FAILURES = statement("forget_login_failures", "DELETE FROM login_failure WHERE subject = $1")
DROP_OLD_FAILURES = statement("drop_old_login_failures", "DELETE FROM login_failure WHERE since_ms <= $1")


async def add_session(tx: Tx, session: PortalSession) -> None:
    await tx.run(ADD_SESSION, *(getattr(session, field) for field in PortalSession.__struct_fields__))


async def session_by_token(tx: Tx, token_sha256: bytes, now_ms: int) -> PortalSession | None:
    """The living session of that token."""
    row = await tx.row(SESSION_BY_TOKEN, token_sha256, now_ms)
    return PortalSession(*row) if row else None


async def sessions_of_user(tx: Tx, user_id: int, now_ms: int) -> list[PortalSession]:
    """The living ones, the one last used first."""
    return [PortalSession(*row) for row in await tx.rows(SESSIONS_OF_USER, user_id, now_ms)]


async def touch_session(tx: Tx, session_id: bytes, now_ms: int, expires_at_ms: int) -> None:
    await tx.run(TOUCH_SESSION, session_id, now_ms, expires_at_ms)


async def act_as(tx: Tx, session_id: bytes, account_id: int | None) -> None:
    """Let an operator's session look after another account; None: its own again."""
    await tx.run(ACT_AS, session_id, account_id)


async def end_session(tx: Tx, user_id: int, session_id: bytes) -> bool:
    return await tx.run(END_SESSION, user_id, session_id) > 0


async def end_other_sessions(tx: Tx, user_id: int, kept_id: bytes) -> int:
    """End all sessions of a user but one; NO_ID ends all. How many ended."""
    return await tx.run(END_OTHER_SESSIONS, user_id, kept_id)


async def drop_ended_sessions(tx: Tx, now_ms: int, failures_before_ms: int) -> None:
    """Sweep what time has ended: sessions, and the counting of failures that began before `failures_before_ms`."""
    await tx.run(DROP_ENDED, now_ms)
    await tx.run(DROP_OLD_FAILURES, failures_before_ms)


async def count_login_failure(tx: Tx, subject: str, now_ms: int, forget_before_ms: int) -> int:
    """One more failure of `subject`; counting begins anew where it began before `forget_before_ms`. The count."""
    rows = await tx.rows(COUNT_FAILURE, subject, now_ms, forget_before_ms)
    return int(rows[0][0])


async def login_failures_of(tx: Tx, subject: str) -> tuple[int, int]:
    """How many failures, and since when (ms)."""
    row = await tx.row(FAILURES_OF, subject)
    return (row[0], row[1]) if row else (0, 0)


async def forget_login_failures(tx: Tx, subject: str) -> None:
    await tx.run(FORGET_FAILURES, subject)
