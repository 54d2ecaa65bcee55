"""Callbacks: what is believed, what is read, and that no shape of one raises (whatsapp-cloud-api.md §5, §6, §8)."""

import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.channels.contract import InboundMessage, NumberNotice, OptOut, StatusReport, Unrendered, Verdict
from heliograph.channels.whatsapp.callback import parse_callback, verification_challenge, verify_signature
from heliograph.errors import BadRequest
from tests.channels.whatsapp.kit import ACCOUNT, NUMBER, SECRET

METADATA = {"display_phone_number": "15550100001", "phone_number_id": NUMBER}
STATUS: dict[str, Any] = {
    "id": "wamid.HBgL",
    "status": "sent",
    "timestamp": "1795000000",
    "recipient_id": "15550100002",
    "recipient_user_id": "US.10000000000000000001",
    "biz_opaque_callback_data": "r-1",
    "pricing": {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"},
}
FAILED: dict[str, Any] = {
    "id": "wamid.HBgL",
    "status": "failed",
    "timestamp": "1795000003",
    "recipient_id": "15550100002",
    "errors": [
        {
            "code": 131026,
            "title": "Message undeliverable",
            "message": "Message undeliverable",
            "error_data": {"details": "Message Undeliverable."},
            "href": "/documentation/business-messaging/whatsapp/support/error-codes",
        }
    ],
}


def envelope(*changes: dict[str, Any]) -> bytes:
    entry = {"id": ACCOUNT, "time": 1795000000, "changes": list(changes)}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def messages(**value: Any) -> dict[str, Any]:
    return {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": METADATA, **value}}


def read_status(**changes: Any) -> StatusReport:
    (event,) = parse_callback(envelope(messages(statuses=[{**STATUS, **changes}])))
    assert isinstance(event, StatusReport)
    return event


# The signature and the verification


def sign(raw: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def test_check_value_of_the_signature() -> None:
    """The figure of whatsapp-cloud-api.md §5, over Meta's own escapes."""
    raw = rb'{"a":"\u00e9\/x"}'
    digest = "6063769a7f7432899e739f591d094c814bc2e00075f74d9bb335c7d8056502a2"
    assert len(raw) == 17
    assert verify_signature(raw, f"sha256={digest}", "app-secret-for-tests")
    assert verify_signature(raw, f"sha256={digest.upper()}", "app-secret-for-tests")


def test_the_raw_bytes_count() -> None:
    """The same JSON written otherwise is not what was signed."""
    assert not verify_signature(b'{"a": 1}', sign(b'{"a":1}'), SECRET)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "sha256",
        sign(b"{}")[7:],
        "sha1=" + hmac.new(SECRET.encode(), b"{}", hashlib.sha1).hexdigest(),
        sign(b"{}", "another secret"),
        sign(b"{}")[:-1],
        sign(b"{}") + "0",
        "sha256=é",
        "sha256=\udcff",
    ],
)
def test_signatures_that_are_none(header: str | None) -> None:
    """Missing, of another kind, of another secret, cut: not believed, and nothing is raised."""
    assert not verify_signature(b"{}", header, SECRET)


def test_nobody_signs_without_a_secret() -> None:
    """An empty secret would let everybody sign."""
    assert not verify_signature(b"{}", sign(b"{}", ""), "")


def test_verification() -> None:
    """The challenge comes back to whoever knows the token."""
    query = {"hub.mode": "subscribe", "hub.verify_token": "t0ken", "hub.challenge": "1158201444"}
    assert verification_challenge(query, "t0ken") == "1158201444"


@pytest.mark.parametrize(
    "changes",
    [{"hub.verify_token": "other"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}, {"hub.mode": ""}],
)
def test_verifications_that_fail(changes: dict[str, str]) -> None:
    """A wrong token or mode gets no challenge."""
    query = {"hub.mode": "subscribe", "hub.verify_token": "t0ken", "hub.challenge": "1", **changes}
    assert verification_challenge(query, "t0ken") is None


def test_verification_without_a_token() -> None:
    """Neither a call without parameters nor one to an address without a token passes."""
    assert verification_challenge({}, "t0ken") is None
    assert verification_challenge({"hub.mode": "subscribe", "hub.challenge": "1"}, "") is None


# Statuses


def test_status() -> None:
    """Everything that §6 lists is there."""
    report = read_status()
    assert (report.phone_number_id, report.carrier_message_id, report.status) == (NUMBER, "wamid.HBgL", "sent")
    assert (report.reference, report.reported_at_ms) == ("r-1", 1_795_000_000_000)
    assert (report.recipient_id, report.recipient_user_id) == ("15550100002", "US.10000000000000000001")
    assert report.pricing == STATUS["pricing"]
    assert report.failure is None
    assert json.loads(report.raw) == STATUS


@pytest.mark.parametrize(
    ("word", "read"), [("sent", "sent"), ("delivered", "delivered"), ("read", "read"), ("played", "read")]
)
def test_status_words(word: str, read: str) -> None:
    """A voice note that was played was read."""
    assert read_status(status=word).status == read


def test_failed() -> None:
    """A failure has the row of the table that applies, and the carrier's own words."""
    (report,) = parse_callback(envelope(messages(statuses=[FAILED])))
    assert isinstance(report, StatusReport)
    assert report.failure is not None
    assert (report.status, report.failure.verdict) == ("failed", Verdict.FAIL)
    assert (report.failure.code, report.failure.carrier_code) == ("not_on_whatsapp", "131026")
    assert "Message Undeliverable" in report.failure.sentence
    assert report.reference is None


@pytest.mark.parametrize("errors", [None, [], {}, "x", [None], [[]], [{"code": {}}]])
def test_failed_without_a_reason(errors: object) -> None:
    """A failure that gives no reason is still one."""
    report = read_status(status="failed", errors=errors)
    assert report.failure is not None
    assert report.failure.code == "carrier_refused"


@pytest.mark.parametrize(
    ("timestamp", "read_ms"),
    [
        ("1795000000", 1_795_000_000_000),
        (1795000000, 1_795_000_000_000),
        (1795000000.0, 1_795_000_000_000),
        ("", 0),
        (None, 0),
        ("yesterday", 0),
        (-1, 0),
        (True, 0),
        ("9" * 30, 0),
        ("²", 0),
    ],
)
def test_timestamps(timestamp: object, read_ms: int) -> None:
    """Seconds as text or as number; what is neither is no time."""
    assert read_status(timestamp=timestamp).reported_at_ms == read_ms


def test_person_without_a_number() -> None:
    """A status of somebody who hides their number has the id alone."""
    status = {key: value for key, value in STATUS.items() if key != "recipient_id"}
    (report,) = parse_callback(envelope(messages(statuses=[status])))
    assert isinstance(report, StatusReport)
    assert (report.recipient_id, report.recipient_user_id) == (None, "US.10000000000000000001")


@pytest.mark.parametrize("changes", [{"status": "deleted"}, {"status": None}, {"id": None}, {"id": ""}, {"id": []}])
def test_statuses_that_say_nothing(changes: dict[str, Any]) -> None:
    """Words of tomorrow, and statuses of no message, are kept raw."""
    (event,) = parse_callback(envelope(messages(statuses=[{**STATUS, **changes}])))
    assert isinstance(event, Unrendered)
    assert (event.field, event.kind) == ("messages", "status")
    assert event.raw


def test_every_entry_and_change() -> None:
    """A batch of several entries, each with several changes, is read to its end and in order."""
    entries = [
        {
            "id": ACCOUNT,
            "changes": [
                messages(statuses=[{**STATUS, "id": f"wamid.{entry}.{change}.{n}"} for n in range(3)])
                for change in range(2)
            ],
        }
        for entry in range(2)
    ]
    events = parse_callback(json.dumps({"entry": entries}).encode())
    ids = [event.carrier_message_id for event in events if isinstance(event, StatusReport)]
    assert ids == [f"wamid.{e}.{c}.{n}" for e in range(2) for c in range(2) for n in range(3)]


def test_a_thousand_at_once() -> None:
    """The largest batch that Meta sends (§5)."""
    statuses = [{**STATUS, "id": f"wamid.{n}"} for n in range(1000)]
    assert len(parse_callback(envelope(messages(statuses=statuses)))) == 1000


def test_one_broken_part_costs_nothing_else() -> None:
    """What cannot be read is kept raw; its neighbours are read."""
    odd: list[Any] = [None, 5, "x", [], {}, STATUS, {"id": {}}]
    events = parse_callback(envelope(messages(statuses=odd, contacts=None, messages="none")))
    assert [type(event) for event in events] == [Unrendered, StatusReport, Unrendered]


def test_trouble_beside_no_message() -> None:
    """`value.errors` tells of trouble with the number or its account (§5): a notice, in the words of the table."""
    trouble = {"code": 130429, "title": "Rate limit hit", "error_data": {"details": "Slow down."}}
    (event,) = parse_callback(envelope(messages(errors=[trouble])))
    assert isinstance(event, NumberNotice)
    assert (event.business_account_id, event.phone_number_id, event.event) == (ACCOUNT, NUMBER, "error 130429")
    assert "Slow down" in event.sentence
    assert not event.hold


# Opt-outs


@pytest.mark.parametrize(("value", "stopped"), [("stop", True), ("resume", False)])
def test_opt_out(value: str, stopped: bool) -> None:
    """A person stops or resumes marketing in the app (§8)."""
    preference = {
        "wa_id": "15550100002",
        "user_id": "US.1",
        "detail": "User requested to stop marketing messages",
        "category": "marketing_messages",
        "value": value,
        "timestamp": 1795000000,
    }
    change = {"field": "user_preferences", "value": {"metadata": METADATA, "user_preferences": [preference]}}
    (event,) = parse_callback(envelope(change))
    assert isinstance(event, OptOut)
    assert (event.phone_number_id, event.person, event.person_user_id) == (NUMBER, "15550100002", "US.1")
    assert (event.stopped, event.reported_at_ms) == (stopped, 1_795_000_000_000)


def test_preferences_of_tomorrow() -> None:
    """Neither stop nor resume: kept raw, and nobody is opted out by a guess."""
    change = {"field": "user_preferences", "value": {"metadata": METADATA, "user_preferences": [{"value": "pause"}]}}
    (event,) = parse_callback(envelope(change))
    assert isinstance(event, Unrendered)
    assert (event.field, event.kind) == ("user_preferences", "pause")


# Odd shapes


@pytest.mark.parametrize("field", ["user_id_update", "smb_message_echoes", "history", "brand_new", "", None, 5])
def test_fields_that_we_do_not_know(field: object) -> None:
    """Kept raw, counted, no error."""
    (event,) = parse_callback(envelope({"field": field, "value": {"event": "X", "a": [1]}}))
    assert isinstance(event, Unrendered)
    assert event.kind == "X"
    assert json.loads(event.raw) == {"event": "X", "a": [1]}


@pytest.mark.parametrize(
    "raw", [b"", b"x", b"{", b'{"entry":', b"\xff\xfe{", b"[" * 100_000, b'{"a":"\xff"}', b"'", b"{,}"]
)
def test_what_is_not_json(raw: bytes) -> None:
    """Refused with a code, whatever is wrong with it."""
    with pytest.raises(BadRequest) as caught:
        parse_callback(raw)
    assert caught.value.code == "malformed_json"


@pytest.mark.parametrize(
    "raw", [b"null", b"5", b'"x"', b"[]", b"{}", b'{"entry":{}}', b'{"entry":[{"changes":5}]}', b'{"entry":[null]}']
)
def test_json_that_tells_nothing(raw: bytes) -> None:
    """No events, and no error."""
    assert parse_callback(raw) == []


@pytest.mark.parametrize(
    ("odd", "reference"),
    [
        (rb'"torn \ud83d"', "torn \ufffd"),
        (rb'"\ude00 torn"', "\ufffd torn"),
        (rb'"whole \ud83d\ude00"', "whole \U0001f600"),
        (rb'"nul\u0000"', "nul"),
        (b'"bytes \xed\xa0\x80"', "bytes \ufffd"),
        (b"12345678901234567890123456789", "12345678901234567890123456789"),
        (b"9" * 5000, "9" * 5000),
        (b"1e999", None),
        (b"NaN", None),
        (b"-Infinity", None),
    ],
)
def test_values_that_a_strict_reader_refuses(odd: bytes, reference: str | None) -> None:
    """A torn emoji or an absurd number in one value does not cost the reports beside it, and can be kept as text."""
    raw = envelope(messages(statuses=[{**STATUS, "biz_opaque_callback_data": "ODD"}, STATUS]))
    first, second = parse_callback(raw.replace(b'"ODD"', odd))
    assert isinstance(first, StatusReport)
    assert first.reference == reference
    assert isinstance(second, StatusReport)
    assert second.reference == "r-1"
    msgspec.json.encode([first, second])


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


KEYS = one_of(
    "id status timestamp type text body image errors code error_data details title pricing from from_user_id context "
    "contacts profile name wa_id user_id location latitude interactive button_reply system order product_items reaction "
    "event ban_info restriction_info waba_ban_state message_template_name message_template_language other_info value "
    "user_preferences alert_info rejection_info message unsupported edit"
)
WORDS = one_of(
    "sent failed read text image video audio document sticker button interactive reaction location contacts order system "
    "unsupported edit revoke stop resume DISABLED_UPDATE ACCOUNT_RESTRICTION REJECTED 131026"
)
OBJECT = st.dictionaries(KEYS, st.deferred(lambda: PART), max_size=6)
PART: st.SearchStrategy[Any] = WORDS | ODD | OBJECT | st.lists(OBJECT, max_size=3)
FIELDS = one_of(
    "messages user_preferences account_update message_template_status_update account_alerts security nothing"
)
VALUE = st.fixed_dictionaries(
    {},
    optional={
        "metadata": PART | st.just(METADATA),
        "contacts": PART,
        "messages": PART,
        "statuses": PART,
        "errors": PART,
        "user_preferences": PART,
        "event": PART,
        "restriction_info": PART,
        "ban_info": PART,
        "message_template_name": PART,
        "message_template_language": PART,
    },
)
CHANGE = st.fixed_dictionaries({"field": FIELDS | ODD, "value": VALUE | ODD})
CALLBACK = st.fixed_dictionaries(
    {"entry": st.lists(st.fixed_dictionaries({"id": ODD, "changes": st.lists(CHANGE, max_size=3)}), max_size=2) | ODD}
)


@settings(max_examples=400)
@given(CALLBACK)
def test_no_shape_raises(callback: Any) -> None:
    """Any JSON of roughly the right names and entirely the wrong types is read; what comes out can be stored."""
    for event in parse_callback(json.dumps(callback).encode()):
        stored = msgspec.json.encode(event)
        assert b"\\u0000" not in stored.replace(b"\\\\u0000", b"")
        if isinstance(event, InboundMessage):
            assert event.text
            assert event.kind
            assert event.carrier_message_id
        if isinstance(event, StatusReport):
            assert event.status in {"sent", "delivered", "read", "failed"}
            assert (event.failure is None) == (event.status != "failed")


@given(st.binary(max_size=200) | ODD.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise(raw: bytes) -> None:
    """Arbitrary bytes and arbitrary JSON: read, or refused as no JSON."""
    try:
        parse_callback(raw)
    except BadRequest as error:
        assert error.code == "malformed_json"
