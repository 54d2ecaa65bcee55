"""A page of a list: the thirteen keys of v3-api.md §4.1, and the links between pages."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

PER_PAGE, MOST_PER_PAGE = 25, 100
AROUND = 3  # pages that are linked on each side of the current one
LAST_PAGE_ASKED = 10**12


def read_page(values: dict[str, Any]) -> int:
    """The page asked for, from 1; what is no page counts as the first, as callers of all ages expect."""
    return read_count(values.get("page"), 1, LAST_PAGE_ASKED)


def read_per_page(values: dict[str, Any]) -> int:
    """`per_page`, or `limit` as some callers name it: 25 unless told otherwise, at most 100."""
    return read_count(values.get("per_page") or values.get("limit"), PER_PAGE, MOST_PER_PAGE)


def read_count(value: object, default: int, most: int) -> int:
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) < 1:
        return default
    return min(int(text), most)


def render_page(
    rows: Sequence[dict[str, Any]],
    *,
    page: int,
    per_page: int,
    total: int,
    path_url: str,
    query: Sequence[tuple[str, str]] = (),
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """`query`: what each link repeats. `extra`: keys of our own, after the thirteen."""
    last = max(1, -(-total // per_page))

    def address(number: int) -> str:
        return f"{path_url}?{urlencode([*query, ('page', str(number))])}"

    before = address(page - 1) if page > 1 else None
    after = address(page + 1) if page < last else None
    first_row = (page - 1) * per_page + 1 if rows else None
    return {
        "current_page": page,
        "data": list(rows),
        "first_page_url": address(1),
        "from": first_row,
        "last_page": last,
        "last_page_url": address(last),
        "links": [
            {"url": before, "label": "&laquo; Previous", "active": False},
            *(
                {"url": address(number) if number else None, "label": str(number or "..."), "active": number == page}
                for number in shown_pages(page, last)
            ),
            {"url": after, "label": "Next &raquo;", "active": False},
        ],
        "next_page_url": after,
        "path": path_url,
        "per_page": per_page,
        "prev_page_url": before,
        "to": first_row + len(rows) - 1 if first_row else None,
        "total": total,
        **(extra or {}),
    }


def shown_pages(page: int, last: int) -> list[int]:
    """The pages that a link leads to: the ends and the neighbours; 0 stands for those left out."""
    wanted = {1, 2, last - 1, last, *range(page - AROUND, page + AROUND + 1)}
    shown: list[int] = []
    for number in sorted(number for number in wanted if 1 <= number <= last):
        if shown and number > shown[-1] + 1:
            shown.append(0)
        shown.append(number)
    return shown
