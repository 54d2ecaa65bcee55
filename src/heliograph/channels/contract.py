"""What dispatch and status ask of a channel, in plain values. A channel never sees the store.

A channel has two directions: `send` gives one message to the carrier and says what came of it, and `parse_callback`
(a function of each channel's module) turns a carrier's callback into the events below.
"""

from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct


class Connection(Struct, frozen=True, kw_only=True):
    """How to reach the carrier as one of our numbers. Secrets are in clear here: never log one of these."""

    phone_number_id: str
    business_account_id: str
    token: str
    app_secret: str
    base_url: str
    api_version: str
    use_appsecret_proof: bool = False

    def __repr__(self) -> str:
        return f"Connection(phone_number_id={self.phone_number_id!r}, …)"


class Outgoing(Struct, frozen=True, kw_only=True):
    """One message to one person. `reference` is unique per attempt and comes back in the carrier's reports.

    Exactly one of `recipient` (E.164 digits without "+") and `recipient_user_id` (business-scoped id) is set.
    `template` is the carrier's own template object; where it is set, `text` and `media_url` are not sent.
    """

    reference: str
    recipient: str | None = None
    recipient_user_id: str | None = None
    text: str = ""
    media_url: str | None = None
    template: dict[str, Any] | None = None


class Verdict(StrEnum):
    """What to do with the message after one attempt (whatsapp-cloud-api.md §14.2)."""

    ACCEPTED = "accepted"  # the carrier has it; carrier_message_id is set
    RETRY = "retry"  # certainly not sent: again with backoff, bounded
    SLOW = "slow"  # certainly not sent: again, and lower the pace of `scope`
    PAIR = "pair"  # certainly not sent: this recipient later, others go on
    LATER = "later"  # certainly not sent: not before retry_after_s
    HOLD = "hold"  # certainly not sent: the whole `scope` stands still until someone mends it; the message waits
    FAIL = "fail"  # permanent for this message
    UNKNOWN = "unknown"  # it may have been sent: never resend blindly


class Scope(StrEnum):
    """How far a verdict reaches beyond the message."""

    MESSAGE = "message"
    TEMPLATE = "template"  # this template in this language
    NUMBER = "number"
    BUSINESS_ACCOUNT = "business_account"
    APP = "app"  # every number whose token belongs to the app


class SendOutcome(Struct, frozen=True, kw_only=True):
    """What came of one attempt, with its evidence.

    code: our stable word (`window_closed`); carrier_code: the carrier's own (`131047`); sentence: what the customer
    reads; advice: what they can do; raw: the carrier's answer as JSON text without secrets, at most 4 KiB.
    """

    verdict: Verdict
    scope: Scope = Scope.MESSAGE
    code: str = ""
    carrier_code: str | None = None
    sentence: str = ""
    advice: str = ""
    retry_after_s: float | None = None
    carrier_message_id: str | None = None
    carrier_recipient_id: str | None = None
    recipient_user_id: str | None = None
    http_status: int | None = None
    raw: str = ""
    trace_id: str | None = None


class StatusReport(Struct, frozen=True, kw_only=True):
    """The carrier says what became of a message. status: sent, delivered, read or failed (`played` counts as read)."""

    phone_number_id: str
    carrier_message_id: str
    status: str
    reported_at_ms: int
    reference: str | None = None
    recipient_id: str | None = None
    recipient_user_id: str | None = None
    # On failed: the row of the error table that applies. The message is over whatever its verdict says; HOLD and a scope
    # beyond the message say who else must stand still.
    failure: SendOutcome | None = None
    pricing: dict[str, Any] | None = None
    raw: str = ""


class InboundMedia(Struct, frozen=True, kw_only=True):
    media_id: str
    mime_type: str = ""
    sha256_base64: str | None = None
    file_name: str | None = None


class InboundMessage(Struct, frozen=True, kw_only=True):
    """A person wrote. `sender` is E.164 digits, absent for people who hide their number; then `sender_user_id` is set.

    kind is the carrier's word (text, image, location …); text is what a list shows for it, never empty.
    opens_window: whether it is a message of the person's, which lets us answer freely for a while.
    """

    phone_number_id: str
    carrier_message_id: str
    kind: str
    text: str
    received_at_ms: int
    sender: str | None = None
    sender_user_id: str | None = None
    profile_name: str | None = None
    reply_to: str | None = None
    media: InboundMedia | None = None
    opens_window: bool = True
    raw: str = ""


class OptOut(Struct, frozen=True, kw_only=True):
    """A person stopped (or resumed) marketing from this number, told by the carrier."""

    phone_number_id: str
    stopped: bool
    reported_at_ms: int
    person: str | None = None
    person_user_id: str | None = None
    raw: str = ""


class NumberNotice(Struct, frozen=True, kw_only=True):
    """News about our own number, business account or template. `hold` says that its senders must stand still.

    business_account_id or phone_number_id may be empty where the carrier does not name one.
    """

    business_account_id: str
    phone_number_id: str | None
    field: str
    event: str
    hold: bool = False
    release: bool = False
    template: tuple[str, str] | None = None  # name, language
    sentence: str = ""
    raw: str = ""


class Unrendered(Struct, frozen=True, kw_only=True):
    """A part of a callback of a kind that we do not know: kept raw, counted, never an error."""

    field: str
    kind: str
    raw: str = ""


CallbackEvent = StatusReport | InboundMessage | OptOut | NumberNotice | Unrendered


class NumberFacts(Struct, frozen=True, kw_only=True):
    """What the carrier says of our number when asked."""

    display_number: str  # E.164 digits
    verified_name: str = ""
    quality: str = "UNKNOWN"
    status: str = "UNKNOWN"
    throughput_per_s: int = 80
    messaging_limit: str | None = None
    name_status: str | None = None
    can_send: str = "AVAILABLE"
    verification: str = "UNKNOWN"  # whether somebody gave the carrier the code that it sent to the number
    raw: str = ""


class Channel(Protocol):
    """A way out. Methods raise nothing for what a carrier can do wrong: that is a verdict."""

    async def send(self, connection: Connection, message: Outgoing) -> SendOutcome: ...

    async def close(self) -> None: ...
