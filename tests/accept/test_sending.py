"""What a send becomes before it is stored: which messages, which refusals, in which lane."""

from typing import Any

import msgspec
import pytest

from heliograph.accept.sending import BULK_FROM, SendRequest, prepare_send
from heliograph.config import Settings
from heliograph.core.statuses import State
from heliograph.errors import Forbidden, Invalid
from heliograph.store.accounts import Account
from tests.store.makers import NOON_MS, new_sender

ACCOUNT = Account(1, "Acme", "Europe/Amsterdam", None, None, None, NOON_MS)
SENDERS = {"yourname": new_sender(1, 7)}
SETTINGS = Settings(home="unused")
TEMPLATE = {"name": "hello_world", "language": {"code": "en_US"}}


def prepare(account: Account = ACCOUNT, **fields: Any) -> Any:
    given = {"recipient": "31612345678", "sender_id": "YourName", "message": "Hello", **fields}
    return prepare_send(account, SENDERS, SendRequest(**given), SETTINGS, NOON_MS, {"token_id": 3})


def fault(**fields: Any) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as refused:
        prepare(**fields)
    return refused.value.errors


def test_one_message() -> None:
    """A text for one person, due at once, through the sender's connection, with a trace of who asked."""
    (message,) = prepare().messages
    assert (message.account_id, message.connection_id, message.sender) == (1, 7, "YourName")
    assert (message.person, message.kind, message.text, message.state) == ("31612345678", "text", "Hello", State.QUEUED)
    assert (message.due_at_ms, message.schedule_at_ms, message.lane) == (NOON_MS, None, 0)
    assert msgspec.json.decode(message.details) == {"token_id": 3}


def test_kinds() -> None:
    """A template and an image are told apart from a text; a template stands for text and image."""
    assert prepare(template=TEMPLATE, message=None).messages[0].kind == "template"
    image = prepare(media_url="https://img.example/a.png", message=None).messages[0]
    assert (image.kind, image.text, image.media_url) == ("image", "", "https://img.example/a.png")


@pytest.mark.parametrize(("count", "lane"), [(1, 0), (BULK_FROM, 0), (BULK_FROM + 1, 1)])
def test_lanes(count: int, lane: int) -> None:
    """A call to many people stands behind those who write to a few."""
    prepared = prepare(recipient=[f"3161234{n:04d}" for n in range(count)])
    assert {message.lane for message in prepared.messages} == {lane}
    assert len({message.id for message in prepared.messages}) == count


def test_bad_recipients() -> None:
    """Bad ones are left out and told; if none is good, the call is refused with each one's sentence."""
    prepared = prepare(recipient="abc, 31612345678, 0612345678")
    assert [message.person for message in prepared.messages] == ["31612345678"]
    assert [bad.given for bad in prepared.refused] == ["abc", "0612345678"]
    assert len(fault(recipient="abc,def")["recipient"]) == 2
    assert fault(recipient=[]) == {"recipient": ["The recipient field is required."]}
    many = fault(recipient=[f"31{n:09d}" for n in range(SETTINGS.max_recipients + 1)])
    assert many == {"recipient": ["One request may have at most 10000 recipients."]}


def test_the_accounts_defaults() -> None:
    """A national number is read as of the account's country, and its default sender stands in for none."""
    account = msgspec.structs.replace(ACCOUNT, default_country="NL", default_sender="yourname")
    (message,) = prepare(account, recipient="06 1234 5678", sender_id=None).messages
    assert (message.person, message.sender) == ("31612345678", "YourName")


def test_senders() -> None:
    """Any spelling of a sender finds it; one that the account does not have is refused, and not replaced."""
    assert prepare(sender_id=" yOURNAME ").messages[0].sender == "YourName"
    with pytest.raises(Forbidden) as refused:
        prepare(sender_id="Stranger")
    assert refused.value.code == "sender_not_approved"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"message": None}, "message"),
        ({"message": "x" * 4097}, "message"),
        ({"message": "x" * 1025, "media_url": "https://img.example/a.png"}, "message"),
        ({"media_url": "javascript:alert(1)"}, "media_url"),
        ({"media_url": "file:///etc/passwd"}, "media_url"),
        ({"media_url": "https://"}, "media_url"),
        ({"media_url": "https://x/" + "a" * 2048}, "media_url"),
        ({"media_url": "https://x:99999/"}, "media_url"),
        ({"media_url": "https://x/a b"}, "media_url"),
        ({"media_url": "http://[::1"}, "media_url"),
        ({"type": "sms"}, "type"),
        ({"type": "text"}, "type"),
        ({"sender_id": "a name that is too long"}, "sender_id"),
        ({"template": {"name": "Upper", "language": {"code": "en"}}}, "template"),
        ({"template": []}, "template"),
        ({"schedule_time": "1999-01-01 00:00"}, "schedule_time"),
    ],
)
def test_refusals(fields: dict[str, Any], field: str) -> None:
    """Each field at fault is named, and only that."""
    assert list(fault(**fields)) == [field]


def test_schedule() -> None:
    """A later time makes the message wait; the present minute means now."""
    (message,) = prepare(schedule_time="2025-10-09 13:00").messages
    assert message.state is State.SCHEDULED
    assert message.schedule_at_ms == message.due_at_ms == 1_760_007_600_000
    (message,) = prepare(schedule_time="2025-10-09T08:53:00Z").messages
    assert (message.state, message.schedule_at_ms) == (State.QUEUED, None)
