"""What the inbox shows, read in one go: a page of conversations, and one of them with its messages and notes."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from heliograph.channels.whatsapp.payloads import template_name
from heliograph.channels.whatsapp.templates import show, values_of
from heliograph.core.ids import now_ms, short_hash, uid_of
from heliograph.portal.languages import N_
from heliograph.portal.rendering import query_string
from heliograph.store import connections as connection_store
from heliograph.store import conversations as store
from heliograph.store import messages as message_store
from heliograph.store import people as people_store
from heliograph.store import templates as template_store
from heliograph.store import tokens as token_store
from heliograph.store.accounts import Account
from heliograph.store.connections import ConnectionRow, Sender
from heliograph.store.conversations import Box, Conversation, Glance, Member, Note
from heliograph.store.engine import Tx
from heliograph.store.messages import Filters, Message

PER_PAGE = 50
MESSAGES_SHOWN = 60
WINDOW_MS = 24 * 3_600_000  # whatsapp-cloud-api.md §9: free text until 24 hours after the person's last message

BOXES: dict[Box, str] = {
    "open": N_("Open"),
    "unread": N_("Unread"),
    "mine": N_("Mine"),
    "unassigned": N_("Unassigned"),
    "done": N_("Done"),
}
# What a message is, where its text alone does not say so. The store keeps their texts as "[kind] …" (channels' inbound.py).
LABELS = {
    "image": N_("Photo"),
    "video": N_("Video"),
    "audio": N_("Voice message"),
    "document": N_("Document"),
    "sticker": N_("Sticker"),
    "location": N_("Location"),
    "contacts": N_("Contact"),
    "reaction": N_("Reaction"),
    "order": N_("Order"),
    "edit": N_("Edited"),
    "revoke": N_("Deleted"),
    "system": N_("Notice"),
    "template": N_("Template"),
}
PLAIN_KINDS = frozenset({"text", "button", "interactive"})
NOT_SHOWN = N_("Not shown here")
UNMARKED_KINDS = frozenset({"reaction", "system", "edit", "revoke"})  # no phone shows these as unread


class Asked(Struct, frozen=True, kw_only=True):
    """Which conversations are listed: those of a box, or those that `find` finds; `before`: a cursor of the list.

    `person`: whose conversation is open; `before_seq`: its messages before that one."""

    box: Box = "open"
    find: str = ""
    before: str = ""
    person: str = ""
    before_seq: int | None = None

    @property
    def tail(self) -> str:
        """What an address keeps of the list that is beside."""
        kept = query_string({"box": "" if self.box == "open" else self.box, "find": self.find, "before": self.before})
        return f"?{kept}" if kept else ""


class Line(Struct, frozen=True):
    """A conversation in the list."""

    conversation: Conversation
    glance: Glance
    assignee: str

    @property
    def person(self) -> str:
        return self.conversation.person

    @property
    def name(self) -> str:
        return self.conversation.profile_name

    @property
    def initials(self) -> str:
        words = [word for word in self.name.split() if word[0].isalnum()]
        return "".join(word[0] for word in words[:2]).upper() or self.person[-2:]

    @property
    def window_until_ms(self) -> int | None:
        since_ms = self.glance.window_from_ms
        return None if since_ms is None else since_ms + WINDOW_MS

    @property
    def is_open(self) -> bool:
        return (self.window_until_ms or 0) > now_ms()

    @property
    def at_ms(self) -> int:
        return self.glance.created_at_ms or self.conversation.last_inbound_at_ms

    @property
    def label(self) -> str:
        return split_text(self.glance.kind or "text", self.glance.text or "")[0]

    @property
    def snippet(self) -> str:
        return split_text(self.glance.kind or "text", self.glance.text or "")[1]

    @property
    def cursor(self) -> str:
        return f"{self.conversation.last_inbound_at_ms}-{self.person}"


class MediaFacts(Struct, frozen=True):
    """A file that a person sent. `sha256` is there once it was fetched."""

    mime_type: str = ""
    file_name: str | None = None
    bytes: int = 0
    sha256: str | None = None


class Details(Struct, frozen=True):
    """What a message's `details` tell here."""

    token_id: int | None = None
    user_id: int | None = None
    reply_to: str | None = None
    media: MediaFacts | None = None


DETAILS = msgspec.json.Decoder(Details)


class Item(Struct, frozen=True, kw_only=True):
    """One thing of a thread: a message, or a note of the members. `key`: the id of its element in the page.

    `label`, `text`: what kind of message it is ("" for plain texts), and what it says. `by`: who of us wrote it.
    `shown`: False for a kind that is not rendered. `quoted`: the text that it answers."""

    key: str
    at_ms: int
    version: tuple[object, ...]
    message: Message | None = None
    note: Note | None = None
    by: str = ""
    label: str = ""
    text: str = ""
    media: MediaFacts | None = None
    quoted: str = ""
    shown: bool = True

    @property
    def is_theirs(self) -> bool:
        """Whether the person wrote it, not one of us."""
        return self.message is not None and self.message.direction == "incoming"

    @property
    def media_kind(self) -> str:
        """image, video, audio or file; "" where there is none."""
        if self.media is None or self.message is None:
            return ""
        kind = self.media.mime_type.partition("/")[0]
        return kind if kind in {"image", "video", "audio"} else "file"


class Talk(Struct, frozen=True, kw_only=True):
    """An open conversation. `sender`: as whom a reply leaves, None where nobody sends from that number.

    `older_seq`: where the messages before these go on, None at the first one."""

    line: Line
    items: list[Item]
    older_seq: int | None
    newest_seq: int
    sender: Sender | None
    connection: ConnectionRow | None
    opted_out: bool
    window_template_held: str = ""

    @property
    def conversation(self) -> Conversation:
        return self.line.conversation

    def way(self, now_ms: int) -> str:
        """How a reply leaves now: `free`, `carried` (by the sender's window template), `closed` or `nobody`."""
        if self.sender is None:
            return "nobody"
        if (self.line.window_until_ms or 0) > now_ms:
            return "free"
        usable = self.sender.window_template_name is not None and not self.window_template_held
        return "carried" if usable else "closed"


class Page(Struct, frozen=True, kw_only=True):
    lines: list[Line]
    older: str
    unread: int
    members: list[Member]
    talk: Talk | None
    last_seq: int

    @property
    def mark(self) -> str:
        """Another one as soon as a line or an item shows something else."""
        items = [(item.key, item.version) for item in self.talk.items] if self.talk else []
        return f"{short_hash(repr((self.lines, items))) % 2**48:x}"


async def read_page(tx: Tx, account: Account, user_id: int, asked: Asked) -> Page:
    """`talk` is None where nobody is asked for, or that person never wrote to the account."""
    members = await store.members(tx, account.id)
    found = await find_listed(tx, account.id, user_id, asked)
    older = found[PER_PAGE - 1] if len(found) > PER_PAGE else None
    listed = found[:PER_PAGE]
    opened = await store.conversation_by_person(tx, account.id, asked.person) if asked.person else None
    if opened is not None and not asked.find and all(one.person != opened.person for one in listed):
        # It has just left this box, by being read or done: it stays in sight while it is open.
        listed = sorted([*listed, opened], key=lambda one: (one.last_inbound_at_ms, one.person), reverse=True)
    people = {one.person for one in listed} | ({opened.person} if opened else set())
    glances = await store.glances(tx, account.id, sorted(people))
    names = {member.id: member.name for member in members}
    lines = {
        one.person: Line(one, glances[one.person], names.get(one.assignee_id or 0, ""))
        for one in [*listed, *([opened] if opened else [])]
    }
    talk = await read_talk(tx, account, lines[opened.person], names, asked.before_seq) if opened else None
    return Page(
        lines=[lines[one.person] for one in listed],
        older=f"{older.last_inbound_at_ms}-{older.person}" if older else "",
        unread=await store.count_unread(tx, account.id),
        members=members,
        talk=talk,
        last_seq=await message_store.last_seq(tx, account.id),
    )


async def find_listed(tx: Tx, account_id: int, user_id: int, asked: Asked) -> list[Conversation]:
    if asked.find:
        return await store.find_conversations(tx, account_id, asked.find, PER_PAGE)
    return await store.conversations_in(
        tx, account_id, asked.box, user_id, PER_PAGE + 1, read_place(asked.before) or store.NEWEST
    )


def read_place(cursor: str) -> tuple[int, str] | None:
    """A place in the list, from a cursor of a page; None for what is none."""
    at_ms, dash, person = cursor.partition("-")
    return (int(at_ms), person) if dash and at_ms.isascii() and at_ms.isdecimal() and len(at_ms) < 19 else None


async def read_talk(tx: Tx, account: Account, line: Line, names: Mapping[int, str], before_seq: int | None) -> Talk:
    conversation = line.conversation
    person = conversation.person
    newest_first = await message_store.filtered_page(
        tx, account.id, Filters(person=person), before_seq=before_seq, limit=MESSAGES_SHOWN + 1
    )
    messages = newest_first[:MESSAGES_SHOWN][::-1]
    more = len(newest_first) > MESSAGES_SHOWN
    notes = await store.notes_of_conversation(tx, account.id, person)
    if messages and more:
        notes = [note for note in notes if note.created_at_ms >= messages[0].created_at_ms]
    if before_seq is not None:
        notes = [note for note in notes if messages and note.created_at_ms <= messages[-1].created_at_ms]
    tokens = {token.id: token.name for token in await token_store.tokens_of_account(tx, account.id)}
    connection = await connection_store.connection_by_id(tx, account.id, conversation.connection_id)
    said = await read_templates(tx, connection, messages)
    items = make_items(messages, notes, names, tokens, said)
    senders = await connection_store.senders_of_account(tx, account.id)
    sender = choose_sender(senders, conversation.connection_id, messages, account.default_sender)
    held = ""
    if sender is not None and sender.window_template_name is not None and connection is not None:
        holds = await connection_store.template_holds(tx, account.id, connection.business_account)
        key = (sender.window_template_name, sender.window_template_language or "en_US")
        held = holds[key][1] if key in holds else ""
    return Talk(
        line=line,
        items=items,
        older_seq=messages[0].seq if messages and more else None,
        newest_seq=messages[-1].seq if messages else 0,
        sender=sender,
        connection=connection,
        opted_out=await people_store.has_opted_out(tx, account.id, conversation.connection_id, person),
        window_template_held=held,
    )


async def read_templates(tx: Tx, connection: ConnectionRow | None, messages: Sequence[Message]) -> dict[bytes, str]:
    """What messages said that were sent by API as a template: the template's words with their values, else its name."""
    found: dict[bytes, str] = {}
    components: dict[tuple[str, str], object] = {}
    for message in messages:
        if message.template is None or message.text or connection is None:
            continue
        sent = msgspec.json.decode(message.template)
        key = template_name(sent)
        if key not in components:
            known = await template_store.template_by_name(tx, connection.account_id, connection.business_account, *key)
            components[key] = msgspec.json.decode(known.components) if known else None
        found[message.id] = show(components[key], values_of(sent)).body or key[0]
    return found


def choose_sender(
    senders: Sequence[Sender], connection_id: int, messages: Sequence[Message], default: str | None
) -> Sender | None:
    """Of the account's names on the number that the person wrote to: the one that wrote last, the default, or the first."""
    usable = {sender.name: sender for sender in senders if sender.connection_id == connection_id}
    for message in reversed(messages):
        if message.direction == "outgoing" and message.sender in usable:
            return usable[message.sender]
    return usable.get(default or "") or next(iter(usable.values()), None)


def make_items(
    messages: Sequence[Message],
    notes: Sequence[Note],
    names: Mapping[int, str],
    tokens: Mapping[int, str],
    said: Mapping[bytes, str],
) -> list[Item]:
    """Messages in the order in which they were kept, and each note where it was written.

    `said`: the words of messages that went as a template without a text of their own."""
    quotable = {one.carrier_message_id: one for one in messages if one.carrier_message_id}
    waiting = sorted(notes, key=lambda note: (note.created_at_ms, note.id))
    items: list[Item] = []
    for message in messages:
        while waiting and waiting[0].created_at_ms < message.created_at_ms:
            items.append(note_item(waiting.pop(0), names))
        details = DETAILS.decode(message.details) if message.details else Details()
        quoted = quotable.get(details.reply_to or "")
        label, text = split_text(message.kind, message.text)
        items.append(
            Item(
                key=f"m-{uid_of(message.id)}",
                at_ms=message.created_at_ms,
                version=(message.state, message.updated_at_ms),
                message=message,
                by=names.get(details.user_id or 0) or tokens.get(details.token_id or 0) or "",
                label=label,
                text=text or said.get(message.id, ""),
                media=details.media,
                quoted=" ".join(part for part in split_text(quoted.kind, quoted.text) if part) if quoted else "",
                shown=label != NOT_SHOWN,
            )
        )
    return items + [note_item(note, names) for note in waiting]


def note_item(note: Note, names: Mapping[int, str]) -> Item:
    return Item(
        key=f"n-{uid_of(note.id)}",
        at_ms=note.created_at_ms,
        version=(),
        note=note,
        by=names.get(note.user_id, ""),
        text=note.text,
    )


def split_text(kind: str, text: str) -> tuple[str, str]:
    """What a message is ("" for a plain text), and what it says."""
    if kind in PLAIN_KINDS:
        return "", text
    label = LABELS.get(kind, NOT_SHOWN)
    if text.startswith("["):
        text = text.partition("]")[2].strip()
    return label, text


async def newest_to_mark(tx: Tx, account_id: int, person: str) -> Message | None:
    """The person's last message that a phone shows as unread; marking it marks those before it (§4)."""
    found = await message_store.filtered_page(
        tx, account_id, Filters(person=person), before_seq=None, limit=MESSAGES_SHOWN
    )
    theirs = [one for one in found if one.direction == "incoming" and one.kind not in UNMARKED_KINDS]
    return next((one for one in theirs if one.carrier_message_id), None)
