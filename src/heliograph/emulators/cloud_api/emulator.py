"""The emulator as one object: everything that a call may touch. Its life: open, answer, close."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import structlog

from heliograph.emulators.cloud_api.bundled import add_bundled_templates
from heliograph.emulators.cloud_api.effects import BY_DIGITS, DELIVERS, READ, Effect, Faults, Step, Turns
from heliograph.emulators.cloud_api.ledger import Clock, Ledger
from heliograph.emulators.cloud_api.limits import Pace, Pairs, Windows
from heliograph.emulators.cloud_api.options import Options
from heliograph.emulators.cloud_api.outbox import Outbox
from heliograph.emulators.cloud_api.statuses import Sent, Update
from heliograph.emulators.cloud_api.world import Callback, Upload, World, now

log = structlog.get_logger(__name__)

SAVE_EVERY_S = 1.0


class Emulator:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.world = World(options.data)
        for waba_id in self.world.state.accounts:
            add_bundled_templates(self.world.state, waba_id)
        self.ledger = Ledger(options.data, options.memory)
        self.outbox = Outbox(self.world, options)
        self.faults, self.turns = Faults(), Turns()
        self.pace, self.pairs, self.windows = Pace(), Pairs(), Windows()
        self.clock = Clock()
        self.refusals: Counter[str] = Counter()
        self.read_marks = 0
        self.base_url = ""  # known once it listens
        self.uploads: dict[str, Upload] = {}
        self.stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        if options.callback_url:
            self.world.state.app_callback = Callback(options.callback_url, options.verify_token)
            for account in self.world.state.accounts.values():
                account.subscribed = True

    async def open(self) -> None:
        await self.outbox.open()
        self.start(self._save_now_and_then())

    async def close(self) -> None:
        self.stopping.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.outbox.close()
        self._save()
        self.ledger.close()

    # What becomes of a message

    def effect_on(self, number_id: str, to: str, type_: str) -> Effect | None:
        """The fault that is switched on, else what the recipient is known for; None is as usual."""
        effect = self.faults.pick(number_id, to, type_) if self.faults.active else None
        if effect is None:
            effect = BY_DIGITS.get(to)
        if effect is None:
            return None
        if effect.free_text_only and (type_ == "template" or self.windows.is_open(number_id, to, now())):
            return None
        if effect.first and not self.turns.strikes(to, effect.first):
            return None
        return effect

    def plan_statuses(self, sent: Sent, effect: Effect | None) -> Update | None:
        """Plan the callbacks of a message. The one that must come before the answer is returned instead."""
        options = self.options
        steps = effect.statuses if effect is not None else None
        if steps is None:
            steps = (*DELIVERS, READ) if options.read else DELIVERS
            if options.read and options.skip_delivered:
                steps = (steps[0], READ)
        sent.skips_delivered = all(step.word != "delivered" for step in steps)
        updates = [(self._delay_of(step), self._update_of(sent, step, effect)) for step in steps]
        self.outbox.owed.add(sent.place, len(updates))
        if not updates:
            return None
        if effect is not None and effect.together:
            delay = max(delay for delay, _ in updates)
            first = updates[0][1]
            first.group = [update for _, update in updates[1:]]
            for update in first.group:
                update.at_s = sent.at_s
            self.outbox.plan(first, delay)
            return None
        early = updates.pop(0)[1] if options.early or (effect is not None and effect.early) else None
        for delay, update in updates:
            self.outbox.plan(update, delay)
        return early

    def _delay_of(self, step: Step) -> float:
        options = self.options
        if step.after_s == "late":
            return options.late_after_s
        if step.after_s is not None:
            return step.after_s
        usual = {"sent": options.sent_after_s, "delivered": options.delivered_after_s, "read": options.read_after_s}
        return usual.get(step.word, options.sent_after_s)

    def _update_of(self, sent: Sent, step: Step, effect: Effect | None) -> Update:
        return Update(
            waba_id=sent.waba_id,
            number_id=sent.number_id,
            sent=sent,
            word=step.word,
            code=step.code,
            copies=effect.copies if effect is not None else 1,
        )

    # Keeping

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            if self.outbox.owed.settled_up_to(self.ledger.count) != self.world.state.settled:
                self._save()

    def _save(self) -> None:
        self.world.state.settled = self.outbox.owed.settled_up_to(self.ledger.count)
        try:
            self.world.save()
        except OSError as error:
            log.error("state_not_saved", reason=str(error))

    def save(self) -> None:
        """A call changed the state: it is on disk before the answer. Raises OSError."""
        self.world.save()

    def reset(self) -> None:
        """Forget messages, faults, limits and what is owed; numbers, subscriptions, templates and files stay."""
        self.ledger.clear()
        self.outbox.clear()
        self.faults, self.turns = Faults(), Turns()
        self.pace, self.pairs, self.windows = Pace(), Pairs(), Windows()
        self.refusals.clear()
        self.read_marks = 0
        self._save()

    # Work beside the calls

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it beside the calls; it ends with the emulator."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hold(self, seconds: float) -> None:
        """Wait, but not longer than the emulator lives."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
