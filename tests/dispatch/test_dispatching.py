"""The dispatcher over real processes: retries, holds and their ends, lanes, pace and pairs, and how soon it wakes."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from heliograph.core.ids import now_ms
from heliograph.dispatch.dispatcher import TEMPLATE_HOLD_MS
from heliograph.runtime import open_runtime
from heliograph.store import connections
from tests.kit.house import BUSINESS_ACCOUNT_ID, Client, House, Tenant, open_house, run_command
from tests.kit.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    environ = {"send_timeout_s": "2", "connect_timeout_s": "2"}
    async with open_house(folder, "--throughput", "40", **environ) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(house: House) -> AsyncIterator[Client]:
    tenant = await house.open_account("Usual", "YourName", pace_per_s=38)
    async with Client(house, tenant) as opened:
        yield opened


async def account(house: House, number: int, **facts: Any) -> Tenant:
    """An account of its own on the emulator's number of that rank, so that its holds concern nobody else."""
    return await house.open_account(
        f"Number{number}", "YourName", phone_number_id=f"10000000000000{number}", pace_per_s=38, **facts
    )


async def steps(client: Client, uid: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.explain(uid))["steps"]
    return found


async def went(house: House, uid: str) -> int:
    return len([m for m in await house.carrier.messages() if f".{uid}." in (m["biz_opaque_callback_data"] or "")])


async def refused(house: House) -> dict[str, int]:
    async with aiohttp.ClientSession() as session, session.get(f"{house.carrier.url}/__emulator/stats") as answer:
        found: dict[str, int] = msgspec.json.decode(await answer.read())["refused"]
        return found


# Retries


@pytest.mark.parametrize(
    ("recipient", "code", "refusals"),
    [
        ("12025550134", "130429", 3),
        ("12025550135", "131056", 2),
        ("12025550136", "80007", 1),
        ("12025550164", None, 1),
    ],
)
async def test_tried_again(client: Client, house: House, recipient: str, code: str | None, refusals: int) -> None:
    """What the carrier only puts off is tried again by itself and arrives once; each refusal is in the evidence."""
    data = await client.send(recipient=recipient)
    await client.until(data["uid"], "Delivered", within_s=40)
    told = await steps(client, data["uid"])
    assert sum(1 for step in told if step["step"].startswith("answer") and step.get("code") != "accepted") == refusals
    if code is not None:
        assert [s["carrier_code"] for s in told if "carrier_code" in s and s["step"].startswith("answer")] == [
            code
        ] * refusals
    assert await went(house, data["uid"]) == 1


@pytest.mark.parametrize(
    ("recipient", "word"),
    [
        ("12025550150", "Delivered"),
        ("12025550151", "Unknown"),
        ("12025550152", "Delivered"),
        ("12025550153", "Unknown"),
        ("12025550154", "Delivered"),
        ("12025550155", "Unknown"),
        ("12025550156", "Delivered"),
        ("12025550160", "Unknown"),
        ("12025550161", "Unknown"),
        ("12025550162", "Unknown"),
        ("12025550163", "Unknown"),
    ],
)
async def test_no_clear_answer(client: Client, house: House, recipient: str, word: str) -> None:
    """Cut, timed out, 5xx or unreadable: unknown, settled by the report if one comes, and never sent a second time."""
    data = await client.send(recipient=recipient)
    await client.until(data["uid"], word)
    told = await steps(client, data["uid"])
    assert [step["step"] for step in told if step["step"].startswith("attempt")] == ["attempt 1"]
    assert await went(house, data["uid"]) == (1 if recipient < "12025550160" else 0)


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("12025550131", "not_on_whatsapp"),
        ("12025550132", "not_in_test_list"),
        ("12025550133", "invalid_parameter"),
        ("12025550146", "invalid_parameter"),
    ],
)
async def test_refused_for_good(client: Client, recipient: str, code: str) -> None:
    """A permanent refusal fails at the first attempt, with our word, a sentence and advice."""
    data = await client.send(recipient=recipient)
    found = await client.until(data["uid"], "Failed")
    assert (found["failure"]["code"], bool(found["failure"]["message"])) == (code, True)
    explained = await client.explain(data["uid"])
    assert explained["carrier"]["what_to_do"]
    assert explained["next_attempt"] is None


# Holds


async def is_held(house: House, tenant: Tenant) -> bool:
    async with open_runtime(house.settings) as runtime:
        rows = await runtime.database.read(lambda tx: connections.connections_of_account(tx, tenant.account_id))
    return any(row.hold_code is not None for row in rows)


async def listed(house: House, tenant: Tenant) -> dict[str, Any]:
    """The account's first sender as the command shows it."""
    account = ("--account", str(tenant.account_id), "--json")
    code, shown, complaint = await run_command(house.environ, "senders", "list", *account)
    assert code == 0, complaint
    found: dict[str, Any] = msgspec.json.decode(shown)[0]
    return found


async def resume(house: House, tenant: Tenant) -> str:
    code, shown, complaint = await run_command(
        house.environ, "senders", "resume", "YourName", "--account", str(tenant.account_id)
    )
    assert code == 0, complaint
    return shown


@pytest.mark.parametrize(("number", "code", "word"), [(2, 190, "token_invalid"), (3, 131031, "account_locked")])
async def test_a_hold(house: House, number: int, code: int, word: str) -> None:
    """A refusal that concerns every message holds the number: its messages wait, others go on, and resuming lets them leave."""
    tenant = await account(house, number)
    fault = {"effect": {"refuse": code}, "times": 1, "phone_number_id": f"10000000000000{number}"}
    await house.carrier.post("/__emulator/faults", fault)
    async with Client(house, tenant) as client:
        uids = [(await client.send(recipient=f"3165550001{n}"))["uid"] for n in range(5)]

        await eventually(lambda: is_held(house, tenant))
        hold = (await listed(house, tenant))["hold"]
        assert (hold["code"], bool(hold["sentence"])) == (word, True)
        assert [(await client.view(uid))["status"] for uid in uids].count("Queued") >= 1
        explained = await client.explain(uids[0])
        assert (explained["state"], explained["carrier"]["code"]) == ("queued", str(code))
        assert await resume(house, tenant) == "YourName sends again.\n"
        for uid in uids:
            await client.until(uid, "Delivered")
            assert await went(house, uid) == 1
        assert not await is_held(house, tenant)
        assert await resume(house, tenant) == "YourName did not stand still.\n"


async def test_a_hold_by_a_report(house: House) -> None:
    """A payment problem that comes as a report holds the number too; its message has failed, those after it wait."""
    tenant = await account(house, 4)
    async with Client(house, tenant) as client:
        failed = await client.send(recipient="12025550116")
        assert (await client.until(failed["uid"], "Failed"))["failure"]["code"] == "payment_issue"
        waiting = await client.send()

        await eventually(lambda: is_held(house, tenant))
        await resume(house, tenant)
        await client.until(waiting["uid"], "Delivered")


async def test_new_credentials_end_a_hold(house: House) -> None:
    """Adding the number again, with credentials that work, lets what waited leave."""
    tenant = await account(house, 5)
    fault = {"effect": {"refuse": 190}, "times": 1, "phone_number_id": "100000000000005"}
    await house.carrier.post("/__emulator/faults", fault)
    async with Client(house, tenant) as client:
        data = await client.send()

        await eventually(lambda: is_held(house, tenant))
        code, _, complaint = await run_command(
            house.environ,
            *("senders", "add", "Again", "--account", str(tenant.account_id), "--base-url", house.carrier.url),
            *("--phone-number-id", "100000000000005", "--business-account-id", BUSINESS_ACCOUNT_ID),
            *("--token", "EMULATOR-TOKEN-not-a-secret-0000000000", "--app-secret", "emulator-app-secret-not-a-secret"),
        )
        assert code == 0, complaint
        await client.until(data["uid"], "Delivered")


async def test_a_template_that_is_stopped(house: House) -> None:
    """A paused template fails without being tried again, other templates go; resuming or an hour's time tries it anew."""
    tenant = await account(house, 6)
    paused = {"name": "hello_world", "language": {"code": "en_US"}}
    async with Client(house, tenant) as client:
        first = await client.send(recipient="12025550147", template=paused)
        assert (await client.until(first["uid"], "Failed"))["failure"]["code"] == "template_paused"
        second = await client.send(recipient="31655500061", template=paused)
        assert (await client.until(second["uid"], "Failed"))["failure"]["code"] == "template_paused"
        assert await went(house, second["uid"]) == 0
        assert "attempt 1" not in [step["step"] for step in await steps(client, second["uid"])]
        text = await client.send(recipient="31655500061")
        await client.until(text["uid"], "Delivered")
        assert [one["template"] for one in (await listed(house, tenant))["held_templates"]] == ["hello_world:en_US"]
        assert await resume(house, tenant) == "YourName sends again.\n"
        third = await client.send(recipient="31655500061", template=paused)
        await client.until(third["uid"], "Delivered")

        async with open_runtime(house.settings) as runtime:
            old_ms = now_ms() - TEMPLATE_HOLD_MS
            await runtime.database.write(
                lambda tx: connections.hold_template(
                    tx, tenant.account_id, BUSINESS_ACCOUNT_ID, ("hello_world", "en_US"), old_ms, "paused", "It was."
                )
            )

        async def released() -> bool:
            business_account = BUSINESS_ACCOUNT_ID
            async with open_runtime(house.settings) as runtime:
                held = await runtime.database.read(
                    lambda tx: connections.template_holds(tx, tenant.account_id, business_account)
                )
            return held == {}

        await eventually(released)
        fourth = await client.send(recipient="31655500061", template=paused)
        await client.until(fourth["uid"], "Delivered")


# Lanes, pace and pairs


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_lanes_and_pace(house: House, client: Client) -> None:
    """A single message overtakes a large call; no second holds more than the number's pace, and nothing is refused for it."""
    before = (await refused(house)).get("130429", 0)
    data = await client.send(recipient=[f"3161300{n:04d}" for n in range(200)], message="bulk of 200")
    single = await client.send(recipient="31655500071", message="one among many")
    await client.until(single["uid"], "Sent", "Delivered")
    arrived = [m for m in await house.carrier.messages() if m["text"] == "bulk of 200"]
    assert len(arrived) < 200, "the single one did not wait for all the others"

    async def all_there() -> list[float]:
        found = [seconds(m["received_at"]) for m in await house.carrier.messages() if m["text"] == "bulk of 200"]
        return sorted(found) if len(found) == 200 else []

    moments = await eventually(all_there, within_s=30, every_s=0.2)
    busiest = max(sum(1 for at in moments[n:] if at < moments[n] + 1.0) for n in range(len(moments)))
    assert busiest <= 40
    assert moments[-1] - moments[0] < 25
    assert (await refused(house)).get("130429", 0) == before
    uids = {one["uid"] for one in data["messages"]}
    took = Counter((m["biz_opaque_callback_data"] or "...").split(".")[2] for m in await house.carrier.messages())
    assert {uid: took[uid] for uid in uids} == dict.fromkeys(uids, 1)


async def test_pairs(house: House, client: Client) -> None:
    """Fifty messages to one person: the burst leaves, the rest waits its turn without a refusal; another person is served."""
    before = (await refused(house)).get("131056", 0)
    uids = [(await client.send(recipient="31655500081", message=f"pair {n}"))["uid"] for n in range(50)]
    other = await client.send(recipient="31655500082")
    await client.until(other["uid"], "Delivered")

    async def burst() -> int:
        return len([m for m in await house.carrier.messages() if m["text"].startswith("pair ")]) >= 44

    await eventually(burst)
    states = Counter([(await client.explain(uid))["state"] for uid in uids])
    assert states["queued"] >= 4, states
    waiting = [uid for uid in uids if (await client.explain(uid))["state"] == "queued"]
    assert {(await client.explain(uid))["next_attempt"]["attempt"] for uid in waiting} == {1}
    assert (await refused(house)).get("131056", 0) == before
    for uid in waiting:
        await client.call("POST", f"/api/v3/sms/{uid}/cancel")


async def test_it_wakes_at_once(client: Client) -> None:
    """A message that is accepted begins to leave at once, not at the next look."""
    waits = []
    for n in range(8):
        data = await client.send(recipient=f"3165550009{n}")
        await client.until(data["uid"], "Sent", "Delivered")
        told = await steps(client, data["uid"])
        begun = next(step for step in told if step["step"] == "attempt 1")
        waits.append(seconds(begun["at"]) - seconds(data["created_at"]))
    assert min(waits) < 0.5, waits
