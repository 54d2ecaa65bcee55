"""What exactly goes out for a due message: free text, or the sender's window template when the person's window is closed."""

from typing import Any

import msgspec

from heliograph.channels.contract import Outgoing
from heliograph.channels.whatsapp.payloads import template_name, window_template
from heliograph.core.references import make_reference
from heliograph.store.connections import Sender
from heliograph.store.sends import DueSend

WINDOW_MS = 24 * 3_600_000  # whatsapp-cloud-api.md §9: 24 hours from the person's last message


def reference_of(send: DueSend) -> str:
    return make_reference(send.account_id, send.message_id, send.attempts + 1)


def window_closes_at_ms(last_inbound_at_ms: int | None) -> int:
    """Until when free text may go to a person, as far as we know; 0 for one who never wrote."""
    return last_inbound_at_ms + WINDOW_MS if last_inbound_at_ms else 0


def has_window_template(sender: Sender | None, media_url: str | None) -> bool:
    """Whether a text from this sender can go as template. An image cannot: the template has one variable, for text."""
    return sender is not None and sender.window_template_name is not None and media_url is None


def choose_outgoing(send: DueSend, sender: Sender | None, now_ms: int) -> Outgoing:
    """The attempt to make. A window that we do not know to be open counts as closed where the sender has a template for it;
    without one the text is tried, for the person may have written where we did not see it."""
    template: dict[str, Any] | None = msgspec.json.decode(send.template) if send.template else None
    if template is None and has_window_template(sender, send.media_url):
        assert sender is not None
        assert sender.window_template_name is not None
        if send.as_template or window_closes_at_ms(send.last_inbound_at_ms) <= now_ms:
            template = window_template(
                sender.window_template_name, sender.window_template_language or "en_US", send.text
            )
    hidden = send.person_user_id is not None and send.person == send.person_user_id
    return Outgoing(
        reference=reference_of(send),
        recipient=None if hidden else send.person,
        recipient_user_id=send.person_user_id if hidden else None,
        text=send.text,
        media_url=send.media_url,
        template=template,
    )


def template_of(outgoing: Outgoing) -> tuple[str, str] | None:
    """Name and language of the template that goes out, if one does."""
    return template_name(outgoing.template) if outgoing.template is not None else None
