"""The program: listens, answers every call, ends when asked to."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from urllib.parse import parse_qsl

import structlog
import uvloop
from aiohttp import web

from heliograph.emulators.cloud_api import defaults, graph, media, numbers, sending, subscriptions, templates, uploads
from heliograph.emulators.cloud_api.again import call_back_again
from heliograph.emulators.cloud_api.breaking import Broken
from heliograph.emulators.cloud_api.control import PREFIX, control
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call, Handler
from heliograph.emulators.cloud_api.graph_errors import GraphError, bad_parameter, refuse, unknown_object
from heliograph.emulators.cloud_api.options import Options, address

log = structlog.get_logger(__name__)

READY_LINE = "Cloud API emulator is ready at"
LARGEST_BODY = 110 * 1024 * 1024
STOP_WITHIN_S = 2.0

# Graph is objects and their edges: (kind of object, method, edge).
EDGES: dict[tuple[str, str, str], Handler] = {
    ("number", "POST", "messages"): sending.send,
    ("number", "POST", "marketing_messages"): sending.send,
    ("number", "GET", ""): numbers.read_number,
    ("number", "POST", ""): numbers.change_number,
    ("number", "POST", "register"): numbers.register,
    ("number", "POST", "deregister"): numbers.deregister,
    ("number", "POST", "request_code"): numbers.request_code,
    ("number", "POST", "verify_code"): numbers.verify_code,
    ("number", "GET", "whatsapp_business_profile"): numbers.read_profile,
    ("number", "POST", "whatsapp_business_profile"): numbers.change_profile,
    ("number", "GET", "settings"): numbers.read_settings,
    ("number", "POST", "settings"): numbers.change_settings,
    ("number", "POST", "media"): media.upload,
    ("account", "GET", ""): numbers.read_account,
    ("account", "GET", "phone_numbers"): numbers.list_numbers,
    ("account", "POST", "phone_numbers"): numbers.add_number,
    ("account", "POST", "subscribed_apps"): subscriptions.subscribe,
    ("account", "GET", "subscribed_apps"): subscriptions.list_subscriptions,
    ("account", "DELETE", "subscribed_apps"): subscriptions.unsubscribe,
    ("account", "GET", "message_templates"): templates.list_templates,
    ("account", "POST", "message_templates"): templates.create_template,
    ("account", "DELETE", "message_templates"): templates.delete_templates,
    ("template", "GET", ""): templates.read_template,
    ("template", "POST", ""): templates.edit_template,
    ("template", "POST", "unpause"): templates.unpause_template,
    ("app", "GET", ""): subscriptions.read_app,
    ("app", "POST", "subscriptions"): subscriptions.subscribe_app,
    ("app", "GET", "subscriptions"): subscriptions.list_app_subscriptions,
    ("app", "DELETE", "subscriptions"): subscriptions.unsubscribe_app,
    ("app", "POST", "uploads"): uploads.start_upload,
    ("oauth", "GET", "access_token"): subscriptions.read_app_token,
    ("upload", "POST", ""): uploads.continue_upload,
    ("upload", "GET", ""): uploads.read_upload,
    ("medium", "GET", ""): media.look_up,
    ("medium", "DELETE", ""): media.delete,
}


def kind_of(emulator: Emulator, object_id: str) -> str:
    state = emulator.world.state
    if object_id in state.numbers:
        return "number"
    if object_id in state.accounts:
        return "account"
    if object_id in state.templates:
        return "template"
    if object_id in state.media:
        return "medium"
    if object_id in {defaults.APP_ID, "app"}:
        return "app"
    if object_id == "oauth":
        return "oauth"
    return "upload" if object_id in emulator.uploads else ""


class Counter:
    """Takes every request to where it belongs."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.tokens = (*emulator.options.tokens, graph.app_token(emulator.options.app_secret))

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        target, _, query_text = request.raw_path.partition("?")
        query = dict(parse_qsl(query_text, keep_blank_values=True)) if query_text else {}
        if target.startswith(PREFIX):
            return await control(self.emulator, request, query)
        asked, object_id, edge = graph.split_path(target)
        version = graph.served_version(asked)
        try:
            token = graph.token_of(request, query)
            if object_id != "oauth":
                graph.check_token(token, self.tokens)
            if target == media.DOWNLOAD_PATH:
                return media.download(self.emulator, query)
            return await self.answer(request, version, object_id, edge, query, token)
        except Broken as broken:
            return broken.answer
        except GraphError as error:
            self.emulator.refusals[str(error.code)] += 1
            return graph.answer_error(error, version)
        except web.HTTPRequestEntityTooLarge:
            return graph.answer_error(bad_parameter("The request body is too large."), version)
        except OSError as error:
            log.error("not_kept", reason=str(error))
            return graph.answer_error(refuse(131000), version)

    async def answer(
        self,
        request: web.BaseRequest,
        version: tuple[int, int],
        object_id: str,
        edge: str,
        query: dict[str, str],
        token: str,
    ) -> web.StreamResponse:
        options = self.emulator.options
        proof = query.pop("appsecret_proof", None)
        if proof is not None or options.require_proof:
            graph.check_proof(token, proof, options.app_secret, required=options.require_proof)
        handler = EDGES.get((kind_of(self.emulator, object_id), request.method, edge))
        if handler is None:
            raise unknown_object(request.method, object_id)
        call = Call(request, version, object_id, edge, query)
        call.token = token
        return graph.answer_json(await handler(self.emulator, call), version)


class Running:
    """A server that listens, inside a running loop: what tests use directly."""

    def __init__(self, options: Options) -> None:
        self.emulator = Emulator(options)
        self._server = web.Server(
            Counter(self.emulator), access_log=None, request_factory=make_request, keepalive_timeout=75.0
        )
        self._runner = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=STOP_WITHIN_S)

    @property
    def url(self) -> str:
        return self.emulator.base_url

    async def start(self) -> None:
        options = self.emulator.options
        await self._runner.setup()
        site = web.TCPSite(self._runner, options.host, options.port, backlog=2048)
        await site.start()
        self.emulator.base_url = address(options.host, int(self._runner.addresses[0][1]))
        await self.emulator.open()
        await call_back_again(self.emulator)

    async def stop(self) -> None:
        self.emulator.stopping.set()
        await self._runner.cleanup()
        await self.emulator.close()

    async def __aenter__(self) -> "Running":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def make_request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]
    """As aiohttp makes one, but files of 100 MB may be uploaded."""
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=LARGEST_BODY
    )


async def serve(options: Options, on_ready: Callable[[str], None]) -> None:
    """Listen until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, stopping.set)
    async with Running(options) as running:
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        on_ready(running.url)
        await stopping.wait()


def say_ready(url: str) -> None:
    sys.stdout.write(f"{READY_LINE} {url}\n")
    sys.stdout.flush()


def run(options: Options | None = None) -> None:
    """The whole program, until SIGTERM or SIGINT. Prints one line when it is ready."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))
    uvloop.run(serve(options or Options(), say_ready))
