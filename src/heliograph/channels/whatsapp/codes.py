"""Meta's error codes as data (whatsapp-cloud-api.md §14): what each means, what to do, and what the customer reads.

To add a code, add a row. `outcome_of_error` reads the table for an HTTP answer, `outcome_of_failed_status` for a callback.
Where a row departs from §14.3, a comment beside it says why.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from msgspec import Struct, structs

from heliograph.channels.contract import Scope, SendOutcome, Verdict
from heliograph.channels.whatsapp.values import mapping, number

log = structlog.get_logger(__name__)

FAIL, RETRY, SLOW, PAIR, LATER, HOLD = (
    Verdict.FAIL,
    Verdict.RETRY,
    Verdict.SLOW,
    Verdict.PAIR,
    Verdict.LATER,
    Verdict.HOLD,
)
MESSAGE, TEMPLATE, NUMBER, ACCOUNT, APP = (
    Scope.MESSAGE,
    Scope.TEMPLATE,
    Scope.NUMBER,
    Scope.BUSINESS_ACCOUNT,
    Scope.APP,
)


class CarrierCode(Struct, frozen=True):
    """One row. word: our stable name; sentence: for the customer; advice: what to do; retry_after_s: when waiting is told.

    unknown_with_5xx: with an HTTP 5xx the message may have left all the same.
    """

    word: str
    sentence: str
    advice: str
    verdict: Verdict = FAIL
    scope: Scope = MESSAGE
    retry_after_s: float | None = None
    unknown_with_5xx: bool = False


NEW_TOKEN = "Give the sender a valid system user token."  # noqa: S105 - advice
PERMISSION = (
    "Assign the business account to the token's system user, and give its token the permissions "
    "whatsapp_business_messaging and whatsapp_business_management."
)
PARAMETERS = "Correct the parameters of the template."
OPERATOR = "Whoever runs this installation must mend it in Meta's App Dashboard."
# Read also under a message that failed in the end, and after a report: there nothing is tried again.
TRIED_AGAIN = "It is tried again by itself while that makes sense; if it failed all the same, send it again later."
SLOWED_DOWN = "Sending slows down by itself; if it failed all the same, send it again later."
SEE_DETAILS = "See the carrier's own words, correct the message and send it again."

CODES: dict[int, CarrierCode] = {
    0: CarrierCode("token_invalid", "The carrier does not accept this sender's token.", NEW_TOKEN, HOLD, APP),
    1: CarrierCode("carrier_error", "The carrier had an internal error.", TRIED_AGAIN, RETRY, unknown_with_5xx=True),
    2: CarrierCode(
        "carrier_unavailable",
        "The carrier is down or overloaded.",
        TRIED_AGAIN,
        RETRY,
        unknown_with_5xx=True,
    ),
    3: CarrierCode("permission_missing", "The app lacks a capability or permission.", PERMISSION, HOLD, APP),
    4: CarrierCode("throttled", "The app makes too many calls.", SLOWED_DOWN, SLOW, APP),
    10: CarrierCode("permission_missing", "The token lacks the permission to send.", PERMISSION, HOLD, APP),
    33: CarrierCode("number_gone", "The carrier no longer has this sender's number.", OPERATOR, HOLD, NUMBER),
    100: CarrierCode("invalid_parameter", "The carrier refused a parameter of the message.", SEE_DETAILS),
    104: CarrierCode("token_invalid", "The carrier was given no usable token.", NEW_TOKEN, HOLD, APP),
    190: CarrierCode("token_invalid", "This sender's token has expired or is invalid.", NEW_TOKEN, HOLD, APP),
    368: CarrierCode(
        "policy_block",
        "The carrier has blocked this business for a policy violation.",
        "See Meta's Business Support.",
        HOLD,
        ACCOUNT,
    ),
    2500: CarrierCode("token_invalid", "The carrier was given no usable token.", NEW_TOKEN, HOLD, APP),
    80007: CarrierCode("throttled", "The business account makes too many calls.", SLOWED_DOWN, SLOW, ACCOUNT),
    130403: CarrierCode(
        "recipient_blocked", "The business has blocked this person.", "Unblock the person to write to them."
    ),
    130429: CarrierCode("throttled", "The number sends faster than the carrier allows.", SLOWED_DOWN, SLOW, NUMBER),
    130472: CarrierCode(
        "held_back_by_experiment",
        "The carrier holds marketing messages back from this person.",
        "Do not repeat it soon.",
    ),
    130497: CarrierCode(
        "country_restricted", "The business may not message people in this country.", "Leave this country out."
    ),
    131000: CarrierCode(
        "carrier_error",
        "Something went wrong at the carrier.",
        TRIED_AGAIN,
        RETRY,
        unknown_with_5xx=True,
    ),
    131005: CarrierCode("permission_missing", "The carrier denied access.", PERMISSION, HOLD, NUMBER),
    131008: CarrierCode("parameter_missing", "A required parameter of the message is missing.", SEE_DETAILS),
    131009: CarrierCode("invalid_parameter", "A parameter of the message has a wrong value.", SEE_DETAILS),
    131016: CarrierCode(
        "carrier_unavailable",
        "A service of the carrier is unavailable.",
        TRIED_AGAIN,
        RETRY,
        unknown_with_5xx=True,
    ),
    131020: CarrierCode("group_error", "The carrier refused a message to a group.", "Write to a person."),
    131021: CarrierCode("recipient_is_sender", "Recipient and sender are the same number.", "Use another recipient."),
    131026: CarrierCode(
        "not_on_whatsapp",
        "It cannot be delivered: the person is not on WhatsApp, has an old app, or has not accepted its terms.",
        "Check the number, or reach the person by SMS.",
    ),
    131030: CarrierCode(
        "not_in_test_list",
        "This test number may only write to numbers on its list.",
        "Add the number in the App Dashboard.",
    ),
    131031: CarrierCode(
        "account_locked", "The carrier has locked the business account.", "See Meta's Business Support.", HOLD, ACCOUNT
    ),
    131035: CarrierCode("no_storage", "The account's no-storage setting forbids this message.", OPERATOR),
    131037: CarrierCode(
        "name_not_approved",
        "The number's display name is not approved yet.",
        "Wait for the approval, or change the name.",
        HOLD,
        NUMBER,
    ),
    131041: CarrierCode("group_error", "The carrier refused a message to a group.", "Write to a person."),
    131042: CarrierCode(
        "payment_issue",
        "The business account has a payment problem at the carrier.",
        "Add a payment method at Meta.",
        HOLD,
        ACCOUNT,
    ),
    131044: CarrierCode(
        "payment_issue",
        "The business account has a payment problem at the carrier.",
        "Add a payment method at Meta.",
        HOLD,
        ACCOUNT,
    ),
    131045: CarrierCode(
        "not_registered", "The number's registration has a fault.", "Register the number again.", HOLD, NUMBER
    ),
    131047: CarrierCode(
        "window_closed",
        "More than 24 hours have passed since the person last wrote, so only a template reaches them.",
        "Send a template, or give the sender a window template.",
    ),
    131048: CarrierCode(
        "spam_limit",
        "The carrier limits this number because people blocked or reported its messages.",
        "Improve what is sent; sending goes on after some hours.",
        HOLD,
        NUMBER,
        retry_after_s=4 * 3600.0,
    ),
    # §14.3 allows another try after a day. It is left to the sender of the message, who knows whether the text is still
    # true tomorrow; repeating it gets the person blocked for the whole account.
    131049: CarrierCode(
        "marketing_cap",
        "The carrier did not deliver it: this person gets enough marketing messages already.",
        "Wait at least 24 hours before another marketing message to this person.",
    ),
    131050: CarrierCode(
        "opted_out", "The person stopped marketing messages from this business.", "Send no marketing to this person."
    ),
    131051: CarrierCode(
        "unsupported_type", "The carrier does not support this kind of message.", "Send text, image or template."
    ),
    131052: CarrierCode(
        "media_gone", "The carrier could not fetch the person's file.", "Ask the person to send it again."
    ),
    131053: CarrierCode(
        "media_unreachable",
        "The carrier could not fetch or use the image.",
        "Check that media_url is public and leads to a JPEG or PNG of at most 5 MB.",
        RETRY,  # its server may have been busy; a report of it, which is how it mostly comes, ends the message
        unknown_with_5xx=True,
    ),
    131055: CarrierCode("not_allowed", "The carrier does not allow this here.", SEE_DETAILS),
    131056: CarrierCode(
        "pair_limit",
        "Too many messages went to this person in a short time.",
        TRIED_AGAIN,
        PAIR,
    ),
    131057: CarrierCode(
        "maintenance",
        "The number is being moved to a higher throughput.",
        TRIED_AGAIN,
        LATER,
        NUMBER,
        retry_after_s=60.0,
    ),
    131059: CarrierCode("group_error", "The carrier refused a message to a group.", "Write to a person."),
    131062: CarrierCode(
        "needs_a_number", "This message cannot go to a person without a phone number.", "Use a phone number."
    ),
    131063: CarrierCode(
        "marketing_switched_off", "Marketing templates are switched off for this account.", OPERATOR, FAIL, TEMPLATE
    ),
    131064: CarrierCode(
        "classification_limit",
        "The account is limited because templates were wrongly classified.",
        "Wait for Meta to lift it.",
        HOLD,
        ACCOUNT,
    ),
    132000: CarrierCode("template_parameters", "The number of template parameters is wrong.", PARAMETERS),
    132001: CarrierCode(
        "template_missing",
        "The template does not exist in this language, or is not approved.",
        "Check name and language.",
        FAIL,
        TEMPLATE,
    ),
    132005: CarrierCode("template_too_long", "The text is too long for the template.", "Send a shorter text."),
    132007: CarrierCode(
        "template_policy", "The template's content violates a policy.", "Change the template.", FAIL, TEMPLATE
    ),
    132008: CarrierCode("template_parameters", "A template parameter has a wrong value.", PARAMETERS),
    132012: CarrierCode("template_parameters", "A template parameter has a wrong format.", PARAMETERS),
    132015: CarrierCode(
        "template_paused", "The template is paused for its low quality.", "Improve it, or use another.", FAIL, TEMPLATE
    ),
    132016: CarrierCode(
        "template_disabled", "The template is disabled for its low quality.", "Make another template.", FAIL, TEMPLATE
    ),
    132018: CarrierCode("template_parameters", "A template parameter is not valid.", PARAMETERS),
    132068: CarrierCode("flow_blocked", "The flow of the template is blocked.", "Mend the flow.", FAIL, TEMPLATE),
    132069: CarrierCode(
        "flow_throttled",
        "The flow of the template is throttled.",
        TRIED_AGAIN,
        LATER,  # of MESSAGE scope: the scope TEMPLATE stops a template until somebody mends it, and this passes
        retry_after_s=3600.0,
    ),
    133000: CarrierCode(
        "not_registered", "The number was only half deregistered.", "Deregister it again.", HOLD, NUMBER
    ),
    133004: CarrierCode(
        "carrier_unavailable",
        "The carrier is unavailable for a moment.",
        TRIED_AGAIN,
        RETRY,
        unknown_with_5xx=True,
    ),
    133005: CarrierCode("wrong_pin", "The two-step PIN is wrong.", "Give the number's own PIN, or set a new one."),
    133006: CarrierCode("not_verified", "The number must be verified first.", "Request a code and verify it."),
    133008: CarrierCode("wrong_pin", "Too many wrong PINs were tried.", "Wait as long as Meta says."),
    133009: CarrierCode("wrong_pin", "The PIN was tried too fast again.", "Wait a moment."),
    133010: CarrierCode(
        "not_registered", "The number is not registered with the Cloud API.", "Register the number.", HOLD, NUMBER
    ),
    133015: CarrierCode(
        "number_just_deleted",
        "The number was deleted a moment ago.",
        "Wait five minutes.",
        LATER,
        NUMBER,
        retry_after_s=300.0,
    ),
    133016: CarrierCode(
        "register_limit",
        "The number was registered and deregistered too often.",
        "Wait 72 hours.",
        HOLD,
        NUMBER,
        retry_after_s=72 * 3600.0,
    ),
    134011: CarrierCode("payment_terms", "The payment terms are not accepted.", "Accept them at Meta."),
    134100: CarrierCode("marketing_only", "Only marketing messages may go this way.", "Use a marketing template."),
    134101: CarrierCode(
        "template_syncing",
        "The template is being synchronised.",
        TRIED_AGAIN,
        LATER,
        retry_after_s=600.0,
    ),
    134102: CarrierCode(
        "template_unavailable", "The template is unavailable.", "Use another template.", FAIL, TEMPLATE
    ),
    135000: CarrierCode("invalid_parameter", "The carrier refused the message's parameters.", SEE_DETAILS),
    136024: CarrierCode("already_verified", "The number is verified already.", "Go on with registering it."),
    137000: CarrierCode("identity_changed", "The person's identity key has changed.", "Confirm with the person first."),
    139200: CarrierCode(
        "direct_send_blocked", "Sending without a template is blocked for this account.", "Use a template."
    ),
    # Not in the reference, but what the carrier says when it could not verify our callback address.
    2200: CarrierCode(
        "callback_not_verified",
        "The carrier called the callback address and did not get the answer that it wants.",
        "The address must be reachable from the internet by https, with this server running behind it.",
    ),
    2388019: CarrierCode("template_limit", "The account has as many templates as it may have.", "Delete some."),
    2388023: CarrierCode(
        "template_name_banned", "A template of this name was deleted less than 30 days ago.", "Use another name."
    ),
    2388024: CarrierCode(
        "template_exists", "There is a template of this name in this language.", "Use another name or language."
    ),
    2388039: CarrierCode(
        "template_locked", "The template cannot be edited while it is in review.", "Wait for the review."
    ),
    2388040: CarrierCode("template_too_long", "A text of the template is too long.", "Shorten it."),
    2388043: CarrierCode(
        "template_example", "A variable of the template has no example.", "Give an example of each variable."
    ),
    2388047: CarrierCode("template_header", "The template's header is not as it must be.", "Correct the header."),
    2388072: CarrierCode("template_body", "The template's body is not as it must be.", "Correct the body."),
    2388073: CarrierCode("template_footer", "The template's footer is not as it must be.", "Correct the footer."),
    2388293: CarrierCode(
        "template_variables", "The template has too many variables for its text.", "Use fewer, or more text."
    ),
    2388299: CarrierCode(
        "template_variables", "A variable stands at the start or end of the template.", "Put text around it."
    ),
    2593002: CarrierCode("template_unknown", "The carrier does not have this template.", "Fetch the list anew."),
    2494100: CarrierCode(
        "maintenance",
        "The number is in maintenance.",
        TRIED_AGAIN,
        LATER,
        NUMBER,
        retry_after_s=180.0,
    ),
}
# What the carrier says of a template comes as code 100 with one of these as its subcode, too.
TEMPLATE_SUBCODES = frozenset(code for code in CODES if code // 1000 == 2388 or code == 2593002)
RANGES: tuple[tuple[range, CarrierCode], ...] = (
    (range(200, 300), CarrierCode("permission_missing", "The token lacks a permission.", PERMISSION, HOLD, APP)),
    (
        range(131200, 131300),
        CarrierCode("group_error", "The carrier refused a message to a group.", "Write to a person."),
    ),
    (range(147001, 147006), CarrierCode("username_refused", "The carrier refused the user name.", "Choose another.")),
)
# Code 100 with subcode 33: the id in the path is unknown, or this token may not see it.
UNKNOWN_OBJECT = CarrierCode(
    "number_unknown",
    "The carrier does not know this sender's number id, or its token may not use it.",
    "Check the phone number id, and that the token's system user is assigned to the account.",
    HOLD,
    NUMBER,
)
# Code 100 about appsecret_proof (§1): no message is at fault, and none would pass.
WRONG_PROOF = CarrierCode(
    "app_secret_wrong",
    "The carrier does not accept the proof of the app secret.",
    "Give the sender the app secret of the app that its token was made for.",
    HOLD,
    APP,
)
UNHEARD_OF = CarrierCode("carrier_refused", "The carrier refused the message.", SEE_DETAILS)
# Refusals of something that speaks no Graph: a gateway, a proxy, or another server altogether.
NO_ACCESS = CarrierCode(
    "access_refused",
    "Something in front of the carrier refuses access.",
    "Check the base URL of the sender, and any proxy between this server and the carrier.",
    HOLD,
    NUMBER,
)
NOT_THE_CARRIER = CarrierCode(
    "bad_base_url",
    "What answers at the base URL of this sender is not the Cloud API.",
    "Correct the base URL of the sender.",
    HOLD,
    NUMBER,
)
GATEWAY_THROTTLES = CarrierCode(
    "throttled", "A gateway of the carrier allows no more for now.", SLOWED_DOWN, SLOW, NUMBER
)
NO_ANSWER = (
    "The request left and no clear answer came, so nobody knows whether the carrier took the message. "
    "It is not sent again; a report will settle it."
)
LONGEST_DETAILS = 300

unknown_codes_logged: set[int] = set()


def find_code(code: int, subcode: int | None = None, details: str = "") -> CarrierCode | None:
    if code == 100 and subcode == 33:
        return UNKNOWN_OBJECT
    if code == 100 and "appsecret_proof" in details:
        return WRONG_PROOF
    if code == 100 and subcode in TEMPLATE_SUBCODES:
        return CODES[subcode]
    known = CODES.get(code)
    if known is not None:
        return known
    return next((row for codes, row in RANGES if code in codes), None)


def describe_code(code: str) -> tuple[str, str]:
    """Meaning and advice of a carrier's code as text, for people."""
    found = number(code)
    row = (find_code(found) if found is not None else None) or UNHEARD_OF
    return row.sentence, row.advice


class ListedCode(Struct, frozen=True):
    carrier_code: int
    code: str
    meaning: str
    advice: str


def list_codes() -> list[ListedCode]:
    """The table for the documentation."""
    return [ListedCode(code, row.word, row.sentence, row.advice) for code, row in sorted(CODES.items())]


def outcome_of_error(
    code: int,
    *,
    subcode: int | None = None,
    http_status: int = 400,
    details: str = "",
    transient: bool = False,
    raw: str = "",
    trace_id: str | None = None,
    retry_after_s: float | None = None,
) -> SendOutcome:
    """What an error in the carrier's HTTP answer means for the message.

    transient: the carrier's own hint, believed for codes that the table does not know."""
    row = find_code(code, subcode, details)
    if row is None:
        note_unknown(code, subcode, http_status)
        row = structs.replace(UNHEARD_OF, verdict=RETRY if transient else FAIL, unknown_with_5xx=True)
    if row.unknown_with_5xx and http_status >= 500:
        return unknown_outcome(http_status=http_status, raw=raw, carrier_code=str(code), trace_id=trace_id)
    return outcome_of_row(
        row,
        carrier_code=str(code),
        details=details,
        http_status=http_status,
        raw=raw,
        trace_id=trace_id,
        retry_after_s=retry_after_s,
    )


def outcome_without_code(
    http_status: int, *, raw: str = "", trace_id: str | None = None, retry_after_s: float | None = None
) -> SendOutcome:
    """What an answer means that holds no error of the carrier's: only its HTTP status is left to go by.

    A 4xx and a redirect refused the request; after anything else nobody knows."""
    match http_status:
        case 429:
            row = GATEWAY_THROTTLES
        case 401 | 403 | 407:
            row = NO_ACCESS
        case 301 | 302 | 307 | 308 | 404 | 405 | 410:
            row = NOT_THE_CARRIER
        case 408:  # the gateway gave up waiting, and does not say what became of what it had
            return unknown_outcome(http_status=http_status, raw=raw, trace_id=trace_id)
        case _ if 400 <= http_status < 500:
            row = UNHEARD_OF
        case _:
            return unknown_outcome(http_status=http_status, raw=raw, trace_id=trace_id)
    return outcome_of_row(
        row,
        details=f"HTTP {http_status} without an explanation",
        http_status=http_status,
        raw=raw,
        trace_id=trace_id,
        retry_after_s=retry_after_s,
    )


def outcome_of_row(
    row: CarrierCode,
    *,
    carrier_code: str | None = None,
    details: str = "",
    http_status: int | None = None,
    raw: str = "",
    trace_id: str | None = None,
    retry_after_s: float | None = None,
) -> SendOutcome:
    waits = row.verdict in {Verdict.RETRY, Verdict.SLOW, Verdict.LATER}
    return SendOutcome(
        verdict=row.verdict,
        scope=row.scope,
        code=row.word,
        carrier_code=carrier_code,
        sentence=with_details(row.sentence, details),
        advice=row.advice,
        # The carrier's own wish counts where waiting is the remedy, but never shortens the table's.
        retry_after_s=max(retry_after_s, row.retry_after_s or 0.0) if waits and retry_after_s else row.retry_after_s,
        http_status=http_status,
        raw=raw,
        trace_id=trace_id,
    )


def unknown_outcome(
    *, http_status: int | None = None, raw: str = "", carrier_code: str | None = None, trace_id: str | None = None
) -> SendOutcome:
    """The message may have been sent: never resend it blindly (§15)."""
    return SendOutcome(
        verdict=Verdict.UNKNOWN,
        code="no_answer",
        carrier_code=carrier_code,
        sentence=NO_ANSWER,
        advice="Wait for a report, or ask the person.",
        http_status=http_status,
        raw=raw,
        trace_id=trace_id,
    )


def outcome_of_failed_status(errors: Sequence[Any], raw: str = "") -> SendOutcome:
    """What a `failed` report means. It is over for this message, whatever the code would mean in an answer.

    A verdict HOLD stays, with its scope and its time: the same code stops as much when it comes late as at once."""
    listed = [mapping(error) for error in errors]
    first = next((error for error in listed if number(error.get("code")) is not None), listed[0] if listed else {})
    code, details = number(first.get("code")), details_of(first)
    if code is None:
        return outcome_of_row(UNHEARD_OF, details=details, raw=raw)
    found = outcome_of_error(code, subcode=number(first.get("error_subcode")), details=details, raw=raw)
    if found.verdict is HOLD:
        return structs.replace(found, http_status=None)
    return structs.replace(found, verdict=FAIL, http_status=None, retry_after_s=None)


def note_unknown(code: int, subcode: int | None, http_status: int) -> None:
    """Say once that the carrier has a code that the table does not know."""
    if code not in unknown_codes_logged and len(unknown_codes_logged) < 1000:
        unknown_codes_logged.add(code)
        log.warning("carrier_code_unknown", carrier_code=code, subcode=subcode, http_status=http_status)


def details_of(error: Mapping[str, Any]) -> str:
    """The most telling text of an error: details, else message, else title (§6)."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, Mapping) else data
    for text in (details, error.get("error_user_msg"), error.get("message"), error.get("title")):
        if isinstance(text, str) and text.strip():
            return text.strip().replace("\x00", "")
    return ""


def with_details(sentence: str, details: str) -> str:
    """Our sentence, and the carrier's own words behind it."""
    if not details:
        return sentence
    return f"{sentence} (The carrier says: {details[:LONGEST_DETAILS].rstrip('. ')})"
