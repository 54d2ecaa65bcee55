"""Conversations of the inbox, on every engine."""

from heliograph.core.ids import new_id
from heliograph.core.statuses import State
from heliograph.store import accounts, conversations, people
from heliograph.store.conversations import Box, Glance, Member, Note
from heliograph.store.engine import Database
from tests.store.makers import NOON_MS, make_account, make_messages, new_inbound, new_message, read, write

ANN, BOB, CAT = "31612345671", "31612345672", "NL.4711"


async def people_in(database: Database, account_id: int, box: Box, user_id: int = 0) -> list[str]:
    return [c.person for c in await read(database, conversations.conversations_in, account_id, box, user_id, 10)]


async def test_writing_makes_a_conversation(database: Database) -> None:
    """Each inbound message counts as unread; the newest decides time and number; a name once told stays."""
    account = await make_account(database)
    await write(database, conversations.note_inbound, account.id, 7, ANN, "Ann", NOON_MS)
    await write(database, conversations.note_inbound, account.id, 8, ANN, "", NOON_MS + 5)
    await write(database, conversations.note_inbound, account.id, 9, ANN, "", NOON_MS + 1)
    found = await read(database, conversations.conversation_by_person, account.id, ANN)
    assert found == conversations.Conversation(account.id, ANN, 8, "Ann", NOON_MS + 5, 3, None, None)
    assert await read(database, conversations.conversation_by_person, account.id + 1, ANN) is None


async def test_boxes(database: Database) -> None:
    """Open, unread, mine, unassigned and done each show their own, the last to write first, of one account."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    for after, person in enumerate((ANN, BOB, CAT)):
        await write(database, conversations.note_inbound, account.id, 1, person, "", NOON_MS + after)
    await write(database, conversations.note_inbound, other.id, 1, "31600000000", "", NOON_MS)
    assert await write(database, conversations.mark_conversation_read, account.id, BOB)
    assert not await write(database, conversations.mark_conversation_read, account.id, BOB)
    assert await write(database, conversations.assign_conversation, account.id, CAT, 5)
    assert not await write(database, conversations.assign_conversation, other.id, CAT, 5)
    assert await write(database, conversations.set_conversation_done, account.id, ANN, NOON_MS + 9)
    assert not await write(database, conversations.set_conversation_done, other.id, ANN, NOON_MS + 9)
    assert await people_in(database, account.id, "open") == [CAT, BOB]
    assert await people_in(database, account.id, "unread") == [CAT]
    assert await people_in(database, account.id, "mine", 5) == [CAT]
    assert await people_in(database, account.id, "mine", 6) == []
    assert await people_in(database, account.id, "unassigned") == [BOB]
    assert await people_in(database, account.id, "done") == [ANN]
    assert await read(database, conversations.count_unread, account.id) == 1
    await write(database, conversations.note_inbound, account.id, 1, ANN, "", NOON_MS + 20)
    assert await people_in(database, account.id, "open") == [ANN, CAT, BOB]
    assert await read(database, conversations.count_unread, account.id) == 2
    assert await read(database, conversations.count_unread, account.id, 1) == 1


async def test_pages(database: Database) -> None:
    """A page goes on exactly where the one before ended, also among people who wrote in the same moment."""
    account = await make_account(database)
    people = [f"3161234567{digit}" for digit in range(7)]
    for person in people:
        await write(database, conversations.note_inbound, account.id, 1, person, "", NOON_MS)
    seen: list[str] = []
    before = conversations.NEWEST
    while page := await read(database, conversations.conversations_in, account.id, "open", 0, 3, before):
        seen += [c.person for c in page]
        before = (page[-1].last_inbound_at_ms, page[-1].person)
    assert seen == sorted(people, reverse=True)


async def test_notes(database: Database) -> None:
    """Notes belong to one conversation of one account and come back oldest first."""
    account = await make_account(database)
    notes = [Note(account.id, new_id(), person, 3, f"About {person}", NOON_MS) for person in (ANN, ANN, BOB)]
    for note in notes:
        await write(database, conversations.add_note, note)
    assert await read(database, conversations.notes_of_conversation, account.id, ANN) == notes[:2]
    assert not await write(database, conversations.drop_note, account.id + 1, notes[0].id)
    assert await write(database, conversations.drop_note, account.id, notes[0].id)
    assert await read(database, conversations.notes_of_conversation, account.id, ANN) == notes[1:2]


async def test_glances(database: Database) -> None:
    """A glance is the last message in either direction, and the window of the number that the person last wrote to."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    for person in (ANN, BOB):
        await write(database, conversations.note_inbound, account.id, 7, person, "", NOON_MS)
    await write(database, conversations.note_inbound, other.id, 7, ANN, "", NOON_MS)
    await write(database, people.open_window, account.id, 7, ANN, NOON_MS - 5)
    await write(database, people.open_window, account.id, 8, ANN, NOON_MS - 1)
    await make_messages(
        database,
        [
            new_inbound(account.id, person=ANN, text="Hello?"),
            new_message(account.id, person=ANN, text="Yes!"),
            new_inbound(other.id, person=ANN, text="Not yours"),
        ],
    )
    found = await read(database, conversations.glances, account.id, [ANN, BOB, "nobody's"])
    assert found == {
        ANN: Glance(ANN, NOON_MS - 5, "outgoing", "text", "Yes!", State.QUEUED, NOON_MS),
        BOB: Glance(BOB, None, None, None, None, None, None),
    }
    assert await read(database, conversations.glances, account.id, []) == {}


async def test_find(database: Database) -> None:
    """A conversation is found by a part of the name or number, open or done, and what looks like a pattern is text."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    for after, (person, name) in enumerate(((ANN, "Ann de Wit"), (BOB, "Bob 100%"), (CAT, "Cat_Ann"))):
        await write(database, conversations.note_inbound, account.id, 1, person, name, NOON_MS + after)
    await write(database, conversations.note_inbound, other.id, 1, "31600000000", "Ann", NOON_MS)
    await write(database, conversations.set_conversation_done, account.id, ANN, NOON_MS)

    async def found(wanted: str, limit: int = 9) -> list[str]:
        return [c.person for c in await read(database, conversations.find_conversations, account.id, wanted, limit)]

    assert await found("aNN") == [CAT, ANN]
    assert await found("ann", 1) == [CAT]
    assert await found("+31 6-1234 5672") == [BOB]
    assert await found("4711") == [CAT]
    assert await found("nl.47") == [CAT]
    assert await found("Bob 1") == [BOB]
    assert await found("t_a") == [CAT]
    assert await found("n_d") == []
    assert await found("%") == [BOB]
    assert await found("!") == []


async def test_members(database: Database) -> None:
    """Members are called by their name, and by their e-mail address as long as they have not told one."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    for of, email, name, role in (
        (account, "ada@acme.example", "Ada", "owner"),
        (account, "ben@acme.example", "", "viewer"),
        (other, "eve@bolt.example", "Eve", "owner"),
    ):
        assert await write(database, accounts.add_user, of.id, email, name, "hash", role, NOON_MS)
    found = await read(database, conversations.members, account.id)
    assert [(m.name, m.role) for m in found] == [("Ada", "owner"), ("ben@acme.example", "viewer")]
    assert all(isinstance(m, Member) and m.id > 0 for m in found)
