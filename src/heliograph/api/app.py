"""The ASGI application of the counter: API, callbacks, health, and the API's own documentation."""

import time
from collections.abc import Callable

import structlog

from heliograph.accept.storing import Acceptor
from heliograph.accounts.tokens import TokenDesk
from heliograph.api import callbacks, health
from heliograph.api.call_log import CallLog
from heliograph.api.counter import Counter, open_call
from heliograph.api.docs import DocsPages
from heliograph.api.envelope import render_error
from heliograph.api.http import Answer, Gone, Receive, Request, Scope, Send, send_answer
from heliograph.api.rate_limit import RateLimits
from heliograph.api.routes import find_route, scope_of
from heliograph.errors import HeliographError, MethodNotAllowed, NotFound, TooManyRequests
from heliograph.runtime import Runtime
from heliograph.status.inbox import Inbox

log = structlog.get_logger(__name__)


class Api:
    """Built once per process with `start` and `stop` around its life."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._settings = settings
        self._runtime = runtime
        self._desk = TokenDesk(runtime)
        self._acceptor = Acceptor(runtime.database, settings)
        self._inbox = Inbox(runtime)
        self._counter = Counter(runtime, self._desk, self._acceptor, RateLimits(settings.rate_limit_per_minute))
        self._docs = DocsPages(settings)
        self._calls = CallLog(runtime)
        self._stop_listening: Callable[[], None] | None = None

    def start(self) -> None:
        self._desk.start()
        self._calls.start()
        self._stop_listening = self._runtime.database.listen(self._heard)

    async def stop(self) -> None:
        """Every request that was accepted is on disk when this returns."""
        await self._acceptor.drain()
        await self._inbox.drain()
        if self._stop_listening is not None:
            self._stop_listening()
        await self._calls.stop()
        await self._desk.stop()

    def _heard(self, topic: str) -> None:
        if topic == "connections":
            self._inbox.forget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        extra: list[tuple[bytes, bytes]] = []
        refused: HeliographError | None = None
        began_at = time.perf_counter()
        try:
            request.check_headers(self._settings.max_header_bytes)
            answer = await self._answer(request, extra)
        except Gone:
            return
        except HeliographError as error:
            refused = error
        except Exception:
            log.exception("request_failed", request_id=request.request_id, path=request.path, method=request.method)
            refused = HeliographError("Something went wrong on this server.", code="server_error")
        if refused is not None:
            answer = self._refusal(request, refused)
        if request.caller is not None:
            self._calls.note(request, request.caller, answer.status, refused, began_at)
        answer.headers = [(b"x-request-id", request.request_id.encode()), *extra, *answer.headers]
        await send_answer(send, answer, without_body=request.method == "HEAD")

    async def _answer(self, request: Request, extra: list[tuple[bytes, bytes]]) -> Answer:
        path = request.path
        if path.startswith(("/api/v3/", "/api/http/")):
            handler, flavour, captured = find_route(request.method, path)
            try:
                call = await open_call(self._counter, request, flavour, captured, scope_of(handler), extra)
            except TooManyRequests as error:
                extra += error.headers
                raise
            return await handler(call)
        if path.startswith("/callbacks/"):
            return await callbacks.answer(self._inbox, self._settings, request)
        if path in health.PATHS:
            return await health.answer(self._runtime, request)
        page = self._docs.find(path, request)
        if page is None:
            raise NotFound("There is nothing at this address.", code="no_such_address")
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(("GET",))
        return page

    def _refusal(self, request: Request, error: HeliographError) -> Answer:
        doc_base = f"{request.public_base(self._settings)}/docs/errors"
        status, headers, body = render_error(error, request.request_id, doc_base)
        return Answer(body, status, headers)
