"""The developers' page: base addresses, tokens, snippets."""

from collections.abc import Sequence

from litestar import get, post
from litestar.params import FromPath

from heliograph.accounts import senders, tokens
from heliograph.accounts.tokens import NewToken
from heliograph.core.ids import now_ms
from heliograph.errors import Invalid
from heliograph.portal.access import Rule
from heliograph.portal.developers import calls, console
from heliograph.portal.developers.snippets import YOUR_TOKEN, make_http_snippet, make_snippets
from heliograph.portal.visit import Answer, OnVisit, Visit

LONGEST_NAME = 80
DAY_MS = 86_400_000
LIVES = {"30": 30, "90": 90, "365": 365}  # days that a token may live; anything else: until it is revoked


@get("/developers", opt={"rule": Rule.VIEWER})
async def show_developers(visit: OnVisit) -> Answer:
    return await render_developers(visit)


async def render_developers(
    visit: Visit,
    *,
    status: int = 200,
    made: NewToken | None = None,
    values: dict[str, str] | None = None,
    scopes: Sequence[str] = ("send", "read"),
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    """`values` and `scopes`: what was typed and ticked, where no token could be made of it."""
    known = await tokens.list_tokens(visit.runtime, visit.account_id)
    own = await senders.list_senders(visit.runtime, visit.account_id)
    sender = visit.known.account.default_sender or (own[0].name if own else "YourName")
    text = made.text if made else YOUR_TOKEN
    return visit.render(
        "developers/start.html",
        status=status,
        tokens=[token for token in known if token.revoked_at_ms is None][::-1],
        revoked=[token for token in known if token.revoked_at_ms is not None and token.name != console.TOKEN_NAME][
            ::-1
        ],
        made=made,
        values={"name": "", "life": "", "allowed_networks": "", **(values or {})},
        scopes=scopes,
        now_ms=now_ms(),
        errors=errors,
        has_sender=bool(own),
        snippets=make_snippets(visit.caller.base_url, text, sender),
        http_snippet=make_http_snippet(visit.caller.base_url, text, sender),
    )


@post("/developers/tokens", opt={"rule": Rule.OWNER}, status_code=200)
async def create_token(visit: OnVisit) -> Answer:
    """Answers with the page itself and not by leading there: the token is in this one answer only."""
    form, scopes = await visit.form(), await visit.form_list("scopes")
    days = LIVES.get(form["life"])
    try:
        if not 1 <= len(form["name"]) <= LONGEST_NAME:
            raise Invalid.field("name", f"A token's name has 1 to {LONGEST_NAME} characters.")
        made = await tokens.create_token(
            visit.runtime,
            visit.account_id,
            form["name"],
            scopes=scopes,
            expires_at_ms=now_ms() + days * DAY_MS if days else None,
            allowed_networks=form["allowed_networks"],
        )
    except Invalid as error:
        return await render_developers(visit, status=422, values=form, scopes=scopes, errors=error.errors)
    await visit.note("token_created", made.token.name)
    return await render_developers(visit, made=made)


@get("/developers/tokens/{token_id:int}/revoke", opt={"rule": Rule.OWNER})
async def ask_revoke(visit: OnVisit, token_id: FromPath[int]) -> Answer:
    """Says what will be lost; the page's dialog says the same where scripts run."""
    token = await tokens.find_token(visit.runtime, visit.account_id, token_id)
    return visit.render("developers/revoke.html", token=token)


@post("/developers/tokens/{token_id:int}/revoke", opt={"rule": Rule.OWNER})
async def revoke_token(visit: OnVisit, token_id: FromPath[int]) -> Answer:
    token = await tokens.find_token(visit.runtime, visit.account_id, token_id)
    await tokens.revoke_token(visit.runtime, visit.account_id, token_id)
    await visit.note("token_revoked", token.name)
    return visit.go("/developers", f"{token.name} is revoked.")


ROUTES = (show_developers, create_token, ask_revoke, revoke_token, *console.ROUTES, *calls.ROUTES)
