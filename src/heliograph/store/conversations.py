"""Conversations of the inbox: one per person who has written to the account, on whichever of its numbers."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from heliograph.store.engine import Statement, Tx, statement

Box = Literal["open", "unread", "mine", "unassigned", "done"]


class Conversation(Struct, frozen=True):
    """`connection_id` is the number that the person last wrote to: a reply leaves from there.

    `profile_name` is what the person calls themselves, '' where we were not told."""

    account_id: int
    person: str
    connection_id: int
    profile_name: str
    last_inbound_at_ms: int
    unread: int
    assignee_id: int | None
    done_at_ms: int | None


class Note(Struct, frozen=True):
    """What a member wrote for the others; the person never sees it."""

    account_id: int
    id: bytes
    person: str
    user_id: int
    text: str
    created_at_ms: int


class Glance(Struct, frozen=True):
    """What a list tells of a conversation: its last message, and since when the person's window counts (None: never open).

    The message's fields are those of store.messages; all are None where nothing was kept."""

    person: str
    window_from_ms: int | None
    direction: str | None
    kind: str | None
    text: str | None
    state: str | None
    created_at_ms: int | None


class Member(Struct, frozen=True):
    """Somebody of the account who may look after a conversation. `name`: what they call themselves, else their e-mail."""

    id: int
    name: str
    role: str


CONVERSATION = "account_id, person, connection_id, profile_name, last_inbound_at_ms, unread, assignee_id, done_at_ms"
NOTE = "account_id, id, person, user_id, text, created_at_ms"

NOTE_INBOUND = statement(
    "note_inbound",
    "INSERT INTO conversation (account_id, person, connection_id, profile_name, last_inbound_at_ms, unread) "
    "VALUES ($1, $2, $3, $4, $5, 1) ON CONFLICT (account_id, person) DO UPDATE SET "
    "connection_id = CASE WHEN excluded.last_inbound_at_ms >= conversation.last_inbound_at_ms "
    "THEN excluded.connection_id ELSE conversation.connection_id END, "
    "profile_name = CASE WHEN excluded.profile_name = '' THEN conversation.profile_name ELSE excluded.profile_name END, "
    "last_inbound_at_ms = CASE WHEN excluded.last_inbound_at_ms > conversation.last_inbound_at_ms "
    "THEN excluded.last_inbound_at_ms ELSE conversation.last_inbound_at_ms END, "
    "unread = conversation.unread + 1, done_at_ms = NULL",
)
BY_PERSON = statement(
    "conversation_by_person", f"SELECT {CONVERSATION} FROM conversation WHERE account_id = $1 AND person = $2"
)
READ_ALL = statement(
    "mark_conversation_read", "UPDATE conversation SET unread = 0 WHERE account_id = $1 AND person = $2 AND unread > 0"
)
ASSIGN = statement(
    "assign_conversation", "UPDATE conversation SET assignee_id = $3 WHERE account_id = $1 AND person = $2"
)
SET_DONE = statement(
    "set_conversation_done", "UPDATE conversation SET done_at_ms = $3 WHERE account_id = $1 AND person = $2"
)
UNREAD = statement(
    "count_unread_conversations",
    "SELECT count(*) FROM (SELECT 1 FROM conversation WHERE account_id = $1 AND done_at_ms IS NULL AND unread > 0 "
    "LIMIT $2) AS unread",
)
ADD_NOTE = statement("add_note", f"INSERT INTO conversation_note ({NOTE}) VALUES ($1, $2, $3, $4, $5, $6)")
NOTES = statement(
    "notes_of_conversation",
    f"SELECT {NOTE} FROM conversation_note WHERE account_id = $1 AND person = $2 ORDER BY id",
)
DROP_NOTE = statement("drop_note", "DELETE FROM conversation_note WHERE account_id = $1 AND id = $2")

# $1 account, $2 and $3 the place to go on from (time, person), $4 how many, $5 the user who looks.
BOXES: dict[str, Statement] = {
    box: statement(
        f"conversations_{box}",
        f"SELECT {CONVERSATION} FROM conversation WHERE account_id = $1 AND (last_inbound_at_ms, person) < ($2, $3) "
        f"AND {condition} ORDER BY last_inbound_at_ms DESC, person DESC LIMIT $4",
    )
    for box, condition in {
        "open": "done_at_ms IS NULL",
        "unread": "done_at_ms IS NULL AND unread > 0",
        "mine": "done_at_ms IS NULL AND assignee_id = $5",
        "unassigned": "done_at_ms IS NULL AND assignee_id IS NULL",
        "done": "done_at_ms IS NOT NULL",
    }.items()
}
# SQLite is told which index to use: left alone it walks all messages backwards until one is of the person.
GLANCES = statement(
    "glances_at_conversations",
    "SELECT c.person, w.last_inbound_at_ms, m.direction, m.kind, m.text, m.state, m.created_at_ms FROM conversation AS c "
    "LEFT JOIN person_window AS w ON w.account_id = c.account_id AND w.connection_id = c.connection_id "
    "AND w.person = c.person "
    "LEFT JOIN message AS m INDEXED BY message_by_seq ON m.account_id = c.account_id AND m.person = c.person AND m.seq = "
    "(SELECT l.seq FROM message AS l INDEXED BY message_by_person WHERE l.account_id = c.account_id "
    "AND l.person = c.person ORDER BY l.seq DESC LIMIT 1) "
    "WHERE c.account_id = $1 AND c.person IN (SELECT value FROM json_each($2))",
    postgresql="SELECT c.person, w.last_inbound_at_ms, m.direction, m.kind, m.text, m.state, m.created_at_ms "
    "FROM conversation AS c LEFT JOIN person_window AS w ON w.account_id = c.account_id "
    "AND w.connection_id = c.connection_id AND w.person = c.person "
    "LEFT JOIN LATERAL (SELECT * FROM message AS l WHERE l.account_id = c.account_id AND l.person = c.person "
    "ORDER BY l.seq DESC LIMIT 1) AS m ON TRUE "
    "WHERE c.account_id = $1 AND c.person IN (SELECT json_array_elements_text($2::json))",
)
# Names have no index: only the conversations that somebody wrote to last are searched, so that the price has a bound.
SEARCHED = 5000
FIND = statement(
    "find_conversations",
    f"SELECT {CONVERSATION} FROM ("
    + " UNION ALL ".join(
        f"SELECT * FROM (SELECT {CONVERSATION} FROM conversation WHERE account_id = $1 AND done_at_ms {done} "
        f"ORDER BY last_inbound_at_ms DESC, person DESC LIMIT {SEARCHED}) AS {name}"
        for done, name in (("IS NULL", "open_ones"), ("IS NOT NULL", "done_ones"))
    )
    + ") AS searched WHERE lower(profile_name) LIKE $2 ESCAPE '!' OR lower(person) LIKE $3 ESCAPE '!' "
    "ORDER BY last_inbound_at_ms DESC, person DESC LIMIT $4",
)
MEMBERS = statement(
    "members_who_answer",
    "SELECT id, CASE WHEN name = '' THEN email ELSE name END, role FROM account_user WHERE account_id = $1 ORDER BY id",
)
NEWEST = (2**62, "")  # the place before the first conversation


async def note_inbound(
    tx: Tx, account_id: int, connection_id: int, person: str, profile_name: str, wrote_at_ms: int
) -> None:
    """A person wrote: their conversation is unread, and open again if it was done."""
    await tx.run(NOTE_INBOUND, account_id, person, connection_id, profile_name, wrote_at_ms)


async def conversation_by_person(tx: Tx, account_id: int, person: str) -> Conversation | None:
    row = await tx.row(BY_PERSON, account_id, person)
    return Conversation(*row) if row else None


async def conversations_in(
    tx: Tx, account_id: int, box: Box, user_id: int, limit: int, before: tuple[int, str] = NEWEST
) -> list[Conversation]:
    """Conversations of a box, the last to write first, older than `before` (time of the last inbound, person)."""
    values = [account_id, *before, limit, *([user_id] if box == "mine" else [])]
    return [Conversation(*row) for row in await tx.rows(BOXES[box], *values)]


async def glances(tx: Tx, account_id: int, people: Sequence[str]) -> dict[str, Glance]:
    """By person, of those who have a conversation."""
    rows = await tx.rows(GLANCES, account_id, msgspec.json.encode(list(people)).decode())
    return {row[0]: Glance(*row) for row in rows}


async def find_conversations(tx: Tx, account_id: int, wanted: str, limit: int) -> list[Conversation]:
    """Conversations, done ones too, whose person's name or number holds `wanted`; the last to write first.

    Looks among the 5000 open and the 5000 done ones that were written to last."""
    inside = "%" + "".join(f"!{c}" if c in "!%_" else c for c in wanted.lower()) + "%"
    digits = "".join(c for c in wanted if c.isdecimal() and c.isascii())
    number = f"%{digits}%" if digits and not any(c.isalpha() for c in wanted) else inside
    return [Conversation(*row) for row in await tx.rows(FIND, account_id, inside, number, limit)]


async def members(tx: Tx, account_id: int) -> list[Member]:
    """Everyone of the account, in the order in which they came."""
    return [Member(*row) for row in await tx.rows(MEMBERS, account_id)]


async def count_unread(tx: Tx, account_id: int, most: int = 100) -> int:
    """How many open conversations have something unread, counted up to `most`."""
    row = await tx.row(UNREAD, account_id, most)
    assert row is not None
    return int(row[0])


async def mark_conversation_read(tx: Tx, account_id: int, person: str) -> bool:
    """False when nothing was unread."""
    return await tx.run(READ_ALL, account_id, person) > 0


async def assign_conversation(tx: Tx, account_id: int, person: str, assignee_id: int | None) -> bool:
    return await tx.run(ASSIGN, account_id, person, assignee_id) > 0


async def set_conversation_done(tx: Tx, account_id: int, person: str, done_at_ms: int | None) -> bool:
    """Done, or with None open again."""
    return await tx.run(SET_DONE, account_id, person, done_at_ms) > 0


async def add_note(tx: Tx, note: Note) -> None:
    await tx.run(ADD_NOTE, *(getattr(note, field) for field in Note.__struct_fields__))


async def notes_of_conversation(tx: Tx, account_id: int, person: str) -> list[Note]:
    """Oldest first."""
    return [Note(*row) for row in await tx.rows(NOTES, account_id, person)]


async def drop_note(tx: Tx, account_id: int, note_id: bytes) -> bool:
    return await tx.run(DROP_NOTE, account_id, note_id) > 0
