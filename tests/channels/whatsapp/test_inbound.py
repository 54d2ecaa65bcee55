"""Inbound messages: every kind of §7 makes a message with a text, whoever wrote it."""

from typing import Any

import pytest

from heliograph.channels.contract import InboundMedia, InboundMessage
from heliograph.channels.whatsapp.callback import parse_callback
from tests.channels.whatsapp.kit import NUMBER
from tests.channels.whatsapp.test_callback import envelope, messages

PERSON = {"profile": {"name": "Ada"}, "wa_id": "15550100002", "user_id": "US.1"}
MESSAGE: dict[str, Any] = {
    "from": "15550100002",
    "from_user_id": "US.1",
    "id": "wamid.IN",
    "timestamp": "1795000000",
    "type": "text",
    "text": {"body": "STOP"},
}


def read(people: object = (PERSON,), **changes: Any) -> InboundMessage:
    message = {key: value for key, value in {**MESSAGE, **changes}.items() if value is not ...}
    if isinstance(people, tuple):
        people = list(people)
    (event,) = parse_callback(envelope(messages(contacts=people, messages=[message])))
    assert isinstance(event, InboundMessage)
    return event


def test_text() -> None:
    """A text with its writer, name, time and number."""
    message = read()
    assert (message.phone_number_id, message.carrier_message_id) == (NUMBER, "wamid.IN")
    assert (message.kind, message.text, message.received_at_ms) == ("text", "STOP", 1_795_000_000_000)
    assert (message.sender, message.sender_user_id, message.profile_name) == ("15550100002", "US.1", "Ada")
    assert (message.reply_to, message.media) == (None, None)


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text", {"body": ""}, "[text]"),
        ("image", {"id": "3", "caption": "Look"}, "[image] Look"),
        ("image", {"id": "3"}, "[image]"),
        ("video", {"id": "3"}, "[video]"),
        ("audio", {"id": "3", "voice": True}, "[audio]"),
        ("document", {"id": "3", "filename": "bill.pdf"}, "[document] bill.pdf"),
        ("document", {"id": "3", "filename": "bill.pdf", "caption": "Paid"}, "[document] Paid"),
        ("sticker", {"id": "3", "animated": False}, "[sticker]"),
        ("button", {"payload": "P", "text": "Yes"}, "Yes"),
        ("button", {"payload": "P"}, "P"),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}, "Yes"),
        ("interactive", {"type": "list_reply", "list_reply": {"id": "1", "title": "Tea"}}, "Tea"),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent"}}, "Sent"),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"name": "flow"}}, "flow"),
        ("interactive", {"type": "of_tomorrow"}, "[interactive]"),
        ("reaction", {"message_id": "wamid.X", "emoji": "👍"}, "[reaction] 👍"),
        ("reaction", {"message_id": "wamid.X"}, "[reaction taken back]"),
        ("location", {"latitude": 52.1, "longitude": 5, "name": "Home"}, "[location] Home, 52.1, 5"),
        ("location", {"latitude": 52.1, "longitude": 5.2}, "[location] 52.1, 5.2"),
        ("location", {}, "[location]"),
        ("contacts", [{"name": {"formatted_name": "Bo"}}, {"name": {"formatted_name": "Cy"}}], "[contacts] Bo, Cy"),
        ("contacts", [{}], "[contacts]"),
        ("order", {"product_items": [{}]}, "[order] 1 item"),
        ("order", {"product_items": [{}, {}], "text": "Soon"}, "[order] 2 items: Soon"),
        ("system", {"body": "Ada changed her number", "type": "user_changed_number"}, "Ada changed her number"),
        ("system", {}, "[system]"),
        ("edit", {"original_message_id": "w", "message": {"type": "text", "text": {"body": "Go"}}}, "[edited] Go"),
        ("edit", {"original_message_id": "w"}, "[edited]"),
        ("revoke", {"original_message_id": "w"}, "[deleted by the sender]"),
        ("hologram", {"id": "3"}, "[hologram]"),
    ],
)
def test_kinds(kind: str, content: object, text: str) -> None:
    """Each kind has a text that a list can show, never an empty one; the whole is kept raw."""
    message = read(**{"type": kind, "text": ..., kind: content})
    assert (message.kind, message.text) == (kind, text)
    assert kind in message.raw


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document", "sticker"])
def test_media(kind: str) -> None:
    """What is needed to fetch a file, and only of kinds that have one."""
    content = {"id": "3000", "mime_type": "image/jpeg", "sha256": "q83v=", "filename": "a.jpg", "url": "https://x"}
    assert read(type=kind, **{kind: content}).media == InboundMedia(
        media_id="3000", mime_type="image/jpeg", sha256_base64="q83v=", file_name="a.jpg"
    )


def test_media_id_as_a_number() -> None:
    """Ids are texts, and numbers in older payloads."""
    media = read(type="image", image={"id": 3000}).media
    assert media is not None
    assert (media.media_id, media.mime_type, media.sha256_base64) == ("3000", "", None)


def test_file_that_did_not_arrive() -> None:
    """Above 100 MB there is an error in place of the file (131052): its words are the text."""
    trouble = {"code": 131052, "title": "Media download error", "error_data": {"details": "File too large"}}
    message = read(type="video", text=..., errors=[trouble])
    assert (message.text, message.media) == ("[video] File too large", None)


def test_unsupported() -> None:
    """A poll or the like is shown with the carrier's reason."""
    trouble = {"code": 131051, "title": "Message type unknown", "error_data": {"details": "Not supported."}}
    message = read(type="unsupported", text=..., unsupported={"type": "poll"}, errors=[trouble])
    assert (message.kind, message.text) == ("unsupported", "[unsupported: poll] Not supported.")
    assert read(type="unsupported", text=...).text == "[unsupported]"


# Who wrote


def test_person_without_a_number() -> None:
    """Somebody who hides their number has an id alone (§11)."""
    message = read(people=({"profile": {"name": "Ada"}, "user_id": "US.1"},), **{"from": ...})
    assert (message.sender, message.sender_user_id, message.profile_name) == (None, "US.1", "Ada")


def test_an_id_where_a_number_should_be() -> None:
    """A `from` that is no number is an id (§7)."""
    message = read(**{"from": "US.abc", "from_user_id": ...}, people=({"wa_id": "US.abc", "profile": {"name": "A"}},))
    assert (message.sender, message.sender_user_id, message.profile_name) == (None, "US.abc", "A")


@pytest.mark.parametrize("sender", ["15550100002", "+15550100002", 15550100002])
def test_numbers(sender: object) -> None:
    """With or without a plus, as text or number."""
    assert read(**{"from": sender}).sender == "15550100002"


def test_nobody_named_in_the_message() -> None:
    """Where the message names nobody, the one contact beside it wrote it."""
    message = read(**{"from": ..., "from_user_id": ...})
    assert (message.sender, message.sender_user_id) == ("15550100002", "US.1")


@pytest.mark.parametrize("people", [None, [], "x", [None], [{}], [{"wa_id": "1"}, {"wa_id": "2"}]])
def test_contacts_are_not_needed(people: object) -> None:
    """Missing or strange contacts cost the name, nothing else."""
    message = read(people=people)
    assert (message.sender, message.profile_name, message.text) == ("15550100002", None, "STOP")


def test_names_in_a_batch() -> None:
    """Each message of a batch gets the name of its own writer."""
    others = ({"wa_id": "15550100009", "profile": {"name": "Bo"}}, PERSON)
    assert read(people=others).profile_name == "Ada"


# Context


def test_reply() -> None:
    """A reply names the message that it answers."""
    assert read(context={"from": "15550100001", "id": "wamid.OUT"}).reply_to == "wamid.OUT"


def test_without_a_type() -> None:
    """A message that does not say what it is, is unknown and kept."""
    message = read(type=..., text=...)
    assert (message.kind, message.text) == ("unknown", "[unknown]")


def test_long_kinds() -> None:
    """A word for a kind is short, or made so."""
    message = read(type="x" * 1000)
    assert len(message.kind) == 40


def test_long_texts() -> None:
    """A text of any length comes whole; only its raw copy is bounded."""
    body = "👍" * 4096
    message = read(text={"body": body})
    assert message.text == body
    assert len(message.raw) <= 8192


@pytest.mark.parametrize(
    ("kind", "content", "opens"),
    [
        ("text", {"body": "Hello"}, True),
        ("image", {"id": "3"}, True),
        ("button", {"text": "Yes"}, True),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}, True),
        ("location", {"latitude": 1, "longitude": 2}, True),
        ("order", {}, True),
        ("unsupported", {"type": "poll_creation"}, True),
        ("reaction", {"message_id": "wamid.X", "emoji": "👍"}, True),
        ("reaction", {"message_id": "wamid.X"}, False),
        ("system", {"body": "User A changed from 1 to 2", "type": "user_changed_number"}, False),
        ("edit", {"original_message_id": "wamid.X"}, False),
        ("revoke", {"original_message_id": "wamid.X"}, False),
        ("of_tomorrow", {}, False),
    ],
)
def test_what_opens_the_window(kind: str, content: dict[str, Any], opens: bool) -> None:
    """What the person says opens the window; news about the person or an earlier message, or an unknown kind, does not."""
    assert read(**{"type": kind, "text": ..., kind: content}).opens_window is opens
