"""Beyond one primary: rows live with their account, so no statement of a message's road may need two shards.

Tables that are small and change seldom would be on every shard ("reference tables" of Citus); all others are spread by
account_id. A statement that touches one of those names the account, or stands below with its reason."""

import importlib
import pkgutil
import re
from typing import Any

import apsw
import msgspec
import pytest

import heliograph.store
from heliograph.config import Settings
from heliograph.store import messages
from heliograph.store.engine import Statement
from heliograph.store.migrate import migrate

ON_EVERY_SHARD = {
    "account",
    "account_user",
    "api_token",
    "connection",
    "sender",
    "template_hold",
    "portal_session",
    "login_failure",
    "recovery_code",
    "mail_link",
    "letter",
    "audit_event",
}
LOOK = "a look into a narrow queue, once for a batch of rows: every shard is asked"
SETTLE = "what a dead node left, looked for a few times in a lease"
BROOM = "the broom, every ten minutes"
WATCH = "for those who watch, when they ask"
FANS_OUT = {
    "claim_callback_due": LOOK,
    "claim_errand_due": LOOK,
    "claim_send_due": LOOK,
    "next_callback_due": LOOK,
    "next_errand_due": LOOK,
    "next_send_due": LOOK,
    **{f"{verb}_{table}": SETTLE for verb in ("lapsed", "take_lapsed") for table in ("send_due", "callback_due")},
    "lapsed_errand_due": SETTLE,
    "take_lapsed_errand_due": SETTLE,
    **{f"lapse_{table}": "SQLite only" for table in ("send_due", "callback_due", "errand_due")},
    **{f"release_{table}": "at a stop" for table in ("send_due", "callback_due", "errand_due")},
    **{f"depth_{table}": WATCH for table in ("send_due", "callback_due", "errand_due")},
    "troubled_callbacks": WATCH,
    "drop_old_callbacks": BROOM,
    "drop_old_answers": BROOM,
}


def find_statements(value: Any) -> list[Statement]:
    if isinstance(value, Statement):
        return [value]
    if isinstance(value, dict):
        return [found for one in value.values() for found in find_statements(one)]
    if isinstance(value, list | tuple):
        return [found for one in value for found in find_statements(one)]
    if isinstance(value, msgspec.Struct):
        return [found for name in value.__struct_fields__ for found in find_statements(getattr(value, name))]
    return []


def all_statements() -> dict[str, Statement]:
    modules = [
        importlib.import_module(f"heliograph.store.{found.name}")
        for found in pkgutil.iter_modules(heliograph.store.__path__)
        if found.name != "migrations"
    ]
    found = [one for module in modules for value in vars(module).values() for one in find_statements(value)]
    found += [messages.select_statement((), counting=counting) for counting in (True, False)]
    return {one.name: one for one in found}


STATEMENTS = all_statements()


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> apsw.Connection:
    settings = Settings(home=str(tmp_path_factory.mktemp("schema")))
    migrate(settings)
    return apsw.Connection(str(settings.sqlite_path))


def spread_tables(schema: apsw.Connection) -> set[str]:
    names = schema.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {str(name) for (name,) in names} - ON_EVERY_SHARD - {"alembic_version"}


def test_every_key_begins_with_the_account(schema: apsw.Connection) -> None:
    """Each spread table has account_id first in its primary key and in every unique index."""
    tables = spread_tables(schema)
    assert {"message", "send_due", "callback", "message_event"} <= tables
    for table in sorted(tables):
        keys = [list(schema.execute(f"PRAGMA table_info({table})"))]
        primary = sorted((row[5], row[1]) for row in keys[0] if row[5])
        assert primary[0][1] == "account_id", table
        for row in schema.execute(f"PRAGMA index_list({table})"):
            if row[2]:
                first = next(iter(schema.execute(f"PRAGMA index_info({row[1]})")))
                assert first[2] == "account_id", row[1]


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_statement_stays_on_a_shard(name: str, schema: apsw.Connection) -> None:
    """A statement on a spread table names the account by a value of its own, or is an exception that has its reason."""
    sql = STATEMENTS[name].postgresql
    touched = {table for table in re.findall(r"(?:FROM|JOIN|INTO|UPDATE) (\w+)", sql) if table in spread_tables(schema)}
    names_account = re.search(r"\baccount_id = \$\d|INSERT INTO \w+ \(account_id\b", sql) is not None
    assert (not touched) or names_account or name in FANS_OUT, f"{name} would ask every shard for {sorted(touched)}"


def test_exceptions_are_needed() -> None:
    """No exception outlives its statement."""
    assert set(FANS_OUT) <= set(STATEMENTS)
    assert len(STATEMENTS) > 100


def test_the_check_refuses(schema: apsw.Connection) -> None:
    """The check above would notice: the list of an account's messages without its account fails it."""
    sql = "SELECT id FROM message WHERE person = $1"
    assert set(re.findall(r"FROM (\w+)", sql)) & spread_tables(schema)
    assert not re.search(r"\baccount_id = \$\d", sql)
