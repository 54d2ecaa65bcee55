"""A page of a list: the thirteen keys, their types, and the links."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.paging import read_page, read_per_page, render_page, shown_pages

KEYS = [
    "current_page",
    "data",
    "first_page_url",
    "from",
    "last_page",
    "last_page_url",
    "links",
    "next_page_url",
    "path",
    "per_page",
    "prev_page_url",
    "to",
    "total",
]


def page(number: int, total: int, per_page: int = 25) -> dict[str, Any]:
    count = max(0, min(per_page, total - (number - 1) * per_page))
    return render_page(
        [{"uid": str(n)} for n in range(count)],
        page=number,
        per_page=per_page,
        total=total,
        path_url="https://sms.example/api/v3/sms",
        query=[("status", "Sent")],
    )


def test_a_middle_page() -> None:
    """All thirteen keys in their order and of the types that strict callers insist on; links keep the filters."""
    found = page(2, 88)
    assert list(found) == KEYS
    assert (found["current_page"], found["last_page"], found["from"], found["to"], found["total"]) == (2, 4, 26, 50, 88)
    assert found["next_page_url"] == "https://sms.example/api/v3/sms?status=Sent&page=3"
    assert found["prev_page_url"] == "https://sms.example/api/v3/sms?status=Sent&page=1"
    assert found["path"] == "https://sms.example/api/v3/sms"
    assert [link["active"] for link in found["links"]] == [False, False, True, False, False, False]
    assert found["links"][0]["label"] == "&laquo; Previous"
    assert found["links"][-1]["label"] == "Next &raquo;"


def test_an_empty_page() -> None:
    """No rows: from and to are null, there is one page, and total is 0."""
    found = page(1, 0)
    assert (found["from"], found["to"], found["last_page"], found["total"], found["data"]) == (None, None, 1, 0, [])
    assert found["next_page_url"] is None
    assert found["prev_page_url"] is None


@given(st.integers(1, 10**6), st.integers(0, 10**8), st.integers(1, 100))
def test_any_page(number: int, total: int, per_page: int) -> None:
    """Types hold for any page; links lead to pages that exist, and there are few of them."""
    found = render_page([], page=number, per_page=per_page, total=total, path_url="http://x/sms")
    for key in ("current_page", "last_page", "per_page", "total"):
        assert type(found[key]) is int
    assert len(found["links"]) <= 16
    for link in found["links"][1:-1]:
        assert isinstance(link["label"], str)
        if link["url"]:
            asked = int(parse_qs(urlsplit(link["url"]).query)["page"][0])
            assert 1 <= asked <= found["last_page"]


def test_gaps_are_shown() -> None:
    """Far pages are left out, and three dots stand for them."""
    assert shown_pages(50, 100) == [1, 2, 0, 47, 48, 49, 50, 51, 52, 53, 0, 99, 100]


def test_what_is_no_page_is_the_first() -> None:
    """Odd values do not break a list."""
    unreadable: list[object] = [None, "", "0", "-1", "x", "1e3", True, [], "9" * 30]
    for odd in unreadable:
        assert read_page({"page": odd}) == 1
    assert read_page({"page": "3"}) == 3
    assert read_per_page({}) == 25
    assert read_per_page({"limit": "10"}) == 10
    assert read_per_page({"per_page": 1000}) == 100
