"""/__emulator/…: what tests and operators do to the emulator that Meta would let nobody do."""

from typing import Any

import msgspec
from aiohttp import web

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.bundled import add_bundled_templates
from heliograph.emulators.cloud_api.effects import RECIPIENTS, Fault
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.events import Event, tell_event
from heliograph.emulators.cloud_api.graph_errors import GraphError
from heliograph.emulators.cloud_api.inbound import Saying, say
from heliograph.emulators.cloud_api.world import Number

PREFIX = "/__emulator/"
ENCODER = msgspec.json.Encoder()


async def control(emulator: Emulator, request: web.BaseRequest, query: dict[str, str]) -> web.StreamResponse:
    """No token is asked for: whoever reaches the port is a tester."""
    what = request.path.removeprefix(PREFIX).strip("/")
    handler = HANDLERS.get((request.method, what))
    if handler is None:
        known = sorted(f"{method} {PREFIX}{name}" for method, name in HANDLERS)
        return answer({"error": f"There is no {request.method} {request.path}.", "known": known}, 404)
    try:
        return await handler(emulator, request, query)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return answer({"error": str(error)}, 400)
    except GraphError as error:
        return answer({"error": error.message, "details": error.details}, 400)


def answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=ENCODER.encode(value), status=status, content_type="application/json")


async def health(_emulator: Emulator, _request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    return answer({"status": "ok"})


async def messages(emulator: Emulator, request: web.BaseRequest, query: dict[str, str]) -> web.StreamResponse:
    """Everything accepted, a JSON object a line; ?count=1 only how many; ?to= and ?reference= pick some."""
    if query.get("count"):
        return answer({"count": emulator.ledger.count})
    wanted = {
        name: query[given]
        for name, given in (("to", "to"), ("biz_opaque_callback_data", "reference"), ("id", "id"))
        if given in query
    }
    response = web.StreamResponse(
        headers={"Content-Type": "application/x-ndjson", "X-Emulator-Count": str(emulator.ledger.count)}
    )
    await response.prepare(request)
    async for piece in emulator.ledger.lines():
        await response.write(pick_lines(piece, wanted) if wanted else piece)
    await response.write_eof()
    return response


def pick_lines(piece: bytes, wanted: dict[str, str]) -> bytes:
    lines = (line for line in piece.splitlines(keepends=True))
    return b"".join(line for line in lines if fits(msgspec.json.decode(line), wanted))


def fits(message: dict[str, Any], wanted: dict[str, str]) -> bool:
    return all(message.get(name) == value for name, value in wanted.items())


async def stats(emulator: Emulator, _request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    outbox = emulator.outbox
    return answer(
        {
            "accepted": emulator.ledger.count,
            "refused": dict(emulator.refusals),
            "read_marks": emulator.read_marks,
            "callbacks": {
                "posted": outbox.posted,
                "taken": outbox.answered,
                "failed": outbox.failed_posts,
                "updates_told": outbox.told,
                "updates_waiting": len(outbox),
                "updates_unheard": outbox.unheard,
                "updates_given_up": outbox.given_up,
            },
            "faults": len(emulator.faults.active),
        }
    )


async def add_faults(emulator: Emulator, request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    """One fault or a list of them, in the order in which they are tried."""
    body = await request.read()
    text = body if body.lstrip().startswith(b"[") else b"[" + body + b"]"
    faults = msgspec.json.decode(text, type=list[Fault])
    return answer({"faults": [emulator.faults.add(fault) for fault in faults]})


async def list_faults(emulator: Emulator, _request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    return answer({"faults": emulator.faults.active})


async def remove_faults(emulator: Emulator, _request: web.BaseRequest, query: dict[str, str]) -> web.StreamResponse:
    ids = [int(one) for one in query["id"].split(",") if one.isdecimal()] if "id" in query else None
    return answer({"removed": emulator.faults.remove(ids)})


async def hear(emulator: Emulator, request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    return answer(await say(emulator, msgspec.json.decode(await request.read() or b"{}", type=Saying)))


async def happen(emulator: Emulator, request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    return answer(await tell_event(emulator, msgspec.json.decode(await request.read(), type=Event)))


async def reset(emulator: Emulator, _request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    """Forget the messages, the faults and the limits; numbers, subscriptions and templates stay."""
    emulator.reset()
    return answer({"status": "ok"})


async def recipients(_emulator: Emulator, _request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    return answer({"recipients": [{"to": f"+{one.digits}", "what": one.what} for one in RECIPIENTS]})


async def list_numbers(emulator: Emulator, _request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    return answer({"numbers": list(emulator.world.state.numbers.values())})


class NewNumber(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: str
    digits: str
    waba_id: str = defaults.WABA_ID
    level: str = "HIGH"


async def add_number(emulator: Emulator, request: web.BaseRequest, _query: dict[str, str]) -> web.StreamResponse:
    """A number that is ready to send, with an id of your choice; its account comes with it."""
    new = msgspec.json.decode(await request.read(), type=NewNumber)
    add_bundled_templates(emulator.world.state, new.waba_id)
    emulator.world.add_number(Number(id=new.id, waba_id=new.waba_id, digits=new.digits, level=new.level))
    emulator.save()
    return answer({"id": new.id})


HANDLERS = {
    ("GET", "health"): health,
    ("GET", "messages"): messages,
    ("GET", "stats"): stats,
    ("GET", "recipients"): recipients,
    ("GET", "numbers"): list_numbers,
    ("POST", "numbers"): add_number,
    ("POST", "faults"): add_faults,
    ("GET", "faults"): list_faults,
    ("DELETE", "faults"): remove_faults,
    ("POST", "say"): hear,
    ("POST", "events"): happen,
    ("POST", "reset"): reset,
}
