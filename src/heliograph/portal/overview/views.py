"""The first page."""

from litestar import get

from heliograph.accounts import senders, tokens
from heliograph.portal.access import Rule
from heliograph.portal.visit import Answer, OnVisit


@get("/", opt={"rule": Rule.VIEWER})
async def show_overview(visit: OnVisit) -> Answer:
    own = await senders.list_senders(visit.runtime, visit.account_id)
    known = await tokens.list_tokens(visit.runtime, visit.account_id)
    return visit.render(
        "overview/overview.html",
        senders=own,
        has_token=any(token.revoked_at_ms is None for token in known),
    )


@get("/more", opt={"rule": Rule.VIEWER})
async def show_more(visit: OnVisit) -> Answer:
    """The places that do not fit into a phone's tabs."""
    return visit.render("overview/more.html")


ROUTES = (show_overview, show_more)
