"""Tallies: how many messages of an account stood how, by day. Counted apart, in stretches; pages read only these."""

from collections.abc import Iterable

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class Group(Struct, frozen=True):
    """Messages that share these. `person` is one of them, for their country; `prefix` is what all their persons begin with."""

    sender: str
    prefix: str
    person: str
    state: str
    failure_code: str
    messages: int


class Stretch(Struct, frozen=True):
    """What was counted from one id to another. `hours`: (hours since the day's begin, messages); `answers`: (ms, how many).

    next_id: where the next stretch begins; None: the end was reached."""

    groups: list[Group]
    hours: list[tuple[int, int]]
    answers: list[tuple[int, int]]
    next_id: bytes | None


class DayMark(Struct, frozen=True):
    """That a day was counted: by which zone, and when."""

    day: str
    time_zone: str
    counted_at_ms: int


class Count(Struct, frozen=True):
    """Messages of one day that share these. country: ISO 3166 code, "" where it is not known; failure_code "": none."""

    day: str
    sender: str
    country: str
    state: str
    failure_code: str
    messages: int


class DayTally(Struct, frozen=True):
    """All that is kept of one day. `hours` and `answers` as in Stretch, the latter by upper bounds."""

    mark: DayMark
    counts: list[Count]
    hours: list[tuple[int, int]]
    answers: list[tuple[int, int]]


LENGTH_OF_PREFIX = 5  # digits that tell the country for all but a few islands
STRETCH_END = statement(
    "stretch_end",
    "SELECT id FROM message WHERE account_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT 1 OFFSET $4",
)
COUNT_GROUPS = statement(
    "count_groups",
    f"SELECT sender, substr(person, 1, {LENGTH_OF_PREFIX}), min(person), state, coalesce(failure_code, ''), count(*) "
    "FROM message WHERE account_id = $1 AND id >= $2 AND id < $3 "
    f"GROUP BY sender, substr(person, 1, {LENGTH_OF_PREFIX}), state, coalesce(failure_code, '')",
)
COUNT_HOURS = statement(
    "count_hours",
    "SELECT (created_at_ms - $4) / 3600000, count(*) FROM message "
    "WHERE account_id = $1 AND id >= $2 AND id < $3 AND direction = 'outgoing' GROUP BY (created_at_ms - $4) / 3600000",
)
COUNT_ANSWERS = statement(
    "count_answers",
    "SELECT b.at_ms - a.at_ms, count(*) FROM message_event AS a JOIN message_event AS b "
    "ON b.account_id = a.account_id AND b.message_id = a.message_id AND b.name = 'answer 1' "
    "WHERE a.account_id = $1 AND a.message_id >= $2 AND a.message_id < $3 AND a.name = 'attempt 1' GROUP BY b.at_ms - a.at_ms",
)
DROP_DAY = {
    table: statement(f"drop_{table}", f"DELETE FROM {table} WHERE account_id = $1 AND day = $2")
    for table in ("tally_message", "tally_hour", "tally_answer", "tally_day")
}
ADD_COUNT = statement(
    "add_count",
    "INSERT INTO tally_message (account_id, day, sender, country, state, failure_code, messages) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)",
)
ADD_HOUR = statement("add_hour", "INSERT INTO tally_hour (account_id, day, hour, messages) VALUES ($1, $2, $3, $4)")
ADD_ANSWER = statement(
    "add_answer", "INSERT INTO tally_answer (account_id, day, up_to_ms, answers) VALUES ($1, $2, $3, $4)"
)
ADD_DAY = statement(
    "add_day",
    "INSERT INTO tally_day (account_id, day, time_zone, counted_at_ms) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (account_id, day) DO UPDATE SET time_zone = excluded.time_zone, counted_at_ms = excluded.counted_at_ms",
)
MARKS = statement(
    "day_marks", "SELECT day, time_zone, counted_at_ms FROM tally_day WHERE account_id = $1 AND day >= $2 ORDER BY day"
)
COUNTS = statement(
    "counts_since",
    "SELECT day, sender, country, state, failure_code, messages FROM tally_message WHERE account_id = $1 AND day >= $2",
)
HOURS = statement(
    "hours_of_day", "SELECT hour, messages FROM tally_hour WHERE account_id = $1 AND day = $2 ORDER BY hour"
)
ANSWERS = statement(
    "answers_since",
    "SELECT up_to_ms, CAST(sum(answers) AS BIGINT) FROM tally_answer WHERE account_id = $1 AND day >= $2 "
    "GROUP BY up_to_ms ORDER BY up_to_ms",
)


async def count_stretch(tx: Tx, account_id: int, first_id: bytes, end_id: bytes, day_at_ms: int, most: int) -> Stretch:
    """Count at most `most` messages with first_id ≤ id < end_id. Ids are in the order of time, so this is one range."""
    row = await tx.row(STRETCH_END, account_id, first_id, end_id, most)
    until = row[0] if row else end_id
    groups = [Group(*found) for found in await tx.rows(COUNT_GROUPS, account_id, first_id, until)]
    hours = [(int(hour), count) for hour, count in await tx.rows(COUNT_HOURS, account_id, first_id, until, day_at_ms)]
    answers = [(int(took), count) for took, count in await tx.rows(COUNT_ANSWERS, account_id, first_id, until)]
    return Stretch(groups, hours, answers, row[0] if row else None)


async def put_day(tx: Tx, account_id: int, tally: DayTally) -> None:
    """Keep a day's tally in the place of what was kept before."""
    day = tally.mark.day
    # The mark first: on PostgreSQL its row is what two nodes wait for that count the same day.
    await tx.run(ADD_DAY, account_id, day, tally.mark.time_zone, tally.mark.counted_at_ms)
    for table in ("tally_message", "tally_hour", "tally_answer"):
        await tx.run(DROP_DAY[table], account_id, day)
    await tx.run_many(ADD_COUNT, count_rows(account_id, tally.counts))
    await tx.run_many(ADD_HOUR, [(account_id, day, hour, count) for hour, count in tally.hours])
    await tx.run_many(ADD_ANSWER, [(account_id, day, up_to, count) for up_to, count in tally.answers])


def count_rows(account_id: int, counts: Iterable[Count]) -> list[tuple[object, ...]]:
    return [(account_id, c.day, c.sender, c.country, c.state, c.failure_code, c.messages) for c in counts]


async def day_marks(tx: Tx, account_id: int, since_day: str) -> dict[str, DayMark]:
    """The days that were counted, from one on; a day is written 2030-01-02."""
    return {row[0]: DayMark(*row) for row in await tx.rows(MARKS, account_id, since_day)}


async def counts_since(tx: Tx, account_id: int, since_day: str) -> list[Count]:
    return [Count(*row) for row in await tx.rows(COUNTS, account_id, since_day)]


async def hours_of_day(tx: Tx, account_id: int, day: str) -> dict[int, int]:
    """Outgoing messages by hours since the day's begin."""
    return dict(await tx.rows(HOURS, account_id, day))


async def answers_since(tx: Tx, account_id: int, since_day: str) -> list[tuple[int, int]]:
    """How many first attempts were answered within which time (upper bound in ms, how many), quickest first."""
    return [(up_to, int(count)) for up_to, count in await tx.rows(ANSWERS, account_id, since_day)]
