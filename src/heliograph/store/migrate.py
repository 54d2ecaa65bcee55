"""Bring a database's schema to what this release needs, or say what that would change."""

from pathlib import Path
from typing import TYPE_CHECKING

import apsw
from msgspec import Struct

from heliograph.config import Settings
from heliograph.errors import Unavailable

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config

NEWEST = "0004"  # what this release needs; a test holds it against the versions folder


class Step(Struct, frozen=True):
    revision: str
    brings: str


def sqlalchemy_url(settings: Settings) -> str:
    if settings.is_postgresql:
        return "postgresql+asyncpg://" + settings.database_url.split("://", 1)[1]
    return f"sqlite:///{settings.sqlite_path}"


async def current_revision(settings: Settings) -> str | None:
    """The schema that the database has, or None where it has none yet. Cheap: asked at every start."""
    if not settings.sqlite_path.exists():
        return None
    connection = apsw.Connection(str(settings.sqlite_path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(10_000)
    try:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except apsw.SQLError:
        return None
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
    """The changes that `migrate` would make, oldest first."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(script_config())
    with engine_of(settings).connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    ahead = [Step(s.revision, (s.doc or "").strip()) for s in scripts.iterate_revisions("head", current or "base")]
    return ahead[::-1]


def migrate(settings: Settings) -> list[Step]:
    """Apply what is ahead; returns it. Raises Unavailable when the database is newer than this release."""
    settings.home_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.is_postgresql is False:
        settings.sqlite_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ahead = steps_ahead(settings)
    if ahead:
        from alembic import command

        config = script_config()
        with engine_of(settings).connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    return ahead


def engine_of(settings: Settings) -> "sqlalchemy.Engine":
    import sqlalchemy

    if settings.is_postgresql:
        raise Unavailable("PostgreSQL is not served by this release yet. Leave HELIOGRAPH_DATABASE_URL empty.")
    return sqlalchemy.create_engine(sqlalchemy_url(settings), poolclass=sqlalchemy.NullPool)
