"""What callbacks do to messages, numbers and windows: applied to a real store, in any order and as often as they come."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliograph.channels.contract import CallbackEvent, InboundMessage, NumberNotice, StatusReport
from heliograph.channels.whatsapp.codes import outcome_of_failed_status
from heliograph.core.ids import new_id
from heliograph.core.references import make_reference
from heliograph.core.statuses import RANK, State
from heliograph.status.applying import apply_event
from heliograph.store import connections, conversations, messages, people, templates
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Database, Tx
from heliograph.store.messages import Message, NewMessage
from tests.store.makers import NOON_MS, make_account, make_connection, make_message, new_sender
from tests.store.test_templates import template

PERSON = "31612345678"
TEMPLATE = '{"name":"hello_world","language":{"code":"en_US"}}'


class Scene:
    """One account with one number, its callbacks applied as the applier does."""

    def __init__(self, database: Database, row: ConnectionRow) -> None:
        self.database = database
        self.row = row

    async def apply(self, *events: CallbackEvent, at_ms: int = NOON_MS) -> list[bool]:
        async def work(tx: Tx) -> list[bool]:
            numbers = {
                r.address: r for r in await connections.connections_of_app(tx, self.row.channel, self.row.app_mark)
            }
            return [await apply_event(tx, numbers, event, at_ms) for event in events]

        return await self.database.write(work)

    async def message(self, **changes: Any) -> NewMessage:
        return await make_message(
            self.database, self.row.account_id, connection_id=self.row.id, person=PERSON, **changes
        )

    async def now(self, message: NewMessage) -> Message:
        found = await self.database.read(lambda tx: messages.message_by_id(tx, message.account_id, message.id))
        assert found is not None
        return found

    async def number(self, row: ConnectionRow | None = None) -> ConnectionRow:
        wanted = row or self.row
        found = await self.database.read(lambda tx: connections.connection_by_id(tx, wanted.account_id, wanted.id))
        assert found is not None
        return found

    async def held_templates(self) -> set[tuple[str, str]]:
        row = self.row
        return set(
            await self.database.read(lambda tx: connections.template_holds(tx, row.account_id, row.business_account))
        )

    async def window_ms(self) -> int | None:
        row = self.row
        return await self.database.read(lambda tx: people.last_inbound_at_ms(tx, row.account_id, row.id, PERSON))

    def report(self, message: NewMessage, status: str, code: int | None = None, **changes: Any) -> StatusReport:
        fields: dict[str, Any] = {
            "phone_number_id": self.row.address,
            "carrier_message_id": f"wamid.{message.id.hex()}",
            "status": status,
            "reported_at_ms": NOON_MS,
            "reference": make_reference(message.account_id, message.id, 1),
            "failure": outcome_of_failed_status([{"code": code, "title": "T"}]) if code is not None else None,
        }
        return StatusReport(**(fields | changes))

    def inbound(self, **changes: Any) -> InboundMessage:
        fields: dict[str, Any] = {
            "phone_number_id": self.row.address,
            "carrier_message_id": "wamid.IN",
            "kind": "text",
            "text": "Hello",
            "received_at_ms": NOON_MS,
            "sender": PERSON,
        }
        return InboundMessage(**(fields | changes))

    def notice(self, **changes: Any) -> NumberNotice:
        fields: dict[str, Any] = {
            "business_account_id": self.row.business_account,
            "phone_number_id": None,
            "field": "account_update",
            "event": "DISABLED_UPDATE",
        }
        return NumberNotice(**(fields | changes))


@pytest.fixture
async def scene(database: Database) -> Scene:
    account = await make_account(database)
    return Scene(database, await make_connection(database, account.id))


# How far a failure reaches


@pytest.mark.parametrize(
    ("code", "word", "reaches_account", "ends_after_ms"),
    [
        (131042, "payment_issue", True, None),
        (131031, "account_locked", True, None),
        (133010, "not_registered", False, None),
        (131048, "spam_limit", False, 4 * 3_600_000),
    ],
)
async def test_failure_that_stops_more(
    scene: Scene, code: int, word: str, reaches_account: bool, ends_after_ms: int | None
) -> None:
    """A code that stops the number or the account in the answer to a send stops it in a later report as well."""
    sibling = await make_connection(scene.database, scene.row.account_id, address="1055500009")
    message = await scene.message()
    await scene.apply(scene.report(message, "failed", code))
    held = await scene.number()
    assert (held.hold_code, held.held_until_ms) == (word, NOON_MS + ends_after_ms if ends_after_ms else None)
    assert (await scene.number(sibling)).hold_code == (word if reaches_account else None)
    assert (await scene.now(message)).state == "failed"


@pytest.mark.parametrize("code", [131026, 131047, 131049, 130472, 131053, 130429])
async def test_failure_of_one_message(scene: Scene, code: int) -> None:
    """A code that is about the message alone leaves the number as it was."""
    message = await scene.message()
    await scene.apply(scene.report(message, "failed", code))
    assert (await scene.number()).hold_code is None
    assert await scene.held_templates() == set()


@pytest.mark.parametrize("code", [132015, 132016, 132001])
async def test_failure_of_a_template(scene: Scene, code: int) -> None:
    """A paused, disabled or missing template is stopped by a report too; the number goes on."""
    message = await scene.message(kind="template", template=TEMPLATE)
    await scene.apply(scene.report(message, "failed", code))
    assert await scene.held_templates() == {("hello_world", "en_US")}
    assert (await scene.number()).hold_code is None


async def test_failure_of_a_window_template(scene: Scene) -> None:
    """A text that went as the sender's window template stops that template."""
    row = scene.row
    sender = new_sender(row.account_id, row.id, window_template_name="note", window_template_language="nl")
    await scene.database.write(lambda tx: connections.add_sender(tx, sender, "yourname"))
    message = await scene.message()
    await scene.apply(scene.report(message, "failed", 132015))
    assert await scene.held_templates() == {("note", "nl")}


async def test_old_news_stops_nothing(scene: Scene) -> None:
    """Neither a repetition nor a report that is hours old stops again what somebody has mended."""
    message, other = await scene.message(), await scene.message()
    report = scene.report(message, "failed", 131042)
    await scene.apply(report)
    row = scene.row
    assert await scene.database.write(lambda tx: connections.release(tx, row.account_id, row.id))
    await scene.apply(report)
    assert (await scene.number()).hold_code is None, "told twice"
    await scene.apply(scene.report(other, "failed", 131042), at_ms=NOON_MS + 2 * 3_600_000)
    assert (await scene.number()).hold_code is None, "hours old"
    assert (await scene.now(other)).state == "failed"


async def test_hold_and_release_in_one_callback(scene: Scene) -> None:
    """A ban and its end that come in the same callback leave the number free."""
    await scene.apply(scene.notice(hold=True), scene.notice(event="ACCOUNT_REINSTATED", release=True))
    assert (await scene.number()).hold_code is None
    await scene.apply(scene.notice(hold=True, event="ACCOUNT_DELETED"))
    assert (await scene.number()).hold_code == "stopped_by_carrier"


async def test_a_notice_ends_no_other_hold(scene: Scene) -> None:
    """That the account is reinstated says nothing of a token that has expired."""
    row = scene.row
    await scene.database.write(lambda tx: connections.hold(tx, row.id, "app", "token_invalid", "Mend it.", None))
    await scene.apply(scene.notice(event="ACCOUNT_REINSTATED", release=True))
    assert (await scene.number()).hold_code == "token_invalid"


# The window


async def test_a_message_opens_the_window(scene: Scene) -> None:
    """What a person writes opens the window from its own time, and an older message that comes late does not set it back."""
    await scene.apply(scene.inbound(received_at_ms=NOON_MS - 1000))
    await scene.apply(scene.inbound(carrier_message_id="wamid.OLD", received_at_ms=NOON_MS - 9000))
    assert await scene.window_ms() == NOON_MS - 1000


async def test_news_about_a_person_opens_no_window(scene: Scene) -> None:
    """A changed number is told as a message of the person, who has said nothing: the window stays closed; it is listed."""
    await scene.apply(scene.inbound(kind="system", text="User A changed from 1 to 2", opens_window=False))
    assert await scene.window_ms() is None
    account_id = scene.row.account_id
    assert await scene.database.read(lambda tx: messages.last_seq(tx, account_id)) == 1


# Any order


REPORTS = st.lists(
    st.tuples(
        st.sampled_from(["sent", "delivered", "read", "failed"]),
        st.integers(0, 1),  # which of two attempts
        st.booleans(),  # by reference or by the carrier's id
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REPORTS, st.sampled_from([State.QUEUED, State.UNKNOWN]))
async def test_any_order_of_reports(scene: Scene, reports: list[tuple[str, int, bool]], start: State) -> None:
    """Reports in any order and number never lower a message's rank, and end where the furthest of them leads."""
    message = await scene.message(state=start, carrier_message_id=None)
    rank = RANK[start]
    for word, attempt, by_reference in reports:
        reference = make_reference(message.account_id, message.id, attempt + 1) if by_reference else None
        known = (await scene.now(message)).carrier_message_id is not None
        code = 131026 if word == "failed" else None
        applied = await scene.apply(scene.report(message, word, code, reference=reference))
        assert applied == [by_reference or known]
        now = RANK[State((await scene.now(message)).state)]
        assert now >= rank
        rank = now
        if applied == [True]:
            assert rank >= RANK[State(word)]
        if word == "failed":
            failed = await scene.now(message)
            assert failed.state != "failed" or failed.failure_code == "not_on_whatsapp"


async def test_the_same_report_twice(scene: Scene) -> None:
    """A repetition leaves one piece of evidence and the same state."""
    message = await scene.message()
    for _ in range(3):
        await scene.apply(scene.report(message, "delivered"))
    events = await scene.database.read(lambda tx: messages.events_of_message(tx, message.account_id, message.id))
    assert [event.name for event in events] == ["delivered"]


async def test_a_report_of_nobodys_message(scene: Scene) -> None:
    """A report that names no message of ours is said to be unknown; one for a number that is not of this app is dropped."""
    message = await scene.message()
    stranger = scene.report(message, "delivered", reference=make_reference(message.account_id, new_id(), 1))
    assert await scene.apply(stranger) == [False]
    other = scene.report(message, "delivered", phone_number_id="999")
    assert await scene.apply(other) == [True]
    assert (await scene.now(message)).state == "queued"


async def test_a_report_about_another_account(scene: Scene) -> None:
    """A reference of another account is not believed, though the number that brings it is real."""
    theirs = await make_account(scene.database, "Bolt")
    row = await make_connection(scene.database, theirs.id, address="7", app_mark=b"another app")
    message = await make_message(scene.database, theirs.id, connection_id=row.id)
    forged = scene.report(message, "failed", 131042)
    assert await scene.apply(forged) == [False]
    assert (await scene.now(message)).state == "queued"
    assert (await scene.number(row)).hold_code is None


async def test_the_same_inbound_twice(scene: Scene) -> None:
    """A repeated delivery is one message; two messages of one second are two, both unread in one conversation."""
    for _ in range(2):
        await scene.apply(scene.inbound(), scene.inbound(carrier_message_id="wamid.IN2"))
    account_id = scene.row.account_id
    assert await scene.database.read(lambda tx: messages.last_seq(tx, account_id)) == 2
    found = await scene.database.read(lambda tx: conversations.conversations_in(tx, account_id, "open", 0, 5))
    assert [(c.person, c.unread, c.connection_id) for c in found] == [(PERSON, 2, scene.row.id)]


async def test_inbound_of_nobody(scene: Scene) -> None:
    """A message without number and without user id is dropped: nobody could answer it."""
    await scene.apply(scene.inbound(sender=None))
    account_id = scene.row.account_id
    assert await scene.database.read(lambda tx: messages.last_seq(tx, account_id)) == 0
    await scene.apply(scene.inbound(sender=None, sender_user_id="US.1"))
    listed = await scene.database.read(lambda tx: messages.page_by_seq(tx, account_id, 1, 1))
    assert (listed[0].person, listed[0].person_user_id) == ("US.1", "US.1")
    details = msgspec.json.decode(listed[0].details or "{}")
    assert details["kind"] == "text"


async def test_news_of_a_template(scene: Scene) -> None:
    """What a notice tells of a template shows at once, and whoever looks next fetches all of them anew."""
    row = scene.row
    known = template(row.account_id, "order_ready", business_account=row.business_account, status="PENDING")
    await scene.database.write(
        lambda tx: templates.put_templates(tx, row.account_id, row.business_account, [known], NOON_MS)
    )

    async def told(field: str, event: str, **more: bool) -> tuple[str, str, str]:
        await scene.apply(scene.notice(field=field, event=event, template=("order_ready", "en_US"), **more))
        found = await scene.database.read(lambda tx: templates.template_by_id(tx, row.account_id, known.carrier_id))
        assert found is not None
        return found.status, found.quality, found.category

    assert await told("message_template_status_update", "APPROVED", release=True) == ("APPROVED", "GREEN", "UTILITY")
    assert await told("message_template_status_update", "PAUSED", hold=True) == ("PAUSED", "GREEN", "UTILITY")
    assert await told("message_template_status_update", "FLAGGED") == ("PAUSED", "GREEN", "UTILITY")
    assert await told("message_template_quality_update", "RED") == ("PAUSED", "RED", "UTILITY")
    assert await told("template_category_update", "MARKETING") == ("PAUSED", "RED", "MARKETING")
    assert await told("message_template_status_update", "UNPAUSED", release=True) == ("APPROVED", "RED", "MARKETING")
    syncs = await scene.database.read(lambda tx: templates.syncs_of_account(tx, row.account_id))
    assert syncs[row.business_account].synced_at_ms == 0
