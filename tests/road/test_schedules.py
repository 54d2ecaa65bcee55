"""Scheduled messages: when they leave, across restarts, and how they are cancelled. Keys across restarts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from tests.kit.house import Client, House, Tenant, open_house
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


async def restart(house: House, *, api: bool = True, dispatcher: bool = True, down_s: float = 0.0) -> None:
    """End processes as an operator does, and start them again. Both have begun when this returns."""
    starts = house.dispatcher.log.read_text().count("dispatcher_started")
    programs = [program for program, wanted in ((house.api, api), (house.dispatcher, dispatcher)) if wanted]
    codes = await asyncio.gather(*(asyncio.to_thread(program.stop) for program in programs))
    assert set(codes) == {0}
    if down_s:
        await asyncio.sleep(down_s)
    for program in programs:
        program.start()
    await house.until_ready()

    async def begun() -> bool:
        return house.dispatcher.log.read_text().count("dispatcher_started") > starts or not dispatcher

    await eventually(begun)


def at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def left_at(client: Client, uid: str) -> datetime:
    steps = (await client.explain(uid))["steps"]
    attempts = [step["at"] for step in steps if step["step"].startswith("attempt")]
    assert len(attempts) == 1
    return datetime.fromisoformat(attempts[0])


async def arrivals(house: House, uids: set[str]) -> list[str]:
    took = [(m["biz_opaque_callback_data"] or "...").split(".")[2] for m in await house.carrier.messages()]
    return sorted(uid for uid in took if uid in uids)


# Reading the time


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2027-01-02 07:00", "2027-01-02T06:00:00Z"),
        ("2027-07-02 07:00", "2027-07-02T05:00:00Z"),
        ("2027-07-02 07:00:30", "2027-07-02T05:00:30Z"),
        ("2027-07-02T07:00", "2027-07-02T05:00:00Z"),
        ("2027-07-02T07:00:00Z", "2027-07-02T07:00:00Z"),
        ("2027-07-02T07:00:00+05:30", "2027-07-02T01:30:00Z"),
        ("2027-07-02T07:00:00-0800", "2027-07-02T15:00:00Z"),
        ("2027-03-28 02:30", "2027-03-28T01:30:00Z"),  # skipped: clocks go from 02:00 to 03:00
        ("2027-10-31 02:30", "2027-10-31T00:30:00Z"),  # twice: the first is meant
        ("2027-10-31 03:30", "2027-10-31T02:30:00Z"),
    ],
)
async def test_times(client: Client, given: str, meant: str) -> None:
    """Without an offset the account's zone counts, with its summer time; an offset fixes the instant."""
    data = await client.send(schedule_time=given)
    assert (data["schedule_time"], data["status"]) == (meant, "Queued")
    explained = await client.explain(data["uid"])
    assert (explained["state"], explained["next_attempt"]["at"]) == ("scheduled", meant)


@pytest.mark.parametrize(
    "given",
    [
        "2020-01-02 07:00",
        at(datetime.now(UTC) - timedelta(minutes=2)),
        at(datetime.now(UTC) + timedelta(days=400)),
        "2027-02-30 07:00",
        "2027-01-02 25:00",
        "02-01-2027 07:00",
        "2027-01-02",
        "1795000000",
        1795000000,
    ],
)
async def test_times_that_are_refused(client: Client, given: Any) -> None:
    """The past, the far future, and what is no time: 422 with a sentence, and nothing is stored."""
    fields = {"recipient": "31612345678", "sender_id": "YourName", "message": "x", "schedule_time": given}
    status, body, _ = await client.call("POST", "/api/v3/sms/send", fields)
    assert (status, list(body["errors"])) == (422, ["schedule_time"])


@pytest.mark.parametrize("nothing", [None, "", " "])
async def test_no_time(client: Client, nothing: str | None) -> None:
    """null and an empty text mean now."""
    data = await client.send(schedule_time=nothing)
    assert data["schedule_time"] is None
    await client.until(data["uid"], "Delivered")


# Restarts


async def test_schedules_survive_restarts(client: Client, house: House) -> None:
    """Restarted twice before its time, a message leaves within a second of it, once; what fell due meanwhile leaves at once."""
    now = datetime.now(UTC).replace(microsecond=0)
    missed = await client.send(schedule_time=at(now + timedelta(seconds=2)))
    coming = await client.send(schedule_time=at(now + timedelta(seconds=9)))
    await restart(house)
    await restart(house, down_s=max(0.0, 2.5 - (datetime.now(UTC) - now).total_seconds()))
    back = datetime.now(UTC)
    assert back < now + timedelta(seconds=8)
    await client.until(missed["uid"], "Delivered", "Sent")
    assert (await left_at(client, missed["uid"])) < back + timedelta(seconds=2)
    assert (await client.view(coming["uid"]))["status"] == "Queued"
    await client.until(coming["uid"], "Delivered", "Sent")
    late_s = (await left_at(client, coming["uid"]) - (now + timedelta(seconds=9))).total_seconds()
    assert 0 <= late_s < 1
    uids = {missed["uid"], coming["uid"]}
    assert await arrivals(house, uids) == sorted(uids)


async def test_many_at_the_same_second(client: Client, house: House) -> None:
    """Three hundred messages of one second begin in that second and are all there, once."""
    due = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    data = await client.send(recipient=[f"3161200{n:04d}" for n in range(300)], schedule_time=at(due))
    uids = {one["uid"] for one in data["messages"]}
    first = data["messages"][0]["uid"]
    await client.until(first, "Delivered", "Sent")
    for uid in uids:
        await client.until(uid, "Delivered", "Sent")
    assert await arrivals(house, uids) == sorted(uids)
    moments = [await left_at(client, uid) for uid in uids]
    assert 0 <= (min(moments) - due).total_seconds() < 1


async def test_cancelled_stays_cancelled(client: Client, house: House) -> None:
    """What was cancelled does not leave after a restart, though its time comes."""
    due = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
    gone = await client.send(schedule_time=at(due))
    marker = await client.send(schedule_time=at(due + timedelta(seconds=1)))
    status, body, _ = await client.call("POST", f"/api/v3/sms/{gone['uid']}/cancel")
    assert (status, body["data"]["result"]) == (200, "cancelled")
    await restart(house)
    await client.until(marker["uid"], "Delivered")
    assert (await client.view(gone["uid"]))["status"] == "Cancelled"
    assert await arrivals(house, {gone["uid"]}) == []


async def test_cancelling_against_the_clock(client: Client, house: House) -> None:
    """Cancelled thrice at once, just as it falls due: all say `cancelled` and it never leaves, or all say `too late`."""
    due = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    uids = [(await client.send(schedule_time=at(due)))["uid"] for _ in range(40)]

    async def cancel(uid: str, after_s: float) -> int:
        await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds() + after_s))
        return (await client.call("POST", f"/api/v3/sms/{uid}/cancel"))[0]

    answers = await asyncio.gather(*(cancel(uid, (n % 20 - 10) / 100) for n, uid in enumerate(uids) for _ in range(3)))
    by_uid = {uid: set(answers[3 * n : 3 * n + 3]) for n, uid in enumerate(uids)}
    assert set(map(frozenset, by_uid.values())) <= {frozenset({200}), frozenset({409})}
    cancelled = {uid for uid, found in by_uid.items() if found == {200}}
    for uid in uids:
        await client.until(uid, *(("Cancelled",) if uid in cancelled else ("Delivered",)))
    assert await arrivals(house, set(uids)) == sorted(set(uids) - cancelled)


# Keys


async def test_keys_survive_restarts(client: Client, house: House) -> None:
    """After a restart the same key still gets the same answer, and nothing is sent twice."""
    headers = {"Idempotency-Key": "over-a-restart"}
    fields = {"recipient": "31612345678", "sender_id": "YourName", "message": "only once"}
    _, first, _ = await client.call("POST", "/api/v3/sms/send", fields, headers=headers)
    await restart(house)
    status, again, told = await client.call("POST", "/api/v3/sms/send", fields, headers=headers)
    assert (status, again, told["idempotent-replayed"]) == (200, first, "true")
    status, other, _ = await client.call("POST", "/api/v3/sms/send", {**fields, "message": "x"}, headers=headers)
    assert (status, other["code"]) == (422, "idempotency_key_reused")
    await client.until(first["data"]["uid"], "Delivered")
    assert len([m for m in await house.carrier.messages() if m["text"] == "only once"]) == 1


async def test_different_requests_race_for_a_key(client: Client, house: House) -> None:
    """Of different requests with one key at the same moment one is done; the others are refused, its own kind repeated."""
    headers = {"Idempotency-Key": "contested"}

    async def send(n: int) -> tuple[int, dict[str, Any]]:
        fields = {"recipient": "31612345678", "sender_id": "YourName", "message": f"contested {n % 4}"}
        status, body, _ = await client.call("POST", "/api/v3/sms/send", fields, headers=headers)
        return status, body

    answers = await asyncio.gather(*(send(n) for n in range(20)))
    done = [body["data"]["uid"] for status, body in answers if status == 200]
    refused = [body["code"] for status, body in answers if status != 200]
    assert (len(done), set(done).__len__()) == (5, 1)
    assert refused == ["idempotency_key_reused"] * 15
    await client.until(done[0], "Delivered")
    assert len([m for m in await house.carrier.messages() if "contested" in m["text"]]) == 1


async def test_a_key_belongs_to_its_address(client: Client, tenant: Tenant) -> None:
    """The token's place does not matter to a key, but the address does."""
    headers = {"Idempotency-Key": "address"}
    fields = {"recipient": "31612345678", "sender_id": "YourName", "message": "x", "schedule_time": "2027-01-02 07:00"}
    status, first, _ = await client.call("POST", "/api/http/sms/send", fields, headers=headers)
    assert status == 200
    without = {**headers, "Authorization": ""}
    in_body = {**fields, "api_token": tenant.token}
    status, again, _ = await client.call("POST", "/api/http/sms/send", in_body, headers=without)
    assert (status, again) == (200, first)
    status, _, _ = await client.call("POST", "/api/v3/sms/send", fields, headers=headers)
    assert status == 422
