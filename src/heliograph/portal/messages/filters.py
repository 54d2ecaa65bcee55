"""What the address of the list asks for, and how it is shown as chips."""

import contextlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from heliograph.core.ids import id_of
from heliograph.core.phone_numbers import NotANumber, read_number
from heliograph.core.statuses import State
from heliograph.portal.languages import N_
from heliograph.portal.visit import Form
from heliograph.store.accounts import Account
from heliograph.store.messages import Filters
from heliograph.store.searches import Search

# What the filter of the state offers: its name in the address, its word, the states it means.
STATES: tuple[tuple[str, str, tuple[State, ...]], ...] = (
    ("waiting", N_("Waiting"), (State.SCHEDULED, State.QUEUED, State.SENDING)),
    ("sent", N_("Sent"), (State.SENT,)),
    ("delivered", N_("Delivered"), (State.DELIVERED,)),
    ("read", N_("Read"), (State.READ,)),
    ("failed", N_("Failed"), (State.FAILED,)),
    ("expired", N_("Expired"), (State.EXPIRED,)),
    ("unknown", N_("Unknown"), (State.UNKNOWN,)),
    ("cancelled", N_("Cancelled"), (State.CANCELLED,)),
    ("received", N_("Received"), (State.RECEIVED,)),
)
DIRECTIONS = (("outgoing", N_("Outgoing")), ("incoming", N_("Incoming")))
NAMES = ("find", "recipient", "status", "direction", "sender", "since", "until")
NUMBER = re.compile(r"[+\d][\d\s().-]{5,}")


class Asked(Struct, frozen=True, kw_only=True):
    """The filters of an address. `values`: as they came; `errors`: by field; `uid`: the message that was searched for."""

    values: Form
    search: Search
    errors: dict[str, list[str]]
    uid: bytes | None = None

    @property
    def is_empty(self) -> bool:
        return not self.values


def read_filters(query: Mapping[str, str], account: Account) -> Asked:
    values = Form({name: query[name] for name in NAMES if query[name]})
    errors: dict[str, list[str]] = {}
    states = next((states for name, _, states in STATES if name == query["status"]), ())
    zone = ZoneInfo(account.time_zone)
    since_ms = read_moment(query["since"], zone, "since", errors)
    until_ms = read_moment(query["until"], zone, "until", errors, end=True)
    person, text = query["recipient"].removeprefix("+") or None, query["find"]
    if person is None and NUMBER.fullmatch(text):
        with contextlib.suppress(NotANumber):  # else it is looked for in the texts
            person, text = read_number(text, account.default_country), ""
    filters = Filters(
        states=states,
        direction=query["direction"] if query["direction"] in {name for name, _ in DIRECTIONS} else None,
        person=person,
        since_ms=since_ms,
        until_ms=until_ms,
    )
    search = Search(filters=filters, sender=query["sender"].removeprefix("+") or None, text=text)
    return Asked(values=values, search=search, errors=errors, uid=id_of(query["find"].lower()))


def read_moment(text: str, zone: ZoneInfo, name: str, errors: dict[str, list[str]], *, end: bool = False) -> int | None:
    """A day or a time in the account's zone; of a day its begin, or with `end` the begin of the next."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= len("2030-01-02") and end:
            moment += timedelta(days=1)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        errors[name] = [N_("Write a day as 2030-01-02, or a time as 2030-01-02T07:00.")]
        return None
