"""The addresses that carriers call."""

from urllib.parse import parse_qsl

from heliograph.api.http import Answer, Request
from heliograph.config import Settings
from heliograph.errors import MethodNotAllowed, NotFound
from heliograph.status.inbox import Inbox

WHATSAPP = "/callbacks/whatsapp/"


async def answer(inbox: Inbox, settings: Settings, request: Request) -> Answer:
    """GET: a carrier verifies the address. POST: it tells us something; 200 means that it is on disk."""
    uid = request.path.removeprefix(WHATSAPP)
    if not request.path.startswith(WHATSAPP) or not uid.isalnum():
        raise NotFound("There is no such callback address.")
    match request.method:
        case "GET" | "HEAD":
            query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
            challenge = await inbox.challenge(uid, query)
            return Answer(challenge.encode(), content_type=b"text/plain; charset=utf-8")
        case "POST":
            raw = await request.read_body(settings.max_callback_bytes, settings.body_timeout_s)
            signature = request.headers.get(b"x-hub-signature-256")
            await inbox.keep(uid, raw, signature.decode("latin-1") if signature else None)
            return Answer(b'{"status":"success","message":null,"data":null}')
        case _:
            raise MethodNotAllowed(("GET", "POST"))
