"""What goes out, byte for byte what the reference describes (§3), and what is refused before it is stored."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.whatsapp.payloads import (
    check_template,
    check_text,
    read_mark,
    send_payload,
    window_template,
)
from heliograph.errors import Invalid
from tests.channels.whatsapp.kit import outgoing


def payload(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(send_payload(outgoing(**changes)))
    return found


COMMON = {"messaging_product": "whatsapp", "recipient_type": "individual", "biz_opaque_callback_data": "r-1"}


def test_text() -> None:
    """A text goes to the number with its + and carries the attempt's reference."""
    assert payload() == {
        **COMMON,
        "to": "+15550100002",
        "type": "text",
        "text": {"body": "Your order is packed.", "preview_url": True},
    }


def test_image() -> None:
    """With media_url an image by link goes, the text as its caption, if there is one."""
    link = "https://img.example/a.jpg"
    assert payload(media_url=link, text="Today")["image"] == {"link": link, "caption": "Today"}
    without = payload(media_url=link, text="")
    assert without["image"] == {"link": link}
    assert without["type"] == "image"
    assert "text" not in without


def test_template_wins() -> None:
    """Where a template is given, neither text nor image goes."""
    template = {"name": "order_ready", "language": {"code": "en_US"}}
    found = payload(template=template, media_url="https://img.example/a.jpg")
    assert found == {**COMMON, "to": "+15550100002", "type": "template", "template": template}


def test_person_without_a_number() -> None:
    """A business-scoped id goes as `recipient`, never as `to` (§11)."""
    found = payload(recipient=None, recipient_user_id="US.10000000000000000001")
    assert found["recipient"] == "US.10000000000000000001"
    assert "to" not in found


def test_every_script_and_emoji() -> None:
    """The text that goes out is the text that was given."""
    text = "Grüße, मित्र 👩‍👩‍👧 \u202bשלום\u202c\n\t\x7f"
    assert payload(text=text)["text"]["body"] == text


def test_read_mark() -> None:
    """The body that marks a message as read (§4)."""
    assert read_mark("wamid.X") == {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X"}


# Limits


@pytest.mark.parametrize(("length", "has_media"), [(0, False), (4096, False), (1024, True), (0, True)])
def test_texts_that_fit(length: int, has_media: bool) -> None:
    """4096 characters, or 1024 beside an image."""
    check_text("é" * length, has_media=has_media)


@pytest.mark.parametrize(("length", "has_media", "limit"), [(4097, False, "4096"), (1025, True, "1024")])
def test_texts_that_do_not_fit(length: int, has_media: bool, limit: str) -> None:
    """One more is refused, with both figures in the sentence."""
    with pytest.raises(Invalid) as caught:
        check_text("x" * length, has_media=has_media)
    (sentence,) = caught.value.errors["message"]
    assert limit in sentence
    assert str(length) in sentence


def test_half_a_character() -> None:
    """Half of a surrogate pair is no text and is refused at the door."""
    with pytest.raises(Invalid) as caught:
        check_text("ok \ud83d", has_media=False)
    assert list(caught.value.errors) == ["message"]


GOOD: dict[str, Any] = {"name": "order_ready", "language": {"code": "en_US"}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"components": []},
        {"language": {"code": "fil"}},
        {"language": {"code": "zh_CN", "policy": "deterministic"}},
        {"language": {"code": "es_419"}},
        {"components": [{"type": "body", "parameters": [{"type": "text", "text": "Ada"}]}]},
        {"components": [{"type": "button", "sub_type": "url", "index": "0"}]},
    ],
)
def test_templates(changes: dict[str, Any]) -> None:
    """The carrier's own object passes as it is."""
    check_template({**GOOD, **changes})


@pytest.mark.parametrize(
    "template",
    [
        None,
        "order_ready",
        [],
        {},
        {**GOOD, "name": None},
        {**GOOD, "name": ""},
        {**GOOD, "name": "Order Ready"},
        {**GOOD, "name": "x" * 513},
        {**GOOD, "name": "order_ready\n"},
        {**GOOD, "language": "en_US"},
        {**GOOD, "language": {}},
        {**GOOD, "language": {"code": "en-US; drop"}},
        {**GOOD, "language": {"code": ["en"]}},
        {**GOOD, "components": {}},
        {**GOOD, "components": [{}]},
        {**GOOD, "components": ["body"]},
        {**GOOD, "components": [{"type": 5}]},
        {**GOOD, "components": [{"type": "body", "parameters": {}}]},
        {**GOOD, "components": [{"type": "body", "parameters": ["Ada"]}]},
        {**GOOD, "components": [{"type": "body"}] * 21},
        {**GOOD, "components": [{"type": "\ud800"}]},
    ],
)
def test_templates_that_are_none(template: object) -> None:
    """Anything else is refused under the field's name, with a sentence."""
    with pytest.raises(Invalid) as caught:
        check_template(template)
    assert list(caught.value.errors) == ["template"]


# The window template


def body_of(text: str) -> str:
    found: str = window_template("window", "en_US", text)["components"][0]["parameters"][0]["text"]
    return found


def test_window_template() -> None:
    """The text is the one body variable of the named template; the object passes our own check."""
    template = window_template("window", "nl", "Your order\nis packed.")
    assert template == {
        "name": "window",
        "language": {"code": "nl"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Your order is packed."}]}],
    }
    check_template(template)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("a\n\nb", "a b"),
        ("a\r\n    b", "a b"),
        ("a \t b", "a b"),
        ("a        b", "a b"),
        ("  a  ", "a"),
        ("a\u2028b\x0bc", "a b c"),
        ("a\u00a0b", "a\u00a0b"),
        ("\n", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    """Runs of newlines, tabs and spaces become one space; a no-break space stays."""
    assert body_of(text) == folded


@given(st.text(alphabet=st.sampled_from(" \n\t\r\v\f\u2028ab") | st.characters(exclude_categories=["Cs"])))
def test_what_a_parameter_may_hold(text: str) -> None:
    """Whatever the text: no newline, no tab, no run of more than four spaces (132018), and no word lost or cut."""
    found = body_of(text)
    assert not re.search(r"[\n\r\t]| {5}", found)
    assert found.split() == re.sub(r"[\x1c-\x1f]", " ", text).split()


def test_nothing_is_cut() -> None:
    """A text that is too long for a template goes whole: the carrier's refusal is clear, a cut text would not be."""
    assert len(body_of("x" * 4096)) == 4096
