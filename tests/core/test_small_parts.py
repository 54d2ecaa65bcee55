"""Ids, references, retry times, the vault, and batching."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core.batching import Batcher
from heliograph.core.ids import first_id_at, id_for_event, id_of, new_id, now_ms, short_hash, uid_of
from heliograph.core.references import make_reference, read_reference
from heliograph.core.retry_times import SEND_BUDGET, wait_before_pair_retry_s, wait_before_retry_s
from heliograph.core.vault import CannotUnseal, Secrets, Vault
from heliograph.errors import Unavailable


def test_ids_are_uuid7_and_ordered() -> None:
    """Ids are UUIDv7 (RFC 9562) with this millisecond in front, and later ones sort later."""
    before = now_ms()
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000
    parsed = uuid.UUID(bytes=made[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert first_id_at(before) <= made[0] <= first_id_at(now_ms() + 1)


@given(st.integers(0, 2**47), st.text(), st.text())
def test_event_ids_repeat(at_ms: int, one: str, other: str) -> None:
    """The same event has the same id, another one another id, and both are UUIDv7."""
    identifier = id_for_event(at_ms, one, other)
    assert identifier == id_for_event(at_ms, one, other)
    assert uuid.UUID(bytes=identifier).version == 7
    assert identifier != id_for_event(at_ms, one, other + "x")
    assert id_of(uid_of(identifier)) == identifier


@given(st.text())
def test_uids_of_others_are_no_ids(text: str) -> None:
    """Any text is an id or None, never an error."""
    found = id_of(text)
    assert found is None or len(found) == 16


@given(st.integers(1, 2**62), st.binary(min_size=16, max_size=16), st.integers(1, 1000))
def test_references_come_back(account_id: int, message_id: bytes, attempt: int) -> None:
    """A reference names account, message and attempt, fits the carrier's 512 characters, and is read back."""
    text = make_reference(account_id, message_id, attempt)
    assert len(text) <= 512
    found = read_reference(text)
    assert found is not None
    assert (found.account_id, found.message_id, found.attempt) == (account_id, message_id, attempt)


@given(st.text())
def test_foreign_references(text: str) -> None:
    """What is not ours is None."""
    assert read_reference(text) is None or text.startswith("hg1.")


def test_retry_times() -> None:
    """Waits grow, are spread, honour what the carrier asked for, and end with the budget."""
    waits = [wait_before_retry_s(n, SEND_BUDGET) for n in range(1, SEND_BUDGET.attempts)]
    assert all(wait is not None and 0 < wait <= SEND_BUDGET.longest_s for wait in waits)
    assert wait_before_retry_s(SEND_BUDGET.attempts, SEND_BUDGET) is None
    assert (wait_before_retry_s(1, SEND_BUDGET, asked_s=90.0) or 0) >= 90.0
    assert [wait_before_pair_retry_s(n) for n in (1, 2, 3)] == [1.0, 4.0, 16.0]


def test_the_vault_opens_with_its_key_only() -> None:
    """What was sealed comes back with the same key; another key is told so; nothing shows in a repr."""
    vault = Vault(Vault.new_key())
    kept = Secrets("a-token", "an-app-secret")
    sealed = vault.seal(kept)
    assert b"a-token" not in sealed
    assert vault.unseal(sealed) == kept
    with pytest.raises(CannotUnseal):
        Vault(Vault.new_key()).unseal(sealed)
    assert "a-token" not in repr(kept)
    assert vault.mark("x") == vault.mark("x") != vault.mark("y")
    with pytest.raises(ValueError):
        Vault("too short")


def test_short_hashes_fit_a_column() -> None:
    """Signed 64 bits, and the same for the same text."""
    assert -(2**63) <= short_hash("wamid.x") < 2**63
    assert short_hash("wamid.x") == short_hash("wamid.x") != short_hash("wamid.y")


async def test_batches_form_under_load() -> None:
    """What arrives while a batch is on its way travels together in the next; every caller gets its own result."""
    sizes: list[int] = []
    gate = asyncio.Event()

    async def flush(items: "list[int] | tuple[int, ...]") -> list[int]:
        sizes.append(len(items))
        await gate.wait()
        return [item * 2 for item in items]

    batcher: Batcher[int, int] = Batcher(flush, most_at_once=50, most_waiting=1000)  # type: ignore[arg-type]
    first = asyncio.create_task(batcher.add(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(batcher.add(n)) for n in range(2, 102)]
    await asyncio.sleep(0)
    gate.set()
    assert await first == 2
    assert await asyncio.gather(*rest) == [n * 2 for n in range(2, 102)]
    assert sizes == [1, 50, 50]


async def test_a_caller_that_comes_again_at_once() -> None:
    """Whoever adds the next item in the very step in which the last was answered is not forgotten."""

    async def flush(items: Sequence[int]) -> Sequence[int]:
        return items

    batcher = Batcher(flush, most_at_once=10, most_waiting=10)
    async with asyncio.timeout(5):
        assert [await batcher.add(n) for n in range(100)] == list(range(100))


async def test_one_bad_item_fails_alone() -> None:
    """A batch that fails is tried item by item, so that only the bad one's caller hears of it."""

    async def flush(items: "list[int] | tuple[int, ...]") -> list[int]:
        if 13 in items:
            raise ValueError("thirteen")
        return list(items)

    batcher: Batcher[int, int] = Batcher(flush, most_at_once=50, most_waiting=100)  # type: ignore[arg-type]
    found = await asyncio.gather(*(batcher.add(n) for n in range(20)), return_exceptions=True)
    assert [f for f in found if isinstance(f, int)] == [n for n in range(20) if n != 13]
    assert isinstance(found[13], ValueError)


async def test_a_full_queue_says_so() -> None:
    """Beyond the limit an item is refused at once; what was taken is still flushed."""
    gate = asyncio.Event()

    async def flush(items: "list[int] | tuple[int, ...]") -> list[int]:
        await gate.wait()
        return list(items)

    batcher: Batcher[int, int] = Batcher(flush, most_at_once=1, most_waiting=2)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(batcher.add(n)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await asyncio.gather(*(batcher.add(n) for n in range(2, 5)))
    assert refused.value.retry_after_s
    gate.set()
    assert await asyncio.gather(*tasks) == [0, 1]
    await batcher.drain()
