"""The console: a real request to this installation's API, sent from here, shown with its answer.

It goes by HTTP to the server's own address like any program's, so token, limits and the log of calls count as for those."""

import contextlib
import json
import time
from typing import Any

import aiohttp
import msgspec
from litestar import get, post
from msgspec import Struct

from heliograph.accounts import senders, tokens
from heliograph.config import Settings
from heliograph.core.ids import now_ms
from heliograph.errors import Invalid, NotFound
from heliograph.portal.access import Rule
from heliograph.portal.developers.snippets import EXAMPLE_RECIPIENT, EXAMPLE_TEXT
from heliograph.portal.languages import N_
from heliograph.portal.visit import Answer, Form, OnVisit, Visit

TOKEN_NAME = "Console, one request"  # noqa: S105 - the name of tokens that live for one request
TOKEN_LIFE_MS = 60_000
METHODS = ("GET", "POST")
PREFIXES = ("/api/v3/", "/api/http/")
LONGEST_BODY, LONGEST_ANSWER, LONGEST_PATH = 65_536, 262_144, 2_000
TIMEOUT_S = 30.0
SHOWN_HEADERS = ("content-type", "x-request-id", "x-ratelimit-remaining", "retry-after", "idempotent-replayed")


class Example(Struct, frozen=True):
    """A request that is ready to send. `body` is a JSON value; None = without one."""

    name: str
    label: str
    method: str
    path: str
    body: dict[str, Any] | None = None


class Shot(Struct, frozen=True):
    """A request that was sent, and what came back."""

    method: str
    path: str
    body: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    text: str
    took_ms: int
    own_token: bool

    @property
    def request_id(self) -> str:
        return dict(self.headers).get("x-request-id", "")


async def examples(visit: Visit) -> list[Example]:
    sender, _ = await own_sender(visit)
    body = {"recipient": EXAMPLE_RECIPIENT, "sender_id": sender, "type": "whatsapp", "message": EXAMPLE_TEXT}
    return [
        Example("send", N_("Send a message"), "POST", "/api/v3/sms/send", body),
        Example("list", N_("List messages"), "GET", "/api/v3/sms"),
        Example("view", N_("Look one up"), "GET", "/api/v3/sms/{uid}"),
        Example("explain", N_("Why it is so"), "GET", "/api/v3/sms/{uid}/explain"),
        Example("cancel", N_("Cancel it"), "POST", "/api/v3/sms/{uid}/cancel"),
        Example("http", N_("Send by the HTTP API"), "POST", "/api/http/sms/send", body),
    ]


async def own_sender(visit: Visit) -> tuple[str, bool]:
    """The sender for examples, and whether it exists."""
    own = await senders.list_senders(visit.runtime, visit.account_id)
    return visit.known.account.default_sender or (own[0].name if own else "YourName"), bool(own)


@get("/developers/console", opt={"rule": Rule.VIEWER})
async def show_console(visit: OnVisit) -> Answer:
    known = {one.name: one for one in await examples(visit)}
    chosen = known.get(visit.query["example"]) or known["send"]
    body = json.dumps(chosen.body, indent=2, ensure_ascii=False) if chosen.body else ""
    return await render_console(visit, Form(method=chosen.method, path=chosen.path, body=body), example=chosen.name)


async def render_console(
    visit: Visit,
    values: Form,
    *,
    example: str = "",
    status: int = 200,
    shot: Shot | None = None,
    errors: dict[str, list[str]] | None = None,
) -> Answer:
    return visit.render(
        "developers/console.html",
        status=status,
        values=values,
        examples=await examples(visit),
        example=example,
        methods=[(method, method) for method in METHODS],
        shot=shot,
        errors=errors,
    )


@post("/developers/console", opt={"rule": Rule.MEMBER}, status_code=200)
async def send_request(visit: OnVisit) -> Answer:
    form = await visit.form()
    try:
        check_request(form)
        shot = await shoot(visit, form)
    except Invalid as error:
        return await render_console(visit, form, status=422, errors=error.errors)
    return await render_console(visit, form, shot=shot)


def check_request(form: Form) -> None:
    """Raises Invalid: the console calls the API of this server, and nothing else."""
    if form["method"] not in METHODS:
        raise Invalid.field("method", "Choose GET or POST.")
    path = form["path"]
    if not path.startswith(PREFIXES) or len(path) > LONGEST_PATH or not path.isprintable() or ".." in path:
        raise Invalid.field("path", "An address of the API begins with /api/v3/ or /api/http/.")
    if "{uid}" in path:
        raise Invalid.field("path", "Put the uid of a message in the place of {uid}.")
    if len(form["body"]) > LONGEST_BODY:
        raise Invalid.field("body", "The console sends at most 64 KiB; use a program for more.")
    token = form["token"]
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise Invalid.field("token", "A token has letters, digits and a bar, and no blank.")


async def shoot(visit: Visit, form: Form) -> Shot:
    """Send it with the token that was typed, else with one that lives for this request only. Raises Invalid."""
    if form["token"]:
        return await send(visit, form, form["token"], own_token=True)
    made = await tokens.create_token(
        visit.runtime,
        visit.account_id,
        TOKEN_NAME,
        scopes=("send", "read"),
        expires_at_ms=now_ms() + TOKEN_LIFE_MS,
    )
    try:
        return await send(visit, form, made.text, own_token=False)
    finally:
        with contextlib.suppress(NotFound):  # somebody was quicker
            await tokens.revoke_token(visit.runtime, visit.account_id, made.token.id)


async def send(visit: Visit, form: Form, token: str, *, own_token: bool) -> Shot:
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json",
        "Host": visit.request.headers.get("host", "localhost"),
        "User-Agent": "Heliograph console",
    }
    if form["body"]:
        headers["Content-Type"] = "application/json"
    began_at = time.perf_counter()
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                form["method"],
                own_address(visit.settings) + form["path"],
                data=form["body"].encode() if form["body"] else None,
                headers=headers,
                allow_redirects=False,
            ) as answer,
        ):
            raw = await answer.content.read(LONGEST_ANSWER)
            shown = [(name, answer.headers[name]) for name in SHOWN_HEADERS if name in answer.headers]
            status, reason = answer.status, answer.reason or ""
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
        raise Invalid.field("path", "The server did not answer itself. Try again, or look into its log.") from None
    return Shot(
        method=form["method"],
        path=form["path"],
        body=form["body"],
        status=status,
        reason=reason,
        headers=shown,
        text=pretty(raw),
        took_ms=round((time.perf_counter() - began_at) * 1000),
        own_token=own_token,
    )


def own_address(settings: Settings) -> str:
    """Where this server listens, as it reaches itself."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def pretty(raw: bytes) -> str:
    try:
        return msgspec.json.format(raw, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode(errors="replace")


ROUTES = (show_console, send_request)
