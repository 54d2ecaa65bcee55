"""The places of the portal: the one table of its page groups, in the order of the navigation.

A place is a package `portal/<name>/` whose `views.py` has ROUTES (a tuple of route handlers) and, if the navigation shows
a number beside it, `async def count_news(visit) -> int`. How to add one: see the docstring of this package."""

from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from heliograph.portal.access import Rule
from heliograph.portal.languages import N_

CountNews = Callable[[Any], Awaitable[int]]


class Place(Struct, frozen=True):
    """`name`: the package, and the drawing in layout/marks.html. `path`: "" for pages that no navigation shows.

    `key`: what follows "g" on the keyboard. `rule`: who sees it in the navigation."""

    name: str
    path: str
    label: str
    key: str = ""
    rule: Rule = Rule.VIEWER

    @property
    def views(self) -> ModuleType:
        return import_module(f"heliograph.portal.{self.name}.views")

    @property
    def routes(self) -> Sequence[HTTPRouteHandler]:
        routes: Sequence[HTTPRouteHandler] = self.views.ROUTES
        return routes

    @property
    def count_news(self) -> CountNews | None:
        count: CountNews | None = getattr(self.views, "count_news", None)
        return count


PLACES: tuple[Place, ...] = (
    # Getting in
    Place("getting_in", "", N_("Getting in")),
    # What happens
    Place("overview", "/", N_("Overview"), "o"),
    # Messages
    Place("send", "/send", N_("Send"), "s", Rule.MEMBER),
    Place("messages", "/messages", N_("Messages"), "m"),
    # Conversations
    Place("inbox", "/inbox", N_("Inbox"), "i"),
    # The carrier's side: senders, templates
    Place("senders", "/senders", N_("Senders"), "n"),
    Place("templates", "/templates", N_("Templates"), "t"),
    # For programs
    Place("developers", "/developers", N_("Developers"), "d"),
    # For people
    Place("account", "/account", N_("Account"), "a"),
    # Above accounts
    Place("operator", "/operator", N_("Operator"), "r", rule=Rule.OPERATOR),
)
