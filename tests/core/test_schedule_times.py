"""Schedule times: the account's zone, offsets, and the two odd hours of the year."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core.schedule_times import NotASchedule, read_schedule_time, render_time

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NOW_MS = int(datetime(2029, 6, 1, tzinfo=UTC).timestamp() * 1000)


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2030-01-02 07:00", "2030-01-02T06:00:00+00:00"),
        ("2030-01-02 07:00:30", "2030-01-02T06:00:30+00:00"),
        ("2030-01-02T07:00", "2030-01-02T06:00:00+00:00"),
        ("2030-01-02T07:00:00Z", "2030-01-02T07:00:00+00:00"),
        ("2030-01-02T07:00:00.250Z", "2030-01-02T07:00:00+00:00"),
        ("2030-01-02 07:00:00+05:30", "2030-01-02T01:30:00+00:00"),
        ("2030-01-02 07:00 -0800", "2030-01-02T15:00:00+00:00"),
        (" 2030-07-02 07:00 ", "2030-07-02T05:00:00+00:00"),
        ("2030-03-31 02:30", "2030-03-31T01:30:00+00:00"),  # does not exist: an hour later by the new clock
        ("2029-10-28 02:30", "2029-10-28T00:30:00+00:00"),  # exists twice: the first
    ],
)
def test_times_that_are_meant(text: str, meant: str) -> None:
    """Each spelling of the reference names its instant, also in the hour that is skipped and the one that comes twice."""
    assert read_schedule_time(text, AMSTERDAM, NOW_MS, max_ahead_days=500) == instant(meant)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2030-13-01 07:00",
        "2030-02-30 07:00",
        "2030-01-02 25:00",
        "2030-01-02",
        "07:00",
        "2030-01-02 07:00+19:00",
        "2029-05-31 23:00",
        "2035-01-01 00:00",
        "0001-01-01 00:00",
    ],
)
def test_times_refused(text: str) -> None:
    """What is no date, is past, or too far ahead is refused with a sentence."""
    with pytest.raises(NotASchedule) as refused:
        read_schedule_time(text, AMSTERDAM, NOW_MS)
    assert refused.value.sentence.endswith(".") or "2030-01-02" in refused.value.sentence


def test_this_minute_is_not_past() -> None:
    """Who writes minutes only may mean the minute that runs."""
    now_ms = instant("2029-06-01T10:00:45+00:00")
    assert read_schedule_time("2029-06-01 10:00", ZoneInfo("UTC"), now_ms) <= now_ms


ZONES = [
    "Europe/Amsterdam",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
]


@given(st.sampled_from(ZONES), st.datetimes(min_value=datetime(2029, 7, 1), max_value=datetime(2030, 5, 1)))
def test_local_times_round_trip(zone_name: str, local: datetime) -> None:
    """A local time that exists is the instant at which that zone's clocks show it; one in a gap is moved by the gap, not lost."""
    zone = ZoneInfo(zone_name)
    local = local.replace(second=0, microsecond=0)
    at_ms = read_schedule_time(f"{local:%Y-%m-%d %H:%M}", zone, NOW_MS, max_ahead_days=400)
    shown = datetime.fromtimestamp(at_ms / 1000, zone).replace(tzinfo=None)
    exists = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
    if exists:
        assert shown == local
    else:
        assert timedelta(0) < shown - local <= timedelta(hours=24)


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_rendered_times_can_be_read(at_ms: int) -> None:
    """RFC 3339 in UTC, exact to the millisecond."""
    text = render_time(at_ms)
    assert text.endswith("Z")
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == at_ms


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but NotASchedule is raised."""
    with contextlib.suppress(NotASchedule):
        read_schedule_time(text, AMSTERDAM, NOW_MS)
