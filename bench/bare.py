"""The baseline: an ASGI application that gives back the body it got, on the server and with the settings of the product.

python -m bench.bare PORT"""

import asyncio
import sys
from typing import Any

import uvloop

from heliograph.cli.processes import calm_the_collector, make_server
from heliograph.cli.supervisor import stop_event
from heliograph.config import Settings


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    if scope["method"] == "POST":
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(port: int) -> None:
    stopping = stop_event()
    server = make_server(echo, Settings(home="/nonexistent", port=port))
    calm_the_collector()
    serving = asyncio.create_task(server.serve())
    await stopping.wait()
    server.stop()  # type: ignore[no-untyped-call]
    await serving


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
