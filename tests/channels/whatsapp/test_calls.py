"""The calls that are no sends: the number, its callbacks, its registration, its templates, and refusals in plain words."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from heliograph.channels.contract import Connection
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.errors import ChannelRefused
from tests.channels.whatsapp.kit import (
    ACCOUNT,
    NUMBER,
    TOKEN,
    Carrier,
    answering,
    connection_to,
    cut,
    error,
    speaking,
)

FACTS: dict[str, Any] = {
    "id": NUMBER,
    "display_phone_number": "+1 555-010-0001",
    "verified_name": "Shop",
    "quality_rating": "GREEN",
    "status": "CONNECTED",
    "name_status": "APPROVED",
    "throughput": {"level": "STANDARD"},
    "whatsapp_business_manager_messaging_limit": "TIER_2K",
    "health_status": {"can_send_message": "LIMITED", "entities": []},
}
SUCCESS = answering({"success": True})


# The number


async def test_number(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """What the carrier says of the number, the fields asked for by name."""
    carrier.will(answering(FACTS))
    facts = await channel.read_number(connection)
    assert (facts.display_number, facts.verified_name, facts.quality) == ("15550100001", "Shop", "GREEN")
    assert (facts.status, facts.name_status, facts.messaging_limit) == ("CONNECTED", "APPROVED", "TIER_2K")
    assert (facts.throughput_per_s, facts.can_send) == (80, "LIMITED")
    (asked,) = carrier.asked
    assert (asked.method, asked.path) == ("GET", f"/v26.0/{NUMBER}")
    assert {"throughput", "health_status", "display_phone_number"} <= set(asked.query["fields"].split(","))


@pytest.mark.parametrize(
    ("changes", "pace"),
    [
        ({"throughput": {"level": "HIGH"}}, 1000),
        ({"throughput": {"level": "NOT_APPLICABLE"}}, 80),
        ({"throughput": {"level": "OF_TOMORROW"}}, 80),
        ({"throughput": None}, 80),
        ({"throughput": {"level": "STANDARD"}, "is_on_biz_app": True}, 20),
    ],
)
async def test_pace(
    carrier: Carrier, channel: WhatsApp, connection: Connection, changes: dict[str, Any], pace: int
) -> None:
    """80 a second, 1000 for a high level, 20 beside the business app (§13)."""
    carrier.will(answering({**FACTS, **changes}))
    assert (await channel.read_number(connection)).throughput_per_s == pace


async def test_number_with_little_to_say(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Fields that are missing or null have a value that says so."""
    carrier.will(answering({"display_phone_number": "15550100001", "verified_name": None, "health_status": "x"}))
    facts = await channel.read_number(connection)
    assert (facts.verified_name, facts.quality, facts.status, facts.can_send) == ("", "UNKNOWN", "UNKNOWN", "AVAILABLE")


async def test_version_that_lacks_a_field(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """One field that a version does not have makes it refuse all: the few that always exist are asked for then."""
    carrier.will(error(100, "(#100) Tried accessing nonexisting field (health_status)"), answering(FACTS))
    assert (await channel.read_number(connection)).display_number == "15550100001"
    assert carrier.asked[1].query["fields"] == "id,display_phone_number,verified_name,quality_rating"


async def test_id_of_something_else(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """An id that is not a number's: said so, with what to give instead."""
    carrier.will(answering({"id": NUMBER}))
    with pytest.raises(ChannelRefused) as caught:
        await channel.read_number(connection)
    assert caught.value.code == "number_unknown"
    assert "phone number id" in caught.value.advice


# Refusals, in plain words


@pytest.mark.parametrize(
    ("answer", "code", "sentence", "advice"),
    [
        (error(190, "Session has expired", status=401), "token_invalid", "expired", "token"),
        (error(0, "Auth", status=401), "token_invalid", "token", "token"),
        (error(10, "(#10) Permission", status=403), "permission_missing", "permission", "whatsapp_business_management"),
        (error(200, "(#200) Permission", status=403), "permission_missing", "permission", "system user"),
        (error(100, "Unsupported", error_subcode=33), "number_unknown", "phone number id", "phone number id"),
        (error(80007, "Rate limit"), "throttled", "too many calls", "slows down"),
        (error(777_001, "Brand new"), "carrier_refused", "Brand new", "words"),
        (error(777_002), "carrier_refused", "refused", "words"),
        (answering(b"<html>", 502), "carrier_unavailable", "HTTP 502", "later"),
        (answering(b"<html>", 404), "bad_base_url", "not the Cloud API", "base URL"),
        (answering(b"<html>", 403), "access_refused", "access", "proxy"),
        (answering(b"<html>", 200), "carrier_refused", "HTTP 200", "base URL"),
        (answering(b"", 400), "carrier_refused", "HTTP 400", "base URL"),
        (answering({"success": False}), "carrier_refused", "did not do it", ""),
        (answering({"error": {"code": 190}}), "token_invalid", "token", "token"),
        (answering(b"", 302, Location="https://elsewhere.example"), "bad_base_url", "base URL", "base URL"),
    ],
)
async def test_refusals(
    carrier: Carrier, channel: WhatsApp, connection: Connection, answer: Any, code: str, sentence: str, advice: str
) -> None:
    """Each says what is wrong and what to do; the log has the code and never the token."""
    carrier.will(answer)
    with capture_logs() as logs, pytest.raises(ChannelRefused) as caught:
        await channel.mark_read(connection, "wamid.X")
    refused = caught.value
    assert refused.code == code
    assert sentence in refused.message
    assert advice in refused.advice
    (entry,) = [entry for entry in logs if entry["event"] == "carrier_refused_call"]
    assert entry["code"] == code
    assert TOKEN not in repr(logs)


async def test_nobody_there(channel: WhatsApp) -> None:
    """Unreachable, in plain words."""
    with pytest.raises(ChannelRefused) as caught:
        await channel.read_number(connection_to("http://127.0.0.1:1"))
    assert caught.value.code == "carrier_unreachable"
    assert "refuses the connection" in caught.value.message
    assert "network" in caught.value.advice


async def test_no_answer(carrier: Carrier, connection: Connection) -> None:
    """Asked, and no answer: another sentence, for it may have been done."""
    carrier.will(carrier.stall)
    async with speaking(timeout_s=0.3) as channel:
        with pytest.raises(ChannelRefused) as caught:
            await channel.register(connection, "123456")
    assert caught.value.message == "The carrier was asked and did not answer."
    assert len(carrier.asked) == 1


async def test_register_is_never_repeated(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Ten times in 72 hours is the limit (§12): a cut connection is no reason for another."""
    carrier.will(SUCCESS, cut, SUCCESS)
    await channel.register(connection, "123456")
    with pytest.raises(ChannelRefused):
        await channel.register(connection, "123456")
    assert len(carrier.asked) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"base_url": "graph.example"}, "bad_base_url"),
        ({"phone_number_id": ""}, "bad_base_url"),
        ({"phone_number_id": ".."}, "bad_base_url"),
        ({"token": "with a blank"}, "token_invalid"),
        ({"token": ""}, "token_invalid"),
    ],
)
async def test_settings_that_cannot_be(channel: WhatsApp, changes: dict[str, str], code: str) -> None:
    """What can be in no request is refused before there is one."""
    with pytest.raises(ChannelRefused) as caught:
        await channel.read_number(connection_to(**{"base_url": "http://127.0.0.1:1", **changes}))
    assert caught.value.code == code


# What each call says


@pytest.mark.parametrize(
    ("name", "arguments", "path", "body"),
    [
        (
            "mark_read",
            ("wamid.X",),
            f"/{NUMBER}/messages",
            {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X"},
        ),
        (
            "subscribe",
            ("https://us.example/callbacks/1", "t0ken"),
            f"/{ACCOUNT}/subscribed_apps",
            {"override_callback_uri": "https://us.example/callbacks/1", "verify_token": "t0ken"},
        ),
        (
            "subscribe_number",
            ("https://us.example/callbacks/1", "t0ken"),
            f"/{NUMBER}",
            {
                "webhook_configuration": {
                    "override_callback_uri": "https://us.example/callbacks/1",
                    "verify_token": "t0ken",
                }
            },
        ),
        ("request_code", ("SMS", "nl"), f"/{NUMBER}/request_code", {"code_method": "SMS", "language": "nl"}),
        ("request_code", ("VOICE",), f"/{NUMBER}/request_code", {"code_method": "VOICE", "language": "en_US"}),
        ("verify_code", ("123456",), f"/{NUMBER}/verify_code", {"code": "123456"}),
        ("register", ("654321",), f"/{NUMBER}/register", {"messaging_product": "whatsapp", "pin": "654321"}),
        ("deregister", (), f"/{NUMBER}/deregister", {}),
    ],
)
async def test_calls(
    carrier: Carrier,
    channel: WhatsApp,
    connection: Connection,
    name: str,
    arguments: tuple[str, ...],
    path: str,
    body: dict[str, Any],
) -> None:
    """Each call asks once, as the reference describes it."""
    carrier.will(SUCCESS)
    await getattr(channel, name)(connection, *arguments)
    (asked,) = carrier.asked
    assert (asked.method, asked.path, asked.json) == ("POST", f"/v26.0{path}", body)
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


async def test_callback_address_that_does_not_answer(
    carrier: Carrier, channel: WhatsApp, connection: Connection
) -> None:
    """The carrier verifies the address at once, and says so when it cannot."""
    carrier.will(error(2200, "(#2200) Callback verification failed: HTTP Status Code = 404"))
    with pytest.raises(ChannelRefused) as caught:
        await channel.subscribe(connection, "https://us.example/callbacks/1", "t0ken")
    assert caught.value.code == "callback_not_verified"
    assert "https" in caught.value.advice


async def test_account_that_is_not_known(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """The sentence names the id that was in the path, not another one."""
    carrier.will(error(100, "Unsupported post request.", error_subcode=33, type="GraphMethodException"))
    with pytest.raises(ChannelRefused) as caught:
        await channel.subscribe(connection, "https://us.example/callbacks/1", "t0ken")
    assert "business account id" in caught.value.message
    assert "business account id" in caught.value.advice


async def test_numbers_of_the_account(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """Every number of the business account, by its id; numbers are digits, however they are shown."""
    paging = {"cursors": {"after": "C1"}, "next": "https://elsewhere.example/"}
    carrier.will(
        answering({"data": [{"id": "1", "display_phone_number": "+1 555-010-0001"}], "paging": paging}),
        answering({"data": [{"id": "2", "display_phone_number": None}, {}]}),
    )
    assert await channel.list_numbers(connection) == {"1": "15550100001", "2": "", "": ""}
    assert carrier.asked[1].query == {"fields": "id,display_phone_number", "limit": "100", "after": "C1"}


# Templates


async def test_templates_page_by_page(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """All pages by their cursor; the address in `next`, which carries the token, is never called."""
    secret_next = "https://elsewhere.example/?access_token=x"
    carrier.will(
        answering(
            {"data": [{"name": "a"}, {"name": "b"}], "paging": {"cursors": {"after": "C1"}, "next": secret_next}}
        ),
        answering({"data": [{"name": "c"}, None], "paging": {"cursors": {"after": "C2"}}}),
    )
    assert [one["name"] for one in await channel.list_templates(connection)] == ["a", "b", "c"]
    assert [(asked.query["limit"], asked.query.get("after")) for asked in carrier.asked] == [
        ("100", None),
        ("100", "C1"),
    ]
    assert "quality_score" in carrier.asked[1].query["fields"], "what Meta tells only to those who ask"
    assert carrier.asked[0].path == f"/v26.0/{ACCOUNT}/message_templates"


async def test_a_large_page(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A page of many packets is read whole."""
    rows = [{"name": f"t{n}", "components": [{"type": "BODY", "text": "x" * 1000}]} for n in range(500)]
    carrier.will(answering({"data": rows}))
    assert len(await channel.list_templates(connection)) == 500


@pytest.mark.parametrize("page", [{"data": None}, {"data": {}}, {"paging": 5}, {"data": [], "paging": {"next": "x"}}])
async def test_pages_of_odd_shapes(
    carrier: Carrier, channel: WhatsApp, connection: Connection, page: dict[str, Any]
) -> None:
    """No rows, no cursor: an empty list, and no second question."""
    carrier.will(answering(page))
    assert await channel.list_templates(connection) == []
    assert len(carrier.asked) == 1


async def test_create_template(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A template goes as it is; the carrier's id and status come back."""
    template = {"name": "order_ready", "language": "en_US", "category": "UTILITY", "components": []}
    carrier.will(answering({"id": "1", "status": "PENDING", "category": "UTILITY"}))
    assert (await channel.create_template(connection, template))["status"] == "PENDING"
    assert carrier.asked[0].json == template
    carrier.will(error(2388019, "limit"))
    with pytest.raises(ChannelRefused) as caught:
        await channel.create_template(connection, template)
    assert caught.value.code == "template_limit"


async def test_a_refused_template_in_plain_words(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """What Meta says of a template by a subcode is told in our words, with its own behind them."""
    said = {"code": 100, "error_subcode": 2388024, "message": "Invalid parameter", "error_user_msg": "There is one."}
    carrier.will(answering({"error": said}, status=400))
    with pytest.raises(ChannelRefused) as caught:
        await channel.create_template(connection, {"name": "order_ready"})
    assert caught.value.code == "template_exists"
    assert "There is a template of this name" in caught.value.message
    assert "There is one" in caught.value.message


async def test_delete_template(carrier: Carrier, channel: WhatsApp, connection: Connection) -> None:
    """A template is deleted in one language, by its name and id."""
    carrier.will(answering({"success": True}))
    await channel.delete_template(connection, "order_ready", "4711")
    assert (carrier.asked[0].method, carrier.asked[0].path) == ("DELETE", f"/v26.0/{ACCOUNT}/message_templates")
    assert carrier.asked[0].query == {"name": "order_ready", "hsm_id": "4711"}
