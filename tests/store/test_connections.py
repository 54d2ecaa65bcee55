"""Connections, their holds and owners, senders and template holds, on every engine."""

import asyncio

import msgspec
import pytest

from heliograph.core.ids import new_id
from heliograph.store import connections, queues
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Database
from tests.store.conftest import Store
from tests.store.makers import NOON_MS, make_account, make_connection, make_message, new_sender, read, write


async def found(database: Database, row: ConnectionRow) -> ConnectionRow:
    kept = await database.read(lambda tx: connections.connection_by_id(tx, row.account_id, row.id))
    assert kept is not None
    return kept


async def test_put_connection(database: Database) -> None:
    """A number comes back as it was given, and is found by each of its names."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    row = await make_connection(database, account.id)
    same_number = await make_connection(database, other.id, app_mark=b"app two")
    assert bool(row.use_appsecret_proof) is True
    assert (row.sealed_secrets, row.app_mark) == (b"sealed\x00\xff", b"app one")
    assert isinstance(row.callback_uid, bytes)
    assert await found(database, row) == row
    read = database.read
    assert await read(lambda tx: connections.connection_by_id(tx, other.id, row.id)) is None
    assert await read(lambda tx: connections.connection_by_callback(tx, row.callback_uid)) == row
    assert await read(lambda tx: connections.connection_by_callback(tx, new_id())) is None
    assert await read(connections.all_connections) == [row, same_number]
    assert await read(lambda tx: connections.connections_of_account(tx, account.id)) == [row]
    assert await read(lambda tx: connections.connections_of_app(tx, "whatsapp", b"app one")) == [row]
    by_address = await read(lambda tx: connections.connections_at_address(tx, "whatsapp", row.address))
    assert {one.id for one in by_address} == {row.id, same_number.id}
    assert await read(lambda tx: connections.connections_at_address(tx, "smpp", row.address)) == []


async def test_put_again(database: Database) -> None:
    """The same number again keeps its id and callback address, takes the new credentials, and ends its hold."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    await database.write(lambda tx: connections.hold(tx, row.id, "number", "bad_token", "Mend it.", None))
    again = await make_connection(database, account.id, sealed_secrets=b"new", pace_per_s=1000)
    assert (again.id, again.callback_uid, again.verify_token) == (row.id, row.callback_uid, row.verify_token)
    assert (again.sealed_secrets, again.pace_per_s, again.hold_code) == (b"new", 1000, None)


async def test_set_pace(database: Database) -> None:
    """The pace of a number changes by its own account only."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    row = await make_connection(database, account.id)
    await database.write(lambda tx: connections.set_pace(tx, other.id, row.id, 5))
    assert (await found(database, row)).pace_per_s == 80
    await database.write(lambda tx: connections.set_pace(tx, account.id, row.id, 250))
    assert (await found(database, row)).pace_per_s == 250


async def test_facts_and_callbacks(database: Database) -> None:
    """What the carrier said is kept with its time; a callback's time only grows; another account changes nothing."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    row = await make_connection(database, account.id)
    assert (row.facts, row.facts_at_ms, row.verified_at_ms, row.heard_at_ms) == (None, None, None, None)
    for owner, facts in ((account, "{}"), (other, "stolen")):
        await write(database, connections.keep_facts, owner.id, row.id, facts, NOON_MS, "15550100099", 250)
        await write(database, connections.record_verified, owner.id, row.id, NOON_MS + owner.id)
        await write(database, connections.record_heard, owner.id, row.id, NOON_MS + owner.id)
    await write(database, connections.record_heard, account.id, row.id, NOON_MS - 5)
    kept = await found(database, row)
    assert (kept.facts, kept.facts_at_ms, kept.display_number, kept.pace_per_s) == ("{}", NOON_MS, "15550100099", 250)
    assert (kept.verified_at_ms, kept.heard_at_ms) == (NOON_MS + account.id, NOON_MS + account.id)


async def test_an_operators_hold(database: Database) -> None:
    """A hold that a person made is not replaced by the carrier's; it takes the place of any."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    for code in ("token_invalid", "operator_paused", "throttled"):
        await write(database, connections.hold, row.id, "number", code, "Why.", None)
    assert (await found(database, row)).hold_code == "operator_paused"
    assert await write(database, connections.release, account.id, row.id)


async def test_remove_connection(database: Database) -> None:
    """A number goes with its senders, those of others stay; what waits to leave through it is counted up to a bound."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    kept = await make_connection(database, account.id, address="2")
    for name, owner in (("One", row), ("Two", row), ("Kept", kept)):
        sender = new_sender(account.id, owner.id, name=name)
        await write(database, connections.add_sender, sender, name.casefold())
    for _ in range(3):
        await make_message(database, account.id, connection_id=row.id)
    claimed = await write(database, queues.claim_due, queues.SENDS, new_id(), NOON_MS + 1000, NOON_MS, 1)
    assert len(claimed) == 1
    assert await read(database, connections.count_waiting, account.id, row.id, 100) == 3
    assert await read(database, connections.count_waiting, account.id, row.id, 2) == 2
    assert await read(database, connections.count_waiting, account.id, kept.id, 100) == 0
    assert not await write(database, connections.remove_connection, account.id + 1, row.id)
    assert await write(database, connections.remove_connection, account.id, row.id)
    assert [one.id for one in await database.read(connections.all_connections)] == [kept.id]
    assert [one.name for one in await read(database, connections.senders_of_account, account.id)] == ["Kept"]


@pytest.mark.parametrize(("scope", "hit"), [("number", {"a"}), ("business_account", {"a", "b"}), ("app", {"a", "c"})])
async def test_hold(database: Database, scope: str, hit: set[str]) -> None:
    """A hold reaches as far as its scope in the account, and never into another."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    rows = {
        "a": await make_connection(database, account.id, address="a", business_account="b1", app_mark=b"m1"),
        "b": await make_connection(database, account.id, address="b", business_account="b1", app_mark=b"m2"),
        "c": await make_connection(database, account.id, address="c", business_account="b2", app_mark=b"m1"),
        "x": await make_connection(database, other.id, address="a", business_account="b1", app_mark=b"m1"),
    }
    changed = await database.write(lambda tx: connections.hold(tx, rows["a"].id, scope, "code", "Why.", None))
    assert changed == len(hit)
    held = {row.address for row in await database.read(connections.all_connections) if row.hold_code == "code"}
    assert held == hit
    assert (await found(database, rows["x"])).hold_code is None
    again = await database.write(lambda tx: connections.hold(tx, rows["a"].id, scope, "code", "Why.", None))
    assert again == 0, "the same hold once more changes nothing"


async def test_release(database: Database) -> None:
    """A hold is ended by its account, once."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    row = await make_connection(database, account.id)
    await database.write(lambda tx: connections.hold(tx, row.id, "number", "code", "Why.", NOON_MS + 1000))
    held = await found(database, row)
    assert (held.hold_code, held.hold_sentence, held.held_until_ms) == ("code", "Why.", NOON_MS + 1000)
    assert not await database.write(lambda tx: connections.release(tx, other.id, row.id))
    assert await database.write(lambda tx: connections.release(tx, account.id, row.id))
    assert not await database.write(lambda tx: connections.release(tx, account.id, row.id))
    assert await found(database, row) == row


async def test_release_lapsed_holds(database: Database) -> None:
    """Only holds whose time has come end by themselves."""
    account = await make_account(database)
    ends = {"soon": NOON_MS + 10, "late": NOON_MS + 20, "never": None}
    for address, until_ms in ends.items():
        row = await make_connection(database, account.id, address=address)
        await write(database, connections.hold, row.id, "number", "code", "Why.", until_ms)
    assert await database.write(lambda tx: connections.release_lapsed_holds(tx, NOON_MS + 10)) == 1
    held = {row.address for row in await database.read(connections.all_connections) if row.hold_code}
    assert held == {"late", "never"}


async def test_own_connections(database: Database) -> None:
    """A number has one owner at a time: it is taken when free or lapsed, kept while renewed, and given back."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    first, second = new_id(), new_id()

    async def own(owner: bytes, now_ms: int) -> list[int]:
        rows = await database.write(lambda tx: connections.own_connections(tx, owner, now_ms, now_ms + 100))
        return [one.id for one in rows]

    assert await own(first, NOON_MS) == [row.id]
    assert await own(second, NOON_MS + 50) == []
    assert await own(first, NOON_MS + 90) == [row.id], "renewed"
    assert await own(second, NOON_MS + 150) == [], "the renewed lease holds"
    assert await own(second, NOON_MS + 191) == [row.id], "lapsed"
    assert await own(first, NOON_MS + 200) == []
    await database.write(lambda tx: connections.disown_connections(tx, first))
    assert await own(first, NOON_MS + 210) == [], "who does not own cannot give back"
    await database.write(lambda tx: connections.disown_connections(tx, second))
    assert await own(first, NOON_MS + 220) == [row.id]


async def test_one_owner_of_many(store: Store) -> None:
    """Nodes that reach for the same numbers at once never both get one."""
    nodes = [await store.open() for _ in range(3)]
    account = await make_account(nodes[0])
    for address in range(12):
        await make_connection(nodes[0], account.id, address=str(address))
    taken = await asyncio.gather(
        *(write(node, connections.own_connections, new_id(), NOON_MS, NOON_MS + 9) for node in nodes)
    )
    ids = [row.id for rows in taken for row in rows]
    assert len(ids) == len(set(ids)) == 12


async def test_disown_others(database: Database) -> None:
    """The one who knows that all others are dead frees what they held, and keeps its own."""
    account = await make_account(database)
    dead, living = new_id(), new_id()
    mine = await make_connection(database, account.id, address="mine")
    await database.write(lambda tx: connections.own_connections(tx, living, NOON_MS, NOON_MS + 100))
    theirs = await make_connection(database, account.id, address="theirs")
    await database.write(lambda tx: connections.own_connections(tx, dead, NOON_MS, NOON_MS + 100))
    await database.write(lambda tx: connections.disown_connections_of_others(tx, living))
    third = new_id()
    taken = await database.write(lambda tx: connections.own_connections(tx, third, NOON_MS, NOON_MS + 100))
    assert [row.id for row in taken] == [theirs.id]
    assert mine.id != theirs.id


async def test_senders(database: Database) -> None:
    """A name is registered once in an account, in any spelling; another account may have it too."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    row = await make_connection(database, account.id)
    sender = new_sender(account.id, row.id)
    added = await database.write(lambda tx: connections.add_sender(tx, sender, "yourname"))
    assert added == sender
    assert await database.write(lambda tx: connections.add_sender(tx, sender, "yourname")) is None
    theirs = msgspec.structs.replace(sender, account_id=other.id)
    assert await database.write(lambda tx: connections.add_sender(tx, theirs, "yourname")) == theirs
    later = msgspec.structs.replace(sender, name="Demo", created_at_ms=NOON_MS + 1)
    await database.write(lambda tx: connections.add_sender(tx, later, "demo"))
    listed = await database.read(lambda tx: connections.senders_of_account(tx, account.id))
    assert [one.name for one in listed] == ["YourName", "Demo"]


async def test_change_and_remove_sender(database: Database) -> None:
    """A sender's window template and resend switch change; a removed one is gone; unknown ones are not changed."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    await database.write(lambda tx: connections.add_sender(tx, new_sender(account.id, row.id), "yourname"))

    async def change(name: str, template: tuple[str, str] | None, resend: bool) -> bool:
        return await database.write(
            lambda tx: connections.change_sender(tx, account.id, name, template, resend_unknown=resend)
        )

    assert await change("yourname", ("hello", "en_US"), resend=True)
    (sender,) = await database.read(lambda tx: connections.senders_of_account(tx, account.id))
    assert (sender.window_template_name, sender.window_template_language) == ("hello", "en_US")
    assert bool(sender.resend_unknown) is True
    assert await change("yourname", None, resend=False)
    (sender,) = await database.read(lambda tx: connections.senders_of_account(tx, account.id))
    assert sender == new_sender(account.id, row.id)
    assert not await change("nobody", None, resend=False)
    assert await database.write(lambda tx: connections.remove_sender(tx, account.id, "yourname"))
    assert not await database.write(lambda tx: connections.remove_sender(tx, account.id, "yourname"))
    assert await database.read(lambda tx: connections.senders_of_account(tx, account.id)) == []


async def test_connection_events(database: Database) -> None:
    """What a carrier says about a number is kept once however often it is said, and listed newest first."""
    account = await make_account(database)
    row = await make_connection(database, account.id)
    ids = sorted(new_id() for _ in range(3))
    for event_id in [*ids, ids[1]]:
        await write(
            database,
            connections.add_connection_event,
            row,
            event_id,
            NOON_MS + ids.index(event_id),
            "quality",
            f"Said {ids.index(event_id)}.",
            "{}",
        )
    listed = await database.read(lambda tx: connections.connection_events(tx, account.id, row.id, 2))
    assert [tuple(one) for one in listed] == [
        (NOON_MS + 2, "quality", "Said 2.", "{}"),
        (NOON_MS + 1, "quality", "Said 1.", "{}"),
    ]


async def test_template_holds(database: Database) -> None:
    """A template is held once, with the first reason, until it is released."""
    account = await make_account(database)
    for code in ("paused", "disabled"):
        await write(
            database, connections.hold_template, account.id, "2055", ("hello", "en"), NOON_MS, code, f"It is {code}."
        )
    await database.write(
        lambda tx: connections.hold_template(tx, account.id, "2055", ("hello", "nl"), NOON_MS, "paused", "So.")
    )
    held = await database.read(lambda tx: connections.template_holds(tx, account.id, "2055"))
    assert held == {("hello", "en"): ("paused", "It is paused."), ("hello", "nl"): ("paused", "So.")}
    await database.write(lambda tx: connections.release_template(tx, account.id, "2055", ("hello", "en")))
    assert list(await database.read(lambda tx: connections.template_holds(tx, account.id, "2055"))) == [("hello", "nl")]
    assert await database.read(lambda tx: connections.template_holds(tx, account.id, "2056")) == {}


async def test_release_of_template_holds(database: Database) -> None:
    """Template holds end with time, or all at once for one business account of one account."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    holds = {"old": NOON_MS - 1, "new": NOON_MS + 1}
    for account_id in (account.id, other.id):
        for name, since_ms in holds.items():
            await write(
                database, connections.hold_template, account_id, "2055", (name, "en"), since_ms, "paused", "So."
            )
    assert await database.write(lambda tx: connections.release_lapsed_template_holds(tx, NOON_MS)) == 2
    assert list(await database.read(lambda tx: connections.template_holds(tx, account.id, "2055"))) == [("new", "en")]
    assert await database.write(lambda tx: connections.release_templates(tx, account.id, "2056")) == 0
    assert await database.write(lambda tx: connections.release_templates(tx, account.id, "2055")) == 1
    assert await database.read(lambda tx: connections.template_holds(tx, account.id, "2055")) == {}
    assert list(await database.read(lambda tx: connections.template_holds(tx, other.id, "2055"))) == [("new", "en")]
