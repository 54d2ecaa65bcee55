"""Letting somebody in, and saying why not."""

from heliograph.accounts import sessions
from heliograph.accounts.sessions import NewSession, WrongPassword
from heliograph.errors import HeliographError, TooManyRequests
from heliograph.portal.visit import Answer, Visit

SESSION_COOKIE_S = sessions.LONGEST_MS // 1000


def safe_next(path: str) -> str:
    """Where to go after the log-in: a page of ours, never another site's."""
    if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"


def admit(visit: Visit, opened: NewSession, path: str, said: str | None = None) -> Answer:
    answer = visit.go(path, said)
    visit.open_session(answer, opened, SESSION_COOKIE_S)
    return answer


async def enter(visit: Visit, user_id: int, path: str, said: str) -> Answer:
    """Log in somebody who has just proven who they are."""
    opened = await sessions.open_session(visit.runtime, user_id, visit.caller.address, visit.caller.agent)
    return admit(visit, opened, path, said)


def refusal_of(visit: Visit, error: HeliographError, mismatch: str) -> str:
    """What to tell somebody who did not get in; `mismatch` says what did not fit."""
    if isinstance(error, TooManyRequests):
        minutes = int((error.retry_after_s or 60) // 60) + 1
        return visit.ngettext(
            "Too many tries. Wait %(n)d minute, then try again.",
            "Too many tries. Wait %(n)d minutes, then try again.",
            minutes,
        ) % {"n": minutes}
    if isinstance(error, WrongPassword):
        match error.tries_left:
            case 0:
                rest = visit.gettext("Wait ten minutes before the next try.")
            case 1:
                rest = visit.gettext("One try left, then wait ten minutes.")
            case left:
                rest = visit.gettext("%(n)d tries left, then wait ten minutes.") % {"n": left}
        return f"{mismatch} {rest}"
    return visit.gettext(error.message)
