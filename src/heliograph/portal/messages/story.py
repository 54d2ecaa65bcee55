"""One message's whole story, as its page tells it."""

from typing import Any

import msgspec
from msgspec import Struct

from heliograph.channels.whatsapp.codes import describe_code
from heliograph.core.ids import id_of, now_ms
from heliograph.core.statuses import OPEN, State
from heliograph.errors import NotFound
from heliograph.portal.languages import N_
from heliograph.portal.visit import Visit
from heliograph.status.explaining import state_now, summarise
from heliograph.store import connections as connection_store
from heliograph.store import messages as message_store
from heliograph.store import sends as send_store
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.engine import Tx
from heliograph.store.messages import Event, Message
from heliograph.store.sends import SendProgress

LOST = frozenset({State.FAILED, State.EXPIRED, State.UNKNOWN})


class Step(Struct, frozen=True):
    """One piece of evidence. `mark` is a state's drawing. `raw`: what was said word for word, folded under `raw_title`."""

    title: str
    mark: str
    sentence: str
    at_ms: int
    code: str = ""
    raw: str = ""
    raw_title: str = ""


class Story(Struct, frozen=True, kw_only=True):
    message: Message
    state: State
    summary: str
    steps: list[Step]
    progress: SendProgress | None
    sender: Sender | None
    connection: ConnectionRow | None
    meaning: str
    advice: str

    @property
    def may_cancel(self) -> bool:
        return self.state in {State.SCHEDULED, State.QUEUED}

    @property
    def is_lost(self) -> bool:
        return self.state in LOST

    @property
    def is_moving(self) -> bool:
        return self.message.direction == "outgoing" and self.state in OPEN | {State.SENT}

    @property
    def template_name(self) -> str:
        """Of a message that is a template."""
        return str(self.template.get("name", "")) if self.template else ""

    @property
    def template(self) -> dict[str, Any] | None:
        return msgspec.json.decode(self.message.template) if self.message.template else None

    @property
    def version(self) -> str:
        """Changes whenever the page would look otherwise."""
        waits = f"{self.progress.due_at_ms}-{self.progress.attempts}" if self.progress else ""
        return f"{self.state}.{len(self.steps)}.{self.message.updated_at_ms}.{waits}"


async def read_story(visit: Visit, uid: str) -> Story:
    """Raises NotFound; a message of another account is not known either."""
    identifier, account_id = id_of(uid), visit.account_id
    if identifier is None:
        raise NotFound("There is no message with this uid.")

    async def work(tx: Tx) -> Story | None:
        message = await message_store.message_by_id(tx, account_id, identifier)
        if message is None:
            return None
        events = await message_store.events_of_message(tx, account_id, identifier)
        progress = await send_store.send_progress(tx, account_id, identifier)
        own = await connection_store.senders_of_account(tx, account_id)
        connection = await connection_store.connection_by_id(tx, account_id, message.connection_id)
        sender = next((one for one in own if one.name == message.sender), None)
        return tell_story(message, events, progress, sender, connection)

    story = await visit.runtime.database.read(work)
    if story is None:
        raise NotFound("There is no message with this uid.")
    return story


def tell_story(
    message: Message,
    events: list[Event],
    progress: SendProgress | None,
    sender: Sender | None,
    connection: ConnectionRow | None,
) -> Story:
    at_ms = now_ms()
    state = state_now(message, progress, at_ms)
    code = next((event.carrier_code for event in reversed(events) if event.carrier_code), None)
    meaning, advice = describe_code(code) if code and state in LOST else ("", "")
    return Story(
        message=message,
        state=state,
        summary=summarise(message, state, progress, at_ms),
        steps=all_steps(message, [view_step(event) for event in events]),
        progress=progress,
        sender=sender,
        connection=connection,
        meaning=meaning or "",
        advice=advice or "",
    )


def all_steps(message: Message, told: list[Step]) -> list[Step]:
    """What we did ourselves comes first for what leaves, and last for what came in."""
    if message.direction == "incoming":
        return [*told, Step(N_("Stored from the carrier's callback"), "received", "", message.created_at_ms)]
    return [Step(N_("Accepted and stored"), "queued", "", message.created_at_ms), *told]


TITLES: dict[str, tuple[str, str]] = {
    "attempt": (N_("Taken for sending"), "sending"),
    "answer": (N_("The carrier answered"), "sent"),
    "sent": (N_("Sent"), "sent"),
    "delivered": (N_("Delivered"), "delivered"),
    "read": (N_("Read"), "read"),
    "failed": (N_("Failed"), "failed"),
    "cancelled": (N_("Cancelled"), "cancelled"),
    "window": (N_("The window was closed"), "queued"),
    "received": (N_("Given to the carrier"), "received"),
    "expired": (N_("Expired"), "expired"),
}
REFUSING = N_("The carrier did not take it")
OWN_WORDS = N_("The carrier's own words")
REFERENCE = N_("The reference that went along")
SILENT = N_("No answer came")


def view_step(event: Event) -> Step:
    title, mark = TITLES.get(event.name.split()[0], (event.name.capitalize(), "queued"))
    if event.name.startswith("answer") and event.code != "accepted":
        unknown = event.code == "unknown" or event.source == "dispatcher"
        title, mark = (SILENT, "unknown") if unknown else (REFUSING, "failed")
    return Step(
        title=title,
        mark=mark,
        sentence=event.sentence or "",
        at_ms=event.at_ms,
        code=event.carrier_code or "",
        raw=readable(event.raw) if event.raw else "",
        raw_title=REFERENCE if event.name.startswith("attempt") else OWN_WORDS,
    )


def readable(raw: str) -> str:
    """JSON with its lines and indents; what is none stays as it came."""
    try:
        return msgspec.json.format(raw, indent=1)
    except msgspec.DecodeError:
        return raw
