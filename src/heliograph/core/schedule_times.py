"""Schedule times as callers write them: `2030-01-02 07:00` in the account's zone [seed], or with an offset of their own."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

SHAPE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T\s]+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*"
    r"(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?"
)
# "Now" is a minute long for those who write minutes only.
TOLERATED_MS = 60_000


class NotASchedule(ValueError):
    """`sentence` says what is wrong, for the person who asked."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def read_schedule_time(text: str, zone: ZoneInfo, now_ms: int, *, max_ahead_days: int = 366) -> int:
    """The instant in milliseconds since 1970 UTC. Raises NotASchedule.

    Where clocks go forward and the local time does not exist, it counts on from before the change (07:30 in the skipped hour
    is the instant an hour later by the new clock); where they go back and it exists twice, the first is meant
    (RFC 5545 §3.3.5 rules the same)."""
    match = SHAPE.fullmatch(text.strip())
    if match is None:
        raise NotASchedule("The schedule time must look like 2030-01-02 07:00, or 2030-01-02T07:00:00+01:00.")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=read_offset(match[7]) or zone)
        instant = local.astimezone(UTC)  # a time in a gap has the offset from before it (PEP 495, fold=0)
    except (ValueError, OverflowError):
        raise NotASchedule("The schedule time is not a date of the calendar.") from None
    at_ms = round(instant.timestamp() * 1000)
    if at_ms <= now_ms - TOLERATED_MS:
        raise NotASchedule("The schedule time is in the past.")
    if at_ms - now_ms > max_ahead_days * 86_400_000:
        raise NotASchedule(f"The schedule time is more than {max_ahead_days} days ahead.")
    return at_ms


def read_offset(text: str | None) -> timezone | None:
    """None where no offset was written. Raises ValueError for one that no place on earth has."""
    if text is None:
        return None
    if text in {"Z", "z", "UTC"}:
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59 or offset > timedelta(hours=18):
        raise ValueError(text)
    return timezone(-offset if text[0] == "-" else offset)


@lru_cache(maxsize=1024)
def render_time(at_ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds where there are any: 2030-01-02T07:00:00Z."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    part = at_ms % 1000
    return f"{moment:%Y-%m-%dT%H:%M:%S}{f'.{part:03d}' if part else ''}Z"
