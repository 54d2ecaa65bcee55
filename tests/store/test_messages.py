"""Messages: storing, numbering, states that only move forward, evidence and lists, on every engine."""

import asyncio

import pytest

from heliograph.core.ids import new_id
from heliograph.core.statuses import RANK, State
from heliograph.store import messages, sends
from heliograph.store.engine import Database, Tx, statement
from heliograph.store.messages import Event, Filters, Message, NewMessage
from tests.store.conftest import Store
from tests.store.makers import (
    NOON_MS,
    count,
    make_account,
    make_message,
    make_messages,
    new_inbound,
    new_message,
    read,
    write,
)


async def found(database: Database, made: NewMessage) -> Message:
    row = await database.read(lambda tx: messages.message_by_id(tx, made.account_id, made.id))
    assert row is not None
    return row


async def move(database: Database, made: NewMessage, state: State, failure: tuple[str, str] | None = None) -> bool:
    return await database.write(
        lambda tx: messages.move_message(tx, made.account_id, made.id, state, NOON_MS + 5, failure)
    )


async def test_evidence_in_order(database: Database) -> None:
    """Statuses tell whole seconds: they follow the answer of the same second, and one another by their rank."""
    made = await make_message(database, (await make_account(database)).id)
    second_ms = NOON_MS - NOON_MS % 1000
    told = [("read", 1000), ("delivered", 0), ("sent", 0), ("answer 1", 400), ("attempt 1", 300)]
    events = [
        Event(account_id=made.account_id, message_id=made.id, name=name, at_ms=second_ms + after_ms, source="carrier")
        for name, after_ms in told
    ]
    await database.write(lambda tx: messages.add_events(tx, events))
    kept = await database.read(lambda tx: messages.events_of_message(tx, made.account_id, made.id))
    assert [event.name for event in kept] == ["attempt 1", "answer 1", "sent", "delivered", "read"]


async def test_add_and_find(database: Database) -> None:
    """Every field of a message comes back as it was given, and only to its own account."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    made = await make_message(
        database,
        account.id,
        text='Zwölf Boxkämpfer 🥊 \n "quoted"; \\ ',
        person_user_id="NL.1",
        media_url="https://example.org/a.png",
        template='{"name": "hello"}',
        details='{"a": 1}',
        segments=3,
        cost="1.25",
        schedule_at_ms=NOON_MS + 60_000,
        carrier_message_id="wamid.1",
    )
    row = await found(database, made)
    for field in set(NewMessage.__struct_fields__) - {"due_at_ms", "lane"}:
        assert getattr(row, field) == getattr(made, field), field
    assert (row.seq, row.failure_code, row.failure_sentence, row.updated_at_ms) == (1, None, None, NOON_MS)
    assert await read(database, messages.message_by_id, other.id, made.id) is None
    assert await read(database, messages.message_by_carrier_id, account.id, "wamid.1") == row
    assert await read(database, messages.message_by_carrier_id, other.id, "wamid.1") is None
    assert await read(database, messages.message_by_carrier_id, account.id, "wamid.2") is None


async def test_owed_sends(database: Database) -> None:
    """Outgoing messages are owed to dispatch in the same transaction; incoming ones are not."""
    account = await make_account(database)
    await make_messages(database, [new_message(account.id), new_inbound(account.id), new_message(account.id, lane=1)])
    assert await count(database, "send_due") == 2
    assert await count(database, "message") == 3


async def test_many_at_once(database: Database) -> None:
    """Three thousand messages of two accounts in one transaction are numbered in the order given, per account."""
    first, second = await make_account(database), await make_account(database, "Bolt")
    made = [new_message(first.id if place % 3 else second.id) for place in range(3000)]
    await make_messages(database, made)
    for account, expected in ((first, 2000), (second, 1000)):
        assert await read(database, messages.last_seq, account.id) == expected
        page = await read(database, messages.page_by_seq, account.id, 10_000, 10_000)
        assert [row.id for row in page[::-1]] == [one.id for one in made if one.account_id == account.id]
        assert [row.seq for row in page[::-1]] == list(range(1, expected + 1))


async def test_no_messages(database: Database) -> None:
    """Nothing to store is no error, and an account without messages has none."""
    account = await make_account(database)
    await make_messages(database, [])
    assert await database.read(lambda tx: messages.last_seq(tx, account.id)) == 0
    assert await database.read(lambda tx: messages.page_by_seq(tx, account.id, 10, 10)) == []


async def test_no_gaps_under_concurrency(store: Store) -> None:
    """Writers of several nodes, some of which fail, leave numbers without gap or repetition."""
    nodes = [await store.open() for _ in range(3)]
    accounts = [await make_account(nodes[0], name) for name in ("Acme", "Bolt")]

    async def add(place: int) -> None:
        made = [new_message(accounts[(place + step) % 2].id) for step in range(1 + place % 4)]

        async def work(tx: Tx) -> None:
            await messages.add_messages(tx, made)
            if place % 5 == 0:
                raise ZeroDivisionError

        await nodes[place % 3].write(work)

    results = await asyncio.gather(*(add(place) for place in range(60)), return_exceptions=True)
    assert [type(result) for result in results] == [
        ZeroDivisionError if place % 5 == 0 else type(None) for place in range(60)
    ]
    stored = 0
    for account in accounts:
        newest = await read(nodes[0], messages.last_seq, account.id)
        page = await read(nodes[1], messages.page_by_seq, account.id, newest, 1000)
        assert [row.seq for row in page] == list(range(newest, 0, -1))
        stored += len(page)
    assert stored == await count(nodes[2], "message")


@pytest.mark.parametrize("old", sorted(RANK))
@pytest.mark.parametrize("new", sorted(RANK))
async def test_forward_only(database: Database, old: State, new: State) -> None:
    """A state replaces another only where it ranks higher: late news undoes nothing."""
    account = await make_account(database)
    failure = ("old_code", "Old reason.") if old == State.FAILED else None
    made = await make_message(database, account.id)
    if RANK[old]:
        assert await move(database, made, old, failure)
    before = await found(database, made)
    moved = await move(database, made, new, ("code", "Reason.") if new == State.FAILED else None)
    assert moved == (RANK[new] > RANK[old])
    after = await found(database, made)
    if moved:
        assert after.state == new
        assert after.failure_code == ("code" if new == State.FAILED else None)
    else:
        assert after == before


async def test_failed_needs_a_reason(database: Database) -> None:
    """The database itself refuses a failure without a reason; the message stays as it was."""
    account = await make_account(database)
    made = await make_message(database, account.id)
    with pytest.raises(Exception, match="failed_message_has_a_reason"):
        await move(database, made, State.FAILED)
    assert (await found(database, made)).state == State.QUEUED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.QUEUED, State.SENT),
        (State.UNKNOWN, State.SENT),
        (State.SENT, State.SENT),
        (State.FAILED, State.FAILED),
        (State.DELIVERED, State.DELIVERED),
        (State.READ, State.READ),
    ],
)
async def test_record_sent(database: Database, before: State, after: State) -> None:
    """The carrier's id is always kept; the state becomes `sent` unless more is known already."""
    account = await make_account(database)
    made = await make_message(database, account.id)
    bystander = await make_message(database, account.id)
    if before != State.QUEUED:
        await move(database, made, before, ("code", "Reason.") if before in {State.FAILED, State.UNKNOWN} else None)
    await database.write(lambda tx: messages.record_sent(tx, [(account.id, made.id, "wamid.9")], NOON_MS + 7))
    row = await found(database, made)
    assert (row.state, row.carrier_message_id) == (after, "wamid.9")
    assert row.failure_code == ("code" if after == State.FAILED else None)
    assert (await found(database, bystander)).state == State.QUEUED
    by_carrier = await database.read(lambda tx: messages.message_by_carrier_id(tx, account.id, "wamid.9"))
    assert by_carrier == row


async def test_adopt_carrier_id(database: Database) -> None:
    """A report that names our attempt teaches the carrier's id, and changes no state."""
    account = await make_account(database)
    made = await make_message(database, account.id)
    await database.write(lambda tx: messages.adopt_carrier_id(tx, account.id, made.id, "wamid.5"))
    row = await database.read(lambda tx: messages.message_by_carrier_id(tx, account.id, "wamid.5"))
    assert row is not None
    assert (row.id, row.state) == (made.id, State.QUEUED)


async def test_set_details(database: Database) -> None:
    """Details and media of an inbound message are filled in later."""
    account = await make_account(database)
    (made,) = await make_messages(database, [new_inbound(account.id)])
    row = await found(database, made)
    await database.write(lambda tx: messages.set_details(tx, row, '{"file": 1}', "/media/1", NOON_MS + 3))
    row = await found(database, made)
    assert (row.details, row.media_url, row.updated_at_ms) == ('{"file": 1}', "/media/1", NOON_MS + 3)


async def test_events(database: Database) -> None:
    """Evidence is kept once per name, the first telling wins, and comes back in the order of time."""
    account = await make_account(database)
    made = await make_message(database, account.id)

    def event(name: str, at_ms: int, **more: str) -> Event:
        return Event(account_id=account.id, message_id=made.id, name=name, at_ms=at_ms, source="carrier", **more)

    sent = event("sent", NOON_MS + 2)
    full = event("attempt 1", NOON_MS + 1, code="ok", carrier_code="0", sentence="Went.", raw='{"é": "\\u00e9"}')
    await database.write(lambda tx: messages.add_events(tx, [sent, full, event("sent", NOON_MS + 9)]))
    await database.write(lambda tx: messages.add_events(tx, [event("sent", NOON_MS + 8)]))
    await database.write(lambda tx: messages.add_events(tx, []))
    assert await database.read(lambda tx: messages.events_of_message(tx, account.id, made.id)) == [full, sent]
    assert await database.read(lambda tx: messages.events_of_message(tx, account.id + 1, made.id)) == []


async def make_history(database: Database) -> tuple[int, list[NewMessage]]:
    """Sixty messages, a second apart, of two people and all states, beside those of another account."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    states = [State.QUEUED, State.SENT, State.DELIVERED, State.READ, State.FAILED, State.UNKNOWN]
    made = []
    for place in range(60):
        at_ms = NOON_MS + place * 1000
        person = "31600000001" if place % 2 else "31600000002"
        if place % 4 == 3:
            made.append(new_inbound(account.id, person=person, created_at_ms=at_ms))
        else:
            made.append(new_message(account.id, person=person, created_at_ms=at_ms))
    await make_messages(database, made)
    await make_messages(database, [new_message(other.id, person="31600000001") for _ in range(5)])
    for place, one in enumerate(made):
        state = states[place % 6]
        if one.direction == "outgoing" and state != State.QUEUED:
            await move(database, one, state, ("code", "Why.") if state == State.FAILED else None)
            await write(database, sends.drop_send, one.account_id, one.id)
    return account.id, made


async def test_page_by_seq(database: Database) -> None:
    """Any page is the range of its numbers, newest first."""
    account_id, made = await make_history(database)
    page = await database.read(lambda tx: messages.page_by_seq(tx, account_id, 35, 10))
    assert [row.seq for row in page] == list(range(35, 25, -1))
    assert [row.id for row in page] == [one.id for one in made[34:24:-1]]


FILTERS = {
    "none": Filters(),
    "failed": Filters(states=(State.FAILED,)),
    "open": Filters(states=(State.QUEUED, State.SCHEDULED, State.SENDING)),
    "delivered or read": Filters(states=(State.DELIVERED, State.READ)),
    "unknown or queued": Filters(states=(State.UNKNOWN, State.QUEUED)),
    "received": Filters(states=(State.RECEIVED,)),
    "incoming": Filters(direction="incoming"),
    "outgoing": Filters(direction="outgoing"),
    "incoming of a state that none has": Filters(direction="incoming", states=(State.SENT,)),
    "person": Filters(person="31600000001"),
    "since": Filters(since_ms=NOON_MS + 20_000),
    "until": Filters(until_ms=NOON_MS + 20_000),
    "all together": Filters(
        states=(State.SENT, State.FAILED),
        direction="outgoing",
        person="31600000001",
        since_ms=NOON_MS + 5_500,
        until_ms=NOON_MS + 50_000,
    ),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_filters(database: Database, name: str) -> None:
    """A filtered list holds exactly what passes, newest first, in pages by offset and by cursor; its count agrees."""
    account_id, _made = await make_history(database)
    filters = FILTERS[name]
    everything = await database.read(lambda tx: messages.page_by_seq(tx, account_id, 100, 100))
    expected = [
        row
        for row in everything
        if (not filters.states or row.state in filters.states)
        and (filters.direction is None or row.direction == filters.direction)
        and (filters.person is None or row.person == filters.person)
        and (filters.since_ms is None or row.created_at_ms >= filters.since_ms)
        and (filters.until_ms is None or row.created_at_ms < filters.until_ms)
    ]

    async def page(before_seq: int | None, limit: int, offset: int = 0) -> list[Message]:
        return await database.read(
            lambda tx: messages.filtered_page(
                tx, account_id, filters, before_seq=before_seq, limit=limit, offset=offset
            )
        )

    assert await page(None, 100) == expected
    assert await page(None, 4, offset=3) == expected[3:7]
    if len(expected) > 5:
        assert await page(expected[4].seq, 3) == expected[5:8]
    assert await database.read(lambda tx: messages.filtered_count(tx, account_id, filters)) == len(expected)
    assert bool(filters) == (name != "none")


async def test_filter_values_are_values(database: Database) -> None:
    """A person's name that looks like SQL is only a name."""
    account_id, _made = await make_history(database)
    filters = Filters(person="' OR 1=1 --")
    assert await database.read(lambda tx: messages.filtered_count(tx, account_id, filters)) == 0


async def test_filter_query(database: Database) -> None:
    """The conditions hold no value of a caller: those travel apart."""
    filters = Filters(person="31600000001", direction="outgoing", since_ms=NOON_MS)
    what, values = await database.read(lambda tx: messages.filter_query(tx, 1, filters, 7))
    assert "31600000001" in values
    assert not any("31600000001" in condition for condition in what)


async def test_seq_at_time(database: Database) -> None:
    """The first number at or after a time, before, inside and after the history."""
    account_id, _made = await make_history(database)
    expected = {NOON_MS - 1: 1, NOON_MS: 1, NOON_MS + 1: 2, NOON_MS + 30_000: 31, NOON_MS + 59_001: 61}
    for at_ms, seq in expected.items():
        assert await read(database, messages.seq_at_time, account_id, at_ms) == seq


async def test_deep_pages_scan_nothing(database: Database) -> None:
    """The last page of twenty thousand messages is read by the index alone: the plan has no sort and no scan."""
    account = await make_account(database)
    await make_messages(database, [new_message(account.id, due_at_ms=None) for _ in range(20_000)])
    newest = await database.read(lambda tx: messages.last_seq(tx, account.id))
    assert newest == 20_000
    page = await database.read(lambda tx: messages.page_by_seq(tx, account.id, 25, 25))
    assert [row.seq for row in page] == list(range(25, 0, -1))
    plan = await database.read(lambda tx: explain(tx, account.id))
    assert "message_by_seq" in plan, plan
    assert "sort" not in plan.lower().replace("index scan backward", ""), plan
    assert "seq scan" not in plan.lower(), plan


async def explain(tx: Tx, account_id: int) -> str:
    page = messages.PAGE_BY_SEQ
    what = statement(
        "explain_page",
        f"EXPLAIN {page.postgresql}",
        sqlite=f"EXPLAIN QUERY PLAN {page.sqlite}",
    )
    return "\n".join(str(row) for row in await tx.rows(what, account_id, 25, 0))


async def test_what_waits_is_found_by_the_queue(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few that wait among many are looked up by the queue, many by the list: the same page either way."""
    account_id, made = await make_history(database)
    waiting = Filters(states=(State.QUEUED, State.SCHEDULED, State.SENDING))
    assert await read(database, messages.few_wait, account_id)
    by_queue = await read(database, messages.filtered_page, account_id, waiting, before_seq=50, limit=5)
    assert by_queue
    monkeypatch.setattr(messages, "FEW", 1)
    assert not await read(database, messages.few_wait, account_id)
    by_list = await read(database, messages.filtered_page, account_id, waiting, before_seq=50, limit=5)
    assert by_list == by_queue
    assert made
    conditions, _ = await read(database, messages.filter_query, account_id, waiting, 50)
    what = messages.select_statement(conditions, counting=False, by_queue=True)
    plan = statement("explain_page", f"EXPLAIN {what.postgresql}", sqlite=f"EXPLAIN QUERY PLAN {what.sqlite}")
    told = str(await database.read(lambda tx: tx.rows(plan, account_id, 5, 0, 50)))
    assert "PRIMARY KEY (account_id=? AND id=?)" in told or "Plan" in told or "cost=" in told


async def test_same_id_twice(database: Database) -> None:
    """A message id is stored once: the second is refused, and takes no number."""
    account = await make_account(database)
    message_id = new_id()
    await make_message(database, account.id, id=message_id)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate key"):
        await make_messages(database, [new_message(account.id), new_message(account.id, id=message_id)])
    assert await database.read(lambda tx: messages.last_seq(tx, account.id)) == 1
    assert await count(database, "message") == 1
