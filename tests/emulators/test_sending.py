"""What a send may contain, what it answers, and how it is refused in Meta's words."""

from typing import Any

import pytest

from heliograph.emulators.cloud_api import defaults
from tests.emulators.kit import NUMBER, PERSON, Client, emulating

TO = f"+{PERSON}"
BUTTON = {"type": "reply", "reply": {"id": "1", "title": "Yes"}}


def text(body: Any = "Hello", **more: Any) -> dict[str, Any]:
    return {"to": TO, "type": "text", "text": {"body": body}, **more}


def interactive(**action: Any) -> dict[str, Any]:
    return {"to": TO, "type": "interactive", "interactive": {"type": "button", "body": {"text": "?"}, "action": action}}


async def test_answer(client: Client) -> None:
    """A text is accepted with a wamid; what was asked for is echoed, the wa_id has digits only."""
    status, body = await client.post(text(to="+31 (6) 1234-5678"))
    assert status == 200
    assert body["messaging_product"] == "whatsapp"
    assert body["contacts"] == [{"input": "+31 (6) 1234-5678", "wa_id": PERSON}]
    assert list(body["messages"][0]) == ["id"]
    assert body["messages"][0]["id"].startswith("wamid.HBgL")


async def test_ledger_line(client: Client) -> None:
    """Each accepted message is one line with what it was; a refused one leaves none."""
    wamid = await client.send(text="Hé / 👍", biz_opaque_callback_data="ref-1")
    await client.refused(text(""))
    (line,) = await client.messages()
    assert (line["id"], line["to"], line["type"], line["text"]) == (wamid, PERSON, "text", "Hé / 👍")
    assert line["biz_opaque_callback_data"] == "ref-1"
    assert line["phone_number_id"] == NUMBER
    assert line["received_at"].endswith("Z")
    assert await client.control("GET", "messages?count=1") == {"count": 1}


@pytest.mark.parametrize(
    ("what", "code", "sentence"),
    [
        ({"messaging_product": None, **text()}, 100, "(#100) The parameter messaging_product is required."),
        (
            {"messaging_product": "x", **text()},
            100,
            '(#100) Param messaging_product must be one of {WHATSAPP} - got "x".',
        ),
        (text("x" * 4097), 100, "(#100) Param text['body'] must be at most 4096 characters long."),
        (text(""), 100, "(#100) The parameter text['body'] is required."),
        ({"type": "text", "text": {"body": "x"}}, 100, "(#100) The parameter to is required."),
        ({"to": TO, "type": "text"}, 131008, "(#131008) Required parameter is missing"),
        (text(to="abc"), 131009, "(#131009) Parameter value is not valid"),
        (text(to="+1234567890123456"), 131009, "(#131009) Parameter value is not valid"),
        (text(to=f"+{defaults.BUSINESS_NUMBER}"), 131021, "(#131021) Recipient cannot be sender"),
        (
            text(biz_opaque_callback_data="x" * 513),
            100,
            "(#100) Param biz_opaque_callback_data must be at most 512 characters long.",
        ),
        (
            {"to": TO, "type": "image", "image": {}},
            100,
            "(#100) Exactly one of image['id'] and image['link'] is required.",
        ),
        (
            {"to": TO, "type": "image", "image": {"link": "https://x.example/a.jpg", "id": "1"}},
            100,
            "(#100) Exactly one of image['id'] and image['link'] is required.",
        ),
        (
            {"to": TO, "type": "image", "image": {"link": "ftp://x/y"}},
            100,
            "(#100) Param image['link'] is not a valid URI.",
        ),
        (
            {"to": TO, "type": "image", "image": {"link": "https://x.example/a.jpg", "caption": "x" * 1025}},
            100,
            "(#100) Param image['caption'] must be at most 1024 characters long.",
        ),
        (
            {"to": TO, "type": "image", "image": {"id": "42"}},
            100,
            "(#100) Param image['id'] is not a valid whatsapp business account media attachment ID",
        ),
        (text(context={}), 100, "(#100) The parameter context['message_id'] is required."),
        (text(category="utility"), 100, "(#100) Direct Send is not available for this account."),
        (text(recipient_type="group"), 131020, "(#131020) Group is unknown"),
        (interactive(buttons=[]), 131009, "(#131009) Parameter value is not valid"),
        (
            {"status": "delivered", "message_id": "wamid.x"},
            100,
            '(#100) Param status must be one of {READ} - got "delivered".',
        ),
    ],
)
async def test_refusals(client: Client, what: dict[str, Any], code: int, sentence: str) -> None:
    """Each mistake gets Meta's code and words, with HTTP 400, and nothing is accepted."""
    error = await client.refused(what)
    assert (error["code"], error["message"], error["type"]) == (code, sentence, "OAuthException")
    assert await client.control("GET", "messages?count=1") == {"count": 0}


async def test_refusal_details(client: Client) -> None:
    """The details say what was wrong with the value."""
    error = await client.refused(interactive(buttons=[BUTTON] * 4))
    assert error["error_data"] == {
        "messaging_product": "whatsapp",
        "details": "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3",
    }
    error = await client.refused({"to": TO, "type": "banana"})
    assert error["message"].startswith("(#100) Param type must be one of {AUDIO, CONTACTS,")


@pytest.mark.parametrize(
    ("what", "kind", "shown"),
    [
        (text("x" * 4096), "text", "x" * 4096),
        ({"to": TO, "text": {"body": "no type"}}, "text", "no type"),
        ({"to": TO, "type": "image", "image": {"link": "https://x.example/a.jpg", "caption": "c"}}, "image", "c"),
        ({"to": TO, "type": "image", "image": {"link": "https://x.example/a.jpg"}}, "image", None),
        (
            {"to": TO, "type": "document", "document": {"link": "https://x.example/a", "filename": "a.pdf"}},
            "document",
            None,
        ),
        (
            {"to": TO, "type": "location", "location": {"latitude": 1, "longitude": 2, "name": "Here"}},
            "location",
            "Here",
        ),
        ({"to": TO, "type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}}, "reaction", "👍"),
        ({"to": TO, "type": "contacts", "contacts": [{"name": {"formatted_name": "A"}}]}, "contacts", None),
        (interactive(buttons=[BUTTON]), "interactive", "?"),
        (text(context={"message_id": "wamid.x"}), "text", "Hello"),
        (text(to=31612345678), "text", "Hello"),
    ],
)
async def test_kinds(client: Client, what: dict[str, Any], kind: str, shown: str | None) -> None:
    """Every kind of message is taken, and the ledger says what the person reads."""
    status, body = await client.post(what)
    assert status == 200, body
    (line,) = await client.messages()
    assert (line["type"], line["text"], line["to"]) == (kind, shown, PERSON)


async def test_user_id(client: Client) -> None:
    """A person can be reached by user id; the number wins when both are given, and a login code never goes to an id."""
    status, body = await client.post({"recipient": "NL.123abc", "text": {"body": "x"}})
    assert (status, body["contacts"]) == (200, [{"input": "NL.123abc", "user_id": "NL.123abc"}])
    _, body = await client.post({"recipient": "NL.123abc", "to": TO, "text": {"body": "x"}})
    assert body["contacts"] == [{"input": TO, "wa_id": PERSON}]
    code = {"type": "body", "parameters": [{"type": "text", "text": "123456"}]}
    button = {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]}
    template = {"name": "login_code", "language": {"code": "en_US"}, "components": [code, button]}
    error = await client.refused({"recipient": "NL.123abc", "type": "template", "template": template})
    assert error["code"] == 131062
    assert [line["to"] for line in await client.messages()] == ["NL.123abc", PERSON]


async def test_mark_as_read(client: Client) -> None:
    """Marking an inbound message as read succeeds and is no message."""
    wanted = {"status": "read", "message_id": "wamid.HBgL", "typing_indicator": {"type": "text"}}
    assert await client.post(wanted) == (200, {"success": True})
    assert (await client.control("GET", "stats"))["read_marks"] == 1
    assert await client.messages() == []


async def test_not_registered(client: Client) -> None:
    """A number that is not registered cannot send: 133010."""
    error = await client.refused(text(), number=NUMBER[:-1] + "8")
    assert (error["code"], error["message"]) == (133010, "(#133010) Account not registered")


async def test_throughput() -> None:
    """A STANDARD number takes 80 in a burst, then 130429 with Meta's details; other numbers go on."""
    async with emulating(pair_limit=False) as client:
        standard = NUMBER[:-1] + "9"
        answers = [await client.post(text(), standard) for _ in range(100)]
        refused = [body["error"] for status, body in answers if status != 200]
        assert 80 <= len(answers) - len(refused) < 100
        assert {error["code"] for error in refused} == {130429}
        assert refused[0]["message"] == "(#130429) Rate limit hit"
        assert refused[0]["error_subcode"] == 2494055
        assert refused[0]["error_data"]["details"] == "Cloud API message throughput has been reached."
        await client.send()
    async with emulating(pair_limit=False, pace_limit=False) as client:
        for _ in range(100):
            await client.send(number=standard)


async def test_pair_limit() -> None:
    """After a burst of 45 to one person comes 131056, for that person and number only; a switch takes the limit away."""
    async with emulating() as client:
        for _ in range(45):
            await client.send()
        assert (await client.refused(text()))["code"] == 131056
        await client.send(to="31612345679")
        await client.send(number=NUMBER[:-1] + "2")
    async with emulating(pair_limit=False) as client:
        for _ in range(60):
            await client.send()


async def test_window_refused_at_once() -> None:
    """With --window refuse, free text to somebody who never wrote is 131047; a template passes, a reply opens the window."""
    async with emulating(window="refuse") as client:
        assert (await client.refused(text()))["code"] == 131047
        status, _ = await client.post(
            {"to": TO, "type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}
        )
        assert status == 200
        await client.control("POST", "say", {"from": PERSON})
        await client.send()


async def test_other_wa_id() -> None:
    """With --other-wa-id the wa_id is not the number, as in Brazil, Mexico and Argentina; the input stays."""
    async with emulating(other_wa_id=True) as client:
        for number, wa_id in (
            ("5511987654321", "551187654321"),
            ("525512345678", "5215512345678"),
            ("541112345678", "5491112345678"),
            ("31612345678", "31612345673"),
        ):
            _, body = await client.post(text(to=f"+{number}"))
            assert body["contacts"] == [{"input": f"+{number}", "wa_id": wa_id}]
