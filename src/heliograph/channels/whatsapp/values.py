"""Values of any type, made usable: a callback's shape is never trusted."""

from typing import Any

import msgspec

LONGEST_RAW = 8192


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: object) -> str | None:
    """A non-empty text, or a whole number as text. NUL is no character that a database keeps."""
    if isinstance(value, str):
        return value.replace("\x00", "") or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def time_ms(value: object) -> int:
    """Seconds since 1970, as text or number (§5: both come). What is neither, or out of range, is 0."""
    digits = text(value) or ""
    return int(digits) * 1000 if digits.isascii() and digits.isdecimal() and len(digits) <= 11 else 0


def render_raw(value: object) -> str:
    return msgspec.json.encode(value).decode()[:LONGEST_RAW]
