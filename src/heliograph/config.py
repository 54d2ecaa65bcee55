"""Settings: one frozen struct, parsed once at the door and passed down.

Each field is set by the environment variable HELIOGRAPH_<FIELD> or by the same name in lower case in the TOML file that
HELIOGRAPH_CONFIG names (default: heliograph.toml in the data folder). The environment wins (twelve-factor, III).
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]


class SettingsError(Exception):
    """A setting cannot be used. The text names it and says what it takes."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that an operator may set. The sentence beside a field is its manual; the unit is in its name."""

    home: str  # the data folder: database, keys, media; only this user may read it
    database_url: str = (
        ""  # "" = SQLite in the data folder; postgresql://user:password@host/name shares it between nodes
    )
    host: str = "127.0.0.1"  # the address to listen on; 0.0.0.0 for all
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000  # the port to listen on
    public_url: str = (
        ""  # how the outside reaches us (https://…): in links and for callbacks; "" = as each request names us
    )
    trust_forwarded: bool = False  # believe X-Forwarded-Proto and -Host: only behind a proxy that sets them
    api_workers: Positive = 1  # processes that answer HTTP; more than one is of use with PostgreSQL
    secret_key: str = ""  # base64 of 32 bytes that seal carrier credentials; "" = secret.key in the data folder
    log_level: str = "info"  # debug, info, warning or error
    log_json: bool = False  # log lines as JSON; otherwise readable

    # Letters to people
    smtp_url: str = ""  # smtp://user:password@host:587 (STARTTLS) or smtps://…; "" = letters go to the outbox page
    mail_from: str = "Heliograph <heliograph@localhost>"  # the sender of letters
    open_outbox: bool = False  # show the outbox page to everybody: for trials on your own machine only

    # The counter
    max_body_bytes: Positive = 1_048_576  # a larger request body is refused with 413
    max_header_bytes: Positive = 65_536  # all headers of a request together
    header_timeout_s: Positive = 10  # a client must have sent its headers by then
    body_timeout_s: Seconds = 20.0  # and its body by then
    max_recipients: Positive = 10_000  # in one request
    rate_limit_per_minute: Count = 600_000  # requests a minute and token; 0 = no limit; a token may have its own
    idempotency_hours: Positive = 24  # how long an Idempotency-Key is remembered
    max_waiting_accepts: Positive = 10_000  # requests waiting for a commit; beyond it 503 with Retry-After
    accept_batch: Positive = 1_000  # requests that share one commit at the most
    schedule_ahead_days: Positive = 366  # how far ahead a message may be scheduled

    # The road to the carrier
    whatsapp_base_url: str = (
        "https://graph.facebook.com"  # for senders that name no other; the emulator's address in trials
    )
    sandbox_url: str = ""  # an emulated carrier that accounts may try a number of; "" = none: for trials only
    whatsapp_api_version: str = "v26.0"  # the Graph API version for senders that name no other
    send_timeout_s: Seconds = 30.0  # a carrier that has not answered by then leaves the outcome unknown
    connect_timeout_s: Seconds = 10.0  # to reach the carrier; nothing has been sent by then
    dispatch_lease_s: Positive = 90  # a claim lasts so long; longer than send_timeout_s
    number_lease_s: Positive = 10  # a dispatcher that is silent for so long loses its numbers to the others
    max_in_flight: Positive = 128  # requests to carriers at the same time, per dispatcher
    number_pace_per_s: Positive = 80  # for numbers whose throughput the carrier has not told us
    shutdown_grace_s: Seconds = 15.0  # what is in flight may take so long when we are asked to stop

    # What came in
    max_callback_bytes: Positive = 8_388_608  # Meta promises at most 3 MB
    callback_keep_days: Positive = 30  # raw callbacks are kept so long, and can be replayed
    max_media_bytes: Positive = 104_857_600  # a larger inbound file is not fetched

    def __post_init__(self) -> None:
        if self.dispatch_lease_s <= self.send_timeout_s + self.connect_timeout_s:
            raise SettingsError("dispatch_lease_s must be longer than send_timeout_s and connect_timeout_s together.")
        if self.log_level not in {"debug", "info", "warning", "error"}:
            raise SettingsError("log_level is one of debug, info, warning and error.")
        if self.smtp_url and not self.smtp_url.startswith(("smtp://", "smtps://")):
            raise SettingsError("smtp_url begins with smtp:// or smtps://.")
        if self.smtp_url and not self.public_url:
            raise SettingsError("smtp_url needs public_url: links in letters must not follow what a request calls us.")
        if self.database_url and not self.database_url.startswith(("postgresql://", "postgres://", "sqlite:")):
            raise SettingsError("database_url begins with postgresql:// (or is empty: SQLite in the data folder).")
        try:
            urlsplit(self.database_url)
        except ValueError:
            raise SettingsError("database_url cannot be read: is a part of it to be written with %xx?") from None

    @property
    def home_path(self) -> Path:
        return Path(self.home)

    @property
    def sqlite_path(self) -> Path:
        """The database file, where SQLite serves."""
        if self.database_url.startswith("sqlite:"):
            return Path(self.database_url.removeprefix("sqlite:").removeprefix("//"))
        return self.home_path / "heliograph.db"

    @property
    def is_postgresql(self) -> bool:
        return self.database_url.startswith("postgres")

    @property
    def media_path(self) -> Path:
        return self.home_path / "media"


def default_home(environ: Mapping[str, str]) -> str:
    """Where data goes if nobody says otherwise (XDG Base Directory Specification)."""
    base = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", ".")) / ".local" / "share")
    return str(Path(base) / "heliograph")


def read_settings(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Settings from `overrides`, then the environment, then the TOML file, then the defaults.

    Raises SettingsError with a sentence that names the field."""
    env = os.environ if environ is None else environ
    home = str(overrides.get("home") or env.get("HELIOGRAPH_HOME") or default_home(env))
    values: dict[str, Any] = {**read_file(env, home), "home": str(Path(home).absolute())}
    for field in Settings.__struct_fields__:
        given = env.get(f"HELIOGRAPH_{field.upper()}")
        if given is not None and field != "home":
            values[field] = given
    if "port" not in values and env.get("PORT"):
        values["port"] = env["PORT"]
    values |= {name: value for name, value in overrides.items() if value is not None and name != "home"}
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting cannot be used: {error}") from None


def read_file(env: Mapping[str, str], home: str) -> dict[str, Any]:
    named = env.get("HELIOGRAPH_CONFIG")
    path = Path(named) if named else Path(home) / "heliograph.toml"
    if not path.exists():
        if named:
            raise SettingsError(f"HELIOGRAPH_CONFIG names {path}, which is not there.")
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    if unknown := set(values) - set(Settings.__struct_fields__):
        raise SettingsError(f"{path} names settings that do not exist: {', '.join(sorted(unknown))}.")
    return values
