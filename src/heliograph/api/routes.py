"""Every address of the two flavours, in one table. Literal paths go before placeholders (v3-api.md §3)."""

import re

from msgspec import Struct

from heliograph.api import messages
from heliograph.api.counter import Handler
from heliograph.errors import MethodNotAllowed, NotFound

FLAVOURS = ("v3", "http")
UID = r"(?P<uid>[A-Za-z0-9_-]+)"


class Route(Struct, frozen=True):
    """Methods and handlers of one address. `path` is what follows /api/v3 or /api/http; {uid} is a placeholder."""

    path: str
    handlers: dict[str, Handler]
    flavours: tuple[str, ...] = FLAVOURS


ROUTES = (
    Route("/sms/send", {"POST": messages.send}, ("v3",)),
    Route("/sms/send", {"POST": messages.send, "GET": messages.send}, ("http",)),
    Route("/sms/campaign", dict.fromkeys(("GET", "POST"), messages.not_yet)),
    Route("/sms", {"GET": messages.list_messages, "POST": messages.send}),
    Route("/sms/send/{uid}", {"GET": messages.view}),
    Route("/sms/{uid}", {"GET": messages.view}),
    Route("/sms/{uid}/explain", {"GET": messages.explain_message}),
    Route("/sms/{uid}/cancel", {"POST": messages.cancel}),
    Route("/sms/{uid}/read", {"POST": messages.mark_read}),
)

LITERAL: dict[str, Route] = {
    f"/api/{flavour}{route.path}": route for route in ROUTES if "{" not in route.path for flavour in route.flavours
}
PATTERNS: list[tuple[re.Pattern[str], Route]] = [
    (re.compile(f"/api/{flavour}{route.path.replace('{uid}', UID)}"), route)
    for route in ROUTES
    if "{" in route.path
    for flavour in route.flavours
]


READERS = frozenset({messages.list_messages, messages.view, messages.explain_message})


def scope_of(handler: Handler) -> str:
    """What a token must be allowed to do. What is not known to read only counts as sending."""
    return "read" if handler in READERS else "send"


def find_route(method: str, path: str) -> tuple[Handler, str, str]:
    """The handler, the flavour and the uid of the path. Raises NotFound or MethodNotAllowed.

    HEAD is GET without the body, but never a send: whoever only looks at an address must change nothing."""
    route = LITERAL.get(path)
    captured = ""
    if route is None:
        for pattern, candidate in PATTERNS:
            if match := pattern.fullmatch(path):
                route, captured = candidate, match["uid"]
                break
        else:
            raise NotFound("There is nothing at this address.", code="no_such_address")
    handler = route.handlers.get("GET" if method == "HEAD" else method)
    if handler is None or (method == "HEAD" and handler is messages.send):
        raise MethodNotAllowed(tuple(sorted(route.handlers)))
    return handler, "v3" if path.startswith("/api/v3") else "http", captured
