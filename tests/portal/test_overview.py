"""The first page: what it tells of the account's messages, and what to do next."""

import asyncio
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.kit.waiting import eventually
from tests.portal.conftest import PASSWORD, Browser
from tests.portal.makers import account_of, make_message, make_messages, make_sender, move
from tests.portal.test_messages import read_until

from heliograph.accounts import people
from heliograph.core.ids import id_for_event, now_ms
from heliograph.core.statuses import State
from heliograph.portal.overview import counting, views
from heliograph.portal.overview.charts import draw_chart, round_up
from heliograph.portal.overview.figures import add_up, find_reasons, lines_by, sum_up_answers
from heliograph.runtime import Runtime
from heliograph.status.tallying import count_day, day_of
from heliograph.store.engine import Tx, statement
from heliograph.store.tallies import Count


def words(text: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


async def test_empty_account(ada: Browser, runtime: Runtime) -> None:
    """An account that sent nothing is told how to begin."""
    page = await ada.get("/")
    assert "Nothing was sent yet" in page
    assert "Create an API token" in page
    await make_sender(runtime)
    assert 'href="/send">' in await ada.get("/")


async def test_figures(ada: Browser, other_browser: Browser, runtime: Runtime) -> None:
    """The funnel, the reasons, the senders and the countries of today's messages, and of nobody else's."""
    wanted = [State.READ] * 2 + [State.DELIVERED] * 3 + [State.SENT] + [State.FAILED] * 2 + [State.QUEUED] * 2
    await make_messages(
        runtime,
        [
            {"state": state, "sender": "Lark" if place % 2 else "Service", "person": "447700900104"}
            for place, state in enumerate(wanted)
        ],
    )
    await make_message(runtime, direction="incoming", state=State.RECEIVED, due_at_ms=None)
    page = await ada.get("/")
    text = words(page.text)
    assert "10 messages so far today" in text
    assert "Of those sent, 83.3 % have been delivered" in text
    assert "2 failed" in text
    assert "Accepted 10 2 wait Sent 6 60.0 % of accepted Delivered 5 83.3 % of sent Read 2 40.0 % of delivered" in text
    assert "window_closed 2" in text
    assert "United Kingdom 10" in text
    assert "People wrote 1 message" in text
    assert "As of" in text
    assert "10 messages in these days" in words((await ada.get("/?period=30")).text)
    assert (await ada.get("/?period=nonsense")).status == 200
    await people.create_account(runtime, name="Eve", email="eve@eve.example", password=PASSWORD)
    await other_browser.log_in("eve@eve.example")
    assert "Nothing was sent yet" in await other_browser.get("/")


async def test_days(ada: Browser, runtime: Runtime) -> None:
    """Over days the chart goes by days, and its table has each of them."""
    account = await people.find_account_by_email(runtime, "ada@larkfield.example")
    at_ms = now_ms() - 3 * 86_400_000
    await make_message(runtime, id=id_for_event(at_ms, "x"), created_at_ms=at_ms, state=State.DELIVERED)
    await make_message(runtime)
    today = day_of(now_ms(), ZoneInfo(account.time_zone))
    await runtime.database.write(lambda tx: age_account(tx, account.id))
    for back in range(8):
        await count_day(runtime.database, account, today - timedelta(days=back))
    page = await ada.get("/?period=7")
    text = words(page.text)
    assert "2 messages in these days" in text
    assert "Accepted per day" in text
    rows = re.findall(
        r"<tr><th scope=\"row\">(\d+ \w+)</th><td class=\"num\">(\d+)</td><td class=\"num\">(\d+)</td>", page.text
    )
    assert len(rows) == 7
    assert [(accepted, delivered) for _, accepted, delivered in rows] == [
        ("1", "0"), ("0", "0"), ("0", "0"), ("1", "1"), ("0", "0"), ("0", "0"), ("0", "0")
    ]  # fmt: skip


async def age_account(tx: Tx, account_id: int) -> None:
    await tx.run(statement("age_account_in_test", "UPDATE account SET created_at_ms = 0 WHERE id = $1"), account_id)


async def test_a_page_waits_for_no_count(ada: Browser, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where counting takes long the page comes without the figures, and they come by themselves."""
    monkeypatch.setattr(views, "COUNTED_WHILE_ONE_WAITS", 0)
    may_count = asyncio.Event()

    async def count_when_told(*arguments: object) -> None:
        await may_count.wait()
        await count_day(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(counting, "count_day", count_when_told)
    await make_message(runtime)
    page = await ada.get("/")
    assert "Your messages are being counted." in page
    live = re.search(r'data-live="([^"]+)"', page.text)
    assert live
    async with ada.session.get(ada.base + live[1].replace("&amp;", "&")) as answer:
        may_count.set()
        content: asyncio.StreamReader = answer.content  # type: ignore[assignment]
        said = await read_until(content, "As of")
        assert "event: swap" in said


async def test_figures_follow(ada: Browser, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of a message shows on the page soon after."""
    monkeypatch.setattr(counting, "PAUSE_S", 0.0)
    monkeypatch.setattr(counting, "PAUSE_PER_COUNT", 0)
    made = await make_message(runtime)
    assert "Read 0" in words((await ada.get("/")).text)
    await move(runtime, made, State.READ)

    async def read() -> bool:
        return "Read 1 100.0 % of delivered" in words((await ada.get("/")).text)

    await eventually(read)
    assert await account_of(runtime) == made.account_id


def count_of(state: State, number: int, **facts: str) -> Count:
    return Count("2030-01-01", facts.get("sender", "a"), "NL", state, facts.get("code", ""), number)


def test_sums() -> None:
    """What came far counts for every step before; failures are ranked; small groups are one line."""
    counts = [count_of(State.READ, 2), count_of(State.SENT, 3), count_of(State.EXPIRED, 1), count_of(State.UNKNOWN, 4)]
    funnel = add_up(counts)
    assert (funnel.accepted, funnel.sent, funnel.delivered, funnel.read) == (10, 5, 2, 2)
    assert (funnel.failed, funnel.unknown, funnel.waiting) == (1, 4, 0)
    reasons = find_reasons(
        [count_of(State.FAILED, 1, code="odd_thing"), count_of(State.FAILED, 5, code="window_closed")]
    )
    assert [(one.code, one.messages) for one in reasons] == [("window_closed", 5), ("odd_thing", 1)]
    assert reasons[1].sentence == "Odd thing."
    many = [count_of(State.SENT, 20 - place, sender=f"s{place}") for place in range(9)]
    lines = lines_by(many, [one.sender for one in many])
    assert [line.name for line in lines] == ["s0", "s1", "s2", "s3", "s4", "s5", "…"]
    assert lines[-1].accepted == 14 + 13 + 12


def test_answers() -> None:
    """Half and 95 % of the answers, and how many in each shown step."""
    assert sum_up_answers([]) is None
    found = sum_up_answers([(10, 50), (95, 44), (3000, 6)])
    assert found
    assert (found.median_ms, found.p95_ms) == (10, 3000)
    assert found.groups == [(100, 94), (250, 0), (500, 0), (1000, 0), (2500, 0), (10_000, 6), (None, 0)]


def test_charts() -> None:
    """Points lie in the box, the axis is as high as the highest value or a little more, the last point is marked."""
    chart = draw_chart(["a", "b", "c"], [0, 50, 100], [], places=3, x_marks=[])
    assert chart.line == "0,160.0 500,80.0 1000,0.0"
    assert chart.now == (100.0, 0.0)
    assert chart.y_marks == [100, 50, 0]
    assert draw_chart([], [], [], places=24, x_marks=[]).now is None
    for value in (1, 2, 3, 9, 10, 11, 99, 101, 4001, 10**7 + 1):
        assert value <= round_up(value) <= max(value * 2.5, 4)
        assert round_up(value) % 2 == 0
