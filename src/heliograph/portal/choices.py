"""Countries and time zones to choose from, and the first guess at them."""

import zoneinfo
from functools import lru_cache

import phonenumbers
from babel import Locale


@lru_cache(maxsize=8)
def country_choices(locale: Locale) -> list[tuple[str, str]]:
    """(ISO 3166 code, name) of every country that has phone numbers, by name; first the choice of none."""
    named = [(code, f"{locale.territories.get(code, code)} (+{country_code(code)})") for code in SUPPORTED]
    return [("", "No country"), *sorted(named, key=lambda pair: pair[1])]


SUPPORTED = sorted(phonenumbers.SUPPORTED_REGIONS)


def country_code(region: str) -> int:
    return phonenumbers.country_code_for_region(region)


@lru_cache(maxsize=1)
def zone_choices() -> list[tuple[str, str]]:
    """Every zone that people live in, by its IANA name."""
    regions = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    names = sorted(name for name in zoneinfo.available_timezones() if name.startswith(regions))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


def guess_country(accept_language: str) -> str:
    """The country of the first language that names one (`en-GB` → GB), or none."""
    for part in accept_language.split(","):
        _, dash, region = part.split(";")[0].strip().rpartition("-")
        if dash and region.upper() in phonenumbers.SUPPORTED_REGIONS:
            return region.upper()
    return ""
