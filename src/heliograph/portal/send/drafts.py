"""A message while it is written: the fields of the form, what will become of them, and how the phone will show it."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs

from heliograph.accept.sending import SendRequest
from heliograph.accept.storing import Key
from heliograph.accounts import senders
from heliograph.channels.whatsapp.payloads import BLANKS, LONGEST_CAPTION, LONGEST_TEXT
from heliograph.channels.whatsapp.templates import Shown, Slot, show, slots_of, template_object
from heliograph.core.ids import new_secret, now_ms
from heliograph.core.phone_numbers import BadRecipient, read_recipients, split_recipients
from heliograph.core.schedule_times import NotASchedule, read_schedule_time
from heliograph.dispatch.choosing import has_window_template, window_closes_at_ms
from heliograph.errors import Invalid
from heliograph.portal.visit import Visit
from heliograph.store import connections as connection_store
from heliograph.store import people as people_store
from heliograph.store import templates as template_store
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Tx
from heliograph.store.templates import Template

SHOWN_WAYS = 8  # of how many recipients the page tells the window
READ_ELSEWHERE_FROM = 100  # so many numbers take long enough to be read in a thread
OTHER = "other"  # the choice of a template by its name
SLOT = "slot."  # begins the names of the fields that fill in a template
MOST_TEMPLATES = 200  # to choose from
CARRIERS_OWN = ".facebook.com"


class Draft(Struct, frozen=True, kw_only=True):
    """The form's fields, as texts. `kind`: text or template; `leave_out`: send to the good ones.

    A template is a `choice` among those that the carrier has approved (its carrier_id), filled in by `slots`; or, with OTHER
    or where we know of none, it has a name, a language and `variables`, one a line."""

    recipients: str = ""
    sender: str = ""
    kind: str = "text"
    text: str = ""
    media_url: str = ""
    choice: str = ""
    template_name: str = ""
    template_language: str = "en_US"
    template_image: str = ""
    variables: str = ""
    schedule: str = ""
    leave_out: str = ""
    key: str = ""
    slots: dict[str, str] = {}

    @property
    def is_template(self) -> bool:
        return self.kind == "template"

    @property
    def variable_list(self) -> list[str]:
        return self.variables.split("\n") if self.variables else []

    @property
    def longest(self) -> int:
        """How many characters the text may have."""
        return LONGEST_CAPTION if self.media_url else LONGEST_TEXT

    def template(self, chosen: Template | None) -> dict[str, Any] | None:
        """The carrier's template object. Raises Invalid for variables that are not filled in, as `slot.<key>`."""
        if not self.is_template:
            return None
        if chosen is not None:
            components = msgspec.json.decode(chosen.components)
            try:
                return template_object(chosen.name, chosen.language, chosen.parameter_format, components, self.slots)
            except Invalid as error:
                raise Invalid({f"slot.{key}": told for key, told in error.errors.items()}) from None
        parts: list[dict[str, Any]] = []
        if self.template_image:
            image = {"type": "image", "image": {"link": self.template_image}}
            parts.append({"type": "header", "parameters": [image]})
        if self.variables:
            texts = [{"type": "text", "text": line} for line in self.variable_list]
            parts.append({"type": "body", "parameters": texts})
        return {"name": self.template_name, "language": {"code": self.template_language}, "components": parts}

    def shown(self, chosen: Template | None) -> Shown | None:
        """What the chosen template says, filled in as far as it is."""
        if not self.is_template or chosen is None:
            return None
        return show(msgspec.json.decode(chosen.components), self.slots)

    def request(self, chosen: Template | None) -> SendRequest:
        """What a program would ask of the API; of a template that we know, its words are kept with the message."""
        shown = self.shown(chosen)
        return SendRequest(
            recipient=self.recipients,
            sender_id=self.sender or None,
            type="whatsapp",
            message=shown.body if shown else None if self.is_template else self.text or None,
            media_url=None if self.is_template else self.media_url or None,
            schedule_time=self.schedule or None,
            template=self.template(chosen),
        )

    def idempotency_key(self, account_id: int) -> Key:
        """The same for the same form sent twice; another one as soon as something in it was changed."""
        content = hashlib.sha256(repr(structs.astuple(self)).encode()).digest()
        return Key(account_id, hashlib.sha256(b"portal form " + content).digest(), content)


def read_draft(values: Mapping[str, str]) -> Draft:
    """From a form or an address; what is missing is empty. Browsers write a line's end as CR LF."""
    fields = set(Draft.__struct_fields__) - {"slots"}
    given: dict[str, Any] = {name: values[name].replace("\r\n", "\n").replace("\r", "\n") for name in fields}
    given["slots"] = {name.removeprefix(SLOT): text for name, text in values.items() if name.startswith(SLOT)}
    given["kind"] = "template" if given["kind"] == "template" else "text"
    given["template_language"] = given["template_language"] or "en_US"
    given["key"] = given["key"] or new_secret(16)
    return Draft(**given)


class Way(Struct, frozen=True):
    """How the message will go to one person. closes_at_ms: when their window closes or closed; 0: they never wrote."""

    person: str
    closes_at_ms: int
    is_open: bool
    goes_as: str  # text, image, template or window_template
    may_be_refused: bool


class Plan(Struct, frozen=True, kw_only=True):
    """What would happen if the draft were sent now. `ways`: of the first recipients only."""

    draft: Draft
    good: list[str]
    bad: list[BadRecipient]
    ways: list[Way]
    sender: Sender | None
    connection: ConnectionRow | None
    templates: list[Template]
    is_sandbox: bool
    at_ms: int

    @property
    def chosen(self) -> Template | None:
        """The template that is sent, of those to choose from."""
        return next((one for one in self.templates if one.carrier_id == self.draft.choice), None)

    @property
    def slots(self) -> list[Slot]:
        return slots_of(msgspec.json.decode(self.chosen.components)) if self.chosen else []

    @property
    def shown(self) -> Shown | None:
        return self.draft.shown(self.chosen)

    @property
    def folded_text(self) -> str:
        """The text as the window template carries it: line breaks and rows of blanks become one space."""
        return BLANKS.sub(" ", self.draft.text).strip()

    @property
    def some_as_window_template(self) -> bool:
        return any(way.goes_as == "window_template" for way in self.ways)

    @property
    def all_as_window_template(self) -> bool:
        return bool(self.ways) and all(way.goes_as == "window_template" for way in self.ways)


class Desk(Struct, frozen=True):
    """The account's senders with their numbers."""

    senders: list[Sender]
    connections: dict[int, ConnectionRow]

    def choose(self, name: str) -> Sender | None:
        return next((sender for sender in self.senders if sender.name == name), None)

    def is_sandbox(self, sender: Sender | None) -> bool:
        """Whether its messages go to a carrier that is not the real one, so that trying costs nothing."""
        connection = self.connections.get(sender.connection_id) if sender else None
        return connection is not None and CARRIERS_OWN not in connection.base_url


async def open_desk(visit: Visit) -> Desk:
    own = await senders.list_senders(visit.runtime, visit.account_id)
    numbers = await senders.list_connections(visit.runtime, visit.account_id)
    return Desk(own, {row.id: row for row in numbers})


async def plan_draft(visit: Visit, desk: Desk, draft: Draft) -> Plan:
    """Reads only: nothing is stored by planning."""
    account = visit.known.account
    if len(split_recipients(draft.recipients)) > READ_ELSEWHERE_FROM:
        good, bad = await asyncio.to_thread(read_recipients, draft.recipients, account.default_country)
    else:
        good, bad = read_recipients(draft.recipients, account.default_country)
    sender = desk.choose(draft.sender)
    at_ms = due_at_ms(visit, draft)
    shown = good[:SHOWN_WAYS]
    last = await last_inbounds(visit, sender, shown) if sender else [None] * len(shown)
    connection = desk.connections.get(sender.connection_id) if sender else None
    known = await list_templates(visit, connection)
    return Plan(
        draft=with_choice(draft, known),
        good=good,
        bad=bad,
        ways=[choose_way(draft, sender, person, wrote, at_ms) for person, wrote in zip(shown, last, strict=True)],
        sender=sender,
        connection=connection,
        templates=known,
        is_sandbox=desk.is_sandbox(sender),
        at_ms=at_ms,
    )


def with_choice(draft: Draft, known: list[Template]) -> Draft:
    """Until somebody chooses, the template of the name that is given, or else the first one is chosen."""
    if draft.choice == OTHER or any(one.carrier_id == draft.choice for one in known):
        return draft
    named = (draft.template_name, draft.template_language)
    found = next((one for one in known if not draft.template_name or (one.name, one.language) == named), None)
    return structs.replace(draft, choice=found.carrier_id if found else OTHER)


async def list_templates(visit: Visit, connection: ConnectionRow | None) -> list[Template]:
    """What the carrier has approved for the number's business account, without what stands still there."""
    if connection is None:
        return []
    account_id, business = visit.account_id, connection.business_account

    async def work(tx: Tx) -> list[Template]:
        found = await template_store.templates_of_account(
            tx, account_id, MOST_TEMPLATES, status="APPROVED", business_account=business
        )
        held = await connection_store.template_holds(tx, account_id, business)
        return [one for one in found if (one.name, one.language) not in held]

    return await visit.runtime.database.read(work)


def due_at_ms(visit: Visit, draft: Draft) -> int:
    """When it would leave; now while no usable time is given."""
    at_ms = now_ms()
    try:
        zone = ZoneInfo(visit.known.account.time_zone)
        return max(at_ms, read_schedule_time(draft.schedule, zone, at_ms)) if draft.schedule else at_ms
    except NotASchedule:
        return at_ms


async def last_inbounds(visit: Visit, sender: Sender, persons: Sequence[str]) -> list[int | None]:
    async def work(tx: Tx) -> list[int | None]:
        return [
            await people_store.last_inbound_at_ms(tx, visit.account_id, sender.connection_id, person)
            for person in persons
        ]

    return await visit.runtime.database.read(work)


def choose_way(draft: Draft, sender: Sender | None, person: str, last_inbound_at_ms: int | None, at_ms: int) -> Way:
    """By the same rules as dispatch will, as of the time at which the message leaves."""
    closes_at_ms = window_closes_at_ms(last_inbound_at_ms)
    is_open = closes_at_ms > at_ms
    media_url = draft.media_url or None
    if draft.is_template:
        goes_as = "template"
    elif not is_open and has_window_template(sender, media_url):
        goes_as = "window_template"
    else:
        goes_as = "image" if media_url else "text"
    return Way(person, closes_at_ms, is_open, goes_as, may_be_refused=not is_open and goes_as in {"text", "image"})
