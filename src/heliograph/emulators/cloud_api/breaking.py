"""Answers that are none: a cut connection, silence, a gateway's page (whatsapp-cloud-api.md §14.1, §15)."""

from aiohttp import web

from heliograph.emulators.cloud_api.effects import Break
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call

PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1><p>Sorry, something went wrong.</p></body></html>\n"


class Broken(Exception):
    """Answer with this instead."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


async def break_answer(emulator: Emulator, call: Call, how: Break) -> None:
    """Never returns. Raises Broken with what the client reads, if it reads anything."""
    if how in {"cut", "hang"}:
        if how == "hang":
            await emulator.hold(emulator.options.hang_s)
        transport = call.request.transport
        if transport is not None:
            transport.abort()
        raise Broken(web.Response(status=503))  # nobody reads it: the connection is gone
    raise Broken(PAGES[how]())


def page(status: int, title: str) -> web.Response:
    return web.Response(status=status, text=PAGE.format(title), content_type="text/html")


PAGES = {
    "html_500": lambda: page(500, "500 Internal Server Error"),
    "html_502": lambda: page(502, "502 Bad Gateway"),
    "empty_503": lambda: web.Response(status=503),
    "gateway_429": lambda: web.Response(status=429, headers={"Retry-After": "1"}),
    "garbled_200": lambda: web.Response(
        status=200, text='{"messaging_product":"whats', content_type="application/json"
    ),
}
