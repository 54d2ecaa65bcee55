"""HTTP to the Cloud API: one POST, one attempt, and an honest answer to "may it have left?" (whatsapp-cloud-api.md §15)."""

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import structlog
from msgspec import Struct
from yarl import URL

from heliograph.channels.contract import Connection

log = structlog.get_logger(__name__)

LONGEST_ANSWER = 1_048_576
KEEP_ALIVE_S = 20.0  # shorter than the other side's, so that we seldom write into a connection that is being closed
MOST_TARGETS = 10_000


class NotSent(Exception):
    """Nothing was written: the other side could not be reached. `reason` is for the log and the evidence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoAnswer(Exception):
    """The request was written, or may have been, and no answer came."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadAddress(Exception):
    """The base URL cannot be used at all."""


class HttpAnswer(Struct, frozen=True):
    status: int
    body: bytes
    trace_id: str | None
    retry_after_s: float | None


class Target(Struct, frozen=True):
    """Where sends of one connection go, made once."""

    url: URL
    headers: dict[str, str]


def prove_app_secret(token: str, app_secret: str) -> str:
    """appsecret_proof (§1): hex HMAC-SHA256 of the token under the app secret."""
    return hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def address_of(connection: Connection, path: str, query: Mapping[str, str] | None = None) -> URL:
    """The URL of a call. Raises BadAddress."""
    values = dict(query or {})
    if connection.use_appsecret_proof:
        values["appsecret_proof"] = prove_app_secret(connection.token, connection.app_secret)
    try:
        url = URL(f"{connection.base_url}/{connection.api_version}/{path}").update_query(values)
    except (ValueError, TypeError):
        raise BadAddress from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise BadAddress
    return url


class Transport:
    """Shares one pool of connections. The session belongs to the loop that first uses it."""

    def __init__(self, *, timeout_s: float, connect_timeout_s: float, max_connections: int) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s + connect_timeout_s,
            connect=connect_timeout_s,
            sock_connect=connect_timeout_s,
            sock_read=timeout_s,
        )
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[Connection, Target] = {}

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
        """Raises BadAddress."""
        known = self._targets.get(connection)
        if known is None:
            if len(self._targets) >= MOST_TARGETS:
                self._targets.clear()
            headers = {"Authorization": f"Bearer {connection.token}", "Content-Type": "application/json"}
            url = address_of(connection, f"{connection.phone_number_id}/messages")
            known = self._targets[connection] = Target(url, headers)
        return known

    async def post_message(self, connection: Connection, body: bytes) -> HttpAnswer:
        """One send. Raises NotSent, NoAnswer or BadAddress. Never repeats anything by itself."""
        target = self.target(connection)
        return await self.request("POST", target.url, headers=target.headers, data=body)

    async def call(
        self,
        connection: Connection,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> HttpAnswer:
        """Any other call. Raises as post_message does."""
        headers = {"Authorization": f"Bearer {connection.token}"}
        return await self.request(method, address_of(connection, path, query), headers=headers, json=json)

    async def request(self, method: str, url: URL, **options: Any) -> HttpAnswer:
        try:
            async with self.session.request(method, url, allow_redirects=False, **options) as answer:
                body = await answer.content.read(LONGEST_ANSWER)
                return HttpAnswer(
                    answer.status,
                    body,
                    answer.headers.get("x-fb-trace-id") or answer.headers.get("x-fb-request-id"),
                    read_retry_after(answer.headers.get("Retry-After")),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, ssl.SSLError) as error:
            raise NotSent(type(error).__name__) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise BadAddress from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswer(type(error).__name__) from None


def read_retry_after(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 7 else None
