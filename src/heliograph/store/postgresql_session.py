"""One session with a PostgreSQL server: how it is opened, and what each of its refusals means."""

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute

from heliograph.errors import Unavailable

log = structlog.get_logger(__name__)

CONNECT_S = 5.0
ANSWER_S = 20.0  # a server that is silent for so long counts as lost

SESSION = {
    "application_name": "heliograph",
    "timezone": "UTC",
    "statement_timeout": "15000",  # ms
    "lock_timeout": "10000",
    # A node that was cut off in mid-transaction must not keep its row locks from the others.
    "idle_in_transaction_session_timeout": "10000",
    "jit": "off",  # every statement is short; compiling costs more than it saves
}

# The same work, done again, may pass.
CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# This connection has no future, but a new one may: plans of an older schema, a primary that became a standby.
STALE = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
# Nobody answers; whatever is tried next would meet the same.
OUTAGES = (OSError, TimeoutError, asyncpg.PostgresConnectionError)
# PostgreSQL keeps no NUL in a text.
NOT_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)


class CommitUnsure(Exception):
    """The connection was lost while a commit was under way, and nobody could be asked what became of it."""


def each_host(url: str) -> list[str]:
    """A URL for each of the hosts that a URL names (postgresql://user@a,b:5433/name), in their order."""
    head, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    return [f"{head}://{user}{at}{host}{slash}{path}" for host in hosts.split(",")]


async def connect(url: str, *, command_timeout: float | None = ANSWER_S, **settings: str) -> asyncpg.Connection:
    """A session with the primary, with our time-outs, in which uuid columns hold 16 bytes. Raises what asyncpg raises.

    command_timeout: seconds after which a silent server counts as lost; settings: what differs from SESSION. Of several hosts the
    first that takes writes; each is tried, whatever is wrong with those before it: dead, starting, or a standby."""
    urls = each_host(url)
    for one in urls[:-1]:
        try:
            return await connect_one(one, command_timeout, settings)
        except (*OUTAGES, asyncpg.PostgresError, asyncpg.TargetServerAttributeNotMatched):
            continue
    return await connect_one(urls[-1], command_timeout, settings)


async def connect_one(url: str, command_timeout: float | None, settings: dict[str, str]) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_S,
        command_timeout=command_timeout,
        statement_cache_size=512,
        max_cached_statement_lifetime=0,
        server_settings=SESSION | settings,
        target_session_attrs=None if "target_session_attrs" in url else SessionAttribute.read_write,
    )
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
    return connection


def is_lost(connection: asyncpg.Connection, error: Exception) -> bool:
    """Whether a failure means that this connection is of no more use."""
    return connection.is_closed() or isinstance(error, (*OUTAGES, *STALE))


def explain(error: Exception) -> Exception:
    """What a refusal of the server means to a caller. Its own text goes to the log only.

    Broken constraints and errors that are not the server's are returned as they are."""
    match error:
        case asyncpg.IntegrityConstraintViolationError() | Unavailable():
            return error
        case CommitUnsure():
            log.error("commit_unsure", engine="postgresql")
            return Unavailable(
                "The database was lost while it stored this. Look whether it is there before you try again.",
                code="storage_unsure",
                retry_after_s=5,
            )
        case asyncpg.DiskFullError():
            sentence, code, retry_after_s = "The disk of the database is full.", "storage_full", None
        case asyncpg.LockNotAvailableError() | asyncpg.QueryCanceledError() | asyncpg.TooManyConnectionsError():
            sentence, code, retry_after_s = "The database is busy.", "storage_busy", 1
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError():
            sentence, code, retry_after_s = "The database is busy.", "storage_busy", 1
        case asyncpg.DataCorruptedError() | asyncpg.IndexCorruptedError():
            sentence, code, retry_after_s = "The database is damaged.", "storage_damaged", None
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidCatalogNameError():
            sentence, code, retry_after_s = "The database refuses us: look at its log.", "storage_refused", None
        case asyncpg.ClientConfigurationError():
            sentence, code, retry_after_s = "HELIOGRAPH_DATABASE_URL cannot be used.", "storage_refused", None
        case (
            OSError()
            | TimeoutError()
            | asyncpg.PostgresError()
            | asyncpg.InterfaceError()
            | asyncpg.InternalClientError()
        ):
            sentence, code, retry_after_s = "The database cannot be reached now.", "storage_unavailable", 2
        case _:
            return error
    log.error("database_refused", engine="postgresql", error=type(error).__name__, detail=str(error))
    return Unavailable(f"{sentence} Nothing was stored.", code=code, retry_after_s=retry_after_s)
