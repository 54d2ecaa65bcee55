"""What the overview tells of a period, worked out from the tallies."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from heliograph.channels.whatsapp.codes import list_codes
from heliograph.core.ids import now_ms
from heliograph.core.statuses import OPEN, State
from heliograph.portal.languages import N_
from heliograph.status.tallying import day_of
from heliograph.store import tallies
from heliograph.store.accounts import Account
from heliograph.store.engine import Database, Tx
from heliograph.store.tallies import Count, DayMark

PERIODS: tuple[tuple[str, str, int], ...] = (
    ("today", N_("Today"), 1),
    ("7", N_("7 days"), 7),
    ("30", N_("30 days"), 30),
)
ROWS = 6  # of a table; what is beyond is one row more
# What the carrier's times are told in: upper bounds in ms.
SHOWN_BOUNDS = (100, 250, 500, 1000, 2500, 10_000)


class Funnel(Struct, frozen=True, kw_only=True):
    """How many outgoing messages came how far. Each of sent, delivered, read counts those that came further too."""

    accepted: int = 0
    waiting: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    unknown: int = 0
    cancelled: int = 0


class Line(Struct, frozen=True):
    """A row of a table: who, how many, and which part of those that were sent has been delivered."""

    name: str
    accepted: int
    delivered: float | None


class Reason(Struct, frozen=True):
    code: str
    sentence: str
    messages: int


class Answers(Struct, frozen=True):
    """How long the carrier took to answer: half of the requests within median_ms, 95 % within p95_ms."""

    median_ms: int
    p95_ms: int
    groups: list[tuple[int | None, int]]  # (upper bound, None: beyond the last; requests)


class Figures(Struct, frozen=True, kw_only=True):
    """as_of_ms: when today was counted, None: never yet. is_complete: every day of the period was counted."""

    period: str
    as_of_ms: int | None
    is_complete: bool
    funnel: Funnel
    received: int
    reasons: list[Reason]
    senders: list[Line]
    countries: list[Line]
    answers: Answers | None
    days: list[tuple[date, Funnel]]
    hours: dict[int, int]

    @property
    def is_today(self) -> bool:
        return self.period == "today"

    @property
    def by_hour(self) -> bool:
        """Whether the chart goes by hours: a line of one day alone would be a point."""
        return len(self.days) == 1


async def read_figures(database: Database, account: Account, period: str) -> Figures:
    zone = ZoneInfo(account.time_zone)
    today = day_of(now_ms(), zone)
    length = next(days for name, _, days in PERIODS if name == period)
    first = max(today - timedelta(days=length - 1), min(today, day_of(account.created_at_ms, zone)))

    async def work(
        tx: Tx,
    ) -> tuple[dict[str, DayMark], list[Count], dict[int, int], list[tuple[int, int]]]:
        return (
            await tallies.day_marks(tx, account.id, first.isoformat()),
            await tallies.counts_since(tx, account.id, first.isoformat()),
            await tallies.hours_of_day(tx, account.id, today.isoformat()),
            await tallies.answers_since(tx, account.id, first.isoformat()),
        )

    marks, counts, hours, answers = await database.read(work)
    days = [first + timedelta(days=step) for step in range((today - first).days + 1)]
    outgoing = [count for count in counts if count.state != State.RECEIVED]
    mark = marks.get(today.isoformat())
    by_day: dict[str, list[Count]] = {}
    for count in outgoing:
        by_day.setdefault(count.day, []).append(count)
    return Figures(
        period=period,
        as_of_ms=mark.counted_at_ms if mark else None,
        is_complete=all(day.isoformat() in marks for day in days),
        funnel=add_up(outgoing),
        received=sum(count.messages for count in counts if count.state == State.RECEIVED),
        reasons=find_reasons(outgoing),
        senders=lines_by(outgoing, [count.sender for count in outgoing]),
        countries=lines_by(outgoing, [count.country for count in outgoing]),
        answers=sum_up_answers(answers),
        days=[(day, add_up(by_day.get(day.isoformat(), []))) for day in days],
        hours=hours,
    )


def add_up(counts: Iterable[Count]) -> Funnel:
    states: Counter[str] = Counter()
    for count in counts:
        states[count.state] += count.messages
    read = states[State.READ]
    delivered = read + states[State.DELIVERED]
    return Funnel(
        accepted=sum(states.values()),
        waiting=sum(states[state] for state in OPEN),
        sent=delivered + states[State.SENT],
        delivered=delivered,
        read=read,
        failed=states[State.FAILED] + states[State.EXPIRED],
        unknown=states[State.UNKNOWN],
        cancelled=states[State.CANCELLED],
    )


def find_reasons(counts: Iterable[Count]) -> list[Reason]:
    found: Counter[str] = Counter()
    for count in counts:
        if count.state in {State.FAILED, State.EXPIRED}:
            found[count.failure_code or count.state] += count.messages
    return [Reason(code, sentence_of(code), number) for code, number in found.most_common()]


@lru_cache(maxsize=1)
def sentences() -> dict[str, str]:
    known: dict[str, str] = {}
    for row in list_codes():
        known.setdefault(row.code, row.meaning)
    return known


def sentence_of(code: str) -> str:
    """What our word for a failure means; a word that no table knows stands for itself."""
    return sentences().get(code) or code.replace("_", " ").capitalize() + "."


def lines_by(counts: Sequence[Count], names: Sequence[str]) -> list[Line]:
    """One line for each name, the largest first; beyond ROWS they are one line without a name."""
    groups: dict[str, list[Count]] = {}
    for count, name in zip(counts, names, strict=True):
        groups.setdefault(name, []).append(count)
    ranked = sorted(groups.items(), key=lambda pair: (-sum(one.messages for one in pair[1]), pair[0]))
    lines = [line_of(name, group) for name, group in ranked[:ROWS]]
    if rest := [one for _, group in ranked[ROWS:] for one in group]:
        lines.append(line_of("…", rest))
    return lines


def line_of(name: str, counts: Sequence[Count]) -> Line:
    funnel = add_up(counts)
    return Line(name, funnel.accepted, funnel.delivered / funnel.sent if funnel.sent else None)


def sum_up_answers(answers: Sequence[tuple[int, int]]) -> Answers | None:
    """None where nothing was answered."""
    total = sum(number for _, number in answers)
    if not total:
        return None
    groups: list[tuple[int | None, int]] = []
    below = 0
    for bound in SHOWN_BOUNDS:
        number = sum(n for up_to, n in answers if below < up_to <= bound)
        groups.append((bound, number))
        below = bound
    groups.append((None, sum(n for up_to, n in answers if up_to > below)))
    return Answers(quantile(answers, total, 0.5), quantile(answers, total, 0.95), groups)


def quantile(answers: Sequence[tuple[int, int]], total: int, part: float) -> int:
    """The upper bound within which that part of the answers came."""
    seen = 0
    for up_to, number in answers:
        seen += number
        if seen >= total * part:
            return up_to
    return answers[-1][0]
