"""News about our own templates, numbers and accounts (§8): which stop a sender, which let it go on, what people read."""

from typing import Any

import pytest

from heliograph.channels.contract import NumberNotice
from heliograph.channels.whatsapp.callback import parse_callback
from heliograph.channels.whatsapp.notices import FIELDS
from tests.channels.whatsapp.kit import ACCOUNT
from tests.channels.whatsapp.test_callback import envelope


def notice(field: str, **value: Any) -> NumberNotice:
    (event,) = parse_callback(envelope({"field": field, "value": value}))
    assert isinstance(event, NumberNotice)
    assert (event.business_account_id, event.phone_number_id, event.field) == (ACCOUNT, None, field)
    assert event.sentence
    return event


def template(event: str, language: str = "en-US", **more: Any) -> NumberNotice:
    return notice(
        "message_template_status_update",
        event=event,
        message_template_id=1689,
        message_template_name="order_ready",
        message_template_language=language,
        **more,
    )


@pytest.mark.parametrize("event", ["REJECTED", "PAUSED", "DISABLED", "DELETED", "ARCHIVED"])
def test_template_stops(event: str) -> None:
    """A template that cannot be sent stops, by name and language."""
    found = template(event, reason="PROMOTIONAL")
    assert (found.hold, found.release, found.template) == (True, False, ("order_ready", "en_US"))
    assert "PROMOTIONAL" in found.sentence


@pytest.mark.parametrize("event", ["APPROVED", "REINSTATED", "UNARCHIVED"])
def test_template_goes_on(event: str) -> None:
    """One that can be sent again goes on, whichever way its language is written."""
    found = template(event, language="en_US", reason="NONE")
    assert (found.hold, found.release, found.template) == (False, True, ("order_ready", "en_US"))
    assert "NONE" not in found.sentence


def test_template_is_no_longer_paused() -> None:
    """The end of a pause, told in `other_info`."""
    found = template("PAUSED", other_info={"title": "UNPAUSE", "description": "…"})
    assert (found.hold, found.release) == (False, True)


@pytest.mark.parametrize("event", ["PENDING", "FLAGGED", "IN_APPEAL", "LIMIT_EXCEEDED", "LOCKED", "OF_TOMORROW", ""])
def test_template_news(event: str) -> None:
    """Other words stop nothing: what cannot be sent is refused by the carrier, and then stops."""
    found = template(event)
    assert (found.hold, found.release) == (False, False)


@pytest.mark.parametrize(
    ("value", "hold", "release"),
    [
        ({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE", "waba_ban_date": "x"}}, True, False),
        ({"event": "DISABLED_UPDATE"}, True, False),
        ({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "SCHEDULE_FOR_DISABLE"}}, False, False),
        ({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}}, False, True),
        (
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1795}],
            },
            True,
            False,
        ),
        (
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_ADD_PHONE_NUMBER_ACTION"}],
            },
            False,
            False,
        ),
        ({"event": "ACCOUNT_RESTRICTION", "restriction_info": "x"}, False, False),
        ({"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SCAM"}}, False, False),
        ({"event": "ACCOUNT_DELETED"}, True, False),
        ({"event": "ACCOUNT_OFFBOARDED"}, True, False),
        ({"event": "ACCOUNT_RECONNECTED"}, False, True),
        ({"event": "PARTNER_ADDED"}, False, False),
        ({"event": "VOLUME_BASED_PRICING_TIER_UPDATE"}, False, False),
        ({}, False, False),
    ],
)
def test_account(value: dict[str, Any], hold: bool, release: bool) -> None:
    """What forbids business-initiated messages stops the account's senders; what is only news does not."""
    found = notice("account_update", **value)
    assert (found.hold, found.release) == (hold, release)


@pytest.mark.parametrize(
    ("field", "value", "event", "told"),
    [
        (
            "phone_number_quality_update",
            {
                "display_phone_number": "15550100001",
                "event": "THROUGHPUT_UPGRADE",
                "max_daily_conversations_per_business": "TIER_10K",
            },
            "THROUGHPUT_UPGRADE",
            ["15550100001", "TIER_10K"],
        ),
        (
            "phone_number_name_update",
            {
                "display_phone_number": "15550100001",
                "decision": "REJECTED",
                "requested_verified_name": "Shop",
                "rejection_reason": "NAME_EMPLOYEE_ISSUE",
            },
            "REJECTED",
            ["Shop", "NAME_EMPLOYEE_ISSUE"],
        ),
        (
            "message_template_quality_update",
            {
                "previous_quality_score": "GREEN",
                "new_quality_score": "RED",
                "message_template_name": "a",
                "message_template_language": "nl",
            },
            "RED",
            ["a (nl)", "GREEN"],
        ),
        (
            "template_category_update",
            {
                "message_template_name": "a",
                "message_template_language": "nl",
                "previous_category": "UTILITY",
                "new_category": "MARKETING",
            },
            "MARKETING",
            ["UTILITY", "MARKETING"],
        ),
        ("account_review_update", {"decision": "APPROVED"}, "APPROVED", ["account"]),
        (
            "account_alerts",
            {"entity_type": "WABA", "alert_info": {"alert_severity": "CRITICAL", "alert_description": "Look here."}},
            "",
            ["Look here."],
        ),
        (
            "business_capability_update",
            {"max_daily_conversations_per_business": 2000, "max_phone_numbers_per_business": 20},
            "",
            ["2000", "20"],
        ),
        ("security", {"event": "PIN_CHANGED", "display_phone_number": "15550100001"}, "PIN_CHANGED", ["15550100001"]),
        (
            "business_username_updates",
            {"display_phone_number": "15550100001", "username": "shop", "status": "approved"},
            "approved",
            ["shop", "15550100001"],
        ),
        (
            "account_update",
            {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [{"restriction_type": "RESTRICTED_X", "expiration": 1795000000}],
            },
            "ACCOUNT_RESTRICTION",
            ["RESTRICTED_X", "1795000000"],
        ),
    ],
)
def test_news(field: str, value: dict[str, Any], event: str, told: list[str]) -> None:
    """The sentence repeats what matters of the value."""
    found = notice(field, **value)
    assert found.event == event
    assert not found.release
    for word in told:
        assert word in found.sentence


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_empty_news(field: str) -> None:
    """A value without anything in it still makes a sentence."""
    assert notice(field).sentence.endswith(".")
