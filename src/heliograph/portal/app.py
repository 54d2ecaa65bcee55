"""The ASGI application of the portal, for every path that is not the API's."""

import asyncio
import contextlib
from typing import Any
from urllib.parse import quote

import structlog
from litestar import Litestar, Request
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from msgspec import Struct

from heliograph.accept.storing import Acceptor
from heliograph.accounts import sessions
from heliograph.accounts.letters import Postman, sweep_letters
from heliograph.accounts.mail_links import sweep_links
from heliograph.errors import HeliographError, TooManyRequests, Unavailable
from heliograph.portal.access import NotLoggedIn, Rule, check_rule
from heliograph.portal.door import pass_door
from heliograph.portal.overview.counting import Counting
from heliograph.portal.places import PLACES
from heliograph.portal.rendering import Pages
from heliograph.portal.security import UNSAFE, Csrf, check_origin
from heliograph.portal.static_files import serve_asset
from heliograph.portal.streams import Streams
from heliograph.portal.visit import Answer, Desk, Visit
from heliograph.runtime import Runtime, open_whatsapp

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 4_194_304
SWEEP_EVERY_S = 3600


class Portal:
    """Built once per process, inside a running event loop; `start`, `hang_up` and `stop` around its life."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.desk = Desk(
            runtime=runtime,
            pages=Pages(),
            csrf=Csrf(runtime),
            acceptor=Acceptor(runtime.database, runtime.settings),
            whatsapp=open_whatsapp(runtime.settings),
            streams=Streams(),
            counting=Counting(runtime),
            postman=Postman(runtime),
        )
        self._app = build_app(self.desk)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.desk.streams.start(self._runtime.database)
        self._sweeper = asyncio.create_task(self._sweep(), name="sweep-sessions")

    async def _sweep(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):  # the next one will do
                await sessions.sweep_sessions(self._runtime)
                await sweep_links(self._runtime)
                await sweep_letters(self._runtime)
            await asyncio.sleep(SWEEP_EVERY_S)

    def hang_up(self) -> None:
        """End what would stay open for ever, so that the server can finish the rest."""
        self.desk.streams.stop()

    async def stop(self) -> None:
        """What was accepted here is on disk when this returns."""
        self.hang_up()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        await self.desk.counting.stop()
        await self.desk.postman.stop(self._runtime.settings.shutdown_grace_s)
        await self.desk.acceptor.drain()
        await self.desk.whatsapp.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await pass_door(self.desk, self._app, scope, receive, send)


class Route(Struct, frozen=True, order=True):
    path: str
    method: str
    rule: Rule
    handler: str


def all_handlers() -> list[HTTPRouteHandler]:
    return [serve_asset, *(handler for place in PLACES for handler in place.routes)]


def all_routes() -> list[Route]:
    """Every route with its rule, sorted. Raises KeyError or ValueError for one without a rule."""
    return sorted(
        Route(path, str(method), Rule(handler.opt["rule"]), handler.handler_name)
        for handler in all_handlers()
        for path in handler.paths
        for method in handler.http_methods
    )


def build_app(desk: Desk) -> Litestar:
    all_routes()  # a route without a rule must show at once

    async def provide_visit(request: Request[Any, Any, Any]) -> Visit:
        return await Visit.receive(desk, request)

    async def check_form(connection: Any, _handler: BaseRouteHandler) -> None:
        """Every request that may change something shows that our own page made it."""
        if connection.scope["method"] not in UNSAFE:
            return
        check_origin(dict(connection.scope["headers"]))
        token = connection.headers.get("x-csrf-token")
        if token is None:
            token = (await connection.form()).get("csrf", "")
        desk.csrf.check(connection.scope["state"]["caller"].cookie, token if isinstance(token, str) else "")

    def show_error(request: Request[Any, Any, Any], error: Exception) -> Answer:
        return render_error(Visit(desk, request), error)

    return Litestar(
        route_handlers=all_handlers(),
        guards=[check_rule, check_form],
        dependencies={"visit": Provide(provide_visit)},
        exception_handlers={Exception: show_error},
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
        signature_types=[Visit],
    )


def render_error(visit: Visit, error: Exception) -> Answer:
    """A page that says what is wrong and what to do; a browser that is not logged in is led to the log-in page."""
    if isinstance(error, NotLoggedIn):
        path = visit.request.url.path
        wanted = f"{path}?{visit.request.url.query}" if visit.request.url.query else path
        worth_it = visit.request.method == "GET" and path not in {"/", "/logout"}
        return visit.go(f"/login?next={quote(wanted, safe='/?=')}" if worth_it else "/login")
    match error:
        case HeliographError():
            status, code, sentence = error.http_status, error.code, error.message
        case HTTPException() if error.status_code < 500:
            status, code, sentence = error.status_code, "http", ""
        case _:
            status, code, sentence = 500, "server_error", ""
            log.error("page_failed", path=visit.request.scope["path"], method=visit.request.method, exc_info=error)
    answer = visit.render("layout/error.html", status=status, error_status=status, code=code, sentence=sentence)
    if isinstance(error, TooManyRequests | Unavailable) and error.retry_after_s:
        answer.headers["retry-after"] = str(int(error.retry_after_s) + 1)
    return answer
