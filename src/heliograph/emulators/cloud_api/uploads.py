"""The resumable upload that gives samples for template headers and profile pictures their handle (§4)."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call
from heliograph.emulators.cloud_api.graph_errors import bad_parameter, unknown_object
from heliograph.emulators.cloud_api.names import make_trace_id
from heliograph.emulators.cloud_api.world import Upload

MOST_OPEN = 1000
PREFIX = "upload:"
TYPES = frozenset({"application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4"})


async def start_upload(emulator: Emulator, call: Call) -> dict[str, str]:
    """POST /{app_id}/uploads. Raises GraphError."""
    given = await call.parameters()
    length, kind = str(given.get("file_length", "")), given.get("file_type")
    if not length.isdecimal() or not int(length):
        raise bad_parameter("The parameter file_length is required.")
    if kind not in TYPES:
        raise bad_parameter(f"Param file_type must be one of {{{', '.join(sorted(TYPES))}}}.")
    if len(emulator.uploads) >= MOST_OPEN:
        del emulator.uploads[next(iter(emulator.uploads))]
    name = f"{PREFIX}{make_trace_id()}"
    emulator.uploads[name] = Upload(length=int(length), file_type=kind)
    return {"id": f"{name}?sig={sha256(name.encode()).hexdigest()[:16]}"}


async def continue_upload(emulator: Emulator, call: Call) -> dict[str, Any]:
    """POST /{upload id} with the bytes from file_offset on; the handle, once all are there. Raises GraphError."""
    upload = emulator.uploads.get(call.object_id)
    if upload is None:
        raise unknown_object("post", call.object_id)
    offset = call.request.headers.get("file_offset", "0")
    if not offset.isdecimal() or int(offset) != len(upload.content):
        raise bad_parameter(f"The header file_offset must be {len(upload.content)}.")
    upload.content += await call.request.read()
    if len(upload.content) > upload.length:
        raise bad_parameter("The file is longer than file_length said.")
    if len(upload.content) < upload.length:
        return {"id": call.object_id, "file_offset": len(upload.content)}
    del emulator.uploads[call.object_id]
    mark = b64encode(sha256(upload.content).digest()).decode()
    return {"h": f"4::{b64encode(upload.file_type.encode()).decode()}:{mark}:e:{defaults.APP_ID}"}


async def read_upload(emulator: Emulator, call: Call) -> dict[str, Any]:
    """GET /{upload id}: where to go on. Raises GraphError."""
    upload = emulator.uploads.get(call.object_id)
    if upload is None:
        raise unknown_object("get", call.object_id)
    return {"id": call.object_id, "file_offset": len(upload.content)}
