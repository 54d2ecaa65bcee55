"""Who may call which route. Every route names its rule; one without a rule cannot be built (see app.build_app).

public     anyone                               open account, log in, assets
viewer     whoever logged in to the account     read
member     … and may send                       send, cancel, answer
owner      … and may change the account         tokens, senders, members
operator   a right beside the role              the accounts of the whole installation
"""

from enum import StrEnum
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from heliograph.accounts.sessions import Visitor
from heliograph.errors import Forbidden, Unauthenticated
from heliograph.store.accounts import User


class Rule(StrEnum):
    PUBLIC = "public"
    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"
    OPERATOR = "operator"


RANK = {"viewer": 1, "member": 2, "owner": 3}


class NotLoggedIn(Unauthenticated):
    """Nobody is logged in: the browser is led to the log-in page, and back from there."""

    def __init__(self) -> None:
        super().__init__("Log in to see this page.")


def may(user: User | None, rule: Rule) -> bool:
    """Whether `user` may do what `rule` protects."""
    if rule is Rule.PUBLIC:
        return True
    if user is None:
        return False
    if rule is Rule.OPERATOR:
        return bool(user.is_operator)
    return RANK[user.role] >= RANK[rule.value]


def check_rule(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route. Raises NotLoggedIn or Forbidden."""
    rule = Rule(handler.opt["rule"])
    visitor: Visitor | None = connection.scope["state"]["visitor"]
    user = visitor.user if visitor else None
    if may(user, rule):
        return
    if user is None:
        raise NotLoggedIn
    if rule is Rule.OPERATOR:
        raise Forbidden("This page is for the operators of this installation.", code="role")
    raise Forbidden(f"Your role in this account is {user.role}; this needs {rule.value}.", code="role")
