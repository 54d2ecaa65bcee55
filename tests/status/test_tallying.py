"""Counting an account's messages by day: which days, by which zone, and what stays as it was."""

from datetime import date
from zoneinfo import ZoneInfo

import msgspec
import pytest

from heliograph.core.ids import id_for_event, now_ms
from heliograph.core.statuses import State
from heliograph.status import tallying
from heliograph.store import accounts, messages, tallies
from heliograph.store.accounts import Account
from heliograph.store.engine import Database
from heliograph.store.tallies import Count
from tests.store.makers import make_messages, new_inbound, new_message

DAY_MS = 86_400_000
TOKYO = ZoneInfo("Asia/Tokyo")


async def make_account(database: Database, created_at_ms: int) -> Account:
    return await database.write(lambda tx: accounts.add_account(tx, "Acme", "Asia/Tokyo", "JP", created_at_ms))


async def counts_of(database: Database, account: Account) -> list[Count]:
    return sorted(
        await database.read(lambda tx: tallies.counts_since(tx, account.id, "")), key=lambda count: count.messages
    )


async def test_a_day_of_the_accounts_zone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day goes from midnight to midnight there; what lies a millisecond beside it is of another day."""
    monkeypatch.setattr(tallying, "MESSAGES_AT_ONCE", 2)
    account = await make_account(database, 0)
    begin = tallying.begin_of(date(2030, 5, 1), TOKYO)
    assert begin == 1903791600000, "2030-04-30T15:00:00Z"
    times = [begin - 1, begin, begin + 3_600_000, begin + 5_400_000, begin + DAY_MS - 1, begin + DAY_MS]
    made = [
        new_message(account.id, id=id_for_event(at_ms, "x"), created_at_ms=at_ms, person="819012345678")
        for at_ms in times
    ]
    made.append(new_inbound(account.id, id=id_for_event(begin + 7, "y"), created_at_ms=begin + 7, person="GB.1"))
    await make_messages(database, made)
    await database.write(
        lambda tx: messages.move_message(tx, account.id, made[1].id, State.FAILED, begin, ("expired_token", "Token."))
    )
    await tallying.count_day(database, account, date(2030, 5, 1))
    assert [(c.country, c.state, c.failure_code, c.messages) for c in await counts_of(database, account)][-1] == (
        "JP",
        "queued",
        "",
        3,
    )
    assert {(c.country, c.state, c.failure_code, c.messages) for c in await counts_of(database, account)} == {
        ("JP", "queued", "", 3),
        ("JP", "failed", "expired_token", 1),
        ("", "received", "", 1),
    }
    hours = await database.read(lambda tx: tallies.hours_of_day(tx, account.id, "2030-05-01"))
    assert hours == {0: 1, 1: 2, 23: 1}


async def test_which_days_are_counted(database: Database) -> None:
    """Today always, yesterday now and then, what is long over once; and all again when the account moves to another zone."""
    at_ms = now_ms()
    account = await make_account(database, at_ms - 9 * DAY_MS)
    days = await tallying.days_to_count(database, account, at_ms)
    assert len(days) == 10, "not before the account was opened"
    assert days[0] == tallying.day_of(at_ms, TOKYO)
    for day in days:
        await tallying.count_day(database, account, day)
    assert await tallying.days_to_count(database, account, now_ms()) == days[:1]
    later = await tallying.days_to_count(database, account, now_ms() + tallying.RECOUNT_AFTER_MS + 1)
    assert set(days[: tallying.DAYS_KEPT_FRESH]) <= set(later) <= set(days[: tallying.DAYS_KEPT_FRESH + 2])
    moved = msgspec.structs.replace(account, time_zone="UTC")
    assert len(await tallying.days_to_count(database, moved, now_ms())) >= 9
    old = msgspec.structs.replace(account, created_at_ms=0)
    assert len(await tallying.days_to_count(database, old, at_ms, days=30)) == 21


async def test_counting_again_replaces(database: Database) -> None:
    """A state that moved is counted where it stands now, and once."""
    account = await make_account(database, 0)
    at_ms = now_ms()
    (made,) = await make_messages(
        database, [new_message(account.id, id=id_for_event(at_ms, "x"), created_at_ms=at_ms, person="31612345678")]
    )
    day = tallying.day_of(at_ms, TOKYO)
    await tallying.count_day(database, account, day)
    await database.write(lambda tx: messages.move_message(tx, account.id, made.id, State.READ, at_ms))
    await tallying.count_day(database, account, day)
    assert await counts_of(database, account) == [Count(day.isoformat(), "YourName", "NL", "read", "", 1)]


def test_bounds() -> None:
    """Times are kept by upper bounds a quarter apart, from 10 ms on."""
    assert tallying.bound_of(0) == tallying.bound_of(10) == 10
    for took_ms in (11, 99, 184, 1000, 5_000, 60_000):
        assert took_ms <= tallying.bound_of(took_ms) <= took_ms * 1.26
    assert tallying.bound_of(10**9) == tallying.BOUNDS[-1]
