"""The envelope, and the message object."""

import re
from pathlib import Path

import msgspec
import pytest

import heliograph
from heliograph.api.envelope import render_error, render_success
from heliograph.api.error_codes import ERROR_CODES
from heliograph.api.message_view import MessageFacts, add_costs, merge_messages, view_message
from heliograph.core.phone_numbers import BadRecipient
from heliograph.errors import HeliographError, Invalid, MethodNotAllowed, TooManyRequests, Unauthenticated

FACTS = MessageFacts(
    uid="65f0a1b2c3d4e",
    direction="outgoing",
    to="447700900101",
    from_="DemoShop",
    text="Hello Ada",
    state="queued",
    cost="1",
    segments=1,
    sms_type="whatsapp",
    media_url=None,
    schedule_at_ms=None,
    created_at_ms=0,
    updated_at_ms=0,
)


def test_success() -> None:
    """status, message and data are always there; message is null on reads."""
    assert msgspec.json.decode(render_success({"a": 1})) == {"status": "success", "message": None, "data": {"a": 1}}
    assert msgspec.json.decode(render_success(None, "Deleted")) == {
        "status": "success",
        "message": "Deleted",
        "data": None,
    }


def test_errors() -> None:
    """An error has a sentence, a code, the request's id and where the code is explained; fields on 422; no data."""
    status, headers, body = render_error(
        Invalid({"message": ["The message field is required."]}), "r1", "http://x/docs/errors"
    )
    assert status == 422
    assert msgspec.json.decode(body) == {
        "status": "error",
        "message": "The message field is required.",
        "code": "invalid",
        "errors": {"message": ["The message field is required."]},
        "request_id": "r1",
        "doc_url": "http://x/docs/errors#invalid",
    }
    assert headers == []


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (MethodNotAllowed(("GET", "POST")), (b"allow", b"GET, POST")),
        (TooManyRequests(12.2), (b"retry-after", b"13")),
        (Unauthenticated(), (b"www-authenticate", b'Bearer realm="Heliograph"')),
    ],
)
def test_error_headers(error: HeliographError, header: tuple[bytes, bytes]) -> None:
    """405 names the methods, 429 says when, 401 says how."""
    assert header in render_error(error, "r", "d")[1]


def test_the_message_object() -> None:
    """The seven keys come first, cost is a text with a plain decimal, sms_count a number."""
    view = view_message(FACTS)
    assert list(view)[:7] == ["uid", "to", "from", "message", "status", "cost", "sms_count"]
    assert view["status"] == "Queued"
    assert view["cost"] == "1"
    assert type(view["sms_count"]) is int
    assert view["created_at"] == "1970-01-01T00:00:00Z"


def test_several_messages() -> None:
    """One object: the first one's uid, numbers joined, totals, each message, and those that were rejected."""
    views = [view_message(FACTS), {**view_message(FACTS), "uid": "b", "to": "447700900102"}]
    merged = merge_messages(views, [BadRecipient("abc", "abc is not a phone number.")])
    assert (merged["uid"], merged["to"], merged["cost"], merged["sms_count"]) == (
        "65f0a1b2c3d4e",
        "447700900101,447700900102",
        "2",
        2,
    )
    assert [view["uid"] for view in merged["messages"]] == ["65f0a1b2c3d4e", "b"]
    assert merged["rejected"] == [{"recipient": "abc", "message": "abc is not a phone number."}]
    assert add_costs(["0.45", "1"]) == "1.45"


def test_every_code_is_explained() -> None:
    """Each code that a request can be refused with, wherever the source raises it, is in the table behind doc_url."""
    source = Path(heliograph.__file__).parent
    found: set[str] = set()
    for room in ("api", "accept", "status"):
        for path in (source / room).rglob("*.py"):
            found |= set(re.findall(r'(?:raise|return) \w+\([^()]*code="([a-z_]+)"', path.read_text()))
    for path in (source / "errors.py", source / "api" / "http.py"):
        found |= set(re.findall(r'code, http_status = "([a-z_]+)"', path.read_text()))
    assert "no_such_address" in found
    assert found - set(ERROR_CODES) - {"refused", "channel_refused"} == set()
