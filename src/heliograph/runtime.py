"""What every process builds once: settings, database, vault, channels. Rooms are given this; they never build it."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from heliograph.channels.contract import Connection
from heliograph.config import Settings, SettingsError
from heliograph.core.vault import Vault
from heliograph.errors import Unavailable
from heliograph.store.connections import ConnectionRow
from heliograph.store.engine import Database
from heliograph.store.migrate import NEWEST, NOT_COPIED_YET, UNFINISHED_COPY, current_revision
from heliograph.store.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from heliograph.channels.whatsapp.channel import WhatsApp

CHANNELS = ("whatsapp",)  # the whole list, in one place


class Runtime(Struct, frozen=True):
    settings: Settings
    database: Database
    vault: Vault

    def connection_of(self, row: ConnectionRow) -> Connection:
        """How to reach the carrier, credentials in clear. Raises CannotUnseal when the key does not fit."""
        kept = self.vault.unseal(row.sealed_secrets)
        return Connection(
            phone_number_id=row.address,
            business_account_id=row.business_account,
            token=kept.token,
            app_secret=kept.app_secret,
            base_url=row.base_url,
            api_version=row.api_version,
            use_appsecret_proof=bool(row.use_appsecret_proof),
        )


def read_vault(settings: Settings) -> Vault:
    """The vault under the installation's key; on SQLite a missing key is made, readable by this user only."""
    key = settings.secret_key
    if not key:
        path = settings.home_path / "secret.key"
        if not path.exists():
            if settings.is_postgresql:
                raise SettingsError("Set HELIOGRAPH_SECRET_KEY to the same 32 bytes (base64) on every node.")
            make_private(path, Vault.new_key())
        key = path.read_text().strip()
    try:
        return Vault(key)
    except ValueError:
        raise SettingsError("secret_key must be 32 bytes as URL-safe base64.") from None


def write_private(path: Path, text: str) -> None:
    """A file that only this user can read, whole or not at all."""
    draft_private(path, text).replace(path)


def make_private(path: Path, text: str) -> None:
    """The same for a file that is made once: when several processes begin at the same time, the first one's stays."""
    draft = draft_private(path, text)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()


def draft_private(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


async def open_database(settings: Settings) -> Database:
    """The store that the settings name. Raises Unavailable when it cannot be used, or its schema is not this release's."""
    found = await current_revision(settings)
    if found is not None and found.endswith(UNFINISHED_COPY):
        raise Unavailable(NOT_COPIED_YET, code="copy_unfinished")
    if found != NEWEST:
        raise Unavailable(
            f"The database is at schema {found or 'none'}, this release needs {NEWEST}. Run `heliograph migrate`.",
            code="schema_mismatch",
        )
    if settings.is_postgresql:
        # Loaded here and not above: an installation on SQLite starts sooner without it.
        from heliograph.store.postgresql import PostgresDatabase

        return await PostgresDatabase.open(settings.database_url)
    return await SqliteDatabase.open(settings.sqlite_path)


@contextlib.asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    vault = read_vault(settings)
    database = await open_database(settings)
    try:
        yield Runtime(settings, database, vault)
    finally:
        await database.close()


def open_whatsapp(settings: Settings) -> "WhatsApp":
    """The channel with its HTTP connections; close it with `await channel.close()`."""
    from heliograph.channels.whatsapp.channel import WhatsApp  # brings the HTTP client, which few processes need

    return WhatsApp(
        timeout_s=settings.send_timeout_s,
        connect_timeout_s=settings.connect_timeout_s,
        max_connections=settings.max_in_flight,
    )
