"""News about our own templates, numbers and accounts (whatsapp-cloud-api.md §8), and which of them must stop a sender."""

from typing import Any

from heliograph.channels.contract import NumberNotice
from heliograph.channels.whatsapp.values import mapping, objects, text

# Only what surely cannot be sent: a wrong stop costs messages, a missed one costs a refusal that stops it all the same.
TEMPLATE_STOPS = frozenset({"REJECTED", "PAUSED", "DISABLED", "DELETED", "ARCHIVED"})
TEMPLATE_RELEASES = frozenset({"APPROVED", "REINSTATED", "UNARCHIVED"})
ACCOUNT_STOPS = frozenset({"ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED"})
ACCOUNT_RELEASES = frozenset({"ACCOUNT_RECONNECTED", "ACCOUNT_REINSTATED"})
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
EVENT_KEYS = ("event", "decision", "new_quality_score", "new_category", "status")
TOLD = (  # what a sentence repeats from a value, and in which words
    ("previous_quality_score", "before"),
    ("previous_category", "before"),
    ("correct_category", "correct category"),
    ("requested_verified_name", "name"),
    ("username", "username"),
    ("max_daily_conversations_per_business", "people a day"),
    ("max_phone_numbers_per_business", "numbers"),
)


def read_notice(entry: dict[str, Any], field: str, value: dict[str, Any], raw: str) -> NumberNotice | None:
    """None for a field that is no news of ours, or that we do not know."""
    if field not in FIELDS:
        return None
    event = next((word for key in EVENT_KEYS if (word := text(value.get(key)))), "")
    template = read_template(value)
    hold = release = False
    if field == "message_template_status_update":
        release = event in TEMPLATE_RELEASES or text(mapping(value.get("other_info")).get("title")) == "UNPAUSE"
        hold = event in TEMPLATE_STOPS and not release
    elif field == "account_update":
        hold, release = stops_account(event, value), releases_account(event, value)
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


def ban_state(value: dict[str, Any]) -> str:
    return text(mapping(value.get("ban_info")).get("waba_ban_state")) or ""


def stops_account(event: str, value: dict[str, Any]) -> bool:
    """Whether the account may send no more. A ban that is only announced stops nothing yet."""
    if event == "DISABLED_UPDATE":
        return ban_state(value) not in {"REINSTATE", "SCHEDULE_FOR_DISABLE"}
    if event == "ACCOUNT_RESTRICTION":
        kinds = [text(one.get("restriction_type")) or "" for one in objects(value.get("restriction_info"))]
        return any("BIZ_INITIATED" in kind for kind in kinds)
    return event in ACCOUNT_STOPS


def releases_account(event: str, value: dict[str, Any]) -> bool:
    return event in ACCOUNT_RELEASES or (event == "DISABLED_UPDATE" and ban_state(value) == "REINSTATE")


def describe(field: str, event: str, value: dict[str, Any], template: tuple[str, str] | None) -> str:
    """A sentence for the operator and the customer."""
    number, username = text(value.get("display_phone_number")), field == "business_username_updates"
    if template is not None:
        subject = f"Template {template[0]} ({template[1]})"
    elif number is not None:
        subject = f"{'User name of number' if username else 'Number'} {number}"
    else:
        subject = "The business account"
    parts = [f"{subject}: {event or field.replace('_', ' ')}."]
    reason = text(value.get("reason")) or text(value.get("rejection_reason"))
    if reason and reason != "NONE":
        parts.append(f"Reason: {reason}.")
    parts += [f"{words.capitalize()}: {told}." for key, words in TOLD if (told := text(value.get(key)))]
    for one in objects(value.get("restriction_info")):
        kind, until = text(one.get("restriction_type")), text(one.get("expiration"))
        parts.append(f"Restriction: {kind or 'unnamed'}{f', until {until}' if until else ''}.")
    violation = text(mapping(value.get("violation_info")).get("violation_type"))
    if violation:
        parts.append(f"Violation: {violation}.")
    if ban_state(value):
        parts.append(f"State of the ban: {ban_state(value)}.")
    for key, inner in (("alert_info", "alert_description"), ("rejection_info", "recommendation")):
        told = text(mapping(value.get(key)).get(inner))
        if told:
            parts.append(told)
    return " ".join(parts)
