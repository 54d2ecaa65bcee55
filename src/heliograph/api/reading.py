"""One reader for both flavours and all methods: where callers put parameters and tokens, and how (v3-api.md §2.2 and §3)."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from multipart import MultipartError, MultipartParser, parse_options_header

from heliograph.errors import BadRequest, Invalid

DECODER = msgspec.json.Decoder()
BLANK = b" \t\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_FIELDS = 20_000
NOTHING: dict[str, Any] = {}


class Parameters(Struct, frozen=True):
    """What a request says. `values`: query and body merged, the body wins."""

    values: dict[str, Any]
    query: dict[str, Any]
    body: dict[str, Any]


def read_parameters(method: str, query: bytes, content_type: bytes | None, body: bytes) -> Parameters:
    """Reads whatever of the rows of v3-api.md §3 this is. Raises BadRequest for a body that cannot be read.

    The method changes nothing: a GET may have a JSON body and a POST may have all it says in its query."""
    del method
    from_query = read_form(query, "query") if query else NOTHING
    from_body = read_body(content_type or b"", body) if body else NOTHING
    if not from_query:
        return Parameters(from_body, from_query, from_body)
    if not from_body:
        return Parameters(from_query, from_query, from_body)
    return Parameters({**from_query, **from_body}, from_query, from_body)


def read_body(content_type: bytes, body: bytes) -> dict[str, Any]:
    # The first character decides, before any form decoding: `curl -d '{…}'` labels JSON as a form [seed].
    first = body[:1]
    if first not in {b"{", b"["}:
        body = body.removeprefix(BYTE_ORDER_MARK).lstrip(BLANK)
        first = body[:1]
        if not body:
            return {}
    if first in {b"{", b"["} or b"json" in content_type.lower():
        return read_json(body)
    if b"multipart/form-data" in content_type.lower():
        return read_multipart(content_type, body)
    return read_form(body, "body")


def read_json(body: bytes) -> dict[str, Any]:
    try:
        found = DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body of this request is not valid JSON.", code="malformed_json") from None
    if isinstance(found, dict):
        return found
    if found is None or found == []:
        return {}  # how some callers say "no parameters"
    raise BadRequest("The JSON body of this request must be an object.", code="malformed_json")


def read_form(text: bytes, where: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            text.strip(BLANK).decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:  # too many fields, or not UTF-8
        raise BadRequest(f"The {where} of this request cannot be read.", code="malformed_form") from None
    return gather(pairs)


def read_multipart(content_type: bytes, body: bytes) -> dict[str, Any]:
    """The text fields; files have no meaning here."""
    _, options = parse_options_header(content_type.decode("latin-1"))
    boundary = options.get("boundary", "")
    try:
        parts = MultipartParser(BytesIO(body), boundary, len(body)).parts() if boundary else []
        return gather((part.name, part.value) for part in parts if not part.filename)
    except (MultipartError, UnicodeDecodeError, ValueError):
        raise BadRequest("The multipart body of this request cannot be read.", code="malformed_form") from None


def gather(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The last of equal names wins; `name[]` makes a list, as PHP writes arrays."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name.endswith("]") and "[" in name:
            base = name[: name.index("[")]
            known = values.get(base)
            if isinstance(known, list):
                known.append(value)
            else:
                values[base] = [value]
        else:
            values[name] = value
    return values


def find_token(headers: dict[bytes, bytes], parameters: Parameters) -> str | None:
    """The token of the first place that has one: Bearer header, body, query, a header called api_token (v3-api.md §2.2).

    A wrong token in an earlier place is not made good by a right one in a later."""
    authorization = headers.get(b"authorization")
    if authorization is not None and authorization[:6].lower() == b"bearer":
        found = authorization[6:].strip().decode("latin-1")
        if found:
            return plain_token(found)
    for values in (parameters.body, parameters.query):
        given = values.get("api_token")
        if given is not None and given != "":
            return plain_token(given) if isinstance(given, str) else "?"
    header = headers.get(b"api_token")
    return plain_token(header.decode("latin-1")) if header else None


def plain_token(text: str) -> str:
    """`|` is often written as %7C, also where nobody decodes it."""
    text = text.strip()
    return text.replace("%7C", "|").replace("%7c", "|") if "%" in text else text


def optional_text(values: dict[str, Any], name: str) -> str | None:
    """A parameter as text; None for absent, null and empty. Raises Invalid for what is neither text nor a number."""
    value = values.get(name)
    if value is None:
        return None
    text = value if isinstance(value, str) else as_text(value)
    if text is None or "\x00" in text:
        raise Invalid.field(name, f"The {name.replace('_', ' ')} field must be a text.")
    return text if text.strip() else None


def as_text(value: object) -> str | None:
    """Numbers where a text is expected: as decimal text, never as 4.47e11."""
    match value:
        case str():
            return value
        case bool():
            return None
        case int():
            return str(value) if abs(value) < 10**40 else None
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case _:
            return None
