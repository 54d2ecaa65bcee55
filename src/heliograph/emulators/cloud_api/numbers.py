"""Business phone numbers: their facts, registration, two-step PIN, profile, settings (whatsapp-cloud-api.md §12)."""

import re
from typing import Any

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.checks import check_product
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call, pick_fields
from heliograph.emulators.cloud_api.graph_errors import bad_parameter, refuse
from heliograph.emulators.cloud_api.names import make_object_id
from heliograph.emulators.cloud_api.paging import page_of
from heliograph.emulators.cloud_api.subscriptions import configure_number
from heliograph.emulators.cloud_api.world import Number, World, now

USUAL_FIELDS = (
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "webhook_configuration",
)
PIN = re.compile(r"[0-9]{6}")
CHANGES_ALLOWED, CHANGES_WITHIN_S = 10, 72 * 3600.0
PROFILE_LIMITS = {"about": 139, "address": 256, "description": 512, "email": 128, "vertical": 64}
PROFILE_FIELDS = ("about", "address", "description", "email", "websites", "vertical", "profile_picture_url")


def display(digits: str) -> str:
    """ "+1 555-010-0001", as the API shows numbers."""
    if digits.startswith("1") and len(digits) == 11:
        return f"+1 {digits[1:4]}-{digits[4:7]}-{digits[7:]}"
    return f"+{digits}"


def facts_of(world: World, number: Number) -> dict[str, Any]:
    connected = number.registered and number.status == "CONNECTED"
    can_send = "AVAILABLE" if connected else "BLOCKED"
    entities = [
        {"entity_type": "PHONE_NUMBER", "id": number.id, "can_send_message": can_send},
        {"entity_type": "WABA", "id": number.waba_id, "can_send_message": "AVAILABLE"},
        {"entity_type": "BUSINESS", "id": defaults.BUSINESS_ID, "can_send_message": "AVAILABLE"},
        {"entity_type": "APP", "id": defaults.APP_ID, "can_send_message": "AVAILABLE"},
    ]
    if not connected:
        description = "The phone number is not registered."
        entities[0] |= {"errors": [{"error_code": 141000, "error_description": description}]}  # type: ignore[dict-item]
    callbacks = {
        "application": world.state.app_callback,
        "whatsapp_business_account": world.state.accounts[number.waba_id].callback,
        "phone_number": number.callback,
    }
    return {
        "id": number.id,
        "display_phone_number": display(number.digits),
        "verified_name": number.verified_name,
        "quality_rating": number.quality,
        "code_verification_status": "VERIFIED" if number.verified else "NOT_VERIFIED",
        "name_status": "APPROVED",
        "status": number.status,
        "platform_type": "CLOUD_API" if number.registered else "NOT_APPLICABLE",
        "throughput": {"level": number.level if number.registered else "NOT_APPLICABLE"},
        "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED" if number.level == "HIGH" else "TIER_2K",
        "messaging_limit_tier": "TIER_UNLIMITED" if number.level == "HIGH" else "TIER_2K",
        "account_mode": "LIVE",
        "webhook_configuration": {name: one.url for name, one in callbacks.items() if one is not None},
        "health_status": {"can_send_message": can_send, "entities": entities},
        "is_official_business_account": False,
        "is_pin_enabled": number.pin is not None,
        "is_on_biz_app": False,
        "last_onboarded_time": "2026-11-01T09:00:00+0000",
    }


async def read_number(emulator: Emulator, call: Call) -> dict[str, Any]:
    number = emulator.world.state.numbers[call.object_id]
    return pick_fields(facts_of(emulator.world, number), call.query.get("fields"), USUAL_FIELDS)


async def list_numbers(emulator: Emulator, call: Call) -> dict[str, Any]:
    world = emulator.world
    numbers = [one for one in world.state.numbers.values() if one.waba_id == call.object_id]
    rows = [pick_fields(facts_of(world, one), call.query.get("fields"), USUAL_FIELDS) for one in numbers]
    return page_of(rows, call)


async def read_account(emulator: Emulator, call: Call) -> dict[str, Any]:
    account = emulator.world.state.accounts[call.object_id]
    facts = {
        "id": account.id,
        "name": account.name,
        "timezone_id": "1",
        "message_template_namespace": "emulated_namespace",
        "account_review_status": "APPROVED",
        "currency": "EUR",
    }
    return pick_fields(facts, call.query.get("fields"), ("name", "timezone_id", "message_template_namespace"))


async def add_number(emulator: Emulator, call: Call) -> dict[str, str]:
    """POST /{waba_id}/phone_numbers. Raises GraphError."""
    given = await call.parameters()
    for name in ("cc", "phone_number", "verified_name"):
        if not given.get(name):
            raise bad_parameter(f"The parameter {name} is required.")
    digits = "".join(c for c in f"{given['cc']}{given['phone_number']}" if c.isdecimal())
    if not 7 <= len(digits) <= 15 or emulator.world.number_of(digits) is not None:
        raise bad_parameter("Param phone_number is not valid, or is taken.")
    number = Number(
        id=make_object_id(),
        waba_id=call.object_id,
        digits=digits,
        verified_name=str(given["verified_name"]),
        level="STANDARD",
        status="UNVERIFIED",
        verified=False,
        registered=False,
    )
    emulator.world.add_number(number)
    emulator.save()
    return {"id": number.id}


async def change_number(emulator: Emulator, call: Call) -> dict[str, bool]:
    """POST /{phone_number_id}: the two-step PIN, or where callbacks go. Raises GraphError."""
    number = emulator.world.state.numbers[call.object_id]
    given = await call.parameters()
    if "pin" in given:
        number.pin = read_pin(given["pin"])
    elif "webhook_configuration" in given:
        await configure_number(emulator, number.id, given["webhook_configuration"])
    else:
        raise bad_parameter("The parameter pin is required.")
    emulator.save()
    return {"success": True}


def read_pin(value: Any) -> str:
    if not isinstance(value, str | int) or not PIN.fullmatch(str(value)):
        raise bad_parameter("Param pin must be a 6-digit number.")
    return str(value)


async def request_code(emulator: Emulator, call: Call) -> dict[str, bool]:
    number = emulator.world.state.numbers[call.object_id]
    given = await call.parameters()
    method = given.get("code_method")
    if method not in {"SMS", "VOICE"}:
        raise bad_parameter(f'Param code_method must be one of {{SMS, VOICE}} - got "{method}".')
    if not given.get("language"):
        raise bad_parameter("The parameter language is required.")
    if number.verified:
        raise refuse(136024)
    number.code_requested = True
    emulator.save()
    return {"success": True}


async def verify_code(emulator: Emulator, call: Call) -> dict[str, bool]:
    number = emulator.world.state.numbers[call.object_id]
    code = str((await call.parameters()).get("code", "")).replace("-", "")
    if not number.code_requested or code != defaults.VERIFICATION_CODE:
        raise refuse(136025)
    number.verified, number.code_requested = True, False
    emulator.save()
    return {"success": True}


def count_change(number: Number) -> None:
    """Raises GraphError 133016 at the eleventh change in 72 hours."""
    number.changes_at = [at for at in number.changes_at if at > now() - CHANGES_WITHIN_S]
    if len(number.changes_at) >= CHANGES_ALLOWED:
        raise refuse(133016)
    number.changes_at.append(now())


async def register(emulator: Emulator, call: Call) -> dict[str, bool]:
    number = emulator.world.state.numbers[call.object_id]
    given = await call.parameters()
    check_product(given.get("messaging_product"))
    pin = read_pin(given.get("pin"))
    count_change(number)
    if not number.verified:
        raise refuse(133006)
    if number.pin is not None and number.pin != pin:
        raise refuse(133005)
    number.pin, number.registered, number.status = pin, True, "CONNECTED"
    emulator.save()
    return {"success": True}


async def deregister(emulator: Emulator, call: Call) -> dict[str, bool]:
    number = emulator.world.state.numbers[call.object_id]
    if not number.registered:
        raise refuse(133010)
    count_change(number)
    number.registered, number.status = False, "DISCONNECTED"
    emulator.save()
    return {"success": True}


async def read_profile(emulator: Emulator, call: Call) -> dict[str, Any]:
    number = emulator.world.state.numbers[call.object_id]
    fields = (call.query.get("fields") or ",".join(PROFILE_FIELDS)).split(",")
    known = {"vertical": "UNDEFINED", **number.profile}
    profile = {name: known[name] for name in fields if known.get(name)}
    return {"data": [{**profile, "messaging_product": "whatsapp"}]}


async def change_profile(emulator: Emulator, call: Call) -> dict[str, bool]:
    number = emulator.world.state.numbers[call.object_id]
    given = await call.parameters()
    check_product(given.pop("messaging_product", None))
    for name, longest in PROFILE_LIMITS.items():
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > longest):
            raise bad_parameter(f"Param {name} must be at most {longest} characters long.")
    if given.get("about") == "":
        raise bad_parameter("Param about must be at least 1 character long.")
    websites = given.get("websites")
    if websites is not None and (
        not isinstance(websites, list) or len(websites) > 2 or any(len(str(one)) > 256 for one in websites)
    ):
        raise bad_parameter("Param websites must be at most 2 addresses of at most 256 characters.")
    number.profile |= {name: given[name] for name in PROFILE_FIELDS[:-1] if name in given}
    if given.get("profile_picture_handle"):
        number.profile["profile_picture_url"] = "https://pps.whatsapp.example/picture.jpg"
    emulator.save()
    return {"success": True}


async def read_settings(emulator: Emulator, call: Call) -> dict[str, Any]:
    number = emulator.world.state.numbers[call.object_id]
    return {"user_identity_change": {"enable_identity_key_check": number.identity_check}, "id": number.id}


async def change_settings(emulator: Emulator, call: Call) -> dict[str, bool]:
    number = emulator.world.state.numbers[call.object_id]
    wanted = (await call.parameters()).get("user_identity_change")
    if not isinstance(wanted, dict) or not isinstance(wanted.get("enable_identity_key_check"), bool):
        raise bad_parameter("The parameter user_identity_change['enable_identity_key_check'] is required.")
    number.identity_check = wanted["enable_identity_key_check"]
    emulator.save()
    return {"success": True}
