"""Who may do what: every route, every role, generated from the route table."""

import re
from collections.abc import AsyncIterator

import pytest
from tests.portal.conftest import Browser, new_browser

from heliograph.accounts import people
from heliograph.core.ids import now_ms
from heliograph.portal.access import Rule
from heliograph.portal.app import Route, all_handlers, all_routes
from heliograph.runtime import Runtime
from heliograph.store import accounts as account_store
from heliograph.store.engine import Tx

ROLES = ("nobody", "viewer", "member", "owner", "operator")
ENTERS = {
    Rule.PUBLIC: set(ROLES),
    Rule.VIEWER: {"viewer", "member", "owner", "operator"},
    Rule.MEMBER: {"member", "owner"},
    Rule.OWNER: {"owner"},
    Rule.OPERATOR: {"operator"},
}
# An id that nobody has, by the kind of the placeholder.
NOBODYS = {"int": "999999999", "str": "0" * 32, "uuid": "00000000-0000-7000-8000-000000000000", "path": "x"}


async def add_person(runtime: Runtime, role: str) -> str:
    """A person with that role in an account of its own; "operator" is a viewer who is an operator too."""
    await people.create_account(runtime, name="First", email="first@of.example", password="correct horse battery")
    account, owner = await people.create_account(
        runtime, name=role.title(), email=f"owner@{role}.example", password="correct horse battery"
    )
    if role == "owner":
        return owner.email
    email = f"{role}@{role}.example"
    kept_role = "viewer" if role == "operator" else role

    async def work(tx: Tx) -> None:
        user = await account_store.add_user(tx, account.id, email, "", owner.password_hash, kept_role, now_ms())
        assert user is not None
        if role == "operator":
            await account_store.set_operator(tx, user.id, is_operator=True)

    await runtime.database.write(work)
    return email


@pytest.fixture(params=ROLES)
async def person(request: pytest.FixtureRequest, runtime: Runtime, portal: str) -> AsyncIterator[tuple[str, Browser]]:
    """A role, and the browser of somebody who has it."""
    async with new_browser(portal) as browser:
        if request.param == "nobody":
            await browser.get("/login")
        else:
            await browser.log_in(await add_person(runtime, request.param))
        yield request.param, browser


def address(route: Route) -> str:
    return re.sub(r"\{\w+:(\w+)\}", lambda found: NOBODYS[found[1]], route.path)


async def test_every_route_and_role(person: tuple[str, Browser]) -> None:
    """Whom a rule refuses gets 403, or is led to the log-in page; whom it lets in never does."""
    role, browser = person
    for route in all_routes():
        if route.path in {"/logout", "/login"}:
            continue  # these change who is logged in; test_getting_in.py has them
        async with browser.session.request(
            route.method, browser.base + address(route), data={"csrf": browser.csrf}, allow_redirects=False
        ) as answer:  # only its head is read: a stream of live rows has no end
            status, location = answer.status, answer.headers.get("location", "")
        led_to_login = status == 303 and location.startswith("/login")
        what = f"{route.method} {route.path} ({route.rule}) as {role}: {status}"
        if role in ENTERS[route.rule]:
            assert status != 403, what
            assert status < 500, what
            assert not led_to_login or route.rule is Rule.PUBLIC, what
        elif role == "nobody":
            assert led_to_login, what
        else:
            assert status == 403, what


def test_every_route_has_a_rule() -> None:
    """The table is read from the handlers that are served, and a handler without a rule stops the start."""
    routes = all_routes()
    assert {route.path for route in routes} >= {"/", "/login", "/developers", "/static/{mark:str}/{name:str}"}
    handler = all_handlers()[0]
    kept = handler.opt.pop("rule")
    try:
        with pytest.raises(KeyError):
            all_routes()
    finally:
        handler.opt["rule"] = kept


def test_what_is_public() -> None:
    """The routes that need no log-in, by name: each new one is a decision."""
    assert {route.path for route in all_routes() if route.rule is Rule.PUBLIC} == {
        "/appearance",
        "/confirm/{token:str}",
        "/forgot",
        "/invitation/{token:str}",
        "/language/{code:str}",
        "/login",
        "/login/code",
        "/logout",
        "/outbox",
        "/reset/{token:str}",
        "/signup",
        "/static/{mark:str}/{name:str}",
    }
