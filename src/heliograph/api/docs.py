"""The API's own documentation, served by the product: a page, the table of error codes, and the OpenAPI document.

Nothing in it points to another server: no script, no font, no style from outside."""

import hashlib
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import msgspec

from heliograph.api.error_codes import ERROR_CODES
from heliograph.api.http import Answer, Request
from heliograph.api.openapi import SEND_FIELDS, build_openapi
from heliograph.channels.whatsapp.codes import list_codes
from heliograph.config import Settings
from heliograph.core.statuses import V3_WORD

HTML = b"text/html; charset=utf-8"
CSS = b"text/css; charset=utf-8"
POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
SECURITY = [POLICY, (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]

STATES: dict[str, str] = {
    "Queued": "Stored; it waits for its time or its turn, or is on its way to the carrier.",
    "Sent": "The carrier has accepted it.",
    "Delivered": "The carrier reports that it reached the phone.",
    "Read": "The carrier reports that it was opened (only where the recipient allows that).",
    "Failed": "It will not arrive; `failure` and `explain` say why.",
    "Unknown": "The request left and no answer came. It is not sent again; a later report settles it.",
    "Expired": "It was not delivered in time.",
    "Cancelled": "You cancelled it before it left.",
    "Received": "A person wrote this to you.",
}


class DocsPages:
    """Pages are made once for each address by which callers reach us."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[tuple[str, str], bytes] = {}

    def find(self, path: str, request: Request) -> Answer | None:
        """The page at a path, or None."""
        if path == "/docs/style.css":
            return Answer(read_asset("style.css"), content_type=CSS, headers=[(b"cache-control", b"max-age=3600")])
        if path in {"/openapi.json", "/docs/openapi.json"}:
            return Answer(self._make("openapi", request), headers=[(b"access-control-allow-origin", b"*")])
        if path in {"/docs", "/docs/api"}:
            return Answer(self._make("reference.html", request), content_type=HTML, headers=list(SECURITY))
        if path == "/docs/errors":
            return Answer(self._make("errors.html", request), content_type=HTML, headers=list(SECURITY))
        return None

    def _make(self, name: str, request: Request) -> bytes:
        base = request.public_base(self._settings)
        known = self._made.get((name, base))
        if known is None:
            if len(self._made) > 64:  # whoever invents host names must not fill the memory
                self._made.clear()
            known = self._made[name, base] = make_page(name, base)
        return known


def make_page(name: str, base: str) -> bytes:
    document = build_openapi(base)
    if name == "openapi":
        return msgspec.json.encode(document)
    facts: dict[str, Any] = {
        "base": base,
        "document": document,
        "operations": list(list_operations(document)),
        "send_fields": SEND_FIELDS,
        "states": {word: STATES[word] for word in dict.fromkeys(V3_WORD.values())},
        "error_codes": ERROR_CODES,
        "carrier_codes": list_codes(),
        "style": f"/docs/style.css?{hashlib.sha256(read_asset('style.css')).hexdigest()[:12]}",
    }
    return pages().get_template(name).render(facts).encode()


def list_operations(document: dict[str, Any]) -> Any:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield {"path": path, "method": method.upper(), **operation}


@cache
def pages() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("heliograph.api", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def read_asset(name: str) -> bytes:
    return (resources.files("heliograph.api") / "pages" / name).read_bytes()
