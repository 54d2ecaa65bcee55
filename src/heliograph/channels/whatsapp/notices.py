"""News about our own templates, numbers and accounts (whatsapp-cloud-api.md §8), and which of them must stop a sender."""

from typing import Any

from heliograph.channels.contract import NumberNotice
from heliograph.channels.whatsapp.values import mapping, objects, text

TEMPLATE_STOPS = frozenset({"REJECTED", "PAUSED", "DISABLED", "DELETED", "PENDING_DELETION", "LOCKED"})
TEMPLATE_RELEASES = frozenset({"APPROVED", "REINSTATED"})
FIELDS = frozenset(
    {
        "message_template_status_update",
        "message_template_quality_update",
        "message_template_components_update",
        "template_category_update",
        "phone_number_quality_update",
        "phone_number_name_update",
        "business_capability_update",
        "account_update",
        "account_review_update",
        "account_alerts",
        "security",
        "business_username_updates",
    }
)


def read_notice(entry: dict[str, Any], field: str, value: dict[str, Any], raw: str) -> NumberNotice | None:
    """None for a field that is no news of ours, or that we do not know."""
    if field not in FIELDS:
        return None
    event = text(value.get("event")) or text(value.get("decision")) or text(value.get("new_quality_score")) or ""
    template = read_template(value)
    hold = release = False
    if field == "message_template_status_update":
        hold, release = event in TEMPLATE_STOPS, event in TEMPLATE_RELEASES
    elif field == "account_update":
        hold, release = stops_account(event, value), event in {"ACCOUNT_RECONNECTED", "ACCOUNT_REINSTATED"}
    return NumberNotice(
        business_account_id=text(entry.get("id")) or "",
        phone_number_id=None,
        field=field,
        event=event,
        hold=hold,
        release=release,
        template=template,
        sentence=describe(field, event, value, template),
        raw=raw,
    )


def read_template(value: dict[str, Any]) -> tuple[str, str] | None:
    """Name and language; Meta writes the language as en_US and as en-US."""
    name, language = text(value.get("message_template_name")), text(value.get("message_template_language"))
    return (name, language.replace("-", "_")) if name and language else None


def stops_account(event: str, value: dict[str, Any]) -> bool:
    """Whether the account may send no more."""
    if event == "DISABLED_UPDATE":
        state = text(mapping(value.get("ban_info")).get("waba_ban_state")) or "DISABLE"
        return state != "REINSTATE"
    if event == "ACCOUNT_RESTRICTION":
        kinds = [text(one.get("restriction_type")) or "" for one in objects(value.get("restriction_info"))]
        return any("BIZ_INITIATED" in kind or "MESSAG" in kind for kind in kinds)
    return event in {"ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED"}


def describe(field: str, event: str, value: dict[str, Any], template: tuple[str, str] | None) -> str:
    """A sentence for the operator and the customer."""
    reason = text(value.get("reason")) or text(value.get("rejection_reason"))
    because = f" Reason: {reason}." if reason and reason != "NONE" else ""
    if template is not None:
        return f"Template {template[0]} ({template[1]}): {event or field}.{because}"
    number = text(value.get("display_phone_number"))
    alert = text(mapping(value.get("alert_info")).get("alert_description"))
    subject = f"Number {number}" if number else "The business account"
    return f"{subject}: {event or field.replace('_', ' ')}.{because}{f' {alert}' if alert else ''}"
