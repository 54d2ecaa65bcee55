"""After a restart: whatever was not told for certain before the program ended is told again (carriers call at least once)."""

import structlog

from heliograph.emulators.cloud_api.effects import BY_DIGITS
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.ledger import Accepted
from heliograph.emulators.cloud_api.names import make_user_id
from heliograph.emulators.cloud_api.statuses import Sent
from heliograph.emulators.cloud_api.world import now

log = structlog.get_logger(__name__)


async def call_back_again(emulator: Emulator) -> None:
    """Plan the statuses of every message after the last that nothing was owed for."""
    if emulator.world.path is None:
        return
    again = 0
    async for place, accepted in emulator.ledger.after(emulator.world.state.settled):
        sent = read_sent(emulator, place, accepted)
        if sent is None:
            continue
        effect = BY_DIGITS.get(accepted.to)
        if effect is not None and effect.free_text_only and accepted.type == "template":
            effect = None
        early = emulator.plan_statuses(sent, effect)
        if early is not None:
            emulator.outbox.plan(early, 0.0)
        again += 1
    if again:
        log.info("called_back_again", messages=again)


def read_sent(emulator: Emulator, place: int, accepted: Accepted) -> Sent | None:
    """A message of an earlier run, as its statuses need it; None when its number is no longer there."""
    number = emulator.world.state.numbers.get(accepted.phone_number_id)
    if number is None:
        return None
    is_number = accepted.to.isdecimal()
    return Sent(
        place=place,
        id=accepted.id,
        number_id=number.id,
        waba_id=number.waba_id,
        business_digits=number.digits,
        wa_id=accepted.to if is_number else "",
        user_id=make_user_id(accepted.to) if is_number else accepted.to,
        reference=accepted.biz_opaque_callback_data,
        category="utility" if accepted.type == "template" else "service",
        billable=accepted.type == "template",
        at_s=now(),
        reference_on_failed=emulator.options.reference_on_failed,
        contacts_on_failed=emulator.options.contacts_on_failed,
    )
