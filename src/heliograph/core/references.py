"""The reference that travels with each attempt and comes back in the carrier's reports.

It names account, message and attempt, so a report finds its message without any look-up table; it is unique per attempt
(whatsapp-cloud-api.md §15) and says nothing about a person."""

from msgspec import Struct


class Reference(Struct, frozen=True):
    account_id: int
    message_id: bytes
    attempt: int


def make_reference(account_id: int, message_id: bytes, attempt: int) -> str:
    return f"hg1.{account_id}.{message_id.hex()}.{attempt}"


def read_reference(text: str | None) -> Reference | None:
    """None for what is not a reference of ours."""
    parts = (text or "").split(".")
    if len(parts) != 4 or parts[0] != "hg1":
        return None
    try:
        reference = Reference(int(parts[1]), bytes.fromhex(parts[2]), int(parts[3]))
    except ValueError:
        return None
    return reference if len(reference.message_id) == 16 else None
