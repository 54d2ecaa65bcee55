"""What people do through letters: confirm their address, choose a new password, join an account; and the outbox."""

from litestar import get, post
from litestar.params import FromPath

from heliograph.accounts import letters, mail_links, sessions
from heliograph.errors import Invalid, NotFound
from heliograph.portal.access import Rule
from heliograph.portal.getting_in.entering import enter
from heliograph.portal.visit import Answer, OnVisit, Visit
from heliograph.store.accounts import User


async def ask_confirmation(visit: Visit, user: User) -> None:
    token = await mail_links.make_link(visit.runtime, "confirm", user.account_id, user.email)
    subject = visit.gettext("Confirm your e-mail address")
    await visit.write_letter(user.email, subject, "getting_in/confirm.txt", token=token, person=user.name)


@post("/confirm", opt={"rule": Rule.VIEWER})
async def send_confirmation(visit: OnVisit) -> Answer:
    user = visit.known.user
    await sessions.use_quota(visit.runtime, "confirm", user.email, visit.caller.address)
    await ask_confirmation(visit, user)
    return visit.go("/account", visit.gettext("The letter is on its way."))


@get("/confirm/{token:str}", opt={"rule": Rule.PUBLIC})
async def show_confirmation(visit: OnVisit, token: FromPath[str]) -> Answer:
    """Asks for a click: programs that look into letters follow links too."""
    link = await mail_links.find_link(visit.runtime, "confirm", token)
    return visit.render("getting_in/confirm.html", email=link.email, token=token)


@post("/confirm/{token:str}", opt={"rule": Rule.PUBLIC})
async def confirm(visit: OnVisit, token: FromPath[str]) -> Answer:
    await mail_links.confirm_email(visit.runtime, token)
    return visit.go("/" if visit.visitor else "/login", visit.gettext("Your e-mail address is confirmed."))


@get("/forgot", opt={"rule": Rule.PUBLIC})
async def show_forgot(visit: OnVisit) -> Answer:
    return visit.render("getting_in/forgot.html")


@post("/forgot", opt={"rule": Rule.PUBLIC})
async def ask_reset(visit: OnVisit) -> Answer:
    """Says the same whether somebody has the address or not."""
    email = (await visit.form())["email"]
    await sessions.use_quota(visit.runtime, "forgot", email, visit.caller.address)
    token = await mail_links.ask_reset(visit.runtime, email)
    if token is not None:
        await visit.write_letter(email, visit.gettext("Choose a new password"), "getting_in/reset.txt", token=token)
    return visit.go(
        "/login", visit.gettext("If this address has an account, a letter with a link is on its way to it.")
    )


@get("/reset/{token:str}", opt={"rule": Rule.PUBLIC})
async def show_reset(visit: OnVisit, token: FromPath[str]) -> Answer:
    link = await mail_links.find_link(visit.runtime, "reset", token)
    return visit.render("getting_in/reset.html", email=link.email, token=token, errors=None)


@post("/reset/{token:str}", opt={"rule": Rule.PUBLIC})
async def reset(visit: OnVisit, token: FromPath[str]) -> Answer:
    """Leads to the log-in and not past it: there a second factor is asked for."""
    link = await mail_links.find_link(visit.runtime, "reset", token)
    try:
        await mail_links.reset_password(visit.runtime, token, await visit.raw("password"))
    except Invalid as error:
        return visit.render("getting_in/reset.html", status=422, email=link.email, token=token, errors=error.errors)
    return visit.go("/login", visit.gettext("Your new password is set. Log in with it."))


@get("/invitation/{token:str}", opt={"rule": Rule.PUBLIC})
async def show_invitation(visit: OnVisit, token: FromPath[str]) -> Answer:
    invitation = await mail_links.find_invitation(visit.runtime, token)
    return visit.render("getting_in/invitation.html", invitation=invitation, token=token, person="", errors=None)


@post("/invitation/{token:str}", opt={"rule": Rule.PUBLIC})
async def accept_invitation(visit: OnVisit, token: FromPath[str]) -> Answer:
    invitation, form = await mail_links.find_invitation(visit.runtime, token), await visit.form()
    try:
        user = await mail_links.accept_invitation(visit.runtime, token, form["person"], await visit.raw("password"))
    except Invalid as error:
        return visit.render(
            "getting_in/invitation.html",
            status=422,
            invitation=invitation,
            token=token,
            person=form["person"],
            errors=error.errors,
        )
    said = visit.gettext("Welcome to %(account)s.") % {"account": invitation.account.name}
    return await enter(visit, user.id, "/", said)


@get("/outbox", opt={"rule": Rule.PUBLIC})
async def show_outbox(visit: OnVisit) -> Answer:
    """The letters of an installation without a mail server: for operators, and in trials for everybody."""
    if not (visit.settings.open_outbox or visit.may(Rule.OPERATOR)):
        raise NotFound("There is nothing at this address.")
    kept = await letters.kept_letters(visit.runtime)
    return visit.render("getting_in/outbox.html", letters=kept, has_server=bool(visit.settings.smtp_url))


ROUTES = (
    send_confirmation,
    show_confirmation,
    confirm,
    show_forgot,
    ask_reset,
    show_reset,
    reset,
    show_invitation,
    accept_invitation,
    show_outbox,
)
