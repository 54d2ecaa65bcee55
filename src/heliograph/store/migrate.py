"""Bring a database's schema to what this release needs, or say what that would change."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import apsw
from msgspec import Struct

from heliograph.config import Settings
from heliograph.errors import Unavailable
from heliograph.store.sqlite import unavailable

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config

NEWEST = "0009"  # what this release needs; a test holds it against the versions folder

UNFINISHED_COPY = ".copying"  # what copy-database adds to a schema's name until all is there


class Step(Struct, frozen=True):
    revision: str
    brings: str


T = TypeVar("T")
NOT_COPIED_YET = "A copy into this database is not finished: give the command heliograph copy-database again."


async def current_revision(settings: Settings) -> str | None:
    """The schema that the database has, or None where it has none yet. Cheap: asked at every start.

    Raises Unavailable where the server cannot be reached."""
    if settings.is_postgresql:
        from heliograph.store.migrate_postgresql import read_revision

        return await read_revision(settings.database_url)
    if not settings.sqlite_path.exists():
        return None
    connection = apsw.Connection(str(settings.sqlite_path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(10_000)
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except apsw.SQLError:
        return None
    except apsw.Error as error:
        raise unavailable(error) from None
    finally:
        connection.close()
    return str(rows[0][0]) if rows else None


def script_config() -> "Config":
    # Alembic and SQLAlchemy are loaded here and not above: a server that finds its schema in order never needs them.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def steps_ahead(settings: Settings) -> list[Step]:
    """The changes that `migrate` would make, oldest first. Raises Unavailable where the server cannot be reached."""
    return on_connection(settings, find_steps)


def migrate(settings: Settings, to: str = "head") -> list[Step]:
    """Apply what is ahead, up to a revision; returns it.

    Raises Unavailable when the database is newer than this release, or in use so that a change has to wait too long."""
    settings.home_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not settings.is_postgresql:
        settings.sqlite_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return on_connection(settings, lambda connection: apply_steps(connection, to), alone=True)


def find_steps(connection: "sqlalchemy.Connection", to: str = "head") -> list[Step]:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError

    scripts = ScriptDirectory.from_config(script_config())
    current = MigrationContext.configure(connection).get_current_revision()
    try:
        ahead = [Step(s.revision, (s.doc or "").strip()) for s in scripts.iterate_revisions(to, current or "base")]
    except RevisionError:
        if current is not None and current.endswith(UNFINISHED_COPY):
            raise Unavailable(NOT_COPIED_YET, code="copy_unfinished") from None
        raise Unavailable(
            f"The database is at schema {current}, which this release does not know. Run a newer release.",
            code="schema_mismatch",
        ) from None
    return ahead[::-1]


def apply_steps(connection: "sqlalchemy.Connection", to: str) -> list[Step]:
    from alembic import command

    ahead = find_steps(connection, to)
    connection.rollback()
    if ahead:
        config = script_config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        connection.commit()
    return ahead


# Connections


def on_connection(settings: Settings, work: Callable[["sqlalchemy.Connection"], T], *, alone: bool = False) -> T:
    """Run `work` on a connection of SQLAlchemy's, as Alembic wants it; `alone`: while no other node does so."""
    if settings.is_postgresql:
        from heliograph.store.migrate_postgresql import on_postgresql

        return on_postgresql(settings.database_url, work, alone=alone)
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"sqlite:///{settings.sqlite_path}", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        return work(connection)
