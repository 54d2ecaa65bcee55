"""Numbers as callers write them."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core.numbering_plans import COUNTRY_CODES, is_plainly_possible
from heliograph.core.phone_numbers import (
    NotANumber,
    NotASender,
    country_of,
    mask_number,
    read_number,
    read_recipients,
    read_sender_name,
    split_recipients,
)


@pytest.mark.parametrize(
    ("text", "country", "digits"),
    [
        ("31612345678", None, "31612345678"),  # the seed's own
        ("+31 6 1234 5678", None, "31612345678"),
        ("0031612345678", None, "31612345678"),
        ("(+44) 7700-900.101", None, "447700900101"),
        ("447700900101", None, "447700900101"),
        ("905321234567", None, "905321234567"),
        ("15550100002", None, "15550100002"),
        ("0612345678", "NL", "31612345678"),
        ("06 12 34 56 78", "FR", "33612345678"),
        ("31612345678", "NL", "31612345678"),
        ("٣١٦١٢٣٤٥٦٧٨", None, "31612345678"),
    ],
)
def test_numbers_that_are_meant(text: str, country: str | None, digits: str) -> None:
    """Every usual spelling of a number becomes its E.164 digits."""
    assert read_number(text, country) == digits


@pytest.mark.parametrize("text", ["0770", "+44 77 009 001"])
def test_numbers_of_a_town_only(text: str) -> None:
    """A number that lacks its area can be dialled next door at most; no carrier could reach it."""
    with pytest.raises(NotANumber):
        read_number(text, "GB")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "0612345678",
        "12",
        "999999999999999",
        "3161234567812345678",
        "+0031612345678",
        "316-abc",
        "++31612345678",
    ],
)
def test_numbers_that_nobody_has(text: str) -> None:
    """What cannot be a number is refused with a sentence, and without a country a leading zero is refused."""
    with pytest.raises(NotANumber) as refused:
        read_number(text)
    assert refused.value.sentence.endswith((".", "31612345678."))


COUNTRIES = sorted(phonenumbers.SUPPORTED_REGIONS)


@given(st.sampled_from(COUNTRIES), st.sampled_from([0, 1, 2]))
def test_every_countrys_example(country: str, style: int) -> None:
    """Google's example mobile number of each country is read from its international and plain spellings."""
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        return
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    spellings = [
        e164,
        e164[1:],
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL),
    ]
    assert read_number(spellings[style]) == e164[1:]


@given(st.sampled_from(sorted(COUNTRY_CODES)), st.text("0123456789", min_size=1, max_size=14))
def test_the_quick_way_agrees(country_code: str, national: str) -> None:
    """What the quick way takes, the library takes too, and gives back the same digits; so its refusals stay the library's."""
    digits = country_code + national
    if is_plainly_possible(digits):
        number = phonenumbers.parse("+" + digits, None)
        assert phonenumbers.is_possible_number(number)
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == "+" + digits


@pytest.mark.parametrize("digits", ["31612345678", "447700900101", "15550100002", "905321234567", "5511987654321"])
def test_usual_numbers_go_the_quick_way(digits: str) -> None:
    """The numbers of most calls never reach the library."""
    assert is_plainly_possible(digits)


@given(st.text(max_size=40), st.sampled_from([None, "NL", "US"]))
def test_any_text_is_read_or_refused(text: str, country: str | None) -> None:
    """Nothing but digits comes out, at most 15 of them, and nothing but NotANumber is raised."""
    try:
        digits = read_number(text, country)
    except NotANumber:
        return
    assert digits.isascii()
    assert digits.isdecimal()
    assert 7 <= len(digits) <= 15


@given(st.lists(st.sampled_from(["31612345678", "+31612345678", "bad", "447700900101", " 447700900102 "]), max_size=12))
def test_lists_keep_order_and_lose_doubles(texts: list[str]) -> None:
    """A comma list, an array and a mix of both give the same recipients, each once, in order, and the bad ones apart."""
    good, bad = read_recipients(texts)
    assert read_recipients(", ".join(texts)) == (good, bad)
    assert good == list(dict.fromkeys(good))
    assert len(bad) == texts.count("bad")
    assert set(good) <= {"31612345678", "447700900101", "447700900102"}


def test_numbers_as_json_numbers() -> None:
    """A recipient may be a JSON number, whole or with an exponent, or a list of numbers."""
    assert read_recipients(447700900101)[0] == ["447700900101"]
    assert read_recipients(447700900101.0)[0] == ["447700900101"]
    assert read_recipients([31612345678, "447700900101,447700900102"])[0] == [
        "31612345678",
        "447700900101",
        "447700900102",
    ]
    assert read_recipients(None) == ([], [])
    assert split_recipients({"a": 1}) != []


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("YourName", "YourName"),
        (" Demo ", "Demo"),
        ("+31 6 12345678", "31612345678"),
        ("31612345678", "31612345678"),
        ("Tom & Ann", "Tom & Ann"),
        ("1234", "1234"),
        ("A.B", "A.B"),
    ],
)
def test_senders(given_name: str, kept: str) -> None:
    """A sender is a name of at most 11 characters, or a number with country code in any spelling."""
    assert read_sender_name(given_name) == kept


@pytest.mark.parametrize("text", ["", "   ", "TwelveLetter", "<script>", "a\nb", "+31612", "31612345678901234"])
def test_senders_refused(text: str) -> None:
    """A longer name, markup, or an unreadable number is no sender."""
    if text == "+31612":
        with pytest.raises(NotASender):
            read_sender_name(text)
        return
    with pytest.raises(NotASender):
        read_sender_name(text)


def test_masking_shows_no_number() -> None:
    """A log line shows the beginning and the end only."""
    assert mask_number("31612345678") == "31…78"
    assert "1234" not in mask_number("31612345678")
    assert mask_number("123") == "…"


def test_countries() -> None:
    """A number's country is known by its code."""
    assert country_of("447700900104") == "GB", "a number that nobody has"
    assert country_of("31612345678") == "NL"
    assert country_of("12025550123") == "US"
    assert country_of("999") is None
