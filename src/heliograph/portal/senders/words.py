"""The carrier's words about a number, and its refusals, in plain ones."""

from msgspec import Struct

from heliograph.accounts.numbers import PAUSED
from heliograph.channels.contract import NumberFacts
from heliograph.channels.whatsapp.codes import list_codes
from heliograph.errors import ChannelRefused
from heliograph.portal.languages import N_
from heliograph.store.connections import ConnectionRow

# Meta's words: whatsapp-cloud-api.md §12 and §13
QUALITY = {"GREEN": N_("High"), "YELLOW": N_("Medium"), "RED": N_("Low"), "UNKNOWN": N_("Not rated yet")}
NAME_STATUS = {
    "APPROVED": N_("Approved"),
    "AVAILABLE_WITHOUT_REVIEW": N_("Shown without a review"),
    "PENDING_REVIEW": N_("In review at Meta"),
    "DECLINED": N_("Declined by Meta"),
    "EXPIRED": N_("Expired"),
    "NON_EXISTS": N_("None yet"),
    "NONE": N_("None yet"),
}
LIMITS = {
    "TIER_50": N_("50 people a day"),
    "TIER_250": N_("250 people a day"),
    "TIER_1K": N_("1,000 people a day"),
    "TIER_2K": N_("2,000 people a day"),
    "TIER_10K": N_("10,000 people a day"),
    "TIER_100K": N_("100,000 people a day"),
    "TIER_UNLIMITED": N_("No limit"),
}
REGISTERED = "CONNECTED"


class Standing(Struct, frozen=True):
    """How a number stands. `mark`, `look`: its drawing and colour class; `step` of the setup that mends it, if one does."""

    mark: str
    look: str
    word: str
    sentence: str
    advice: str = ""
    step: str = ""


def standing_of(row: ConnectionRow, facts: NumberFacts | None, names: int) -> Standing:
    if row.hold_code == PAUSED:
        return Standing(
            "cancelled",
            "wait",
            N_("Paused"),
            row.hold_sentence or "",
            N_("Messages wait, and leave when you resume it."),
        )
    if row.hold_code:
        step = "credentials" if row.hold_code in {"token_invalid", "permission_missing", "app_secret_wrong"} else ""
        return Standing(
            "failed", "bad", N_("Stands still"), row.hold_sentence or "", advice_of(row.hold_code), step=step
        )
    if facts is not None and facts.status not in {REGISTERED, "UNKNOWN"}:
        return Standing(
            "scheduled",
            "wait",
            N_("Not finished"),
            N_("The number is not registered with the Cloud API."),
            N_("Prove that it is yours, then register it with a PIN."),
            step="register",
        )
    if not row.verified_at_ms and not row.heard_at_ms:
        return Standing(
            "scheduled",
            "wait",
            N_("Not finished"),
            N_("Meta has not called back yet: replies and reports would not arrive."),
            N_("Let Meta call you back."),
            step="callback",
        )
    if not names:
        return Standing(
            "scheduled",
            "wait",
            N_("Not finished"),
            N_("No sender has this number yet."),
            N_("Name the sender."),
            step="name",
        )
    return Standing("read", "ok", N_("Sends"), "")


def advice_of(code: str) -> str:
    """What to do about a hold, from the table of the carrier's codes."""
    return next((row.advice for row in list_codes() if row.code == code), N_("Mend the cause, then resume it."))


# What the carrier refused: the field at fault ("" = none in particular) and a sentence that says how to mend it.
EXPIRED_TOKEN = N_("This token has expired. Make one that does not: at Meta, Business settings, System users.")
REFUSALS: dict[str, tuple[str, str]] = {
    "token_invalid": ("token", N_("Meta does not accept this token. Copy it again, whole, or make a new one.")),
    "permission_missing": (
        "token",
        N_(
            "This token lacks a permission. It needs whatsapp_business_messaging and whatsapp_business_management, and its "
            "system user must be assigned to the business account."
        ),
    ),
    "number_unknown": (
        "phone_number_id",
        N_(
            "Meta does not know this phone number id, or the token may not use it. It stands under WhatsApp, API setup; it is "
            "not the id of the business account or the app."
        ),
    ),
    "business_account_unknown": (
        "business_account_id",
        N_("Meta does not know this business account id, or the token may not use it."),
    ),
    "other_business_account": (
        "business_account_id",
        N_("The number is not one of this business account. Give the id of the account that lists it."),
    ),
    "app_secret_wrong": (
        "app_secret",
        N_("This is not the secret of the app that the token was made for. It stands under App settings, Basic."),
    ),
    "number_taken": (
        "phone_number_id",
        N_("Another account of this installation has this number. It must be removed there first."),
    ),
    "carrier_unreachable": ("", N_("Meta cannot be reached from this server. Check its network, then try again.")),
    "bad_base_url": ("", N_("What answers there is not WhatsApp's Cloud API.")),
    "carrier_unavailable": ("", N_("Meta is down or overloaded. Try again in a moment.")),
    "throttled": ("", N_("Meta allows no more calls for now. Try again in some minutes.")),
    "callback_not_verified": (
        "",
        N_(
            "Meta called the callback address and did not get through. The address must be reachable from the internet by "
            "https, with this server behind it."
        ),
    ),
    "already_verified": ("", N_("The number is verified already. Go on with registering it.")),
    "wrong_code": ("code", N_("This is not the code that Meta sent. Look again, or have a new one sent.")),
    "not_verified": ("pin", N_("Meta wants the number verified first. Have a code sent, and give it above.")),
    "wrong_pin": (
        "pin",
        N_(
            "The number has another PIN. Give that one, or set a new one at Meta: WhatsApp Manager, two-step verification."
        ),
    ),
    "registered_too_often": (
        "pin",
        N_("The number was registered and deregistered too often. Meta allows it again after 72 hours."),
    ),
}
CODES_OF_CODES = {"136025": "wrong_code", "133016": "registered_too_often"}  # where the carrier's own code tells more


def explain(error: ChannelRefused) -> dict[str, list[str]]:
    """The field at fault and what to do about it; field "": the whole step. What we have no sentence for says its own."""
    code = CODES_OF_CODES.get(error.carrier_code or "", error.code)
    if code == "token_invalid" and "has expired on" in error.message:
        return {"token": [EXPIRED_TOKEN]}
    if code not in REFUSALS:
        return {"": [f"{error.message} {error.advice}".strip()]}
    field, sentence = REFUSALS[code]
    return {field: [sentence]}
