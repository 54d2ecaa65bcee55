"""Errors as Graph shapes them (whatsapp-cloud-api.md §14): each code once, with its title and HTTP status.

The texts are our own words or those of §14.4. `refuse(131047)` is what a handler raises; `failure_of(131047)` is what a
failed status carries.
"""

from typing import Any

from msgspec import Struct

from heliograph.emulators.cloud_api.names import make_trace_id

HREF = "/documentation/business-messaging/whatsapp/support/error-codes"


class Known(Struct, frozen=True):
    title: str
    http_status: int = 400
    details: str = ""


KNOWN: dict[int, Known] = {
    0: Known("Error validating access token: the user cannot be authenticated", 401),
    1: Known("An unknown error occurred", 400, "Possibly a bad request, possibly an error on the server."),
    2: Known("Service temporarily unavailable", 503, "The service is down or overloaded."),
    3: Known("Application does not have the capability to make this API call", 500),
    4: Known("Application request limit reached", 400),
    10: Known("Application does not have permission for this action", 403),
    33: Known("Parameter value is not valid", 400, "The business phone number has been deleted."),
    100: Known("Invalid parameter", 400),
    104: Known("An access token is required to request this resource.", 401),
    190: Known("Invalid OAuth access token - Cannot parse access token", 401),
    200: Known("Provide valid app ID", 403),
    368: Known("Temporarily blocked for policies violations", 403),
    2500: Known("An active access token must be used to query information about the current user.", 400),
    80007: Known("There have been too many calls from this WhatsApp Business account", 400),
    130403: Known("User is blocked by the business", 400, "The business has blocked this user."),
    130429: Known("Rate limit hit", 400, "Cloud API message throughput has been reached."),
    130472: Known("User's number is part of an experiment", 400, "The message was held back."),
    130497: Known("Business account is restricted from messaging users in this country.", 403),
    131000: Known("Something went wrong", 500),
    131005: Known("Access denied", 403),
    131008: Known("Required parameter is missing", 400),
    131009: Known("Parameter value is not valid", 400),
    131016: Known("Service unavailable", 500),
    131020: Known("Group is unknown", 400),
    131021: Known("Recipient cannot be sender", 400, "The recipient is the sending number itself."),
    131026: Known("Message undeliverable", 400, "Message Undeliverable."),
    131030: Known(
        "Recipient phone number not in allowed list",
        400,
        "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.",
    ),
    131031: Known("Account has been locked", 403),
    131035: Known("Message cannot be served under the no-storage configuration", 400),
    131037: Known("Display name approval required before the number can send messages", 400),
    131041: Known("Group is suspended", 400),
    131042: Known("Business eligibility payment issue", 400, "There is no usable payment method."),
    131044: Known("Business eligibility payment issue", 400, "There is no usable payment method for calls."),
    131045: Known("Incorrect certificate", 500, "The phone number is not registered correctly."),
    131047: Known(
        "Re-engagement message",
        400,
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    ),
    131048: Known("Spam rate limit hit", 400, "Too many messages from this number were blocked or flagged as spam."),
    131049: Known("This message was not delivered to maintain healthy ecosystem engagement.", 400),
    131050: Known("User has stopped receiving marketing messages from this business", 400),
    131051: Known("Message type unknown", 400, "Message type is currently not supported."),
    131052: Known("Media download error", 400, "The media sent by the user could not be downloaded."),
    131053: Known("Media upload error", 400, "The media could not be fetched or processed."),
    131055: Known("Method not allowed", 400),
    131056: Known(
        "(Business Account, Consumer Account) pair rate limit hit",
        400,
        "Too many messages sent from this phone number to the same user in a short time.",
    ),
    131057: Known("Account in maintenance mode", 500, "The throughput of this number is being raised."),
    131059: Known("Group participant is unknown", 400),
    131062: Known("This message cannot be sent to a business-scoped user id", 400),
    131063: Known("Marketing templates are switched off for Cloud API on this account", 400),
    131064: Known("Messaging limit reached after template classification violations", 400),
    132000: Known("Number of parameters does not match the expected number of params", 400),
    132001: Known("Template name does not exist in the translation", 404),
    132005: Known("Translated text too long", 400),
    132007: Known("Template format character policy violated", 400),
    132008: Known("Template parameter value is not valid", 400),
    132012: Known("Parameter format does not match format in the created template", 400),
    132015: Known("Template is paused due to low quality", 400),
    132016: Known("Template is disabled due to low quality", 400),
    132018: Known("There is an issue with the parameters in your template", 400),
    132068: Known("Flow is in blocked state", 400),
    132069: Known("Flow is in throttled state", 400),
    133000: Known("Incomplete deregistration", 500),
    133004: Known("Server temporarily unavailable", 503),
    133005: Known("Two step verification PIN mismatch", 400),
    133006: Known("Phone number needs to be verified before registering", 400),
    133008: Known("Too many two step verification PIN guesses", 400),
    133009: Known("Two step verification PIN guessed too fast", 400),
    133010: Known("Account not registered", 400),
    133015: Known("Phone number was deleted a moment ago", 400, "Wait 5 minutes before registering it."),
    133016: Known("Account register deregister rate limit exceeded", 400),
    134011: Known("WhatsApp Payments terms of service have not been accepted", 500),
    134100: Known("Only marketing messages are supported by this API", 400),
    134101: Known("Template is being synced", 400, "Try again in 10 minutes."),
    134102: Known("Template is unavailable", 500),
    135000: Known("Generic user error", 400, "There is a fault in the request parameters."),
    136024: Known("Code couldn't be sent", 400, "The phone number is verified already."),
    136025: Known("Code couldn't be verified", 400, "The code that was entered is incorrect."),
    137000: Known("Recipient identity key hash mismatch", 400),
    139200: Known("Direct Send is blocked for this account", 400),
    147001: Known("Username is not available", 400),
    147002: Known("Username is not valid", 400),
    147003: Known("Username is reserved", 400),
    147004: Known("Username cannot be changed now", 400),
    147005: Known("Username is not allowed", 400),
    2388019: Known("Message template limit exceeded", 400),
    2388039: Known("Template cannot be edited now", 400),
    2388040: Known("A field is too long", 400),
    2388047: Known("Header format is incorrect", 400),
    2388072: Known("Body format is incorrect", 400),
    2388073: Known("Footer format is incorrect", 400),
    2388293: Known("Too many variables for the length of the text", 400),
    2388299: Known("Variables cannot be at the start or the end of the text", 400),
    2494100: Known("Business phone number is in maintenance mode", 400),
}

BARE = {0, 104, 190, 200, 2500}  # Graph itself answers these, without a "(#code)" in front
UNKNOWN_CODE = Known("Unknown error", 400)


class GraphError(Exception):
    """The call is refused; `body()` is what the caller reads."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        details: str = "",
        http_status: int = 400,
        subcode: int | None = None,
        type_: str = "OAuthException",
        user_title: str = "",
        user_message: str = "",
        is_transient: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.details, self.http_status = code, message, details, http_status
        self.subcode, self.type = subcode, type_
        self.user_title, self.user_message, self.is_transient = user_title, user_message, is_transient

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.is_transient is not None:
            error["is_transient"] = self.is_transient
        if self.user_title:
            error["error_user_title"], error["error_user_msg"] = self.user_title, self.user_message
        error["fbtrace_id"] = make_trace_id()
        return {"error": error}


def refuse(
    code: int, details: str = "", *, http_status: int | None = None, subcode: int | None = None, message: str = ""
) -> GraphError:
    """The error of a known code with its usual text: "(#131009) Parameter value is not valid"."""
    known = KNOWN.get(code, UNKNOWN_CODE)
    text = message or known.title
    return GraphError(
        code,
        text if code in BARE else f"(#{code}) {text}",
        details=details or known.details,
        http_status=http_status or known.http_status,
        subcode=subcode,
    )


def bad_parameter(sentence: str) -> GraphError:
    """Code 100 with a sentence of its own: "(#100) Param text['body'] must be …"."""
    return GraphError(100, f"(#100) {sentence}")


def missing_parameter(name: str) -> GraphError:
    return bad_parameter(f"The parameter {name} is required.")


def unknown_object(method: str, object_id: str) -> GraphError:
    """Code 100, subcode 33: no such id, or not for this token."""
    return GraphError(
        100,
        f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
        subcode=33,
        type_="GraphMethodException",
    )


def failure_of(code: int, details: str = "") -> dict[str, Any]:
    """One entry of errors[] of a failed status: no type, no "(#code)", no trace id (§6)."""
    known = KNOWN.get(code, UNKNOWN_CODE)
    return {
        "code": code,
        "title": known.title,
        "message": known.title,
        "error_data": {"details": details or known.details or known.title},
        "href": HREF,
    }
