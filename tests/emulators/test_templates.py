"""Templates: which may be sent with what parameters, and their life from creation to deletion."""

from typing import Any

import pytest

from heliograph.emulators.cloud_api import defaults
from tests.emulators.kit import PERSON, WABA, Client, Receiver
from tests.kit.waiting import eventually


def words(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "body", "parameters": [{"type": "text", "text": text} for text in texts]}]


def template(name: str, components: Any = None, language: str = "en_US") -> dict[str, Any]:
    held: dict[str, Any] = {"name": name, "language": {"code": language}}
    if components is not None:
        held["components"] = components
    return {"to": f"+{PERSON}", "type": "template", "template": held}


CODE = {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "123456"}]}
PICTURE = {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x.example/a.jpg"}}]}
NAMED = [
    {
        "type": "body",
        "parameters": [
            {"type": "text", "parameter_name": "time", "text": "10:30"},
            {"type": "text", "parameter_name": "first_name", "text": "Ada"},
        ],
    }
]


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        (template("hello_world"), "This template has no variables, so that a first message can be sent without any."),
        (template("heliograph_message", words("Packed.")), "You have a new message: Packed. Reply here to continue."),
        (template("order_ready", [PICTURE, *words("Ada", "A-17"), CODE]), "Hello Ada, order A-17 is ready for you."),
        (
            template("login_code", [*words("123456"), CODE]),
            "*123456* is your verification code. For your security, do not share this code.",
        ),
        (template("appointment_reminder", NAMED, "nl"), "Hallo Ada, we verwachten u om 10:30. Tot dan!"),
        (
            template(
                "heliograph_message",
                [{"type": "BODY", "parameters": [{"type": "date_time", "date_time": {"fallback_value": "at ten"}}]}],
            ),
            "You have a new message: at ten Reply here to continue.",
        ),
    ],
)
async def test_sent(client: Client, what: dict[str, Any], shown: str) -> None:
    """A template whose parameters fit is accepted, and the ledger has what the person reads."""
    status, body = await client.post(what)
    assert status == 200, body
    assert body["messages"][0]["message_status"] == "accepted"
    (line,) = await client.messages()
    assert line["text"] == shown


@pytest.mark.parametrize(
    ("what", "code", "details"),
    [
        (template("x"), 132001, "template name (x) does not exist in en_US"),
        (template("hello_world", None, "es"), 132001, "template name (hello_world) does not exist in es"),
        (template("pending_notice"), 132001, "template name (pending_notice) is not approved in en_US"),
        (template("paused_offer"), 132015, "template name (paused_offer) is paused"),
        (template("disabled_offer"), 132016, "template name (disabled_offer) is disabled"),
        (
            template("heliograph_message"),
            132000,
            "body: number of localizable_params (0) does not match the expected number of params (1)",
        ),
        (
            template("heliograph_message", words("a", "b")),
            132000,
            "body: number of localizable_params (2) does not match the expected number of params (1)",
        ),
        (
            template("hello_world", words("a")),
            132000,
            "body: number of localizable_params (1) does not match the expected number of params (0)",
        ),
        (
            template("login_code", words("123456")),
            131008,
            "buttons: Button at index 0 of type Url requires a parameter",
        ),
        (template("heliograph_message", words("a\nb")), 132018, None),
        (template("heliograph_message", words("a\tb")), 132018, None),
        (template("heliograph_message", words("a     b")), 132018, None),
        (template("heliograph_message", words("x" * 1025)), 132005, None),
        (
            template("heliograph_message", [{"type": "body", "parameters": [{"type": "image", "image": {"id": "1"}}]}]),
            132012,
            "body: Format mismatch, expected TEXT, received IMAGE",
        ),
        (
            template("order_ready", words("Ada", "A-17")),
            132000,
            "header: number of localizable_params (0) does not match the expected number of params (1)",
        ),
        (template("appointment_reminder", words("Ada", "10:30")), 100, None),
        ({"to": f"+{PERSON}", "type": "template", "template": {"name": "hello_world"}}, 100, None),
        ({"to": f"+{PERSON}", "type": "template"}, 131008, None),
    ],
)
async def test_refused(client: Client, what: dict[str, Any], code: int, details: str | None) -> None:
    """What does not exist, is not approved or has the wrong parameters is refused at once, in Meta's words."""
    error = await client.refused(what)
    assert error["code"] == code
    if details is not None:
        assert error["error_data"]["details"] == details
    assert await client.messages() == []


async def test_four_spaces(client: Client) -> None:
    """Four spaces in a row are the most that a parameter may have."""
    status, _ = await client.post(template("heliograph_message", words("a    b")))
    assert status == 200


async def test_list(client: Client) -> None:
    """The bundled templates are listed; a page has its cursors, and `next` only while there is more."""
    _, whole = await client.call("GET", f"{WABA}/message_templates?limit=100")
    names = [one["name"] for one in whole["data"]]
    assert defaults.TEMPLATE_ONE_VARIABLE in names
    assert "next" not in whole["paging"]
    assert set(whole["data"][0]) == {"id", "name", "parameter_format", "components", "language", "status", "category"}
    found: list[str] = []
    after = ""
    while True:
        _, page = await client.call("GET", f"{WABA}/message_templates?limit=4{after}")
        assert len(page["data"]) <= 4
        found += [one["name"] for one in page["data"]]
        assert set(page["paging"]["cursors"]) == {"before", "after"}
        if "next" not in page["paging"]:
            break
        assert "access_token=" in page["paging"]["next"]
        after = f"&after={page['paging']['cursors']['after']}"
    assert found == names


async def test_list_summary(client: Client) -> None:
    """The summary that may be asked for counts the templates."""
    _, body = await client.call("GET", f"{WABA}/message_templates?summary=total_count&limit=1")
    assert len(body["data"]) == 1
    assert body["summary"]["total_count"] == 10


async def test_list_by(client: Client) -> None:
    """Templates are found by name, status and category; `fields` picks what is told, the id comes always."""
    _, body = await client.call("GET", f"{WABA}/message_templates?name=appointment&fields=language")
    assert [one["language"] for one in body["data"]] == ["en_US", "nl"]
    assert set(body["data"][0]) == {"id", "language"}
    _, body = await client.call("GET", f"{WABA}/message_templates?status=PAUSED")
    assert [one["name"] for one in body["data"]] == ["paused_offer"]
    template_id = body["data"][0]["id"]
    _, body = await client.call("GET", f"{template_id}?fields=name,status")
    assert body == {"id": template_id, "name": "paused_offer", "status": "PAUSED"}
    _, body = await client.call("POST", f"{template_id}/unpause")
    assert body == {"success": True}
    assert (await client.post(template("paused_offer")))[0] == 200


async def test_life(client: Client, receiver: Receiver) -> None:
    """Created it is in review; approved it can be sent, and the app is told; deleted it cannot, and the name is blocked."""
    wanted = {"object": "whatsapp_business_account", "callback_url": receiver.url, "verify_token": "word"}
    assert (await client.call("POST", f"{defaults.APP_ID}/subscriptions", wanted))[0] == 200
    assert (await client.call("POST", f"{WABA}/subscribed_apps", {}))[0] == 200
    body = {"type": "BODY", "text": "Dear {{1}}, your parcel has come.", "example": {"body_text": [["Ada"]]}}
    new = {"name": "parcel_here", "language": "en_US", "category": "UTILITY", "components": [body]}
    status, made = await client.call("POST", f"{WABA}/message_templates", new)
    assert (status, made["status"], made["category"]) == (200, "PENDING", "UTILITY")
    status, again = await client.call("POST", f"{WABA}/message_templates", new)
    assert (status, again["error"]["error_subcode"]) == (400, 2388024)
    await receiver.until(receiver.changes)
    (change,) = receiver.changes()
    assert change["field"] == "message_template_status_update"
    assert isinstance(change["entry"]["time"], int)
    assert (change["value"]["event"], change["value"]["message_template_id"]) == ("APPROVED", int(made["id"]))
    assert (await client.post(template("parcel_here", words("Ada"))))[0] == 200
    assert await client.call("DELETE", f"{WABA}/message_templates?name=parcel_here") == (200, {"success": True})
    assert (await client.refused(template("parcel_here", words("Ada"))))["code"] == 132001
    status, blocked = await client.call("POST", f"{WABA}/message_templates", new)
    assert (status, blocked["error"]["error_subcode"]) == (400, 2388023)


async def test_rejected(client: Client, receiver: Receiver) -> None:
    """A name that contains `reject` is rejected, with a reason, and may not be edited while it is in review."""
    await client.subscribe(receiver)
    body = {"type": "BODY", "text": "This will never do."}
    new = {"name": "please_reject", "language": "en_US", "category": "MARKETING", "components": [body]}
    _, made = await client.call("POST", f"{WABA}/message_templates", new)
    status, refused = await client.call("POST", made["id"], {"components": [body]})
    assert (status, refused["error"]["code"]) == (400, 2388039)

    async def status_now() -> str:
        _, found = await client.call("GET", f"{made['id']}?fields=status,rejected_reason")
        return f"{found['status']} {found['rejected_reason']}"

    async def is_rejected() -> bool:
        return await status_now() == "REJECTED INVALID_FORMAT"

    await eventually(is_rejected)


@pytest.mark.parametrize(
    ("change", "subcode"),
    [
        ({"name": "Capital"}, None),
        ({"category": "NEWS"}, None),
        ({"components": []}, 2388072),
        ({"components": [{"type": "BODY", "text": "x" * 1025}]}, 2388040),
        ({"components": [{"type": "BODY", "text": "{{1}} comes first", "example": 1}]}, 2388299),
        ({"components": [{"type": "BODY", "text": "It ends with {{1}}", "example": 1}]}, 2388299),
        ({"components": [{"type": "BODY", "text": "A {{1}} {{2}} {{3}} b", "example": 1}]}, 2388293),
        ({"components": [{"type": "BODY", "text": "No {{1}} example given here"}]}, 2388043),
        ({"components": [{"type": "BODY", "text": "Dear {{2}}, it is here now", "example": 1}]}, 2388072),
        ({"components": [{"type": "BODY", "text": "ok"}, {"type": "FOOTER", "text": "f {{1}} f"}]}, 2388073),
    ],
)
async def test_creation_refused(client: Client, change: dict[str, Any], subcode: int | None) -> None:
    """A template that Meta would not take is refused with the reason."""
    new = {
        "name": "n",
        "language": "en",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "ok"}],
        **change,
    }
    status, body = await client.call("POST", f"{WABA}/message_templates", new)
    assert (status, body["error"]["code"], body["error"].get("error_subcode")) == (400, 100, subcode)
