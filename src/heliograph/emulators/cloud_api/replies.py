"""What the people of the recipient table answer, once they have read a message."""

import asyncio

import structlog

from heliograph.emulators.cloud_api.effects import Reply
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.events import opt_out
from heliograph.emulators.cloud_api.graph_errors import GraphError
from heliograph.emulators.cloud_api.inbound import Saying, say
from heliograph.emulators.cloud_api.statuses import Sent

log = structlog.get_logger(__name__)

THINKING_S = 0.3
SAYINGS = {
    "stop": {"text": "STOP"},
    "text": {"text": "Thank you!"},
    "image": {"kind": "image", "text": "Look at this"},
    "audio": {"kind": "audio"},
    "document": {"kind": "document", "text": "As agreed"},
    "location": {"kind": "location", "text": "Here I am"},
    "contacts": {"kind": "contacts"},
    "button": {"kind": "button", "text": "Tell me more"},
    "interactive": {"kind": "interactive", "text": "Yes"},
    "reaction": {"kind": "reaction", "text": "👍"},
    "unsupported": {"kind": "unsupported"},
    "changed_number": {"kind": "changed_number"},
}


async def reply_later(emulator: Emulator, sent: Sent, reply: Reply) -> None:
    """Answer after the message was delivered."""
    await asyncio.sleep(emulator.options.delivered_after_s + THINKING_S)
    if not sent.wa_id:
        return
    if reply == "opt_out":
        emulator.outbox.put(opt_out(emulator.world.state.numbers[sent.number_id], sent.wa_id, stop=True))
        return
    saying = Saying(from_=sent.wa_id, to=sent.number_id, context=sent.id, wait_s=0.0)
    if reply == "no_number":
        saying.no_number, saying.text = True, "You do not see my number"
    else:
        for name, value in SAYINGS[reply].items():
            setattr(saying, name, value)
    try:
        await say(emulator, saying)
    except (GraphError, OSError) as error:
        log.warning("reply_not_said", reply=reply, reason=str(error))
