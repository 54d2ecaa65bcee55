"""What may happen to a send, as data: the recipients that provoke an outcome, and the faults that are switched on.

RECIPIENTS is the one table: `heliograph emulator cloud-api --help` prints it, docs/emulator.md shows it, the server obeys it.
"""

import random
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Word = Literal["sent", "delivered", "read", "failed"]
# What takes the place of an answer, or of the rest of it.
Break = Literal["", "cut", "hang", "html_500", "html_502", "empty_503", "gateway_429", "garbled_200"]
Reply = Literal[
    "",
    "stop",
    "text",
    "image",
    "audio",
    "document",
    "location",
    "contacts",
    "button",
    "interactive",
    "reaction",
    "unsupported",
    "no_number",
    "changed_number",
    "opt_out",
]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One status. `after_s` from acceptance; left out: what is usual for the word; "late": what --late-after says."""

    word: Word
    code: int = 0  # of a failure
    after_s: float | Literal["late"] | None = None


class Effect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of a send. Everything left out is as usual."""

    refuse: int | None = None  # the code of an error at once; nothing is accepted
    details: str = ""  # of that error, or of the failure
    instead: Break = ""  # in place of the answer; nothing is accepted
    afterwards: Break = ""  # in place of the answer, although the message was accepted
    first: int = 0  # only the first so many of each so many + 1 sends to one recipient; 0: every send
    free_text_only: bool = False  # templates go through: the window is closed
    wait_s: float = 0.0  # before the answer
    statuses: tuple[Step, ...] | None = None  # () is: never any
    together: bool = False  # all statuses in one callback, in the order given
    copies: int = 1  # of every callback
    early: bool = False  # the first status comes before the answer
    reference_on_failed: bool = True  # biz_opaque_callback_data on `failed`
    bare_error: bool = False  # errors[] with code and title only, as older payloads
    hide_number: bool = False  # statuses without recipient_id and wa_id: a person who hides the number
    other_wa_id: bool = False  # wa_id is not the number that was asked for
    reply: Reply = ""  # what the person answers, once the message was delivered


class Recipient(Struct, frozen=True, kw_only=True):
    """A row of the table."""

    last: int  # two digits at the end of the number
    what: str
    effect: Effect

    @property
    def digits(self) -> str:
        return f"{RANGE}{self.last:02d}"


RANGE = "120255501"  # +1 202 555 01xx, reserved for fiction
SENT, DELIVERED, READ = Step("sent"), Step("delivered"), Step("read")
DELIVERS = (SENT, DELIVERED)


def failing(code: int, **more: object) -> Effect:
    return Effect(statuses=(Step("failed", code),), **more)  # type: ignore[arg-type]


def row(last: int, what: str, effect: Effect) -> Recipient:
    return Recipient(last=last, what=what, effect=effect)


RECIPIENTS: tuple[Recipient, ...] = (
    row(0, "sent, delivered (as every number that is not in this table)", Effect()),
    row(1, "sent, delivered, read", Effect(statuses=(SENT, DELIVERED, READ))),
    row(2, "sent, read; no `delivered`: the chat was open", Effect(statuses=(SENT, READ))),
    row(3, "sent, then nothing for ever: it expires", Effect(statuses=(SENT,))),
    row(4, "accepted, then no status at all", Effect(statuses=())),
    row(5, "sent; `delivered` comes late (--late-after)", Effect(statuses=(SENT, Step("delivered", 0, "late")))),
    row(6, "sent, delivered; each callback three times", Effect(copies=3)),
    row(
        7,
        "read, delivered, sent: in the wrong order",
        Effect(statuses=(Step("read", 0, 0.1), Step("delivered", 0, 0.3), Step("sent", 0, 0.5))),
    ),
    row(
        8,
        "read, sent, delivered in one callback of several entries",
        Effect(statuses=(READ, SENT, DELIVERED), together=True),
    ),
    row(9, "`sent` comes before the answer to the send", Effect(early=True)),
    row(10, "failed 131026: cannot be reached on WhatsApp", failing(131026)),
    row(11, "failed 131047: the window is closed; templates are delivered", failing(131047, free_text_only=True)),
    row(12, "failed 131049: held back for healthy engagement", failing(131049)),
    row(13, "failed 131050: stopped marketing from this business", failing(131050)),
    row(14, "failed 130472: part of an experiment", failing(130472)),
    row(15, "failed 131053: the media could not be fetched", failing(131053)),
    row(16, "failed 131042: no usable payment method", failing(131042)),
    row(17, "failed 130497: restricted in this country", failing(130497)),
    row(18, "failed 131000: something went wrong", failing(131000)),
    row(19, "failed 131051: message type not supported", failing(131051)),
    row(20, "failed 131026 after `sent`", Effect(statuses=(SENT, Step("failed", 131026, 0.3)))),
    row(21, "failed 131026 with code and title only, as older payloads", failing(131026, bare_error=True)),
    row(22, "failed 131026 without biz_opaque_callback_data", failing(131026, reference_on_failed=False)),
    row(24, "failed with a code that nobody knows: 139999", failing(139999)),
    row(30, "refused 131047: the window is closed; templates pass", Effect(refuse=131047, free_text_only=True)),
    row(31, "refused 131026: cannot be reached on WhatsApp", Effect(refuse=131026)),
    row(32, "refused 131030: not in the allowed list of a test number", Effect(refuse=131030)),
    row(33, "refused 131009: parameter value is not valid", Effect(refuse=131009)),
    row(34, "three times 130429 (throughput), then accepted", Effect(refuse=130429, first=3)),
    row(35, "twice 131056 (pair), then accepted", Effect(refuse=131056, first=2)),
    row(36, "once 80007 (account rate), then accepted", Effect(refuse=80007, first=1)),
    row(37, "once 131016 with HTTP 500: service unavailable, then accepted", Effect(refuse=131016, first=1)),
    row(38, "once 2 with HTTP 503: service down, then accepted", Effect(refuse=2, first=1)),
    row(39, "refused 131000 with HTTP 500: something went wrong", Effect(refuse=131000)),
    row(40, "once 131057: number in maintenance, then accepted", Effect(refuse=131057, first=1)),
    row(41, "refused 131048: spam rate limit of the number", Effect(refuse=131048)),
    row(42, "refused 131031: account locked", Effect(refuse=131031)),
    row(43, "refused 133010: number not registered", Effect(refuse=133010)),
    row(44, "refused 190: access token not valid", Effect(refuse=190)),
    row(45, "refused 368: blocked for policy violations", Effect(refuse=368)),
    row(46, "refused 100: invalid parameter", Effect(refuse=100)),
    row(47, "refused 132015: template is paused", Effect(refuse=132015)),
    row(50, "accepted, connection cut before the answer; sent, delivered", Effect(afterwards="cut")),
    row(51, "accepted, connection cut; no status ever", Effect(afterwards="cut", statuses=())),
    row(52, "accepted, never answered (time-out); sent, delivered", Effect(afterwards="hang")),
    row(53, "accepted, never answered; no status ever", Effect(afterwards="hang", statuses=())),
    row(54, "accepted, answered 502 with HTML; sent, delivered", Effect(afterwards="html_502")),
    row(55, "accepted, answered 502 with HTML; no status ever", Effect(afterwards="html_502", statuses=())),
    row(56, "accepted, answered 200 with a body that is no JSON; sent, delivered", Effect(afterwards="garbled_200")),
    row(57, "accepted, answered after 3 s; sent, delivered", Effect(wait_s=3.0)),
    row(60, "not accepted: connection cut", Effect(instead="cut")),
    row(61, "not accepted: never answered", Effect(instead="hang")),
    row(62, "not accepted: 500 with HTML", Effect(instead="html_500")),
    row(63, "not accepted: 503 with nothing", Effect(instead="empty_503")),
    row(64, "once 429 of a gateway, Retry-After: 1; then accepted", Effect(instead="gateway_429", first=1)),
    row(70, "delivered, then replies STOP", Effect(reply="stop")),
    row(71, "delivered, then replies with a text", Effect(reply="text")),
    row(72, "delivered, then replies with an image", Effect(reply="image")),
    row(73, "delivered, then replies with a location", Effect(reply="location")),
    row(74, "delivered, then presses a template's quick reply button", Effect(reply="button")),
    row(75, "delivered, then presses a button of an interactive message", Effect(reply="interactive")),
    row(76, "delivered, then replies with something unsupported", Effect(reply="unsupported")),
    row(77, "delivered, then replies without a phone number", Effect(reply="no_number")),
    row(78, "delivered, then reacts", Effect(reply="reaction")),
    row(79, "delivered, then stops marketing messages (user_preferences)", Effect(reply="opt_out")),
    row(80, "delivered, then tells of a changed number (system)", Effect(reply="changed_number")),
    row(81, "delivered, then replies with a voice message", Effect(reply="audio")),
    row(82, "delivered, then replies with a document", Effect(reply="document")),
    row(83, "delivered, then replies with contacts", Effect(reply="contacts")),
    row(90, "sent, delivered; wa_id is not the number that was asked for", Effect(other_wa_id=True)),
    row(91, "sent, delivered; statuses without recipient_id: the number is hidden", Effect(hide_number=True)),
)

BY_DIGITS: dict[str, Effect] = {one.digits: one.effect for one in RECIPIENTS[1:]}


def render_table() -> str:
    """The table as plain text: a number and what it does, a row a line."""
    return "\n".join(f"+1 202 555 01{one.last:02d}  {one.what}" for one in RECIPIENTS)


def render_markdown() -> str:
    rows = "\n".join(f"| `+1 202 555 01{one.last:02d}` | {one.what} |" for one in RECIPIENTS)
    return f"| recipient | what happens |\n|---|---|\n{rows}"


class Fault(Struct, kw_only=True, forbid_unknown_fields=True):
    """An effect that is switched on for sends of any kind: POST /__emulator/faults."""

    effect: Effect
    to: str = ""  # digits that the recipient starts with; "": anyone
    phone_number_id: str = ""  # "": any
    type: str = ""  # of the message; "": any
    times: int | None = None  # how often; then the fault is over
    every: int = 1  # only each so-many-th send that fits
    chance: float = 1.0  # and only with this probability
    id: int = 0
    seen: int = 0
    applied: int = 0


class Faults:
    """The faults that are switched on; the oldest that fits wins."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self._made = 0
        self._chance = random.Random(20261124)  # noqa: S311 - the same run is the same run again

    def add(self, fault: Fault) -> Fault:
        self._made += 1
        fault.id, fault.seen, fault.applied = self._made, 0, 0
        self.active.append(fault)
        return fault

    def remove(self, ids: Iterable[int] | None) -> int:
        """Switch off those, or all; how many there were."""
        before = len(self.active)
        wanted = None if ids is None else set(ids)
        self.active = [] if wanted is None else [fault for fault in self.active if fault.id not in wanted]
        return before - len(self.active)

    def pick(self, number_id: str, to: str, type_: str) -> Effect | None:
        for fault in self.active:
            if fault.to and not to.startswith(fault.to):
                continue
            if (fault.phone_number_id or number_id) != number_id or (fault.type or type_) != type_:
                continue
            fault.seen += 1
            if fault.seen % max(fault.every, 1) or (fault.chance < 1.0 and self._chance.random() >= fault.chance):
                continue
            fault.applied += 1
            if fault.times is not None and fault.applied >= fault.times:
                self.active.remove(fault)
            return fault.effect
        return None


class Turns:
    """How often in a row each recipient was refused by an effect with `first`. Forgets whom it let through."""

    def __init__(self) -> None:
        self._refused: dict[str, int] = {}

    def strikes(self, to: str, first: int) -> bool:
        """Whether the effect applies to this send: true `first` times, then false once, then again."""
        so_far = self._refused.get(to, 0)
        if so_far >= first:
            self._refused.pop(to, None)
            return False
        if len(self._refused) < 100_000:
            self._refused[to] = so_far + 1
        return True
