"""The states of a message, drawn once, and the v3 word for each.

     scheduled ─▶ queued ─▶ sending ─▶ sent ─▶ delivered ─▶ read
         │           │         ├─▶ queued     retry with backoff; the budget and the reason are recorded
         └─cancelled─┘         ├─▶ failed     permanent, or the budget is spent; always with a code and a sentence
                               └─▶ unknown    the request left and no answer came: settled by a later report

A state only moves forward, by rank. `unknown` and `expired` rank below `sent`, so that later evidence settles them;
`failed` ranks between `sent` and `delivered`: it may come after `sent`, and never undoes a delivery
(whatsapp-cloud-api.md §6, "State rule"). `scheduled`, `queued` and `sending` share the ground: they are told apart by
the queue row (its due time and its lease), which costs no write to the message.
"""

from enum import StrEnum


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    CANCELLED = "cancelled"
    RECEIVED = "received"


RANK: dict[State, int] = {
    State.SCHEDULED: 0,
    State.QUEUED: 0,
    State.SENDING: 0,
    State.UNKNOWN: 10,
    State.EXPIRED: 15,
    State.SENT: 20,
    State.FAILED: 30,
    State.DELIVERED: 40,
    State.READ: 50,
    State.CANCELLED: 90,  # nothing follows: a cancelled message never left
    State.RECEIVED: 90,  # inbound
}

V3_WORD: dict[State, str] = {
    State.SCHEDULED: "Queued",
    State.QUEUED: "Queued",
    State.SENDING: "Queued",
    State.UNKNOWN: "Unknown",
    State.EXPIRED: "Expired",
    State.SENT: "Sent",
    State.FAILED: "Failed",
    State.DELIVERED: "Delivered",
    State.READ: "Read",
    State.CANCELLED: "Cancelled",
    State.RECEIVED: "Received",
}

OPEN: frozenset[State] = frozenset({State.SCHEDULED, State.QUEUED, State.SENDING})
FINAL: frozenset[State] = frozenset({State.READ, State.FAILED, State.EXPIRED, State.CANCELLED, State.RECEIVED})

# Few among many, and looked for: these have an index of their own in the store.
SPARSE: frozenset[State] = frozenset(
    {State.UNKNOWN, State.EXPIRED, State.SENT, State.FAILED, State.CANCELLED, State.RECEIVED}
)


def moves(old: State, new: State) -> bool:
    """Whether `new` may replace `old`: evidence moves a message forward and never back."""
    return RANK[new] > RANK[old]


def states_of_word(word: str) -> list[State]:
    """The states that the v3 API shows as `word`, compared without case; a state's own name is also understood."""
    wanted = word.strip().lower()
    return [state for state, shown in V3_WORD.items() if shown.lower() == wanted or state.value == wanted]
