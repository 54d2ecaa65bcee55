"""Counts an account's messages by day, apart from anybody who waits. Days that nothing happens to any more are left alone."""

import bisect
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from heliograph.core.ids import first_id_at, now_ms
from heliograph.core.phone_numbers import country_of
from heliograph.store import tallies
from heliograph.store.accounts import Account
from heliograph.store.engine import Database
from heliograph.store.tallies import Count, DayMark, DayTally

DAYS_KEPT_FRESH = 3  # after these days a state hardly changes: a report comes within hours, a reading within days
RECOUNT_AFTER_MS = 15 * 60_000  # of the days before today
DAYS_SHOWN = 30
MESSAGES_AT_ONCE = 5000  # of one read: short enough that nobody behind it waits long
# Upper bounds of how long the carrier took, in ms: each a quarter more than the one before, 10 ms to about two minutes.
BOUNDS = [round(10 * 1.25**step) for step in range(43)]


def day_of(at_ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()


def begin_of(day: date, zone: ZoneInfo) -> int:
    """Milliseconds at which the day begins there."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


async def days_to_count(database: Database, account: Account, at_ms: int, days: int = DAYS_SHOWN) -> list[date]:
    """Today first, then those that were never counted, counted by another zone, or too long ago for what may have changed."""
    zone = ZoneInfo(account.time_zone)
    today = day_of(at_ms, zone)
    first = max(today - timedelta(days=days - 1), day_of(account.created_at_ms, zone))
    marks = await database.read(lambda tx: tallies.day_marks(tx, account.id, first.isoformat()))
    found = []
    for back in range((today - first).days + 1):
        day = today - timedelta(days=back)
        mark = marks.get(day.isoformat())
        if mark is None or mark.time_zone != account.time_zone or is_stale(mark, day, zone, at_ms):
            found.append(day)
    return found


def is_stale(mark: DayMark, day: date, zone: ZoneInfo, at_ms: int) -> bool:
    ends_at_ms = begin_of(day + timedelta(days=1), zone)
    if at_ms < ends_at_ms or mark.counted_at_ms < ends_at_ms:
        return True  # it was not over when it was counted
    frozen_at_ms = ends_at_ms + DAYS_KEPT_FRESH * 86_400_000
    return mark.counted_at_ms < frozen_at_ms and at_ms - mark.counted_at_ms > RECOUNT_AFTER_MS


async def count_day(database: Database, account: Account, day: date) -> None:
    """Count one day and keep that. Reads in stretches, each of a transaction of its own."""
    zone = ZoneInfo(account.time_zone)
    begins_at_ms, counted_at_ms = begin_of(day, zone), now_ms()
    next_id: bytes | None = first_id_at(begins_at_ms)
    end_id = first_id_at(begin_of(day + timedelta(days=1), zone))
    counts: Counter[tuple[str, str, str, str]] = Counter()
    hours: Counter[int] = Counter()
    answers: Counter[int] = Counter()
    while next_id is not None:
        first_id = next_id
        stretch = await database.read(
            lambda tx, first_id=first_id: tallies.count_stretch(  # type: ignore[misc]
                tx, account.id, first_id, end_id, begins_at_ms, MESSAGES_AT_ONCE
            )
        )
        for group in stretch.groups:
            country = country_of_person(group.person)
            counts[group.sender, country, group.state, group.failure_code] += group.messages
        for hour, number in stretch.hours:
            hours[min(max(hour, 0), 24)] += number
        for took_ms, number in stretch.answers:
            answers[bound_of(took_ms)] += number
        next_id = stretch.next_id
    name = day.isoformat()
    tally = DayTally(
        mark=DayMark(name, account.time_zone, counted_at_ms),
        counts=[Count(name, *key, number) for key, number in counts.items()],
        hours=sorted(hours.items()),
        answers=sorted(answers.items()),
    )
    await database.write(lambda tx: tallies.put_day(tx, account.id, tally))


def bound_of(took_ms: int) -> int:
    return BOUNDS[min(bisect.bisect_left(BOUNDS, took_ms), len(BOUNDS) - 1)]


@lru_cache(maxsize=10_000)
def country_of_person(person: str) -> str:
    return (country_of(person) or "") if person.isdecimal() else ""
