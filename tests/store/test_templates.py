"""Templates as the carrier described them last, on every engine."""

from typing import Any

from heliograph.store import templates
from heliograph.store.engine import Database
from heliograph.store.templates import Sync, Template
from tests.store.makers import NOON_MS, make_account, read, write

BUSINESS = "2055500001"


def template(account_id: int, name: str, **changes: Any) -> Template:
    given: dict[str, Any] = {
        "account_id": account_id,
        "business_account": BUSINESS,
        "name": name,
        "language": "en_US",
        "carrier_id": f"id-{name}",
        "category": "UTILITY",
        "status": "APPROVED",
        "quality": "GREEN",
        "rejected_reason": "",
        "parameter_format": "POSITIONAL",
        "components": "[]",
        "seen_at_ms": NOON_MS,
    }
    return Template(**given | changes)


async def names(database: Database, account_id: int, limit: int = 10, **wanted: Any) -> list[str]:
    return [one.name for one in await read(database, templates.templates_of_account, account_id, limit, **wanted)]


async def test_what_the_carrier_no_longer_has_is_gone(database: Database) -> None:
    """A sync replaces what is known of one business account, and leaves those of others alone."""
    account, other = await make_account(database), await make_account(database, "Bolt")
    for of in (account, other):
        rows = [template(of.id, name) for name in ("a", "b")]
        await write(database, templates.put_templates, of.id, BUSINESS, rows, NOON_MS)
    elsewhere = template(account.id, "c", business_account="9", carrier_id="id-9")
    await write(database, templates.put_templates, account.id, "9", [elsewhere], NOON_MS)
    fresh = template(account.id, "b", status="PAUSED", quality="RED", seen_at_ms=NOON_MS + 5)
    await write(database, templates.put_templates, account.id, BUSINESS, [fresh], NOON_MS + 5)
    assert await names(database, account.id) == ["b", "c"]
    assert await names(database, other.id) == ["a", "b"]
    assert await read(database, templates.template_by_id, account.id, "id-b") == fresh
    assert await read(database, templates.template_by_id, account.id, "id-a") is None
    assert await read(database, templates.template_by_name, account.id, BUSINESS, "b", "en_US") == fresh
    assert await read(database, templates.template_by_name, account.id, BUSINESS, "b", "nl") is None
    assert await read(database, templates.syncs_of_account, account.id) == {
        BUSINESS: Sync(BUSINESS, NOON_MS + 5, ""),
        "9": Sync("9", NOON_MS, ""),
    }


async def test_one_by_one(database: Database) -> None:
    """A new template is added, news of it change what they tell and nothing else, and it can be dropped."""
    account = await make_account(database)
    made = template(account.id, "a", status="PENDING", quality="UNKNOWN")
    await write(database, templates.put_template, made)
    key = (account.id, BUSINESS, ("a", "en_US"))
    assert await write(database, templates.change_template, *key, status="APPROVED")
    assert await write(database, templates.change_template, *key, quality="YELLOW", category="MARKETING")
    found = await read(database, templates.template_by_id, account.id, "id-a")
    assert found == template(account.id, "a", quality="YELLOW", category="MARKETING")
    assert not await write(database, templates.change_template, account.id, BUSINESS, ("z", "nl"), status="PAUSED")
    assert not await write(database, templates.drop_template, account.id + 1, "id-a")
    assert await write(database, templates.drop_template, account.id, "id-a")
    assert await names(database, account.id) == []


async def test_pages_and_filters(database: Database) -> None:
    """Pages go on where they ended in both directions; status, business account and a part of the name filter."""
    account = await make_account(database)
    rows = [
        template(account.id, name, language=language, carrier_id=f"{name}-{language}", status=status)
        for name, language, status in (
            ("a_one", "en_US", "APPROVED"),
            ("a_one", "nl", "APPROVED"),
            ("axone", "en_US", "REJECTED"),
            ("b", "en_US", "APPROVED"),
        )
    ]
    await write(database, templates.put_templates, account.id, BUSINESS, rows, NOON_MS)
    assert await names(database, account.id, 2) == ["a_one", "a_one"]
    place = ("a_one", "nl", BUSINESS)
    assert await names(database, account.id, 9, after=place) == ["axone", "b"]
    assert await names(database, account.id, 9, before=("b", "en_US", BUSINESS)) == ["axone", "a_one", "a_one"]
    assert await names(database, account.id, status="REJECTED") == ["axone"]
    assert await names(database, account.id, holding="A_O") == ["a_one", "a_one"]
    assert await names(database, account.id, business_account="none") == []


async def test_who_fetches(database: Database) -> None:
    """One of those who find the templates old fetches them; a notice makes them old at once; trouble is kept in words."""
    account = await make_account(database)
    claim = (account.id, BUSINESS)
    assert await write(database, templates.claim_sync, *claim, NOON_MS, NOON_MS - 10)
    assert not await write(database, templates.claim_sync, *claim, NOON_MS + 1, NOON_MS - 9)
    assert await write(database, templates.claim_sync, *claim, NOON_MS + 20, NOON_MS + 10)
    await write(database, templates.want_sync, *claim)
    assert await read(database, templates.syncs_of_account, account.id) == {BUSINESS: Sync(BUSINESS, 0, "")}
    await write(database, templates.record_sync_trouble, *claim, NOON_MS + 30, "No answer.")
    assert await read(database, templates.syncs_of_account, account.id) == {
        BUSINESS: Sync(BUSINESS, NOON_MS + 30, "No answer.")
    }
