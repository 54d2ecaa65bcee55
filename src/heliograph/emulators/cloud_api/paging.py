"""Lists as Graph pages them: cursors always, `next` only while there is more."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from yarl import URL

from heliograph.emulators.cloud_api.graph import Call
from heliograph.emulators.cloud_api.graph_errors import bad_parameter

USUAL, MOST = 25, 1000


def page_of(rows: list[dict[str, Any]], call: Call) -> dict[str, Any]:
    """The page that `limit` and `after` or `before` ask for. Raises GraphError."""
    limit = read_limit(call.query.get("limit"))
    start = 0
    if after := call.query.get("after"):
        start = read_cursor(after) + 1
    elif before := call.query.get("before"):
        start = max(read_cursor(before) - limit, 0)
    page = rows[start : start + limit]
    if not page:
        return {"data": []}
    cursors = {"before": cursor_of(start), "after": cursor_of(start + len(page) - 1)}
    paging: dict[str, Any] = {"cursors": cursors}
    if start + len(page) < len(rows):
        paging["next"] = next_url(call, limit, cursors["after"])
    return {"data": page, "paging": paging}


def next_url(call: Call, limit: int, after: str) -> str:
    """As Graph does, with the access token in it: not to be stored or logged by anybody."""
    request = call.request
    url = URL(f"{request.scheme}://{request.host}{request.path}")
    return str(url.with_query({**call.query, "access_token": call.token, "limit": str(limit), "after": after}))


def read_limit(text: str | None) -> int:
    if text is None:
        return USUAL
    if not text.isdecimal() or not int(text):
        raise bad_parameter("Param limit must be a positive integer.")
    return min(int(text), MOST)


def cursor_of(place: int) -> str:
    return urlsafe_b64encode(f"place:{place}".encode()).decode()


def read_cursor(text: str) -> int:
    try:
        place = urlsafe_b64decode(text.encode()).decode().removeprefix("place:")
        return int(place)
    except ValueError:
        raise bad_parameter("Invalid cursor.") from None
