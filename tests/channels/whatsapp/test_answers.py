"""What an HTTP answer means: the shapes of §3.3 and §14.1, odd ones too, and no secret in what is kept."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.contract import SendOutcome, Verdict
from heliograph.channels.whatsapp.answers import read_call_answer, read_send_answer
from heliograph.channels.whatsapp.transport import HttpAnswer, prove_app_secret
from heliograph.errors import ChannelRefused
from tests.channels.whatsapp.kit import ACCEPTED, SECRET, TOKEN, connection_to

CONNECTION = connection_to("https://graph.example")


def read(content: object, status: int = 200) -> SendOutcome:
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return read_send_answer(CONNECTION, HttpAnswer(status, body, "header-trace", None))


def test_accepted() -> None:
    """The ids that the carrier gives, and nothing kept beside them: this is the hot path."""
    outcome = read(ACCEPTED)
    assert outcome.verdict is Verdict.ACCEPTED
    assert (outcome.carrier_message_id, outcome.carrier_recipient_id) == ("wamid.HBgL", "15550100002")
    assert (outcome.recipient_user_id, outcome.raw, outcome.http_status) == (None, "", 200)


def test_accepted_by_user_id() -> None:
    """A person without a number: the answer has their id and no number."""
    contact = {"input": "US.1", "user_id": "US.1"}
    outcome = read({**ACCEPTED, "contacts": [contact]})
    assert (outcome.carrier_recipient_id, outcome.recipient_user_id) == (None, "US.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"contacts": None},
        {"contacts": []},
        {"contacts": {}},
        {"contacts": [None]},
        {"contacts": [{"wa_id": 5}]},
        {"messages": [{"id": "wamid.HBgL", "message_status": None}]},
        {"messages": [{"id": "wamid.HBgL", "message_status": 7}, "x"]},
        {"error": None, "new_field": [1]},
    ],
)
def test_an_id_is_worth_more_than_a_shape(changes: dict[str, Any]) -> None:
    """Where the id can be read the message is accepted, whatever else is odd."""
    assert read({**ACCEPTED, **changes}).carrier_message_id == "wamid.HBgL"


def test_created_is_success_too() -> None:
    """Any 2xx with an id is an acceptance."""
    assert read(ACCEPTED, 201).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("word", ["held_for_quality_assessment", "paused"])
def test_held_back(word: str) -> None:
    """A template that was taken but is held back says so in the evidence."""
    outcome = read({"messages": [{"id": "wamid.HBgL", "message_status": word}]})
    assert outcome.verdict is Verdict.ACCEPTED
    assert outcome.sentence
    assert word in outcome.raw


def test_error() -> None:
    """The carrier's own code, words and trace are kept with ours."""
    error = {
        "message": "(#130429) Rate limit hit",
        "type": "OAuthException",
        "code": 130429,
        "error_data": {"messaging_product": "whatsapp", "details": "Cloud API message throughput has been reached."},
        "error_subcode": 2494055,
        "fbtrace_id": "A0b1C2d3",
    }
    outcome = read({"error": error}, 400)
    assert (outcome.verdict, outcome.carrier_code, outcome.trace_id) == (Verdict.SLOW, "130429", "A0b1C2d3")
    assert "Cloud API message throughput" in outcome.sentence
    assert msgspec.json.decode(outcome.raw) == {"error": error}


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        ({"code": "131026"}, Verdict.FAIL, "not_on_whatsapp"),
        ({"code": 131026, "error_data": "plain"}, Verdict.FAIL, "not_on_whatsapp"),
        ({"code": 131026, "error_data": None, "fbtrace_id": 5}, Verdict.FAIL, "not_on_whatsapp"),
        ({"code": 100, "error_subcode": "33"}, Verdict.HOLD, "number_unknown"),
        ({"code": 777, "is_transient": True}, Verdict.RETRY, "carrier_refused"),
        ({"code": None}, Verdict.FAIL, "carrier_refused"),
        ({"code": True}, Verdict.FAIL, "carrier_refused"),
        ("text", Verdict.FAIL, "carrier_refused"),
    ],
)
def test_errors_of_odd_shapes(error: object, verdict: Verdict, code: str) -> None:
    """Generic Graph errors and older shapes (§14.1)."""
    outcome = read({"error": error}, 400)
    assert (outcome.verdict, outcome.code) == (verdict, code)


@pytest.mark.parametrize(
    "secret", [TOKEN, SECRET, prove_app_secret(TOKEN, SECRET), "EAAGsomeOtherTokenOfTheSameApp12345"]
)
def test_no_secret_is_kept(secret: str) -> None:
    """The carrier repeats a token that it cannot read; the customer sees neither it nor a secret in its place."""
    connection = connection_to("https://graph.example", use_appsecret_proof=True)
    body = msgspec.json.encode({"error": {"code": 190, "message": f"Malformed access token {secret}"}})
    outcome = read_send_answer(connection, HttpAnswer(401, body, None, None))
    assert outcome.code == "token_invalid"
    assert secret not in outcome.sentence + outcome.raw
    assert "Malformed access token" in outcome.sentence
    with pytest.raises(ChannelRefused) as caught:
        read_call_answer(connection, HttpAnswer(401, body, None, None), "phone number id")
    assert secret not in caught.value.message


def test_evidence_is_bounded() -> None:
    """At most 4 KiB of text that a database can keep."""
    outcome = read(b"\x00\xff" + b"x" * 100_000, 500)
    assert len(outcome.raw) <= 4096
    assert "\x00" not in outcome.raw


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["error", "messages", "contacts", "id", "code"]), inner)
        ),
    ).map(msgspec.json.encode),
    st.integers(100, 599),
)
def test_any_answer_is_a_verdict(body: bytes, status: int) -> None:
    """Nothing that a server can answer raises; what is no 2xx is never an acceptance; an acceptance has an id."""
    outcome = read(body, status)
    if outcome.verdict is Verdict.ACCEPTED:
        assert 200 <= status < 300
        assert outcome.carrier_message_id
    if status >= 500:
        assert outcome.verdict is not Verdict.RETRY
