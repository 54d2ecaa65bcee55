"""Faults that are switched on for any recipient."""

from typing import Any

import pytest

from heliograph.emulators.cloud_api.graph_errors import KNOWN
from tests.emulators.kit import NUMBER, PERSON, Client, Receiver

TEXT = {"to": f"+{PERSON}", "type": "text", "text": {"body": "x"}}


@pytest.mark.parametrize("code", sorted(KNOWN))
async def test_every_code_at_once(client: Client, code: int) -> None:
    """Every code of the error table can be provoked as an answer, with its HTTP status and its title, once."""
    await client.control("POST", "faults", {"effect": {"refuse": code}, "times": 1})
    status, body = await client.post(TEXT)
    error = body["error"]
    assert (status, error["code"]) == (KNOWN[code].http_status, code)
    assert error["message"].endswith(KNOWN[code].title)
    await client.send()


async def test_every_code_later(client: Client, receiver: Receiver) -> None:
    """Every code can be provoked as a failed status."""
    await client.subscribe(receiver)
    codes = {}
    for code in sorted(KNOWN):
        fault = {"effect": {"statuses": [{"word": "failed", "code": code}]}, "times": 1}
        await client.control("POST", "faults", fault)
        codes[await client.send(to=f"3161{code:07d}")] = code
    await receiver.until(lambda: len({status["id"] for status in receiver.statuses()}) == len(codes))
    assert {status["id"]: status["errors"][0]["code"] for status in receiver.statuses()} == codes


async def test_how_often(client: Client) -> None:
    """`times` ends a fault, `every` spares sends in between, in the order of the sends."""
    await client.control("POST", "faults", {"effect": {"refuse": 131000}, "every": 3, "times": 2})
    seen = [(await client.post(TEXT))[0] for _ in range(9)]
    assert seen == [200, 200, 500, 200, 200, 500, 200, 200, 200]
    assert await client.control("GET", "faults") == {"faults": []}


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({"to": "316"}, True),
        ({"to": "49"}, False),
        ({"type": "text"}, True),
        ({"type": "image"}, False),
        ({"phone_number_id": NUMBER}, True),
        ({"phone_number_id": "1"}, False),
        ({"chance": 0.0}, False),
    ],
)
async def test_whom(client: Client, match: dict[str, Any], hits: bool) -> None:
    """A fault hits only the sends that it names."""
    await client.control("POST", "faults", {"effect": {"refuse": 131000}, **match})
    assert (await client.post(TEXT))[0] == (500 if hits else 200)


async def test_chance(client: Client) -> None:
    """A fault by chance hits about as often as it says."""
    await client.control("POST", "faults", {"effect": {"refuse": 131000}, "chance": 0.5})
    seen = [(await client.post({**TEXT, "to": f"+3161{n:07d}"}))[0] for n in range(200)]
    assert 60 < seen.count(500) < 140


async def test_order_and_removal(client: Client) -> None:
    """The oldest that fits wins, over the table of recipients too; removed by id or all."""
    made = await client.control("POST", "faults", [{"effect": {"refuse": 131000}}, {"effect": {"refuse": 4}}])
    first, second = (fault["id"] for fault in made["faults"])
    magic = {**TEXT, "to": "+12025550131"}
    assert (await client.refused(magic))["code"] == 131000
    assert await client.control("DELETE", f"faults?id={first}") == {"removed": 1}
    assert (await client.refused(magic))["code"] == 4
    assert [fault["id"] for fault in (await client.control("GET", "faults"))["faults"]] == [second]
    assert await client.control("DELETE", "faults") == {"removed": 1}
    assert (await client.refused(magic))["code"] == 131026


async def test_shape_is_checked(client: Client) -> None:
    """A fault with a misspelt or impossible part is refused, and none is switched on."""
    for wrong in (
        {"effect": {"refuze": 1}},
        {"effect": {"instead": "boom"}},
        {"effect": {"statuses": [{"word": "x"}]}},
        {},
    ):
        async with client.session.post(f"{client.url}/__emulator/faults", json=wrong) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]
    assert await client.control("GET", "faults") == {"faults": []}


async def test_own_statuses(client: Client, receiver: Receiver) -> None:
    """Statuses can be written out: which, when, how often, together, with what person."""
    await client.subscribe(receiver)
    steps = [{"word": "read", "after_s": 0.05}, {"word": "sent", "after_s": 0.0}]
    effect = {"statuses": steps, "copies": 2, "hide_number": True, "wait_s": 0.05, "other_wa_id": True}
    await client.control("POST", "faults", {"effect": effect})
    _, body = await client.post(TEXT)
    assert body["contacts"][0]["wa_id"] != PERSON
    wamid = body["messages"][0]["id"]
    await receiver.until(lambda: len(receiver.words(wamid)) == 4)
    assert sorted(receiver.words(wamid)) == ["read", "read", "sent", "sent"]


async def test_unknown_control(client: Client) -> None:
    """A door that does not exist says which do."""
    async with client.session.get(f"{client.url}/__emulator/nonsense") as answer:
        assert answer.status == 404
        assert "POST /__emulator/say" in (await answer.json())["known"]


async def test_reset(client: Client, receiver: Receiver) -> None:
    """A reset forgets messages, faults and limits, and keeps the subscription."""
    await client.subscribe(receiver)
    for _ in range(45):
        await client.send()
    await client.control("POST", "faults", {"effect": {"refuse": 131000}})
    await client.control("POST", "reset", {})
    assert await client.messages() == []
    assert (await client.control("GET", "stats"))["accepted"] == 0
    wamid = await client.send()
    await receiver.until_word(wamid, "delivered")
