"""Meta's way to write and sign a callback body (whatsapp-cloud-api.md §5) and to prove an app secret (§1)."""

import hmac
import re
from hashlib import sha256
from typing import Any

import msgspec

NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def escape_character(match: re.Match[str]) -> str:
    point = ord(match[0])
    if point <= 0xFFFF:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"


def escape_as_meta(json_bytes: bytes) -> bytes:
    """The same JSON with "/" as "\\/" and everything beyond ASCII as lower-case \\uXXXX, emoji as surrogate pairs."""
    if not json_bytes.isascii():
        json_bytes = NOT_ASCII.sub(escape_character, json_bytes.decode()).encode()
    return json_bytes.replace(b"/", b"\\/")  # JSON has no "/" outside of strings


def encode_as_meta(value: Any) -> bytes:
    """The bytes that Meta would send for a value: these very bytes are signed."""
    return escape_as_meta(msgspec.json.encode(value))


def sign_body(body: bytes, app_secret: str) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()


def prove_app_secret(token: str, app_secret: str) -> str:
    """appsecret_proof: hex HMAC-SHA256 with the app secret as key over the token."""
    return hmac.new(app_secret.encode(), token.encode(), sha256).hexdigest()
