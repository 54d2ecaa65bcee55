"""The envelope of every answer (v3-api.md §4): `status` is always there, and `message` is a sentence on every error."""

import math
from typing import Any

import msgspec

from heliograph.errors import HeliographError, Invalid, MethodNotAllowed

ENCODER = msgspec.json.Encoder()


def render_success(data: Any, message: str | None = None) -> bytes:
    """`data` is an object, or None after a delete; `message` is a sentence after a write and None after a read."""
    return ENCODER.encode({"status": "success", "message": message, "data": data})


def render_error(
    error: HeliographError, request_id: str, doc_base: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """HTTP status, header fields and body for an error.

    Beside the envelope: `code` (stable), `errors` (each field's sentences, on 422), `request_id`, `doc_url`."""
    body: dict[str, Any] = {"status": "error", "message": error.message, "code": error.code}
    if isinstance(error, Invalid):
        body["errors"] = error.errors
    body["request_id"] = request_id
    body["doc_url"] = f"{doc_base}#{error.code}"
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if error.http_status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="Heliograph"'))
    return error.http_status, headers, ENCODER.encode(body)
