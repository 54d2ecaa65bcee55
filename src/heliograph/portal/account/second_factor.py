"""Turning the second factor on and off."""

import io

import segno
from litestar import get, post
from markupsafe import Markup

from heliograph.accounts import people, second_factor, sessions
from heliograph.errors import BadRequest, Invalid
from heliograph.portal.access import Rule
from heliograph.portal.visit import Answer, OnVisit, Visit


def draw_qr(text: str) -> Markup:
    """An SVG element without any style of its own."""
    drawn = io.BytesIO()
    segno.make(text, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, svgclass="qr", lineclass=None, omitsize=True, border=2
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704 - made of numbers only


def render_setup(visit: Visit, secret: str, *, status: int = 200, errors: dict[str, list[str]] | None = None) -> Answer:
    return visit.render(
        "account/second_factor.html",
        status=status,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        signed=visit.desk.csrf.sign(f"totp {visit.known.user.id} {secret}"),
        picture=draw_qr(second_factor.address_for_app(secret, visit.known.user.email)),
        errors=errors,
    )


@get("/account/second-factor", opt={"rule": Rule.VIEWER})
async def show_setup(visit: OnVisit) -> Answer:
    return render_setup(visit, second_factor.new_secret())


@post("/account/second-factor", opt={"rule": Rule.VIEWER}, status_code=200)
async def turn_on(visit: OnVisit) -> Answer:
    """Answers with the recovery codes: they are in this one answer only."""
    form = await visit.form()
    begins = f"totp {visit.known.user.id} "
    text = visit.desk.csrf.read_signed(form["signed"]) or ""
    if not text.startswith(begins):
        raise BadRequest("This form is too old, or came from another page. Go back, reload and try again.")
    secret = text.removeprefix(begins)
    try:
        codes = await second_factor.turn_on(visit.runtime, visit.known.user, secret, form["code"])
    except Invalid as error:
        return render_setup(visit, secret, status=422, errors=error.errors)
    await sessions.end_other_sessions(visit.runtime, visit.known.user.id, visit.known.session.id)
    await visit.note("second_factor_on")
    return visit.render("account/recovery_codes.html", codes=codes)


@post("/account/second-factor/off", opt={"rule": Rule.VIEWER})
async def turn_off(visit: OnVisit) -> Answer:
    """Asks for the password: a browser that was left open is not enough."""
    user = visit.known.user
    await sessions.check_may_try(visit.runtime, user.email, visit.caller.address)
    if await people.check_login(visit.runtime, user.email, await visit.raw("present_password")) is None:
        await sessions.record_failure(visit.runtime, user.email, visit.caller.address)
        return visit.go("/account", visit.gettext("This is not your present password. Nothing was changed."))
    await second_factor.turn_off(visit.runtime, user.id)
    await visit.note("second_factor_off")
    return visit.go("/account", visit.gettext("The second factor is off."))


ROUTES = (show_setup, turn_on, turn_off)
