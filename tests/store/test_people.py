"""Windows and opt-outs of people, on every engine."""

from heliograph.store import people
from heliograph.store.engine import Database
from tests.store.makers import NOON_MS, write

PERSON = "31612345678"


async def test_window(database: Database) -> None:
    """A window counts from the latest word, in whatever order the words come in, of one number and person."""
    assert await database.read(lambda tx: people.last_inbound_at_ms(tx, 1, 1, PERSON)) is None
    for at_ms in (NOON_MS + 5, NOON_MS + 9, NOON_MS + 1):
        await write(database, people.open_window, 1, 1, PERSON, at_ms)
    assert await database.read(lambda tx: people.last_inbound_at_ms(tx, 1, 1, PERSON)) == NOON_MS + 9
    assert await database.read(lambda tx: people.last_inbound_at_ms(tx, 1, 2, PERSON)) is None
    assert await database.read(lambda tx: people.last_inbound_at_ms(tx, 2, 1, PERSON)) is None


async def test_opt_out(database: Database) -> None:
    """Who wants no more is remembered until they change their mind, for that number of that account."""
    assert not await database.read(lambda tx: people.has_opted_out(tx, 1, 1, PERSON))
    for source in ("STOP", "portal"):
        await write(database, people.record_opt_out, 1, 1, PERSON, NOON_MS, source)
    assert await database.read(lambda tx: people.has_opted_out(tx, 1, 1, PERSON))
    assert not await database.read(lambda tx: people.has_opted_out(tx, 2, 1, PERSON))
    assert not await database.read(lambda tx: people.has_opted_out(tx, 1, 2, PERSON))
    await database.write(lambda tx: people.record_opt_in(tx, 1, 1, PERSON))
    assert not await database.read(lambda tx: people.has_opted_out(tx, 1, 1, PERSON))
