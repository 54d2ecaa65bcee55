"""Tallies by day: counting in stretches, keeping, reading, on every engine."""

from heliograph.core.ids import first_id_at, id_for_event
from heliograph.core.statuses import State
from heliograph.store import messages, tallies
from heliograph.store.engine import Database, Tx
from heliograph.store.messages import Event
from heliograph.store.tallies import Count, DayMark, DayTally
from tests.store.makers import NOON_MS, make_account, make_messages, new_inbound, new_message, read, write

HOUR_MS = 3_600_000


async def test_count_in_stretches(database: Database) -> None:
    """However it is cut, a range is counted once: by sender, first digits, state and reason; by hour; by time of answer."""
    account = await make_account(database)
    made = [
        (new_inbound if place % 5 == 4 else new_message)(
            account.id,
            id=id_for_event(NOON_MS + place * HOUR_MS, str(place)),
            created_at_ms=NOON_MS + place * HOUR_MS,
            person="31612345678" if place % 2 else "447700900104",
            sender="Lark",
        )
        for place in range(10)
    ]
    await make_messages(database, made)

    async def work(tx: Tx) -> None:
        await messages.move_message(tx, account.id, made[0].id, State.FAILED, NOON_MS, ("window_closed", "Closed."))
        for name, at_ms in (("attempt 1", 5), ("answer 1", 25), ("attempt 2", 30), ("answer 2", 99)):
            event = Event(account_id=account.id, message_id=made[1].id, name=name, at_ms=NOON_MS + at_ms, source="x")
            await messages.add_events(tx, [event])

    await database.write(work)
    counted: dict[tuple[str, str, str], int] = {}
    hours: dict[int, int] = {}
    answers: list[tuple[int, int]] = []
    next_id: bytes | None = first_id_at(NOON_MS + HOUR_MS // 2 - HOUR_MS)
    stretches = 0
    while next_id is not None:
        stretch = await read(
            database, tallies.count_stretch, account.id, next_id, first_id_at(NOON_MS + 9 * HOUR_MS), NOON_MS, 4
        )
        assert stretch.next_id != next_id
        next_id, stretches = stretch.next_id, stretches + 1
        for group in stretch.groups:
            assert group.person.startswith(group.prefix)
            key = (group.prefix, group.state, group.failure_code)
            counted[key] = counted.get(key, 0) + group.messages
        for hour, number in stretch.hours:
            hours[hour] = hours.get(hour, 0) + number
        answers += stretch.answers
    assert stretches == 3
    assert counted == {
        ("44770", "failed", "window_closed"): 1,
        ("44770", "queued", ""): 3,
        ("44770", "received", ""): 1,
        ("31612", "queued", ""): 4,
    }
    assert hours == {0: 1, 1: 1, 2: 1, 3: 1, 5: 1, 6: 1, 7: 1, 8: 1}
    assert answers == [(20, 1)]


def tally_of(day: str, number: int, zone: str = "UTC") -> DayTally:
    return DayTally(
        DayMark(day, zone, NOON_MS + number),
        [Count(day, "Lark", "NL", "read", "", number), Count(day, "Lark", "", "failed", "x", 1)],
        [(0, number), (13, 2)],
        [(100, number), (250, 1)],
    )


async def test_keep_and_read(database: Database) -> None:
    """A day that is kept again replaces what was kept; other days and accounts are not touched."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    for day, number in (("2030-01-01", 5), ("2030-01-02", 6), ("2030-01-02", 7)):
        await write(database, tallies.put_day, account.id, tally_of(day, number))
    await write(database, tallies.put_day, other.id, tally_of("2030-01-02", 50))
    marks = await read(database, tallies.day_marks, account.id, "2030-01-02")
    assert marks == {"2030-01-02": DayMark("2030-01-02", "UTC", NOON_MS + 7)}
    counts = await read(database, tallies.counts_since, account.id, "2030-01-02")
    assert sorted(count.messages for count in counts) == [1, 7]
    assert {count.country for count in counts} == {"NL", ""}
    assert await read(database, tallies.hours_of_day, account.id, "2030-01-02") == {0: 7, 13: 2}
    assert await read(database, tallies.answers_since, account.id, "2030-01-01") == [(100, 12), (250, 2)]
    assert await read(database, tallies.answers_since, account.id, "2030-01-03") == []
