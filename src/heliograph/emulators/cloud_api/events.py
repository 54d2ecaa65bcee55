"""What Meta tells of accounts, numbers, templates and users: callbacks of other fields than `messages` (§8)."""

from typing import Any

import msgspec
from msgspec import Struct

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph_errors import unknown_object
from heliograph.emulators.cloud_api.names import make_user_id
from heliograph.emulators.cloud_api.statuses import Update, name_of
from heliograph.emulators.cloud_api.world import Number, Template, now


class Event(Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /__emulator/events."""

    field: str
    value: dict[str, Any] | None = None  # left out: an example of that field
    phone_number_id: str = defaults.PHONE_NUMBER_ID
    wait_s: float = 10.0


def examples(number: Number, at_s: float) -> dict[str, dict[str, Any]]:
    """A value for each field, as Meta sends it."""
    display = {"display_phone_number": number.digits}
    template = {
        "message_template_id": 500000000000001,
        "message_template_name": defaults.TEMPLATE_ONE_VARIABLE,
        "message_template_language": "en_US",
    }
    return {
        "message_template_status_update": {
            "event": "PAUSED",
            **template,
            "message_template_category": "UTILITY",
            "reason": "NONE",
            "other_info": {"title": "FIRST_PAUSE", "description": "Paused for three hours."},
        },
        "message_template_quality_update": {
            "previous_quality_score": "GREEN",
            "new_quality_score": "YELLOW",
            **template,
        },
        "message_template_components_update": {**template, "message_template_element": "You have a new message: {{1}}"},
        "template_category_update": {**template, "previous_category": "UTILITY", "new_category": "MARKETING"},
        "phone_number_quality_update": {
            **display,
            "event": "THROUGHPUT_UPGRADE",
            "max_daily_conversations_per_business": "TIER_UNLIMITED",
        },
        "phone_number_name_update": {
            **display,
            "decision": "APPROVED",
            "requested_verified_name": number.verified_name,
            "rejection_reason": None,
        },
        "business_capability_update": {
            "max_daily_conversations_per_business": "TIER_10K",
            "max_phone_numbers_per_business": 20,
        },
        "account_update": {
            "event": "DISABLED_UPDATE",
            "ban_info": {"waba_ban_state": "SCHEDULE_FOR_DISABLE", "waba_ban_date": "January 1, 2027"},
        },
        "account_review_update": {"decision": "APPROVED"},
        "account_alerts": {
            "entity_type": "BUSINESS",
            "entity_id": defaults.BUSINESS_ID,
            "alert_info": {
                "alert_severity": "CRITICAL",
                "alert_status": "ACTIVE",
                "alert_type": "OBA_APPROVED",
                "alert_description": "An example of an alert.",
            },
        },
        "security": {**display, "event": "PIN_CHANGED", "requester": defaults.BUSINESS_ID},
        "user_preferences": user_preference(number, defaults.USER_NUMBER, "stop", at_s),
        "user_id_update": user_id_update(number, defaults.USER_NUMBER, at_s),
        "business_username_updates": {**display, "username": "heliograph", "status": "approved"},
        "messages": {  # account-level trouble
            "messaging_product": "whatsapp",
            "metadata": {**display, "phone_number_id": number.id},
            "errors": [{"code": 130429, "title": "Rate limit hit", "message": "Rate limit hit"}],
        },
    }


def user_preference(number: Number, person: str, value: str, at_s: float) -> dict[str, Any]:
    ids = {"wa_id": person, "user_id": make_user_id(person)}
    detail = f"User requested to {value} marketing messages"
    preference = {**ids, "detail": detail, "category": "marketing_messages", "value": value, "timestamp": int(at_s)}
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.digits, "phone_number_id": number.id},
        "contacts": [{"profile": {"name": name_of(person)}, **ids}],
        "user_preferences": [preference],
    }


def user_id_update(number: Number, person: str, at_s: float) -> dict[str, Any]:
    new = make_user_id(person)
    change = {
        "wa_id": person,
        "detail": "User changed the phone number",
        "user_id": {"previous": make_user_id(person + "0"), "current": new},
        "timestamp": int(at_s),
    }
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.digits, "phone_number_id": number.id},
        "user_id_update": [change],
    }


def opt_out(number: Number, person: str, *, stop: bool) -> Update:
    """The person stopped marketing messages in the app, or wants them again."""
    value = user_preference(number, person, "stop" if stop else "resume", now())
    return make_event(number, "user_preferences", value)


def make_event(number: Number, field: str, value: dict[str, Any]) -> Update:
    return Update(
        field=field,
        waba_id=number.waba_id,
        number_id=number.id,
        value=msgspec.json.encode(value),
        at_s=now(),
        timed=field != "messages",
    )


def template_event(number: Number, template: Template, event: str) -> Update:
    value = {
        "event": event,
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "message_template_category": template.category,
        "reason": template.rejected_reason if event == "REJECTED" else "NONE",
    }
    return make_event(number, "message_template_status_update", value)


async def tell_event(emulator: Emulator, event: Event) -> dict[str, Any]:
    """Raises GraphError when there is no such number, or no such field and no value."""
    number = emulator.world.number_of(event.phone_number_id)
    if number is None:
        raise unknown_object("post", event.phone_number_id)
    value = event.value if event.value is not None else examples(number, now()).get(event.field)
    if value is None:
        raise unknown_object("post", event.field)
    update = make_event(number, event.field, value)
    if not emulator.outbox.is_heard(update):
        return {"heard": False}
    return {"heard": True, "taken": await emulator.outbox.tell(update, event.wait_s)}
