"""The account page: who you are here, your password, and where you are logged in."""

import re

from babel import Locale
from litestar import get, post
from litestar.params import FromPath
from msgspec import structs

from heliograph.accounts import people, senders, sessions
from heliograph.accounts import second_factor as factors
from heliograph.core.ids import id_of
from heliograph.errors import Invalid, NotFound
from heliograph.portal import languages
from heliograph.portal.access import Rule
from heliograph.portal.account import members, second_factor
from heliograph.portal.choices import country_choices, zone_choices
from heliograph.portal.visit import Answer, Form, OnVisit, Visit
from heliograph.store.accounts import Account

BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))


def describe_agent(agent: str) -> str:
    """A browser in two words, from its User-Agent; its first word where we do not know it."""
    browser = next((name for mark, name in BROWSERS if f"{mark}/" in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "Linux" if "Linux" in agent else "")
    if not browser:
        return re.split(r"[/\s]", agent, maxsplit=1)[0][:40] or "Unknown browser"
    return f"{browser}, {system}" if system else browser


@get("/account", opt={"rule": Rule.VIEWER})
async def show_account(visit: OnVisit) -> Answer:
    return await render_account(visit)


async def render_account(
    visit: Visit,
    *,
    status: int = 200,
    values: dict[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    """`values`: what was typed into the profile, where that could not be kept."""
    account, user = visit.known.account, visit.known.user
    known = await sessions.list_sessions(visit.runtime, user.id)
    own = await senders.list_senders(visit.runtime, visit.account_id)
    kept = {
        "person": user.name,
        "name": account.name,
        "default_country": account.default_country or "",
        "time_zone": account.time_zone,
        "default_sender": account.default_sender or "",
    }
    return visit.render(
        "account/account.html",
        status=status,
        values={**kept, **(values or {})},
        errors=errors,
        countries=country_choices(Locale.parse(visit.caller.language)),
        zones=zone_choices(),
        senders=[("", visit.gettext("None")), *((sender.name, sender.name) for sender in own)],
        sessions=[(session, describe_agent(session.agent)) for session in known],
        language_chosen=visit.request.cookies.get(languages.COOKIE, ""),
        codes_left=await factors.count_recovery_codes(visit.runtime, user.id),
        current_id=visit.known.session.id,
    )


@post("/account/profile", opt={"rule": Rule.VIEWER})
async def change_profile(visit: OnVisit) -> Answer:
    """Everyone changes their own name, an owner the account too."""
    form = await visit.form()
    try:
        if visit.may(Rule.OWNER):
            await people.change_account(visit.runtime, await read_account(visit, form))
        await people.rename_user(visit.runtime, visit.known.user.id, form["person"])
    except Invalid as error:
        return await render_account(visit, status=422, values=form, errors=error.errors)
    return visit.go("/account", visit.gettext("Your profile is saved."))


async def read_account(visit: Visit, form: Form) -> Account:
    """The account as the form wants it. Raises Invalid for a sender that it does not have."""
    sender = form["default_sender"]
    if sender and sender not in {own.name for own in await senders.list_senders(visit.runtime, visit.account_id)}:
        raise Invalid.field("default_sender", "This account has no such sender.")
    return structs.replace(
        visit.known.account,
        name=form["name"],
        time_zone=form["time_zone"],
        default_country=form["default_country"] or None,
        default_sender=sender or None,
    )


@post("/account/sessions/{session_uid:str}/end", opt={"rule": Rule.VIEWER})
async def end_session(visit: OnVisit, session_uid: FromPath[str]) -> Answer:
    session_id = id_of(session_uid)
    if session_id is None:
        raise NotFound("This session has ended already.")
    await sessions.end_session(visit.runtime, visit.known.user.id, session_id)
    return visit.go("/account", "The session is ended.")


@post("/account/sessions/end-others", opt={"rule": Rule.VIEWER})
async def end_other_sessions(visit: OnVisit) -> Answer:
    ended = await sessions.end_other_sessions(visit.runtime, visit.known.user.id, visit.known.session.id)
    return visit.go("/account", f"{ended} other session{'' if ended == 1 else 's'} ended.")


@post("/account/password", opt={"rule": Rule.VIEWER})
async def change_password(visit: OnVisit) -> Answer:
    """A new password ends every other session: whoever knew the old one is out."""
    old, new = await visit.raw("old_password"), await visit.raw("password")
    user = visit.known.user
    await sessions.check_may_try(visit.runtime, user.email, visit.caller.address)
    try:
        if await people.check_login(visit.runtime, user.email, old) is None:
            await sessions.record_failure(visit.runtime, user.email, visit.caller.address)
            raise Invalid.field("old_password", "This is not your present password.")
        await people.set_password(visit.runtime, user.email, new)
    except Invalid as error:
        return await render_account(visit, status=422, errors=error.errors)
    await sessions.end_other_sessions(visit.runtime, user.id, visit.known.session.id)
    await visit.note("password_changed")
    return visit.go("/account", "Your password is changed; every other session has ended.")


ROUTES = (
    show_account,
    change_profile,
    end_session,
    end_other_sessions,
    change_password,
    *members.ROUTES,
    *second_factor.ROUTES,
)
