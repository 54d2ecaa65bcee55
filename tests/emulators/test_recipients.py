"""Each recipient of the table does what its row says; the table is the same in the help and in the manual."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from heliograph.emulators.cli import emulator
from heliograph.emulators.cloud_api.effects import RECIPIENTS, Recipient, render_markdown, render_table
from tests.emulators.kit import Client, Receiver, emulating

MANUAL = Path(__file__).parents[2] / "docs" / "emulator.md"
TEMPLATE = {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}


def by_last(last: int) -> Recipient:
    return next(one for one in RECIPIENTS if one.last == last)


def number(last: int) -> str:
    return f"120255501{last:02d}"


def test_table_in_manual_and_help() -> None:
    """docs/emulator.md and --help hold the table that the server obeys."""
    assert render_markdown() in MANUAL.read_text()
    shown = CliRunner().invoke(emulator, ["cloud-api", "--help"]).output
    for line in render_table().splitlines():
        assert line in shown


def test_table_is_sound() -> None:
    """No number twice, every row says something of its own, and all are in the range reserved for fiction."""
    assert len({one.last for one in RECIPIENTS}) == len(RECIPIENTS) == len({one.what for one in RECIPIENTS})
    assert all(one.digits.startswith("120255501") and len(one.digits) == 11 for one in RECIPIENTS)


STATUS_ROWS = [
    one
    for one in RECIPIENTS
    if not (
        one.effect.refuse is not None
        or one.effect.instead
        or one.effect.afterwards
        or one.effect.wait_s
        or one.effect.reply
    )
]
EXPECTED: dict[int, list[str]] = {
    1: ["delivered", "read", "sent"],
    2: ["read", "sent"],
    3: ["sent"],
    4: [],
    6: ["delivered"] * 3 + ["sent"] * 3,
    7: ["delivered", "read", "sent"],
    8: ["delivered", "read", "sent"],
    20: ["failed", "sent"],
}


@pytest.mark.parametrize("row", STATUS_ROWS, ids=lambda row: f"{row.last:02d}")
async def test_statuses(client: Client, receiver: Receiver, row: Recipient) -> None:
    """The row's statuses come, no others, each as often as it says; failures carry the row's code."""
    await client.subscribe(receiver)
    wamid = await client.send(to=row.digits, biz_opaque_callback_data="ref")
    usual = ["failed"] if row.what.startswith("failed") else ["delivered", "sent"]
    expected = EXPECTED.get(row.last, usual)
    if expected:
        await receiver.until(lambda: len(receiver.words(wamid)) >= len(expected))
    # A person who is known to be delivered to comes after everything that was planned before.
    other = await client.send(to="12025550100")
    await receiver.until(lambda: len(receiver.words(other)) == 2)
    assert sorted(receiver.words(wamid)) == expected
    for status in receiver.statuses(wamid):
        if status["status"] == "failed":
            assert status["errors"][0]["code"] == int(
                next(word for word in row.what.replace(":", "").split() if word.isdecimal())
            )
            assert "type" not in status["errors"][0]
    assert [line["to"] for line in await client.messages()] == [row.digits, "12025550100"]


async def test_disordered(client: Client, receiver: Receiver) -> None:
    """07: read, delivered, sent arrive in that order."""
    await client.subscribe(receiver)
    wamid = await client.send(to=number(7))
    await receiver.until(lambda: len(receiver.words(wamid)) == 3)
    assert receiver.words(wamid) == ["read", "delivered", "sent"]


async def test_together(client: Client, receiver: Receiver) -> None:
    """08: three entries in one callback, out of order."""
    await client.subscribe(receiver)
    wamid = await client.send(to=number(8))
    await receiver.until(lambda: len(receiver.words(wamid)) == 3)
    assert receiver.words(wamid) == ["read", "sent", "delivered"]
    assert len(receiver.bodies) == 1


async def test_late(client: Client, receiver: Receiver) -> None:
    """05: `delivered` comes after the time that --late-after gives."""
    await client.subscribe(receiver)
    wamid = await client.send(to=number(5))
    await receiver.until(lambda: receiver.words(wamid) == ["sent"])
    assert (await client.control("GET", "stats"))["callbacks"]["updates_waiting"] == 1
    await receiver.until(lambda: len(receiver.words(wamid)) == 2)


async def test_status_before_the_answer(client: Client, receiver: Receiver) -> None:
    """09: when the answer arrives, `sent` was called back already."""
    await client.subscribe(receiver)
    wamid = await client.send(to=number(9))
    assert receiver.words(wamid) == ["sent"]


async def test_bare_error_and_no_reference(client: Client, receiver: Receiver) -> None:
    """21 has code and title only; 22 leaves the reference out; 10 has everything that Meta sends."""
    await client.subscribe(receiver)
    found: dict[int, dict[str, Any]] = {}
    for last in (10, 21, 22):
        wamid = await client.send(to=number(last), biz_opaque_callback_data="ref")
        await receiver.until_word(wamid, "failed")
        found[last] = receiver.statuses(wamid)[0]
    assert set(found[10]["errors"][0]) == {"code", "title", "message", "error_data", "href"}
    assert set(found[21]["errors"][0]) == {"code", "title"}
    assert "biz_opaque_callback_data" in found[10]
    assert "biz_opaque_callback_data" not in found[22]
    assert "recipient_user_id" not in found[10]


async def test_hidden_number(client: Client, receiver: Receiver) -> None:
    """91: nothing in the statuses tells the number."""
    await client.subscribe(receiver)
    wamid = await client.send(to=number(91))
    await receiver.until(lambda: len(receiver.words(wamid)) == 2)
    assert all("recipient_id" not in status and status["recipient_user_id"] for status in receiver.statuses(wamid))
    assert all("wa_id" not in change["value"]["contacts"][0] for change in receiver.changes())


REFUSED = [one for one in RECIPIENTS if one.effect.refuse is not None]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row.last:02d}")
async def test_refusals(client: Client, row: Recipient) -> None:
    """A refused send leaves nothing at the carrier; one that is refused a few times is taken then."""
    wanted = {"to": f"+{row.digits}", "type": "text", "text": {"body": "x"}}
    for _ in range(row.effect.first or 3):
        error = await client.refused(wanted)
        assert error["code"] == row.effect.refuse
        assert str(row.effect.refuse) in row.what
    assert await client.messages() == []
    if row.effect.first:
        await client.send(to=row.digits)
        assert (await client.refused(wanted))["code"] == row.effect.refuse


@pytest.mark.parametrize("last", [11, 30])
async def test_closed_window(client: Client, receiver: Receiver, last: int) -> None:
    """Templates reach a person whose window is closed; once the person has written, texts do too."""
    await client.subscribe(receiver)
    _, body = await client.post({"to": f"+{number(last)}", **TEMPLATE})
    wamid = body["messages"][0]["id"]
    await receiver.until(lambda: "delivered" in receiver.words(wamid))
    await client.control("POST", "say", {"from": number(last)})
    wamid = await client.send(to=number(last))
    await receiver.until(lambda: "delivered" in receiver.words(wamid))


BROKEN = [one for one in RECIPIENTS if one.effect.instead or one.effect.afterwards]


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: f"{row.last:02d}")
async def test_broken_answers(receiver: Receiver, row: Recipient) -> None:
    """The answer is broken as the row says; whether the message was accepted shows at the ledger and by its statuses."""
    how = row.effect.instead or row.effect.afterwards
    async with emulating(hang_s=0.3) as client:
        await client.subscribe(receiver)
        seen = await break_off(client, row.digits)
        assert seen == SEEN[how]
        accepted = await client.messages()
        assert len(accepted) == (1 if row.effect.afterwards else 0)
        if row.effect.first:
            await client.send(to=row.digits)
        elif row.effect.afterwards and row.effect.statuses is None:
            await receiver.until(lambda: "delivered" in receiver.words(accepted[0]["id"]))
        else:
            other = await client.send(to="12025550100")
            await receiver.until(lambda: len(receiver.words(other)) == 2)
            assert {status["id"] for status in receiver.statuses()} == {other}


SEEN = {
    "cut": "cut",
    "hang": "cut",  # once the emulator has held it for long enough
    "html_500": (500, "text/html", "<!DOCTYPE"),
    "html_502": (502, "text/html", "<!DOCTYPE"),
    "empty_503": (503, "application/octet-stream", ""),
    "gateway_429": (429, "application/octet-stream", ""),
    "garbled_200": (200, "application/json", '{"messagi'),
}


async def break_off(client: Client, to: str) -> Any:
    """Status, type and beginning of the answer, or `cut`."""
    wanted = {"messaging_product": "whatsapp", "to": f"+{to}", "type": "text", "text": {"body": "x"}}
    headers = {"Authorization": f"Bearer {client.token}"}
    # A session of its own: a client may repeat a call on a kept connection that breaks, and this counts calls.
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(
                f"{client.url}/v26.0/100000000000001/messages", json=wanted, headers=headers
            ) as answer:
                return answer.status, answer.content_type, (await answer.text())[:9]
        except aiohttp.ServerDisconnectedError:
            return "cut"
        except aiohttp.ClientOSError:
            return "cut"


async def test_slow_answer(client: Client) -> None:
    """57: the answer takes three seconds, and is a good one."""
    began = asyncio.get_running_loop().time()
    await client.send(to=number(57))
    assert asyncio.get_running_loop().time() - began >= 3.0


REPLYING = [one for one in RECIPIENTS if one.effect.reply]
TYPES = {
    "stop": "text",
    "no_number": "text",
    "changed_number": "system",
}


@pytest.mark.parametrize("row", REPLYING, ids=lambda row: f"{row.last:02d}")
async def test_replies(client: Client, receiver: Receiver, row: Recipient) -> None:
    """The message is delivered, and the person answers as the row says, quoting it."""
    await client.subscribe(receiver)
    wamid = await client.send(to=row.digits)
    if row.effect.reply == "opt_out":
        await receiver.until(lambda: [one for one in receiver.changes() if one["field"] == "user_preferences"])
        (change,) = [one for one in receiver.changes() if one["field"] == "user_preferences"]
        (preference,) = change["value"]["user_preferences"]
        assert (preference["wa_id"], preference["value"], preference["category"]) == (
            row.digits,
            "stop",
            "marketing_messages",
        )
        assert isinstance(preference["timestamp"], int)
        return
    await receiver.until(receiver.inbound)
    (message,) = receiver.inbound()
    assert message["type"] == TYPES.get(row.effect.reply, row.effect.reply)
    assert message["from_user_id"]
    assert ("from" in message) == (row.effect.reply != "no_number")
    if row.effect.reply == "stop":
        assert message["text"] == {"body": "STOP"}
    if row.effect.reply == "reaction":
        assert message["reaction"]["message_id"] == wamid
    else:
        assert message["context"] == {"from": "15550100001", "id": wamid}
    assert "delivered" in receiver.words(wamid)


def test_rows_are_all_tried() -> None:
    """Every row of the table is in one of the tests above."""
    tried = {*STATUS_ROWS, *REFUSED, *BROKEN, *REPLYING, by_last(57)}
    assert tried == set(RECIPIENTS)
