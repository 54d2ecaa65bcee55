"""The message object of the API (v3-api.md §5.1): six text keys and `sms_count` that callers rely on, then our own."""

from typing import Any

from msgspec import Struct

from heliograph.core.phone_numbers import BadRecipient
from heliograph.core.schedule_times import render_time
from heliograph.core.statuses import V3_WORD, State


class MessageFacts(Struct, frozen=True, kw_only=True):
    """What a view shows of a message. `to` and `from_` as the recipient's side sees them; times in ms."""

    uid: str
    direction: str
    to: str
    from_: str
    text: str
    state: str
    cost: str
    segments: int
    sms_type: str
    media_url: str | None
    schedule_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    failure_code: str | None = None
    failure_sentence: str | None = None


def view_message(facts: MessageFacts) -> dict[str, Any]:
    view: dict[str, Any] = {
        "uid": facts.uid,
        "to": facts.to,
        "from": facts.from_,
        "message": facts.text,
        "status": V3_WORD[State(facts.state)],
        "cost": facts.cost,
        "sms_count": facts.segments,
        "sms_type": facts.sms_type,
        "direction": facts.direction,
        "media_url": facts.media_url,
        "schedule_time": render_time(facts.schedule_at_ms) if facts.schedule_at_ms is not None else None,
        "created_at": render_time(facts.created_at_ms),
        "updated_at": render_time(facts.updated_at_ms),
    }
    if facts.failure_code is not None:
        view["failure"] = {"code": facts.failure_code, "message": facts.failure_sentence}
    return view


def merge_messages(views: list[dict[str, Any]], refused: list[BadRecipient]) -> dict[str, Any]:
    """One object for several messages (v3-api.md §6.1): the first one's uid, joined recipients, totals, and each of them."""
    merged = dict(views[0])
    merged["to"] = ",".join(view["to"] for view in views)
    merged["cost"] = add_costs([view["cost"] for view in views])
    merged["sms_count"] = sum(view["sms_count"] for view in views)
    merged["messages"] = views
    merged["rejected"] = [{"recipient": bad.given, "message": bad.sentence} for bad in refused]
    return merged


def add_costs(costs: list[str]) -> str:
    """The sum of plain decimals, as a plain decimal."""
    if all(cost.isdecimal() for cost in costs):
        return str(sum(map(int, costs)))
    from decimal import Decimal

    return f"{sum(map(Decimal, costs)):f}"
