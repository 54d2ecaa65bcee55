"""What exists in this little world: numbers, accounts, the app, and where each has its callbacks sent.

The state is one struct, written whole to FILE.state.json whenever a call changes it; messages are the ledger's.
"""

import os
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from heliograph.emulators.cloud_api import defaults


class Callback(Struct, frozen=True):
    """Where callbacks go, and the word that it was verified with."""

    url: str
    verify_token: str = ""


class Number(Struct, kw_only=True):
    """A business phone number."""

    id: str
    waba_id: str
    digits: str
    verified_name: str = defaults.VERIFIED_NAME
    level: str = "HIGH"
    quality: str = "GREEN"
    status: str = "CONNECTED"
    verified: bool = True
    registered: bool = True
    pin: str | None = None
    code_requested: bool = False
    changes_at: list[float] = field(default_factory=list)  # when it was registered and deregistered
    callback: Callback | None = None
    profile: dict[str, Any] = field(default_factory=dict)
    identity_check: bool = False
    billed_month: str = ""
    free_left: int = defaults.FREE_SERVICE_MESSAGES

    @property
    def throughput_per_s(self) -> int:
        return defaults.THROUGHPUT_PER_S if self.level == "HIGH" else defaults.STANDARD_THROUGHPUT_PER_S


class Account(Struct, kw_only=True):
    """A WhatsApp Business Account."""

    id: str
    name: str = "Emulated account"
    subscribed: bool = False
    callback: Callback | None = None


class Template(Struct, kw_only=True):
    id: str
    waba_id: str
    name: str
    language: str
    category: str
    status: str
    components: list[dict[str, Any]]
    parameter_format: str = "POSITIONAL"
    quality: str = "UNKNOWN"
    rejected_reason: str = "NONE"
    edited_at: float = 0.0


class Medium(Struct, kw_only=True):
    """A file: uploaded by a business, or sent by a person."""

    id: str
    number_id: str
    mime_type: str
    sha256: str
    size: int
    expires_at: float
    filename: str | None = None


class Upload(Struct, kw_only=True):
    """A sample on its way in."""

    length: int
    file_type: str
    content: bytes = b""


class State(Struct, kw_only=True):
    numbers: dict[str, Number] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    media: dict[str, Medium] = field(default_factory=dict)
    app_callback: Callback | None = None
    settled: int = 0  # messages that nothing is owed for any more: after a restart later ones are called back again
    media_key: str = ""
    banned_names: dict[str, float] = field(default_factory=dict)  # of deleted templates, and until when


class World:
    """The state, and the file that it is kept in. Nothing here waits."""

    def __init__(self, data: str | None) -> None:
        self.path = Path(f"{data}.state.json") if data else None
        self.media_folder = Path(f"{data}.media") if data else None
        self.state = self._read() or bundled_state()
        self.media_bytes: dict[str, bytes] = {}  # the files, where there is no folder for them

    def _read(self) -> State | None:
        if self.path is None or not self.path.exists():
            return None
        return msgspec.json.decode(self.path.read_bytes(), type=State)

    def save(self) -> None:
        """Write the state: the old file or the new one is there, never a torn one."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(self.state))
        draft.replace(self.path)

    def number_of(self, name: str) -> Number | None:
        """By id or by digits."""
        found = self.state.numbers.get(name)
        digits = "".join(c for c in name if c.isdecimal())
        return found or next((one for one in self.state.numbers.values() if one.digits == digits), None)

    def callback_of(self, number: Number | None, waba_id: str, *, message_like: bool) -> Callback | None:
        """Where an update goes: the number beats the account beats the app, the first two for message-like fields only."""
        account = self.state.accounts.get(waba_id)
        if message_like:
            if number is not None and number.callback is not None:
                return number.callback
            if account is not None and account.subscribed and account.callback is not None:
                return account.callback
        if account is not None and account.subscribed:
            return self.state.app_callback
        return None

    def add_number(self, number: Number) -> None:
        self.state.numbers[number.id] = number
        self.state.accounts.setdefault(number.waba_id, Account(id=number.waba_id))


def bundled_state() -> State:
    """The default account with its numbers (docs/emulator.md). Template and media come when they are first asked for."""
    state = State(media_key=os.urandom(16).hex())
    state.accounts[defaults.WABA_ID] = Account(id=defaults.WABA_ID)
    for last in range(1, 10):
        facts: dict[str, Any] = {}
        if last == 8:  # to try registration with
            facts = {"verified": False, "registered": False, "status": "UNVERIFIED"}
        if last == 9:
            facts = {"level": "STANDARD"}
        number = Number(
            id=defaults.PHONE_NUMBER_ID[:-1] + str(last),
            waba_id=defaults.WABA_ID,
            digits=defaults.BUSINESS_NUMBER[:-1] + str(last),
            **facts,
        )
        state.numbers[number.id] = number
    return state


def now() -> float:
    return time.time()
