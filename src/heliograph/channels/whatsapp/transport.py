"""HTTP to the Cloud API: one POST, one attempt, and an honest answer to "may it have left?" (whatsapp-cloud-api.md §15)."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import structlog
from aiohttp.abc import AbstractStreamWriter
from msgspec import Struct
from yarl import URL

from heliograph.channels.contract import Connection
from heliograph.channels.whatsapp.values import mapping, objects

log = structlog.get_logger(__name__)

LONGEST_ANSWER = 4_194_304  # a page of a hundred templates is far below it
LONGEST_DOWNLOAD_S = 240.0  # shorter than the lease of whoever wants the file
KEEP_ALIVE_S = 20.0  # shorter than the other side's, so that we seldom write into a connection that is being closed
MOST_TARGETS = 10_000
MOST_VERSIONS_LOGGED = 100
TOKEN = re.compile(r"[!-~]+")  # what may stand in a header: no blank, no newline

# Why nothing was sent, in words that fit behind "The carrier cannot be reached: …".
NAME_NOT_FOUND = "its name cannot be resolved"
CONNECTION_REFUSED = "it refuses the connection"
NO_SECURE_CONNECTION = "no secure connection can be made, its certificate or TLS does not fit"
CONNECT_TIMEOUT = "no connection within the time allowed"
CONNECTION_FAILED = "the connection fails"
CLOSED_BEFORE_WRITING = "the connection closed before anything was written"


class NotSent(Exception):
    """Nothing was written: the other side could not be reached. `reason` says why, in plain words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoAnswer(Exception):
    """The request was written, or may have been, and no whole answer came. `reason` names what was seen instead."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadAddress(Exception):
    """The base URL cannot be used at all."""


class BadToken(Exception):
    """The token cannot stand in a header at all."""


class TooLong(Exception):
    """The file is larger than asked for."""


class HttpAnswer(Struct, frozen=True):
    status: int
    body: bytes
    trace_id: str | None
    retry_after_s: float | None


class Target(Struct, frozen=True):
    """Where sends of one connection go, made once."""

    url: URL
    headers: dict[str, str]


class Body(aiohttp.BytesPayload):
    """A request's body that knows whether it was handed to a living connection. aiohttp writes it with the headers."""

    left = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._note(writer)
        await super().write_with_length(writer, content_length)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._note(writer)
        await super().write(writer)

    def _note(self, writer: AbstractStreamWriter) -> None:
        transport = writer.transport
        if transport is not None and not transport.is_closing():
            self.left = True


def prove_app_secret(token: str, app_secret: str) -> str:
    """appsecret_proof (§1): hex HMAC-SHA256 of the token under the app secret."""
    return hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def path_of(*parts: str) -> str:
    """A path of ids, each kept within its own segment whatever it holds. Raises BadAddress for one that cannot be."""
    if any(part in {"", ".", ".."} for part in parts):
        raise BadAddress
    return "/".join(quote(part, safe="") for part in parts)


def address_of(connection: Connection, path: str, query: Mapping[str, str] | None = None) -> URL:
    """The URL of a call. Raises BadAddress."""
    values = dict(query or {})
    if connection.use_appsecret_proof:
        values["appsecret_proof"] = prove_app_secret(connection.token, connection.app_secret)
    base = read_base(connection.base_url)
    try:
        return URL(f"{base}/{quote(connection.api_version, safe='')}/{path}", encoded=True).update_query(values)
    except (ValueError, TypeError):
        raise BadAddress from None


def read_base(base_url: str) -> str:
    """The base URL without a slash at its end. Raises BadAddress when it is no address of a server, or holds more."""
    try:
        url = URL(base_url)
        usable = url.scheme in {"http", "https"} and bool(url.host) and url.port != 0
    except (ValueError, TypeError):
        raise BadAddress from None
    if not usable or url.user is not None or url.query_string or url.fragment:
        raise BadAddress
    return str(url).rstrip("/")


def headers_of(connection: Connection) -> dict[str, str]:
    """Raises BadToken."""
    if not TOKEN.fullmatch(connection.token):
        raise BadToken
    return {"Authorization": f"Bearer {connection.token}"}


class Transport:
    """Shares one pool of connections. The session belongs to the loop that first uses it."""

    def __init__(self, *, timeout_s: float, connect_timeout_s: float, max_connections: int) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s + connect_timeout_s,
            connect=connect_timeout_s,
            sock_connect=connect_timeout_s,
            sock_read=timeout_s,
        )
        self._download_timeout = aiohttp.ClientTimeout(
            total=max(LONGEST_DOWNLOAD_S, timeout_s),
            connect=connect_timeout_s,
            sock_connect=connect_timeout_s,
            sock_read=timeout_s,
        )
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[Connection, Target] = {}
        self._versions_logged: set[tuple[str, str]] = set()

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._max_connections, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=60, happy_eyeballs_delay=0.25
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Heliograph"},
                raise_for_status=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def target(self, connection: Connection) -> Target:
        """Raises BadAddress or BadToken."""
        known = self._targets.get(connection)
        if known is None:
            if len(self._targets) >= MOST_TARGETS:
                self._targets.clear()
            headers = {**headers_of(connection), "Content-Type": "application/json"}
            url = address_of(connection, path_of(connection.phone_number_id, "messages"))
            known = self._targets[connection] = Target(url, headers)
        return known

    async def post_message(self, connection: Connection, body: bytes) -> HttpAnswer:
        """One send. Raises NotSent, NoAnswer, BadAddress or BadToken. Never repeats anything by itself."""
        target = self.target(connection)
        return await self._request(connection, "POST", target.url, target.headers, body)

    async def call(
        self,
        connection: Connection,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Any other call; `path` is made by path_of. Raises as post_message does."""
        headers = headers_of(connection)
        body = None
        if json is not None:
            headers["Content-Type"] = "application/json"
            body = msgspec.json.encode(json)
        return await self._request(connection, method, address_of(connection, path, query), headers, body)

    async def download(self, connection: Connection, url: URL, max_bytes: int) -> tuple[int, bytes]:
        """HTTP status and content. The caller has made sure that the token may go there. Raises also TooLong."""
        headers = headers_of(connection)
        try:
            async with self.session.get(
                url, headers=headers, allow_redirects=False, timeout=self._download_timeout
            ) as answer:
                if answer.status != 200:
                    return answer.status, b""
                if (answer.content_length or 0) > max_bytes:
                    raise TooLong
                return 200, await read_body(answer, max_bytes)
        except (aiohttp.InvalidURL, ValueError):
            raise BadAddress from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate(error, None) from None

    async def _request(
        self, connection: Connection, method: str, url: URL, headers: dict[str, str], content: bytes | None
    ) -> HttpAnswer:
        body = None if content is None else Body(content, headers=None, content_type="application/json")
        try:
            async with self.session.request(method, url, allow_redirects=False, headers=headers, data=body) as answer:
                found = await read_body(answer, LONGEST_ANSWER)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise BadAddress from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate(error, body) from None
        except TooLong:
            raise NoAnswer("AnswerTooLong") from None
        seen = answer.headers
        self._note_version(connection, seen.get("facebook-api-version"))
        return HttpAnswer(
            answer.status,
            found,
            seen.get("x-fb-trace-id") or seen.get("x-fb-request-id"),
            None if answer.status < 400 else read_wait(seen),
        )

    def _note_version(self, connection: Connection, answered: str | None) -> None:
        """Say once when the carrier answers with another version than was asked for: the asked one may have ended (§1)."""
        if answered is None or answered == connection.api_version:
            return
        pair = (connection.api_version, answered)
        if pair not in self._versions_logged and len(self._versions_logged) < MOST_VERSIONS_LOGGED:
            self._versions_logged.add(pair)
            log.warning("carrier_answers_with_other_version", asked=pair[0], facebook_api_version=answered[:20])


async def read_body(answer: aiohttp.ClientResponse, longest: int) -> bytes:
    """All of an answer's body. Raises TooLong."""
    content = answer.content
    body = await content.readany()
    if not content.at_eof():
        parts = [body]
        size = len(body)
        while (part := await content.readany()) and size <= longest:
            parts.append(part)
            size += len(part)
        body = b"".join(parts)
    if len(body) > longest:
        raise TooLong
    return body


def translate(error: Exception, body: Body | None) -> NotSent | NoAnswer:
    """Tell certainly-not-sent from perhaps-sent. What is not known to be the first is the second."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return NotSent(NAME_NOT_FOUND)
        case aiohttp.ClientConnectorSSLError() | aiohttp.ClientConnectorCertificateError():
            return NotSent(NO_SECURE_CONNECTION)
        case aiohttp.ClientConnectorError():
            return NotSent(
                CONNECTION_REFUSED if isinstance(error.os_error, ConnectionRefusedError) else CONNECTION_FAILED
            )
        case aiohttp.ConnectionTimeoutError():
            return NotSent(CONNECT_TIMEOUT)
    if body is not None and not body.left:
        return NotSent(CLOSED_BEFORE_WRITING)
    return NoAnswer(type(error).__name__)


def read_wait(headers: Mapping[str, str]) -> float | None:
    """How long a refusal asks us to wait: Retry-After, else the estimate among the usage figures (§13), in seconds."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdecimal() and len(text) < 7:
        return float(text)
    usage = headers.get("x-business-use-case-usage")
    if usage is None:
        return None
    try:
        found = mapping(msgspec.json.decode(usage))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    minutes = [one.get("estimated_time_to_regain_access") for listed in found.values() for one in objects(listed)]
    known = [float(minute) for minute in minutes if isinstance(minute, int | float) and 0 < minute < 10_000]
    return max(known) * 60.0 if known else None
