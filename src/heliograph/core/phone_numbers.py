"""Phone numbers as callers write them, read into E.164 digits (ITU-T E.164: country code and at most 15 digits).

A number is taken when it is *possible*: its country exists and its length fits. Whether it is in use only the carrier knows,
and numbering plans change faster than any table.
"""

import re
from functools import lru_cache
from typing import Any

import phonenumbers
from msgspec import Struct
from phonenumbers import NumberParseException

from heliograph.core.numbering_plans import is_plainly_possible

SHORTEST, LONGEST = 7, 15
PUNCTUATION = str.maketrans("", "", " \t\r\n-.()/\u00a0\u2010\u2011\u2012\u2013\u2014\u202a\u202c\u200e\u200f")
SENDER_NAME_LONGEST = 11
SENDER_NAME = re.compile(r"[^\W_](?:[\w .&+!'-]*[\w.!])?")
NUMBER_LIKE = re.compile(r"[+\d\s().-]+")


class NotANumber(ValueError):
    """`sentence` says what is wrong, for the person who typed it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotASender(ValueError):
    """`sentence` says what is wrong, for the person who typed it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class BadRecipient(Struct, frozen=True):
    """A recipient that cannot be reached: as it was given, and why."""

    given: str
    sentence: str


def read_number(text: str, default_country: str | None = None) -> str:
    """E.164 digits without "+": of "+31 6-1234 5678", "0031612345678", "31612345678", or a national number with a country.

    default_country: ISO 3166 code; without it a number with a leading zero is refused. Raises NotANumber."""
    if SHORTEST <= len(text) <= LONGEST and text.isdecimal() and text.isascii() and is_plainly_possible(text):
        return text
    plain = text.translate(PUNCTUATION)
    return read_plain_number(plain, default_country)


@lru_cache(maxsize=16_384)
def read_plain_number(plain: str, default_country: str | None) -> str:
    international = plain.startswith(("+", "00"))
    digits = plain.removeprefix("+")
    if plain.startswith("00"):
        digits = plain[2:]
    if not digits:
        raise NotANumber("The recipient is empty.")
    if not digits.isdecimal():
        raise NotANumber(f"{shorten(plain)} is not a phone number.")
    if not digits.isascii():
        digits = "".join(str(int(digit)) for digit in digits)  # other scripts have digits too
    if digits[0] == "0":
        if international or default_country is None:
            raise NotANumber(f"{shorten(plain)} has no country code; write it as 31612345678.")
        return read_national(digits, default_country)
    if not SHORTEST <= len(digits) <= LONGEST:
        raise NotANumber(f"{shorten(plain)} has {len(digits)} digits; a number with country code has 7 to 15.")
    return check_possible(digits)


def read_national(digits: str, country: str) -> str:
    try:
        number = phonenumbers.parse(digits, country)
    except NumberParseException:
        raise NotANumber(f"{shorten(digits)} is not a phone number.") from None
    if not can_be_dialled(number):
        raise NotANumber(f"{shorten(digits)} is not a phone number of {country}.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def check_possible(digits: str) -> str:
    try:
        number = phonenumbers.parse("+" + digits, None)
    except NumberParseException:
        raise NotANumber(f"{shorten(digits)} begins with no country's code.") from None
    if not can_be_dialled(number):
        raise NotANumber(f"{shorten(digits)} is not a phone number: its length does not fit its country.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def can_be_dialled(number: phonenumbers.PhoneNumber) -> bool:
    """Possible from anywhere: some lengths can be dialled within a town only (770 in the United Kingdom)."""
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)


def shorten(text: str) -> str:
    """What a sentence repeats of what somebody typed: enough to find it again."""
    return text if len(text) <= 24 else text[:23] + "…"


def split_recipients(value: object) -> list[str]:
    """The recipients of one call, as texts: of "a, b", 447700900101, or ["a", "b"]. Line breaks and ";" part them too."""
    found: list[str] = []
    gather(value, found)
    return found


def gather(value: Any, found: list[str]) -> None:
    match value:
        case None | bool():
            return
        case str() if value.isalnum():
            found.append(value)
        case str():
            found.extend(part for part in map(str.strip, re.split(r"[,;\n]", value)) if part)
        case float():
            # A JSON number with a point or an exponent: 4.477009e11 is still the number that was meant.
            found.append(str(int(value)) if value.is_integer() else repr(value))
        case int():
            found.append(str(value))
        case list() | tuple():
            for one in value:
                if not isinstance(one, list | tuple | dict):
                    gather(one, found)
        case _:
            found.append(shorten(str(value)))


def read_recipients(value: object, default_country: str | None = None) -> tuple[list[str], list[BadRecipient]]:
    """The good ones in the order given, each once, and the bad ones."""
    good: dict[str, None] = {}
    bad: list[BadRecipient] = []
    for text in split_recipients(value):
        try:
            good[read_number(text, default_country)] = None
        except NotANumber as error:
            bad.append(BadRecipient(shorten(text), error.sentence))
    return list(good), bad


def read_sender_name(text: str) -> str:
    """A sender as the contract allows it: at most 11 characters, or a phone number with country code [seed].

    Returns the name, or the digits. Raises NotASender."""
    name = text.strip()
    if not name:
        raise NotASender("The sender id field is required.")
    if NUMBER_LIKE.fullmatch(name) and sum(c.isdecimal() for c in name) > SENDER_NAME_LONGEST - 4:
        try:
            return read_number(name)
        except NotANumber:
            pass  # all digits, and short enough to be a name
    if len(name) > SENDER_NAME_LONGEST:
        raise NotASender("The sender id is a phone number with country code, or has at most 11 characters.")
    if not SENDER_NAME.fullmatch(name):
        raise NotASender("The sender id has letters, digits, spaces and . & + ! ' - only.")
    return name


def mask_number(number: str) -> str:
    """For logs: which country, and the last two digits."""
    return f"{number[:2]}…{number[-2:]}" if len(number) > 6 else "…"


def country_of(number: str) -> str | None:
    """The ISO 3166 code of an E.164 number's country, or None. Of a number that nobody has, its code's main country."""
    try:
        parsed = phonenumbers.parse("+" + number, None)
    except NumberParseException:
        return None
    found = phonenumbers.region_code_for_number(parsed)
    found = found or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return found if found not in {None, "ZZ", "001"} else None
