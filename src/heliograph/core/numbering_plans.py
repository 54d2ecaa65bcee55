"""The quick way for numbers that are E.164 already: their country's lengths, read once from the library's own tables."""

import re
from functools import cache

from msgspec import Struct
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

COUNTRY_CODES = frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


class Plan(Struct, frozen=True):
    """lengths: of a number without its country code. prefix: what the library would take off its beginning, if that is there."""

    lengths: frozenset[int]
    prefix: re.Pattern[str] | None


@cache
def plan_of(country_code: str) -> Plan:
    region = COUNTRY_CODE_TO_REGION_CODE[int(country_code)][0]
    found = PhoneMetadata.metadata_for_region_or_calling_code(int(country_code), region)
    if found is None or found.general_desc is None:
        return Plan(frozenset(), None)
    pattern = found.national_prefix_for_parsing
    return Plan(frozenset(found.general_desc.possible_length), re.compile(pattern) if pattern else None)


def is_plainly_possible(digits: str) -> bool:
    """True: the library calls "+" and these ASCII digits a possible number and changes nothing about them.

    False: it must be asked. A test holds the two against each other."""
    for size in (1, 2, 3):
        if digits[:size] in COUNTRY_CODES:
            plan = plan_of(digits[:size])
            national = digits[size:]
            if len(national) not in plan.lengths or national[0] == "0":
                return False
            return plan.prefix is None or plan.prefix.match(national) is None
    return False
