"""One request at the portal: who came, what they sent, and how they are answered."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from msgspec import Struct

from heliograph.accept.storing import Acceptor
from heliograph.accounts.audit import Actor, record
from heliograph.accounts.letters import Letter, Postman
from heliograph.accounts.sessions import NewSession, Visitor
from heliograph.channels.whatsapp.channel import WhatsApp
from heliograph.config import Settings
from heliograph.errors import Unauthenticated
from heliograph.portal.access import Rule, may
from heliograph.portal.overview.counting import Counting
from heliograph.portal.places import PLACES, Place
from heliograph.portal.rendering import Pages
from heliograph.portal.security import Csrf, cookie_name
from heliograph.portal.streams import Streams
from heliograph.runtime import Runtime

SESSION_COOKIE, GUEST_COOKIE, SAID_COOKIE, THEME_COOKIE = "heliograph", "heliograph_guest", "heliograph_said", "theme"
THEMES = ("light", "dark")  # without a choice, as the system has it
SAID_FOR_S = 60
CHOICE_FOR_S = 31_536_000

Answer = Response[bytes]  # what a view returns


class Desk(Struct, frozen=True):
    """What the portal of one process shares between requests."""

    runtime: Runtime
    pages: Pages
    csrf: Csrf
    acceptor: Acceptor
    whatsapp: WhatsApp
    streams: Streams
    counting: Counting
    postman: Postman


class Said(Struct, frozen=True):
    """A sentence for the next page, and where one can undo what it says."""

    text: str
    undo_path: str | None = None
    undo_fields: dict[str, str] = {}


class Caller(Struct, frozen=True, kw_only=True):
    """Facts of the connection, worked out once at the door."""

    base_url: str
    address: str
    agent: str
    secure: bool
    cookie: str  # what CSRF tokens are tied to
    language: str
    said: Said | None
    theme: str | None


class Form(dict[str, str]):
    """The fields of a posted form, as texts without space around them; a field that is missing reads as empty."""

    def __missing__(self, _name: str) -> str:
        return ""


class Visit:
    """What a view is given. `account` and `user` are there on every route that is not public."""

    def __init__(self, desk: Desk, request: Request[Any, Any, Any]) -> None:
        self.desk = desk
        self.request = request
        self.caller: Caller = request.scope["state"]["caller"]
        self.visitor: Visitor | None = request.scope["state"]["visitor"]
        self.news: dict[str, int] = {}  # the number beside each place of the navigation

    @classmethod
    async def receive(cls, desk: Desk, request: Request[Any, Any, Any]) -> "Visit":
        """A visit, with what the navigation around a page has to tell."""
        visit = cls(desk, request)
        if visit.visitor is not None and not visit.wants_part:
            for place in visit.places:
                if place.count_news is not None:
                    visit.news[place.name] = await place.count_news(visit)
        return visit

    @property
    def runtime(self) -> Runtime:
        return self.desk.runtime

    @property
    def settings(self) -> Settings:
        return self.desk.runtime.settings

    @property
    def known(self) -> Visitor:
        if self.visitor is None:
            raise Unauthenticated
        return self.visitor

    @property
    def account_id(self) -> int:
        return self.known.account.id

    async def note(self, name: str, subject: str = "") -> None:
        """Write a line into the account's audit log: `name` is one of the words of operator/words.py."""
        known = self.known
        actor = Actor(known.user, self.caller.address)
        account_id, acting = known.account.id, known.is_acting
        await record(self.runtime, actor, name, account_id=account_id, subject=subject, as_operator=acting)

    @property
    def query(self) -> Mapping[str, str]:
        return Form({name: value.strip() for name, value in self.request.query_params.items()})

    @property
    def wants_part(self) -> bool:
        """Whether our own script asks for a part of a page."""
        return self.request.headers.get("x-part") == "1"

    async def form(self) -> Form:
        """The posted fields; of one that came twice, the last."""
        posted = await self.request.form()
        return Form({name: value.strip() for name, value in posted.multi_items() if isinstance(value, str)})

    async def form_list(self, name: str) -> list[str]:
        posted = await self.request.form()
        return [value for value in posted.getall(name, []) if isinstance(value, str)]

    async def raw(self, name: str) -> str:
        """A posted field exactly as it was typed: space at its ends belongs to a password."""
        values = await self.form_list(name)
        return values[-1] if values else ""

    def may(self, rule: str) -> bool:
        return may(self.visitor.user if self.visitor else None, Rule(rule))

    @property
    def places(self) -> list[Place]:
        """What the navigation shows to this visitor."""
        return [place for place in PLACES if place.path and self.may(place.rule)]

    def gettext(self, text: str) -> str:
        return self.desk.pages.languages.translations(self.caller.language).gettext(text)

    def ngettext(self, one: str, many: str, n: int) -> str:
        return self.desk.pages.languages.translations(self.caller.language).ngettext(one, many, n)

    def part(self, template: str, **values: Any) -> str:
        """The HTML of a template, in the visitor's language and the account's zone."""
        return self.desk.pages.render(
            template,
            self.caller.language,
            visit=self,
            account=self.visitor.account if self.visitor else None,
            user=self.visitor.user if self.visitor else None,
            may=self.may,
            said=self.caller.said,
            base_url=self.caller.base_url,
            csrf_token=lambda: self.desk.csrf.token_for(self.caller.cookie),
            zone=self.visitor.account.time_zone if self.visitor else "UTC",
            path=self.request.scope["path"],
            theme=self.caller.theme,
            **values,
        )

    async def write_letter(self, recipient: str, subject: str, template: str, **values: Any) -> None:
        """Mail a letter; without a mail server it lies in the outbox."""
        await self.desk.postman.post(Letter(recipient, subject, self.part(template, **values)))

    def render(self, template: str, *, status: int = 200, **values: Any) -> Answer:
        """A page, or a part of one."""
        html = self.part(template, **values)
        answer = Response(html.encode(), status_code=status, media_type="text/html; charset=utf-8")
        if self.caller.said is not None:
            answer.delete_cookie(SAID_COOKIE)
        return answer

    def go(self, path: str, said: str | Said | None = None) -> Answer:
        """Lead the browser to another page (a GET), with a sentence for it."""
        answer = Response(b"", status_code=303, headers={"location": quote(path, safe="/?&=#%:+,;@")})
        if said is not None:
            spoken = Said(said) if isinstance(said, str) else said
            signed = self.desk.csrf.sign(msgspec.json.encode(spoken).decode())
            answer.set_cookie(self._cookie(SAID_COOKIE, signed, SAID_FOR_S))
        return answer

    def open_session(self, answer: Answer, opened: NewSession, max_age_s: int) -> None:
        answer.set_cookie(self._cookie(cookie_name(SESSION_COOKIE, secure=self.caller.secure), opened.token, max_age_s))

    def close_session(self, answer: Answer) -> None:
        answer.set_cookie(self._cookie(cookie_name(SESSION_COOKIE, secure=self.caller.secure), "", 0))

    def keep_choice(self, answer: Answer, name: str, value: str) -> None:
        """Let this browser remember how it wants the portal; an empty value forgets it."""
        answer.set_cookie(self._cookie(name, value, CHOICE_FOR_S if value else 0))

    def _cookie(self, name: str, value: str, max_age_s: int) -> Cookie:
        return Cookie(
            key=name,
            value=value,
            max_age=max_age_s,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.caller.secure,
        )


OnVisit = NamedDependency[Visit]  # how a view asks for it
