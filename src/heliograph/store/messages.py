"""Messages, their numbering in an account, and the evidence of each step.

Every message of an account has a number, `seq`, without gaps: so a page of the list is a range and the total is a counter.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from heliograph.core.ids import short_hash
from heliograph.core.statuses import OPEN, RANK, SPARSE, State
from heliograph.store.engine import Statement, Tx, statement

MOST_COUNTED = 10_000  # a filtered list counts its rows up to here


class NewMessage(Struct, frozen=True, kw_only=True):
    """A message to be stored. Outgoing: `sender` is ours and `person` the recipient; incoming: the other way round.

    person: E.164 digits, or the business-scoped user id of someone who hides their number. template and details: JSON text.
    due_at_ms: when to send it first; None for incoming ones. lane: 0 before 1."""

    account_id: int
    id: bytes
    direction: str
    channel: str
    connection_id: int
    sender: str
    person: str
    kind: str
    text: str
    sms_type: str
    state: State
    created_at_ms: int
    person_user_id: str | None = None
    media_url: str | None = None
    template: str | None = None
    details: str | None = None
    segments: int = 1
    cost: str = "1"
    schedule_at_ms: int | None = None
    carrier_message_id: str | None = None
    due_at_ms: int | None = None
    lane: int = 0


class Message(Struct, frozen=True):
    """A stored message."""

    account_id: int
    id: bytes
    seq: int
    direction: str
    channel: str
    connection_id: int
    sender: str
    person: str
    person_user_id: str | None
    kind: str
    text: str
    media_url: str | None
    template: str | None
    sms_type: str
    details: str | None
    state: str
    failure_code: str | None
    failure_sentence: str | None
    carrier_message_id: str | None
    segments: int
    cost: str
    schedule_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int


class Event(Struct, frozen=True, kw_only=True):
    """One piece of evidence. `name` is unique in its message (`attempt 1`, `delivered`): a repetition changes nothing."""

    account_id: int
    message_id: bytes
    name: str
    at_ms: int
    source: str
    code: str | None = None
    carrier_code: str | None = None
    sentence: str | None = None
    raw: str | None = None


class Filters(Struct, frozen=True, kw_only=True):
    """What a list shows. All empty: everything of the account. Times are those of acceptance, since ≤ t < until."""

    states: tuple[State, ...] = ()
    direction: str | None = None
    person: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def __bool__(self) -> bool:
        return self != Filters()


MESSAGE = (
    "account_id, id, seq, direction, channel, connection_id, sender, person, person_user_id, kind, text, media_url, template, "
    "sms_type, details, state, failure_code, failure_sentence, carrier_message_id, segments, cost, schedule_at_ms, "
    "created_at_ms, updated_at_ms"
)
COUNT_UP = statement(
    "count_up",
    "INSERT INTO message_count (account_id, last_seq) VALUES ($1, $2) ON CONFLICT (account_id) "
    "DO UPDATE SET last_seq = message_count.last_seq + excluded.last_seq RETURNING last_seq",
)
ADD_MESSAGE = statement(
    "add_message",
    "INSERT INTO message (account_id, id, seq, direction, channel, connection_id, sender, person, person_user_id, kind, text, "
    "media_url, template, sms_type, details, state, state_rank, segments, cost, schedule_at_ms, carrier_message_id, "
    "carrier_message_key, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
    "$15, $16, $17, $18, $19, $20, $21, $22, $23, $23)",
)
OWE_SEND = statement(
    "owe_send",
    "INSERT INTO send_due (account_id, message_id, connection_id, lane, due_at_ms) VALUES ($1, $2, $3, $4, $5)",
)
MESSAGE_BY_ID = statement("message_by_id", f"SELECT {MESSAGE} FROM message WHERE account_id = $1 AND id = $2")
LOCK_MESSAGE = statement(
    "lock_message",
    "",
    sqlite="SELECT $1, $2",
    postgresql="SELECT 1 FROM message WHERE account_id = $1 AND id = $2 FOR UPDATE",
)
MESSAGE_BY_CARRIER_ID = statement(
    "message_by_carrier_id",
    f"SELECT {MESSAGE} FROM message WHERE account_id = $1 AND carrier_message_key = $2 AND carrier_message_id = $3",
)
LAST_SEQ = statement("last_seq", "SELECT last_seq FROM message_count WHERE account_id = $1")
PAGE_BY_SEQ = statement(
    "page_by_seq",
    f"SELECT {MESSAGE} FROM message WHERE account_id = $1 AND seq <= $2 AND seq > $3 ORDER BY seq DESC",
)
CREATED_AT_SEQ = statement("created_at_seq", "SELECT created_at_ms FROM message WHERE account_id = $1 AND seq = $2")
MOVE = statement(
    "move_message",
    "UPDATE message SET state = $3, state_rank = $4, failure_code = $5, failure_sentence = $6, updated_at_ms = $7 "
    "WHERE account_id = $1 AND id = $2 AND state_rank < $4",
)
ADOPT_CARRIER_ID = statement(
    "adopt_carrier_id",
    "UPDATE message SET carrier_message_id = $3, carrier_message_key = $4 WHERE account_id = $1 AND id = $2",
)
SENT = statement(
    "record_sent",
    "UPDATE message SET carrier_message_id = $3, carrier_message_key = $4, "
    f"state = CASE WHEN state_rank < {RANK[State.SENT]} THEN 'sent' ELSE state END, "
    f"failure_code = CASE WHEN state_rank < {RANK[State.SENT]} THEN NULL ELSE failure_code END, "
    f"failure_sentence = CASE WHEN state_rank < {RANK[State.SENT]} THEN NULL ELSE failure_sentence END, "
    f"state_rank = CASE WHEN state_rank < {RANK[State.SENT]} THEN {RANK[State.SENT]} ELSE state_rank END, "
    "updated_at_ms = $5 WHERE account_id = $1 AND id = $2",
)
SET_DETAILS = statement(
    "set_details",
    "UPDATE message SET details = $3, media_url = $4, updated_at_ms = $5 WHERE account_id = $1 AND id = $2",
)
ADD_EVENT = statement(
    "add_event",
    "INSERT INTO message_event (account_id, message_id, name, at_ms, source, code, carrier_code, sentence, raw) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (account_id, message_id, name) DO NOTHING",
)
REPORTED = {state.value: RANK[state] for state in (State.SENT, State.DELIVERED, State.READ, State.FAILED)}
EVENTS = statement(
    "events_of_message",
    "SELECT account_id, message_id, name, at_ms, source, code, carrier_code, sentence, raw FROM message_event "
    "WHERE account_id = $1 AND message_id = $2",
)

FEW = 2000
COUNT_WAITING = statement(
    "count_waiting", "SELECT count(*) FROM (SELECT 1 FROM send_due WHERE account_id = $1 LIMIT $2) AS counted"
)


async def add_messages(tx: Tx, messages: Sequence[NewMessage]) -> None:
    """Store messages and owe the outgoing ones to dispatch, in the order given."""
    counts: dict[int, int] = {}
    for made in messages:
        counts[made.account_id] = counts.get(made.account_id, 0) + 1
    following: dict[int, int] = {}
    for account_id in sorted(counts):  # always in this order, so that two nodes cannot wait for each other
        rows = await tx.rows(COUNT_UP, account_id, counts[account_id])
        following[account_id] = rows[0][0] - counts[account_id] + 1
    values = []
    owed = []
    for made in messages:
        seq = following[made.account_id]
        following[made.account_id] = seq + 1
        values.append(
            (
                made.account_id,
                made.id,
                seq,
                made.direction,
                made.channel,
                made.connection_id,
                made.sender,
                made.person,
                made.person_user_id,
                made.kind,
                made.text,
                made.media_url,
                made.template,
                made.sms_type,
                made.details,
                made.state.value,
                RANK[made.state],
                made.segments,
                made.cost,
                made.schedule_at_ms,
                made.carrier_message_id,
                short_hash(made.carrier_message_id) if made.carrier_message_id else None,
                made.created_at_ms,
            )
        )
        if made.due_at_ms is not None:
            owed.append((made.account_id, made.id, made.connection_id, made.lane, made.due_at_ms))
    await tx.run_many(ADD_MESSAGE, values)
    if owed:
        await tx.run_many(OWE_SEND, owed)
        for connection_id in {row[2] for row in owed}:
            tx.announce(f"send:{connection_id}")


async def message_by_id(tx: Tx, account_id: int, message_id: bytes) -> Message | None:
    row = await tx.row(MESSAGE_BY_ID, account_id, message_id)
    return Message(*row) if row else None


async def lock_messages(tx: Tx, keys: Iterable[tuple[int, bytes]]) -> None:
    """(account_id, message_id): nobody else changes them until this transaction ends. Taken in one order, so that two who
    change the same messages cannot wait for each other. On SQLite a transaction is alone anyway."""
    await tx.run_many(LOCK_MESSAGE, sorted(set(keys)))


async def message_by_carrier_id(tx: Tx, account_id: int, carrier_message_id: str) -> Message | None:
    row = await tx.row(MESSAGE_BY_CARRIER_ID, account_id, short_hash(carrier_message_id), carrier_message_id)
    return Message(*row) if row else None


async def move_message(
    tx: Tx,
    account_id: int,
    message_id: bytes,
    state: State,
    now_ms: int,
    failure: tuple[str, str] | None = None,
) -> bool:
    """Move forward; False when the message is at least that far. failure: code and sentence, for `failed` and its like."""
    code, sentence = failure or (None, None)
    return await tx.run(MOVE, account_id, message_id, state.value, RANK[state], code, sentence, now_ms) > 0


async def record_sent(tx: Tx, sent: Iterable[tuple[int, bytes, str]], now_ms: int) -> None:
    """(account_id, message_id, carrier's id) of messages that the carrier accepted."""
    rows = [(account, message, carrier_id, short_hash(carrier_id), now_ms) for account, message, carrier_id in sent]
    await tx.run_many(SENT, rows)


async def adopt_carrier_id(tx: Tx, account_id: int, message_id: bytes, carrier_message_id: str) -> None:
    await tx.run(ADOPT_CARRIER_ID, account_id, message_id, carrier_message_id, short_hash(carrier_message_id))


async def set_details(tx: Tx, message: Message, details: str, media_url: str | None, now_ms: int) -> None:
    await tx.run(SET_DETAILS, message.account_id, message.id, details, media_url, now_ms)


async def add_events(tx: Tx, events: Iterable[Event]) -> None:
    rows = [
        (e.account_id, e.message_id, e.name, e.at_ms, e.source, e.code, e.carrier_code, e.sentence, e.raw)
        for e in events
    ]
    await tx.run_many(ADD_EVENT, rows)


async def events_of_message(tx: Tx, account_id: int, message_id: bytes) -> list[Event]:
    """The evidence in the order in which it can have happened."""
    fields = Event.__struct_fields__
    rows = await tx.rows(EVENTS, account_id, message_id)
    return sorted((Event(**dict(zip(fields, row, strict=True))) for row in rows), key=place_in_order)


def place_in_order(event: Event) -> tuple[int, int, str]:
    """A carrier tells whole seconds: such a time may mean any moment of its second, and statuses follow their rank."""
    rank = REPORTED.get(event.name.removesuffix(" again"))
    if rank is None:
        return event.at_ms, 0, event.name
    return event.at_ms + (999 if event.at_ms % 1000 == 0 else 0), rank, event.name


# Lists


async def last_seq(tx: Tx, account_id: int) -> int:
    """The number of the account's newest message, which is also how many there are."""
    row = await tx.row(LAST_SEQ, account_id)
    return row[0] if row else 0


async def page_by_seq(tx: Tx, account_id: int, newest_seq: int, limit: int) -> list[Message]:
    """`limit` messages from `newest_seq` downwards, newest first; costs the same wherever it is."""
    return [Message(*row) for row in await tx.rows(PAGE_BY_SEQ, account_id, newest_seq, newest_seq - limit)]


async def filtered_page(
    tx: Tx, account_id: int, filters: Filters, *, before_seq: int | None, limit: int, offset: int = 0
) -> list[Message]:
    """Messages that pass the filters, newest first, older than `before_seq`."""
    what, values = await filter_query(tx, account_id, filters, before_seq)
    by_queue = bool(filters.states) and set(filters.states) <= OPEN and await few_wait(tx, account_id)
    rows = await tx.rows(select_statement(what, counting=False, by_queue=by_queue), account_id, limit, offset, *values)
    return [Message(*row) for row in rows]


async def filtered_count(tx: Tx, account_id: int, filters: Filters) -> int:
    """How many messages pass the filters, counted up to MOST_COUNTED + 1."""
    what, values = await filter_query(tx, account_id, filters, None)
    rows = await tx.rows(select_statement(what, counting=True), account_id, MOST_COUNTED + 1, 0, *values)
    return int(rows[0][0])


async def filter_query(
    tx: Tx, account_id: int, filters: Filters, before_seq: int | None
) -> tuple[tuple[str, ...], list[object]]:
    """The conditions of a filtered list (texts of ours only) and their values, numbered from $4."""
    conditions: list[str] = []
    values: list[object] = []

    def add(condition: str, value: object) -> None:
        values.append(value)
        conditions.append(condition.format(f"${3 + len(values)}"))

    states = filters.states
    if filters.direction == "incoming" and not states:
        states = (State.RECEIVED,)
    elif filters.direction is not None:
        add("direction = {}", filters.direction)
    if states:
        conditions.extend(state_conditions(states))
    if filters.person is not None:
        add("person = {}", filters.person)
    if before_seq is not None:
        add("seq < {}", before_seq)
    if filters.since_ms is not None:
        add("seq >= {}", await seq_at_time(tx, account_id, filters.since_ms) - DISORDER)
        add("created_at_ms >= {}", filters.since_ms)
    if filters.until_ms is not None:
        add("seq <= {}", await seq_at_time(tx, account_id, filters.until_ms) + DISORDER)
        add("created_at_ms < {}", filters.until_ms)
    return tuple(conditions), values


DISORDER = 20_000  # two nodes may number messages of the same second in another order than they came


def state_conditions(states: tuple[State, ...]) -> list[str]:
    # Names of ours as literals, not parameters: only so does a planner see that the partial index holds them all.
    found = [f"state IN ({', '.join(repr(state.value) for state in sorted(states))})"]
    if set(states) <= SPARSE:
        found.append(f"state IN ({', '.join(repr(state.value) for state in SPARSE_IN_ORDER)})")
    elif set(states) <= OPEN:
        found.append("id IN (SELECT message_id FROM send_due WHERE account_id = $1)")
    return found


SPARSE_IN_ORDER = [State.UNKNOWN, State.EXPIRED, State.SENT, State.FAILED, State.CANCELLED, State.RECEIVED]


async def few_wait(tx: Tx, account_id: int) -> bool:
    """Whether so few messages wait to be sent that the queue leads to them sooner than a walk down the list."""
    row = await tx.row(COUNT_WAITING, account_id, FEW + 1)
    assert row is not None
    return int(row[0]) <= FEW


@lru_cache(maxsize=256)
def select_statement(conditions: tuple[str, ...], *, counting: bool, by_queue: bool = False) -> Statement:
    where = " AND ".join(("account_id = $1", *conditions))
    if counting:
        return statement(
            "filtered_count",
            f"SELECT count(*) FROM (SELECT 1 FROM message WHERE {where} LIMIT $2 OFFSET $3) AS counted",
        )
    sql = f"SELECT {MESSAGE} FROM message WHERE {where} ORDER BY seq DESC LIMIT $2 OFFSET $3"
    return statement("filtered_page", sql, sqlite=without_order_index(sql) if by_queue else sql)


def without_order_index(sql: str) -> str:
    """The same for SQLite, which may then not walk down the list: the queue leads to the rows, and they are sorted."""
    return sql.replace(" seq ", " +seq ")


async def seq_at_time(tx: Tx, account_id: int, at_ms: int) -> int:
    """The number of the first message accepted at or after a time, found by halving: numbers rise with time."""
    low, high = 1, await last_seq(tx, account_id) + 1
    while low < high:
        middle = (low + high) // 2
        row = await tx.row(CREATED_AT_SEQ, account_id, middle)
        if row is None or row[0] < at_ms:
            low = middle + 1
        else:
            high = middle
    return low
