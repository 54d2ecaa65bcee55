"""Members: who belongs to the account, what they may do, and whom an owner invites."""

from litestar import get, post
from litestar.params import FromPath

from heliograph.accounts import mail_links, members, sessions
from heliograph.errors import Conflict, Invalid
from heliograph.portal.access import Rule
from heliograph.portal.visit import Answer, OnVisit, Said, Visit


@get("/account/members", opt={"rule": Rule.VIEWER})
async def show_members(visit: OnVisit) -> Answer:
    return await render_members(visit)


async def render_members(
    visit: Visit,
    *,
    status: int = 200,
    values: dict[str, str] | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    """`values`: what was typed into the invitation, where it could not be sent."""
    return visit.render(
        "account/members.html",
        status=status,
        members=await members.list_members(visit.runtime, visit.account_id),
        invitations=await mail_links.list_invitations(visit.runtime, visit.account_id),
        values={"email": "", "role": "member", **(values or {})},
        errors=errors,
    )


@post("/account/invitations", opt={"rule": Rule.OWNER})
async def invite(visit: OnVisit) -> Answer:
    form, account = await visit.form(), visit.known.account
    email = form["email"]
    await sessions.use_quota(visit.runtime, "invite", email, visit.caller.address)
    try:
        token = await mail_links.invite(visit.runtime, account.id, email, form["role"])
    except Invalid as error:
        return await render_members(visit, status=422, values=form, errors=error.errors)
    except Conflict as error:
        return await render_members(visit, status=409, values=form, errors={"email": [error.message]})
    await visit.note("member_invited", f"{email}, {form['role']}")
    subject = visit.gettext("Join %(account)s") % {"account": account.name}
    inviter = visit.known.user.name or visit.known.user.email
    await visit.write_letter(email, subject, "getting_in/invitation.txt", token=token, inviter=inviter)
    return visit.go("/account/members", visit.gettext("The invitation to %(email)s is on its way.") % {"email": email})


@post("/account/invitations/withdraw", opt={"rule": Rule.OWNER})
async def withdraw(visit: OnVisit) -> Answer:
    email = (await visit.form())["email"]
    await mail_links.withdraw_invitation(visit.runtime, visit.account_id, email)
    said = visit.gettext("The invitation to %(email)s is withdrawn.") % {"email": email}
    return visit.go("/account/members", said)


@post("/account/members/{user_id:int}/role", opt={"rule": Rule.OWNER})
async def change_role(visit: OnVisit, user_id: FromPath[int]) -> Answer:
    role = (await visit.form())["role"]
    before = await members.change_role(visit.runtime, visit.account_id, user_id, role)
    await visit.note("role_changed", f"{before.email}: {before.role} → {role}")
    text = visit.gettext("%(person)s is %(role)s now.") % {"person": before.name or before.email, "role": role}
    back = Said(text, f"/account/members/{user_id}/role", {"role": before.role})
    # Who has just stopped being an owner cannot undo it.
    return visit.go("/account/members", text if user_id == visit.known.user.id else back)


@get("/account/members/{user_id:int}/remove", opt={"rule": Rule.OWNER})
async def ask_remove(visit: OnVisit, user_id: FromPath[int]) -> Answer:
    member = await members.find_member(visit.runtime, visit.account_id, user_id)
    return visit.render("account/remove.html", member=member)


@post("/account/members/{user_id:int}/remove", opt={"rule": Rule.OWNER})
async def remove(visit: OnVisit, user_id: FromPath[int]) -> Answer:
    gone = await members.remove_member(visit.runtime, visit.account_id, user_id)
    await visit.note("member_removed", gone.email)
    said = visit.gettext("%(person)s is no longer a member.") % {"person": gone.name or gone.email}
    return visit.go("/account/members", said)


ROUTES = (show_members, invite, withdraw, change_role, ask_remove, remove)
