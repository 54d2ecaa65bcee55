"""Open an account, log in, log out."""

import asyncio
from typing import Any

from babel import Locale
from litestar import get, post

from heliograph.accounts import people, sandbox, sessions
from heliograph.accounts.audit import Actor, record
from heliograph.errors import Conflict, Forbidden, Invalid, TooManyRequests, Unavailable
from heliograph.portal.access import Rule
from heliograph.portal.choices import country_choices, guess_country, zone_choices
from heliograph.portal.getting_in import appearance, mailed, second_factor
from heliograph.portal.getting_in.entering import admit, enter, refusal_of, safe_next
from heliograph.portal.visit import Answer, Form, OnVisit, Visit
from heliograph.store.accounts import Account, User

SANDBOX_WITHIN_S = 5.0  # a sign-up waits no longer for the carrier for trials


@get("/login", opt={"rule": Rule.PUBLIC})
async def show_login(visit: OnVisit) -> Answer:
    if visit.visitor is not None:
        return visit.go("/")
    return visit.render("getting_in/login.html", email="", next=safe_next(visit.query["next"]), errors=None)


@post("/login", opt={"rule": Rule.PUBLIC})
async def log_in(visit: OnVisit) -> Answer:
    form = await visit.form()
    next_path = safe_next(form["next"])
    try:
        opened = await sessions.log_in(
            visit.runtime, form["email"], await visit.raw("password"), visit.caller.address, visit.caller.agent
        )
        if isinstance(opened, sessions.CodeNeeded):
            return second_factor.render_code(visit, opened.user.id, next_path)
    except (sessions.WrongPassword, TooManyRequests, Forbidden) as error:
        sentence = refusal_of(visit, error, visit.gettext("E-mail and password do not match."))
        return visit.render(
            "getting_in/login.html",
            status=error.http_status,
            email=form["email"],
            next=next_path,
            errors={"password": [sentence]},
        )
    return admit(visit, opened, next_path)


@get("/signup", opt={"rule": Rule.PUBLIC})
async def show_signup(visit: OnVisit) -> Answer:
    if visit.visitor is not None:
        return visit.go("/")
    country = guess_country(visit.request.headers.get("accept-language", ""))
    return render_signup(visit, Form(default_country=country, time_zone="UTC"), None, posted=False)


@post("/signup", opt={"rule": Rule.PUBLIC})
async def sign_up(visit: OnVisit) -> Answer:
    """The new owner is logged in at once."""
    form = await visit.form()
    try:
        await sessions.use_quota(visit.runtime, "signup", form["email"], visit.caller.address)
        account, user = await people.create_account(
            visit.runtime,
            name=form["name"],
            email=form["email"],
            password=await visit.raw("password"),
            time_zone=form["time_zone"] or "UTC",
            default_country=form["default_country"] or None,
        )
    except Invalid as error:
        return render_signup(visit, form, error.errors, status=422)
    except Conflict as error:
        return render_signup(visit, form, {"email": [error.message]}, status=409)
    await mailed.ask_confirmation(visit, user)
    path, said = await welcome(visit, account, user)
    return await enter(visit, user.id, path, said)


async def welcome(visit: Visit, account: Account, user: User) -> tuple[str, str]:
    """Where a new owner begins, and what they are told: at the filled-in form, where there is a carrier for trials.

    That carrier's trouble keeps nobody out."""
    if not visit.settings.sandbox_url:
        return "/", visit.gettext("Your account is open. Welcome.")
    try:
        async with asyncio.timeout(SANDBOX_WITHIN_S):
            row = await sandbox.open_sandbox(visit.runtime, visit.desk.whatsapp, account)
    except (Unavailable, TimeoutError):
        said = visit.gettext(
            "Your account is open. The carrier for trials does not answer; get a number of it on the Senders page later."
        )
        return "/", said
    actor = Actor(user, visit.caller.address)
    await record(visit.runtime, actor, "number_connected", account_id=account.id, subject=f"+{row.display_number}")
    return "/send", visit.gettext("Your account is open. Send its first message: it reaches nobody, and costs nothing.")


def render_signup(
    visit: Visit, values: Form, errors: dict[str, list[str]] | None, *, status: int = 200, posted: bool = True
) -> Answer:
    shown: dict[str, Any] = {name: values[name] for name in ("name", "email", "default_country", "time_zone")}
    locale = Locale.parse(visit.caller.language)
    return visit.render(
        "getting_in/signup.html",
        status=status,
        values=shown,
        errors=errors,
        posted=posted,
        countries=country_choices(locale),
        zones=zone_choices(),
    )


@post("/logout", opt={"rule": Rule.PUBLIC})
async def log_out(visit: OnVisit) -> Answer:
    answer = visit.go("/login")
    if visit.visitor is not None:
        await sessions.end_session(visit.runtime, visit.visitor.user.id, visit.visitor.session.id)
    visit.close_session(answer)
    return answer


ROUTES = (
    show_login,
    log_in,
    show_signup,
    sign_up,
    log_out,
    *appearance.ROUTES,
    *second_factor.ROUTES,
    *mailed.ROUTES,
)
