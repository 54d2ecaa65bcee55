"""The state machine."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core.statuses import FINAL, OPEN, RANK, SPARSE, V3_WORD, State, moves, states_of_word

EVIDENCE = [State.SENT, State.DELIVERED, State.READ]


def walk(states: list[State]) -> State:
    current = State.QUEUED
    for state in states:
        if moves(current, state):
            current = state
    return current


def test_any_order_ends_alike() -> None:
    """Reports in any order, each as often as it likes, end in the furthest state that was seen."""
    for order in permutations(EVIDENCE):
        assert walk([*order, *order]) is State.READ
    assert walk([State.DELIVERED, State.SENT]) is State.DELIVERED


@given(st.lists(st.sampled_from(list(State)), max_size=20))
def test_never_back(states: list[State]) -> None:
    """Whatever arrives, the rank of a message never falls."""
    rank = RANK[State.QUEUED]
    current = State.QUEUED
    for state in states:
        if moves(current, state):
            current = state
        assert RANK[current] >= rank
        rank = RANK[current]


def test_failure_and_delivery() -> None:
    """A failure may follow `sent`; it never undoes a delivery, and a delivery proves a failure wrong."""
    assert walk([State.SENT, State.FAILED]) is State.FAILED
    assert walk([State.DELIVERED, State.FAILED]) is State.DELIVERED
    assert walk([State.FAILED, State.DELIVERED]) is State.DELIVERED
    assert walk([State.FAILED, State.SENT]) is State.FAILED


def test_unknown_is_settled_by_any_evidence() -> None:
    """An unknown message takes every later report."""
    for state in (State.SENT, State.FAILED, State.DELIVERED, State.READ):
        assert walk([State.UNKNOWN, state]) is state


def test_every_state_has_its_words() -> None:
    """Each state has a rank and a v3 word, and the word leads back to it."""
    for state in State:
        assert state in RANK
        assert state in states_of_word(V3_WORD[state])
        assert state in states_of_word(state.value.upper())
    assert states_of_word("nonsense") == []
    assert not OPEN & FINAL
    assert not OPEN & SPARSE
