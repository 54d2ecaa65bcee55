"""What one attempt's outcome means for the message: the rules, without a store."""

from typing import Any

import pytest

from heliograph.channels.contract import Outgoing, SendOutcome, Verdict
from heliograph.core.retry_times import SEND_BUDGET
from heliograph.core.statuses import State
from heliograph.dispatch.outcomes import LONGEST_IN_QUEUE_MS, Attempt, Fate, decide
from heliograph.store.connections import ConnectionRow
from heliograph.store.sends import DueSend
from tests.store.makers import NOON_MS, new_connection, new_sender

ROW: ConnectionRow = new_connection(1)


def attempt(
    verdict: Verdict, *, attempts: int = 0, age_ms: int = 0, sender: dict[str, Any] | None = None, **more: Any
) -> Attempt:
    send = DueSend(
        account_id=1,
        message_id=bytes(16),
        connection_id=1,
        lane=0,
        due_at_ms=NOON_MS - age_ms,
        attempts=attempts,
        as_template=more.pop("as_template", False),
        sender="YourName",
        person="31612345678",
        person_user_id=None,
        text="Hello",
        media_url=more.pop("media_url", None),
        template=None,
        last_inbound_at_ms=None,
    )
    outgoing = Outgoing(reference="r", recipient="31612345678", text="Hello", template=more.pop("template", None))
    outgoing = Outgoing(
        reference="r", recipient="31612345678", text="Hello", template=outgoing.template, media_url=send.media_url
    )
    fields: dict[str, Any] = {"verdict": verdict, "code": "c", "sentence": "Why.", **more}
    known = new_sender(1, 1, **sender) if sender is not None else None
    return Attempt(send, ROW, known, outgoing, SendOutcome(**fields), NOON_MS)


def test_accepted() -> None:
    """The carrier has it: sent."""
    assert decide(attempt(Verdict.ACCEPTED)) == Fate(State.SENT)


def test_failed() -> None:
    """A permanent refusal ends the message with its code and sentence."""
    assert decide(attempt(Verdict.FAIL)) == Fate(State.FAILED, ("c", "Why."))
    assert decide(attempt(Verdict.FAIL, code="", sentence="")).failure == (
        "carrier_refused",
        "The carrier refused the message.",
    )


def test_unknown_is_not_repeated() -> None:
    """Without an answer the message is unknown, and goes again only where its sender prefers two messages to none."""
    fate = decide(attempt(Verdict.UNKNOWN, sender={}))
    assert (fate.state, fate.again_at_ms) == (State.UNKNOWN, None)
    fate = decide(attempt(Verdict.UNKNOWN, sender={"resend_unknown": True}))
    assert (fate.state, fate.again_at_ms) == (State.UNKNOWN, NOON_MS + 300_000)
    fate = decide(attempt(Verdict.UNKNOWN, attempts=2, sender={"resend_unknown": True}))
    assert (fate.state, fate.again_at_ms) == (State.UNKNOWN, None), "three times at the most"


@pytest.mark.parametrize(
    ("sender", "more", "again"),
    [
        ({"window_template_name": "t", "window_template_language": "en"}, {}, True),
        ({"window_template_name": "t", "window_template_language": "en"}, {"template": {"name": "t"}}, False),
        ({"window_template_name": "t", "window_template_language": "en"}, {"media_url": "https://x/y.png"}, False),
        ({}, {}, False),
        (None, {}, False),
    ],
)
def test_a_closed_window(sender: dict[str, Any] | None, more: dict[str, Any], again: bool) -> None:
    """A text refused for its closed window goes again as template at once, where there is one that can carry it."""
    fate = decide(attempt(Verdict.FAIL, code="window_closed", sender=sender, **more))
    if again:
        assert (fate.state, fate.again_at_ms, fate.as_template) == (None, NOON_MS, True)
    else:
        assert (fate.state, fate.failure) == (State.FAILED, ("window_closed", "Why."))


def test_retries_end() -> None:
    """Each retry waits longer, until the budget is spent and the message fails with the last reason."""
    waits = []
    for made in range(SEND_BUDGET.attempts - 1):
        fate = decide(attempt(Verdict.RETRY, attempts=made))
        assert fate.again_at_ms is not None
        assert fate.counts
        waits.append(fate.again_at_ms - NOON_MS)
    assert 500 <= waits[0] <= 1000
    assert 32_000 <= waits[-1] <= 64_000
    fate = decide(attempt(Verdict.RETRY, attempts=SEND_BUDGET.attempts - 1))
    assert (fate.state, fate.failure) == (State.FAILED, ("c", "Why."))


def test_a_retry_obeys_the_carrier() -> None:
    """Never sooner than the carrier asked."""
    fate = decide(attempt(Verdict.RETRY, retry_after_s=30.0))
    assert fate.again_at_ms == NOON_MS + 30_000


def test_later() -> None:
    """`later` waits as told, a minute where nothing is told, and also ends."""
    assert decide(attempt(Verdict.LATER, retry_after_s=180.0)).again_at_ms == NOON_MS + 180_000
    assert decide(attempt(Verdict.LATER)).again_at_ms == NOON_MS + 60_000
    assert decide(attempt(Verdict.LATER, attempts=SEND_BUDGET.attempts - 1)).state is State.FAILED


def test_pairs() -> None:
    """Too much for one recipient: 1, 4, 16 … seconds."""
    assert [(decide(attempt(Verdict.PAIR, attempts=n)).again_at_ms or 0) - NOON_MS for n in range(4)] == [
        1000,
        4000,
        16_000,
        64_000,
    ]


def test_throttles_and_holds_cost_no_attempt() -> None:
    """A throttled or held message waits without spending its budget; throttled for a day it fails."""
    for verdict in (Verdict.SLOW, Verdict.HOLD):
        fate = decide(attempt(verdict, attempts=20))
        assert (fate.state, fate.counts) == (None, False)
        assert fate.again_at_ms is not None
    old = decide(attempt(Verdict.SLOW, attempts=3, age_ms=LONGEST_IN_QUEUE_MS + 1))
    assert old.state is State.FAILED
    assert decide(attempt(Verdict.HOLD, attempts=3, age_ms=LONGEST_IN_QUEUE_MS + 1)).state is None


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.LATER, Verdict.PAIR, Verdict.SLOW, Verdict.HOLD])
def test_once_a_template_always_a_template(verdict: Verdict) -> None:
    """A message that goes as template stays one when it is tried again."""
    assert decide(attempt(verdict, as_template=True)).as_template
