"""Names that look like Meta's: message ids, trace ids, business-scoped user ids."""

import hashlib
import random
from base64 import b64encode, urlsafe_b64encode
from functools import lru_cache

CHANCE = random.Random()  # noqa: S311 - seeded by the system; names must differ, nobody need be kept from guessing them


def make_wamid(user: str, *, inbound: bool = False) -> str:
    """base64 of 1C 18 <length> <number> 15 02 00 11 18 12 <18 hex digits> 00; inbound 12 18 14 <20 digits> (§3.3)."""
    name = user.encode()[:60]
    if inbound:
        tail = b"\x15\x02\x00\x12\x18\x14" + f"{CHANCE.getrandbits(80):020X}".encode() + b"\x00"
    else:
        tail = b"\x15\x02\x00\x11\x18\x12" + f"{CHANCE.getrandbits(72):018X}".encode() + b"\x00"
    return "wamid." + b64encode(b"\x1c\x18" + len(name).to_bytes(1) + name + tail).decode()


def make_trace_id() -> str:
    """What support asks for: fbtrace_id of an error and x-fb-trace-id of an answer."""
    return "A" + urlsafe_b64encode(CHANCE.randbytes(16))[:22].decode()


def make_object_id() -> str:
    """A fresh id of a medium, template or number: 16 decimal digits."""
    return str(CHANCE.randrange(10**15, 10**16))


def make_identity_hash(wa_id: str) -> str:
    """The hash of a person's identity key: it never changes here."""
    return b64encode(hashlib.blake2b(wa_id.encode(), digest_size=9, person=b"identity").digest()).decode()


@lru_cache(maxsize=1)
def regions() -> dict[str, str]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return {str(code): names[0] for code, names in COUNTRY_CODE_TO_REGION_CODE.items() if names[0] != "001"}


def region_of(wa_id: str) -> str:
    """The main ISO country of a calling code: enough for an id that only has to look right."""
    known = regions()
    return next((known[wa_id[:length]] for length in (1, 2, 3) if wa_id[:length] in known), "US")


def make_user_id(wa_id: str) -> str:
    """The business-scoped id of the person with that number: always the same one (§11)."""
    digits = int.from_bytes(hashlib.blake2b(wa_id.encode(), digest_size=8).digest())
    return f"{region_of(wa_id)}.{digits:020d}"
