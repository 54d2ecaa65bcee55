"""Identifiers: UUIDv7 (RFC 9562 §5.7), kept as 16 bytes and shown as 32 lower-case hex digits."""

import hashlib
import secrets
import time

import uuid_utils

NO_ID = bytes(16)


def new_id() -> bytes:
    """A fresh UUIDv7 as 16 bytes. Ids made later in one process sort later."""
    return uuid_utils.uuid7().bytes


def id_for_event(at_ms: int, *facts: str) -> bytes:
    """The one UUIDv7 of an event that others may tell us twice: same time and facts, same id.

    The time is `at_ms`, the 74 random bits are the hash of the facts; so a repeated delivery hits the primary key."""
    digest = hashlib.sha256("\x1f".join(facts).encode()).digest()
    head = (at_ms & 0xFFFF_FFFF_FFFF).to_bytes(6)
    return head + bytes([0x70 | digest[0] & 0x0F, digest[1], 0x80 | digest[2] & 0x3F]) + digest[3:10]


def uid_of(identifier: bytes) -> str:
    return identifier.hex()


def id_of(uid: str) -> bytes | None:
    """The id that is shown as `uid`, or None where no id of ours looks like that."""
    if len(uid) != 32:
        return None
    try:
        return bytes.fromhex(uid)
    except ValueError:
        return None


def first_id_at(at_ms: int) -> bytes:
    """The lowest id that can have been made at that millisecond: a bound for ranges over time."""
    return at_ms.to_bytes(6) + bytes(10)


def short_hash(text: str) -> int:
    """A signed 64-bit hash for an index: small, and even where the texts share long prefixes."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def new_secret(length_bytes: int = 32) -> str:
    """Random text of 256 bits (by default) in the alphabet that needs no escaping in a URL."""
    return secrets.token_urlsafe(length_bytes)


class Clock:
    """Where now_ms() takes the time from: a moment of a clock that nodes share, and our monotonic time of that moment."""

    followed: tuple[int, int] | None = None  # ms since 1970, ns


def now_ms() -> int:
    """Milliseconds since 1970 UTC: by the database server's clock where nodes share one, else by this machine's."""
    if Clock.followed is None:
        return time.time_ns() // 1_000_000
    then_ms, then_ns = Clock.followed
    return then_ms + (time.monotonic_ns() - then_ns) // 1_000_000


def follow_clock(then_ms: int, then_ns: int) -> None:
    """From now on this process tells the time of a clock that said `then_ms` at our monotonic time `then_ns`.

    Leases, due times and ages are then the same on every node, however wrong its own clock is."""
    Clock.followed = (then_ms, then_ns)


def follow_own_clock() -> None:
    Clock.followed = None
