"""The first page: how things stand, and what to do next."""

import asyncio
from typing import Any

from babel import Locale, dates
from litestar import get
from litestar.response import Stream

from heliograph.accounts import senders, tokens
from heliograph.portal.access import Rule
from heliograph.portal.live import Happening, swap, watch
from heliograph.portal.overview.charts import Chart, draw_chart
from heliograph.portal.overview.figures import PERIODS, Figures, read_figures
from heliograph.portal.visit import Answer, OnVisit, Visit
from heliograph.store import messages as message_store

COUNTED_WHILE_ONE_WAITS = 2000  # messages of an account: counting so few costs no more than the page itself
PATIENCE_S = 0.5
LOOK_EVERY_S = 2.0


@get("/", opt={"rule": Rule.VIEWER})
async def show_overview(visit: OnVisit) -> Answer:
    own = await senders.list_senders(visit.runtime, visit.account_id)
    numbers = await senders.list_connections(visit.runtime, visit.account_id)
    known = await tokens.list_tokens(visit.runtime, visit.account_id)
    total = await visit.runtime.database.read(lambda tx: message_store.last_seq(tx, visit.account_id))
    counting = visit.desk.counting.ask(visit.known.account) if total else None
    if counting is not None and total <= COUNTED_WHILE_ONE_WAITS:
        await asyncio.wait({counting}, timeout=PATIENCE_S)
    figures = await read_figures(visit.runtime.database, visit.known.account, read_period(visit))
    return visit.render(
        "overview/overview.html",
        **values_of(visit, figures),
        periods=PERIODS,
        total=total,
        senders=own,
        held=[number for number in numbers if number.hold_code],
        has_token=any(token.revoked_at_ms is None for token in known),
    )


def read_period(visit: Visit) -> str:
    wanted = visit.query["period"]
    return wanted if wanted in {name for name, _, _ in PERIODS} else "today"


def values_of(visit: Visit, figures: Figures) -> dict[str, Any]:
    locale = Locale.parse(visit.caller.language)
    return {
        "figures": figures,
        "chart": draw_hours(visit, figures) if figures.by_hour else draw_days(figures, locale),
        "country": lambda code: locale.territories.get(code, code),
    }


def draw_hours(visit: Visit, figures: Figures) -> Chart:
    last = max(figures.hours, default=0)
    values = [figures.hours.get(hour, 0) for hour in range(last + 1)]
    names = [visit.gettext("%(hour)d to %(next)d o'clock") % {"hour": n, "next": n + 1} for n in range(last + 1)]
    return draw_chart(names, values, [], places=24, x_marks=["00", "06", "12", "18", "24"])


def draw_days(figures: Figures, locale: Locale) -> Chart:
    names = [dates.format_date(day, "d MMM", locale=locale) for day, _ in figures.days]
    accepted = [funnel.accepted for _, funnel in figures.days]
    delivered = [funnel.delivered for _, funnel in figures.days]
    ends = [names[0], names[len(names) // 2], names[-1]] if len(names) > 2 else names
    return draw_chart(names, accepted, delivered, places=len(names), x_marks=ends)


@get("/overview/live", opt={"rule": Rule.VIEWER})
async def watch_overview(visit: OnVisit) -> Stream:
    """New figures as soon as they were counted; `as_of` is the time of those that the page shows."""
    period, shown = read_period(visit), visit.query["as_of"]

    async def look() -> list[Happening]:
        nonlocal shown
        visit.desk.counting.ask(visit.known.account)
        figures = await read_figures(visit.runtime.database, visit.known.account, period)
        if (now := f"{figures.as_of_ms or ''}{figures.is_complete}") == shown:
            return []
        shown = now
        return [swap(visit.part("overview/figures.html", **values_of(visit, figures)))]

    return watch(visit, look, every_s=LOOK_EVERY_S)


@get("/more", opt={"rule": Rule.VIEWER})
async def show_more(visit: OnVisit) -> Answer:
    """The places that do not fit into a phone's tabs."""
    return visit.render("overview/more.html")


ROUTES = (show_overview, watch_overview, show_more)
