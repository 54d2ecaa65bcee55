"""Files: upload, look-up, a download address that lives for minutes, deletion (whatsapp-cloud-api.md §4)."""

import base64
import hmac
import re
from hashlib import sha256
from typing import Any

from aiohttp import BodyPartReader, web

from heliograph.emulators.cloud_api.checks import LARGEST, TYPES, check_product
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call
from heliograph.emulators.cloud_api.graph_errors import bad_parameter, refuse, unknown_object
from heliograph.emulators.cloud_api.names import make_object_id
from heliograph.emulators.cloud_api.world import Medium, now

UPLOADED_LIVE_S = 30 * 24 * 3600.0
RECEIVED_LIVE_S = 7 * 24 * 3600.0
DOWNLOAD_PATH = "/whatsapp_business/attachments/"  # as on lookaside.fbsbx.com
MIME_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+(?:;.*)?", re.IGNORECASE)
MOST_IN_MEMORY = 256 * 1024 * 1024  # bytes of files without a data file; the oldest are forgotten first


def keep(
    emulator: Emulator, number_id: str, content: bytes, mime_type: str, *, received: bool, filename: str | None = None
) -> Medium:
    """Store a file and make it known. Raises OSError."""
    world = emulator.world
    medium = Medium(
        id=make_object_id(),
        number_id=number_id,
        mime_type=mime_type,
        sha256=sha256(content).hexdigest(),
        size=len(content),
        expires_at=now() + (RECEIVED_LIVE_S if received else UPLOADED_LIVE_S),
        filename=filename,
    )
    if world.media_folder is None:
        world.media_bytes[medium.id] = content
        while sum(map(len, world.media_bytes.values())) > MOST_IN_MEMORY and len(world.media_bytes) > 1:
            oldest = next(iter(world.media_bytes))
            del world.media_bytes[oldest]
            world.state.media.pop(oldest, None)
    else:
        world.media_folder.mkdir(parents=True, exist_ok=True)
        (world.media_folder / medium.id).write_bytes(content)
    world.state.media[medium.id] = medium
    emulator.save()
    return medium


def content_of(emulator: Emulator, medium: Medium) -> bytes | None:
    if emulator.world.media_folder is None:
        return emulator.world.media_bytes.get(medium.id)
    path = emulator.world.media_folder / medium.id
    return path.read_bytes() if path.exists() else None


async def upload(emulator: Emulator, call: Call) -> dict[str, Any]:
    """POST /{phone_number_id}/media, multipart. Raises GraphError."""
    if not call.request.content_type.startswith("multipart/"):
        raise bad_parameter("The parameter file is required.")
    fields: dict[str, str] = {}
    content, part_type, filename = None, "", None
    async for part in await call.request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        if part.name == "file":
            content = bytes(await part.read())
            part_type, filename = part.headers.get("Content-Type", ""), part.filename
        elif part.name is not None:
            fields[part.name] = await part.text()
    check_product(fields.get("messaging_product"))
    if content is None:
        raise bad_parameter("The parameter file is required.")
    mime_type = fields.get("type") if MIME_TYPE.fullmatch(fields.get("type", "")) else part_type
    if not mime_type or not MIME_TYPE.fullmatch(mime_type):
        raise bad_parameter("The parameter type is required.")
    check_file(mime_type, len(content))
    medium = keep(emulator, call.object_id, content, mime_type, received=False, filename=filename)
    return {"id": medium.id}


def check_file(mime_type: str, size: int) -> None:
    """Raises GraphError when no kind of message takes such a file, or when it is too large or empty."""
    plain = mime_type.partition(";")[0].strip().lower()
    kind = next((kind for kind, types in TYPES.items() if plain in types), None)
    if kind is None and plain.partition("/")[0] not in {"application", "text"}:
        raise bad_parameter(
            "Param file must be a file with one of the following types: audio, image, video, document. "
            f"Received file of type '{plain}'."
        )
    if size == 0:
        raise bad_parameter("Param file must not be empty.")
    if size > LARGEST[kind or "document"]:
        raise refuse(131053, f"The file is larger than {LARGEST[kind or 'document']} bytes.")


async def look_up(emulator: Emulator, call: Call) -> dict[str, Any]:
    """GET /{media_id}: where it can be fetched for the next minutes. Raises GraphError."""
    medium = emulator.world.state.media[call.object_id]
    owner = call.query.get("phone_number_id")
    if medium.expires_at < now() or (owner is not None and owner != medium.number_id):
        raise unknown_object("get", medium.id)
    return {
        "messaging_product": "whatsapp",
        "url": download_url(emulator, call.request, medium),
        "mime_type": medium.mime_type,
        "sha256": medium.sha256,
        "file_size": medium.size,
        "id": medium.id,
    }


def download_url(emulator: Emulator, request: web.BaseRequest | None, medium: Medium) -> str:
    expires = int(now() + emulator.options.media_url_life_s)
    base = f"{request.scheme}://{request.host}" if request is not None else emulator.base_url
    mark = mark_of(emulator, medium.id, expires)
    return f"{base}{DOWNLOAD_PATH}?mid={medium.id}&ext={expires}&hash={mark}"


def mark_of(emulator: Emulator, medium_id: str, expires: int) -> str:
    key = emulator.world.state.media_key.encode()
    return hmac.new(key, f"{medium_id}.{expires}".encode(), sha256).hexdigest()[:40]


def download(emulator: Emulator, query: dict[str, str]) -> web.Response:
    """The file, or 404 when the address is expired or made up. The token was checked before."""
    medium = emulator.world.state.media.get(query.get("mid", ""))
    expires = query.get("ext", "")
    if medium is None or not expires.isdecimal() or int(expires) < now():
        return web.Response(status=404)
    if not hmac.compare_digest(mark_of(emulator, medium.id, int(expires)), query.get("hash", "")):
        return web.Response(status=404)
    content = content_of(emulator, medium)
    if content is None:
        return web.Response(status=404)
    headers = {"Content-Type": medium.mime_type, "Content-Disposition": f"attachment;filename={medium.id}"}
    return web.Response(body=content, headers=headers)


async def delete(emulator: Emulator, call: Call) -> dict[str, bool]:
    medium = emulator.world.state.media.pop(call.object_id)
    emulator.world.media_bytes.pop(medium.id, None)
    if emulator.world.media_folder is not None:
        (emulator.world.media_folder / medium.id).unlink(missing_ok=True)
    emulator.save()
    return {"success": True}


def base64_sha256(medium: Medium) -> str:
    """As webhooks give it."""
    return base64.b64encode(bytes.fromhex(medium.sha256)).decode()
