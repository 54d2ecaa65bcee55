"""Values of any type, made usable: the shape of what comes from outside is never trusted."""

import json
from typing import Any

import msgspec

LONGEST_RAW = 8192
LONGEST_NUMBER = 40  # digits; a longer one is no id that we could use, and Python counts the work of reading it


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: object) -> str | None:
    """A non-empty text, or a whole number as text. NUL is no character that a database keeps."""
    if isinstance(value, str):
        return value.replace("\x00", "") or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: object) -> int | None:
    """A whole number, or the decimal digits of one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= LONGEST_NUMBER:
        return int(value)
    return None


def time_ms(value: object) -> int:
    """Seconds since 1970, as text or number (§5: both come). What is neither, or out of range, is 0."""
    seconds = int(value) if isinstance(value, float) and 0 <= value < 1e11 else number(value)
    return seconds * 1000 if seconds is not None and 0 <= seconds < 10**11 else 0


def read_json(raw: bytes) -> Any:
    """Any JSON value as Python values that can be kept as text. Raises ValueError when it is not JSON.

    Strict first, for speed; then forgiving, for one torn emoji in a profile name or one absurd number must not cost
    the hundred reports beside it."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise ValueError("nested too deeply") from None
    try:
        return mend(json.loads(raw, parse_int=read_int, parse_constant=lambda _: None))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= LONGEST_NUMBER else digits


def mend(value: Any) -> Any:
    """The value with U+FFFD for halves of surrogate pairs and nothing for numbers that are none."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float():
            return value if abs(value) != float("inf") else None
        case list():
            return [mend(one) for one in value]
        case dict():
            return {mend(key): mend(one) for key, one in value.items()}
    return value


def render_raw(value: object, longest: int = LONGEST_RAW) -> str:
    return msgspec.json.encode(value).decode()[:longest]
