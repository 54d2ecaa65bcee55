"""What a member does in a conversation: read it, answer it."""

import hashlib

from heliograph.accept.sending import SendRequest, prepare_send
from heliograph.accept.storing import Entry, Key
from heliograph.core.ids import now_ms
from heliograph.errors import Conflict, Invalid
from heliograph.portal.inbox.reading import Talk, newest_to_mark
from heliograph.portal.visit import Visit
from heliograph.store import conversations as store
from heliograph.store import errands as errand_store
from heliograph.store.engine import Tx

CLOSED = "The 24-hour window is closed: the person has to write first, or you choose a template."
NOBODY = "No sender of this account goes out from the number that the person wrote to."


async def mark_read(visit: Visit, person: str) -> bool:
    """A member has it before their eyes: nothing is unread any more, and the carrier is told. False: nothing was unread."""
    account_id = visit.account_id
    found = await visit.runtime.database.read(lambda tx: store.conversation_by_person(tx, account_id, person))
    if found is None or not found.unread:
        return False

    async def work(tx: Tx) -> bool:
        if not await store.mark_conversation_read(tx, account_id, person):
            return False
        message = await newest_to_mark(tx, account_id, person)
        if message is not None and message.carrier_message_id is not None:
            await errand_store.owe_errand(
                tx, account_id, message.id, "mark_read", message.connection_id, message.carrier_message_id, now_ms()
            )
        tx.announce(f"inbound:{account_id}")
        return True

    return await visit.runtime.database.write(work)


async def answer(visit: Visit, talk: Talk, once: str, text: str = "", template: object = None) -> None:
    """Send as the API does, from the number that the person wrote to. Raises Invalid or Conflict.

    `once` is of the form: the same words sent from the same form twice are one message."""
    at_ms = now_ms()
    if talk.sender is None:
        raise Conflict(NOBODY, code="no_sender")
    if template is None and talk.way(at_ms) == "closed":
        raise Invalid.field("text", CLOSED)
    person = talk.conversation.person
    has_number = person.isascii() and person.isdecimal()
    request = SendRequest(
        recipient=f"+{person}",
        recipient_user_id=None if has_number else person,
        sender_id=talk.sender.name,
        message=text or None,
        template=template,
    )
    prepared = prepare_send(
        visit.known.account,
        {talk.sender.name.removeprefix("+").casefold(): talk.sender},
        request,
        visit.settings,
        at_ms,
        {"user_id": visit.known.user.id},
    )
    digest = hashlib.sha256(repr((person, text, template)).encode(errors="replace")).digest()
    marked = hashlib.sha256(b"portal reply " + once.encode(errors="replace") + digest).digest()
    key = Key(visit.account_id, marked, digest) if once else None
    await visit.desk.acceptor.store(Entry(prepared.messages, 200, b"", key))
