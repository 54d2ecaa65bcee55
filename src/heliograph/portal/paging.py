"""Pages of a list by cursor: as fast at the ten-millionth row as at the first, and no row twice while new ones arrive."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")
PER_PAGE = 50


class Cursor(Struct, frozen=True):
    """Where a page begins, newest first: below the row with key `before`, or above the one with key `after`.

    Both empty: at the newest row. Keys are texts of the list's own."""

    before: str = ""
    after: str = ""


class PageOf(Struct, Generic[T], frozen=True):
    """Rows, newest first, and the cursors of the neighbouring pages ("" where there is none)."""

    rows: list[T]
    newer: str
    older: str


def read_cursor(query: Mapping[str, str]) -> Cursor:
    after = query["after"]
    return Cursor(before="" if after else query["before"], after=after)


def cut_page(found: Sequence[T], cursor: Cursor, key: Callable[[T], str], limit: int = PER_PAGE) -> PageOf[T]:
    """A page from what the store found: `limit` + 1 rows away from the cursor, nearest first.

    So below `before` the newest comes first, above `after` the oldest; the row too many tells that there are more."""
    rows, more = list(found[:limit]), len(found) > limit
    if cursor.after:
        rows.reverse()
    if not rows:
        return PageOf([], newer="", older="")
    first, last = key(rows[0]), key(rows[-1])
    if cursor.after:
        return PageOf(rows, newer=first if more else "", older=last)
    return PageOf(rows, newer=first if cursor.before else "", older=last if more else "")
