"""API tokens: `<id>|<secret>`, shown once, kept as a hash, revocable at once."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from msgspec import Struct

from heliograph.core.ids import new_secret, now_ms
from heliograph.errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from heliograph.runtime import Runtime
from heliograph.store import accounts as account_store
from heliograph.store import connections as connection_store
from heliograph.store import tokens as store
from heliograph.store.accounts import Account
from heliograph.store.connections import Sender
from heliograph.store.engine import Tx
from heliograph.store.tokens import ApiToken

CACHE_S = 2.0  # how long a look-up is believed if an announcement should get lost
MOST_CACHED = 20_000
RECORD_USE_EVERY_S = 30.0
SCOPES = ("send", "read", "admin")  # admin: whatever a token can do
MOST_NETWORKS = 50

Network = IPv4Network | IPv6Network


class NewToken(Struct, frozen=True):
    """A token that was just made. `text` is shown now and never again."""

    token: ApiToken
    text: str

    def __repr__(self) -> str:
        return f"NewToken(id={self.token.id})"


class Principal(Struct, frozen=True):
    """Who is calling: the token, its account, and the account's senders by folded name."""

    token: ApiToken
    account: Account
    senders: dict[str, Sender]
    scopes: frozenset[str]
    networks: tuple[Network, ...]

    def check_may(self, scope: str, address: str) -> None:
        """Raises Forbidden when the token may not do this, or not from there."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise Forbidden(f"This token may not {scope}. Its scopes: {self.token.scopes}.", code="scope_missing")
        if self.networks and not is_within(address, self.networks):
            raise Forbidden("This token may not be used from your address.", code="address_not_allowed")


def is_within(address: str, networks: Collection[Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def read_scopes(words: Collection[str]) -> str:
    """The scopes as they are kept. Raises Invalid for none, or one that does not exist."""
    if unknown := sorted(set(words) - set(SCOPES)):
        raise Invalid.field("scopes", f"There is no scope {unknown[0]}. Choose among {', '.join(SCOPES)}.")
    if not words:
        raise Invalid.field("scopes", "Choose at least one scope.")
    return " ".join(scope for scope in SCOPES if scope in words)


def read_networks(text: str) -> str:
    """Addresses or CIDR blocks, separated by spaces, commas or lines, as they are kept. Raises Invalid for what is none."""
    found: list[Network] = []
    for word in text.replace(",", " ").split():
        try:
            found.append(ip_network(word, strict=False))
        except ValueError:
            raise Invalid.field(
                "allowed_networks", f"{word} is neither an IP address nor a block such as 192.0.2.0/24."
            ) from None
    if len(found) > MOST_NETWORKS:
        raise Invalid.field("allowed_networks", f"Name at most {MOST_NETWORKS} addresses.")
    return " ".join(dict.fromkeys(map(str, found)))


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def create_token(
    runtime: Runtime,
    account_id: int,
    name: str,
    *,
    rate_limit_per_minute: int | None = None,
    scopes: Collection[str] = ("send", "read"),
    expires_at_ms: int | None = None,
    allowed_networks: str = "",
) -> NewToken:
    """Raises NotFound when there is no such account, Invalid for scopes, an end or addresses that cannot be."""
    secret = new_secret()
    at_ms = now_ms()
    kept_scopes, kept_networks = read_scopes(scopes), read_networks(allowed_networks)
    if expires_at_ms is not None and expires_at_ms <= at_ms:
        raise Invalid.field("expires_at", "The token must end in the future.")

    async def work(tx: Tx) -> ApiToken:
        if await account_store.account_by_id(tx, account_id) is None:
            raise NotFound(f"There is no account {account_id}.")
        return await store.add_token(
            tx,
            account_id,
            name,
            hash_secret(secret),
            rate_limit_per_minute,
            at_ms,
            scopes=kept_scopes,
            expires_at_ms=expires_at_ms,
            allowed_networks=kept_networks,
        )

    token = await runtime.database.write(work)
    return NewToken(token, f"{token.id}|{secret}")


async def list_tokens(runtime: Runtime, account_id: int) -> list[ApiToken]:
    return await runtime.database.read(lambda tx: store.tokens_of_account(tx, account_id))


async def find_token(runtime: Runtime, account_id: int, token_id: int) -> ApiToken:
    """Raises NotFound when the account has no such token."""
    token = await runtime.database.read(lambda tx: store.token_by_id(tx, token_id))
    if token is None or token.account_id != account_id:
        raise NotFound(f"Account {account_id} has no token {token_id}.")
    return token


async def revoke_token(runtime: Runtime, account_id: int, token_id: int) -> None:
    """From the next request on it is unknown. Raises NotFound when the account has no such living token."""
    if not await runtime.database.write(lambda tx: store.revoke_token(tx, account_id, token_id, now_ms())):
        raise NotFound(f"Account {account_id} has no living token {token_id}.")


class TokenDesk:
    """Recognises tokens. Look-ups are kept for seconds, and forgotten when a token, account or sender changes anywhere."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[str, tuple[float, Principal]] = {}
        self._changes = 0
        self._used_at_ms: dict[int, int] = {}
        self._stop_listening: Callable[[], None] | None = None
        self._recorder: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._stop_listening = self._runtime.database.listen(self._heard)
        self._recorder = asyncio.create_task(self._record_uses(), name="record-token-uses")

    async def stop(self) -> None:
        if self._stop_listening is not None:
            self._stop_listening()
        if self._recorder is not None:
            self._recorder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._recorder
        with contextlib.suppress(Unavailable):
            await self._write_uses()

    def _heard(self, topic: str) -> None:
        if topic in {"tokens", "accounts", "senders", "connections"}:
            self._changes += 1
            self._known.clear()

    def recognise_known(self, text: str) -> Principal | None:
        """The quick way for a token seen moments ago; None means: ask `recognise`."""
        found = self._known.get(text)
        if found is None or found[0] < time.monotonic():
            return None
        self._used_at_ms[found[1].token.id] = now_ms()
        return found[1]

    async def recognise(self, text: str) -> Principal:
        """Raises Unauthenticated for what is no living token, Forbidden when its account is suspended."""
        number, _, secret = text.partition("|")
        if not (number.isascii() and number.isdecimal() and len(number) < 19 and secret):
            raise Unauthenticated
        presented = hash_secret(secret)
        changes_before = self._changes

        async def work(tx: Tx) -> tuple[ApiToken, Account, list[Sender]] | None:
            token = await store.token_by_id(tx, int(number))
            if token is None or token.revoked_at_ms is not None:
                return None
            if token.expires_at_ms is not None and token.expires_at_ms <= now_ms():
                return None
            if not hmac.compare_digest(token.secret_sha256, presented):
                return None
            account = await account_store.account_by_id(tx, token.account_id)
            return (token, account, await connection_store.senders_of_account(tx, account.id)) if account else None

        found = await self._runtime.database.read(work)
        if found is None:
            raise Unauthenticated
        token, account, senders = found
        if account.suspended_at_ms is not None:
            raise Forbidden("This account is suspended.", code="account_suspended")
        principal = Principal(
            token,
            account,
            {fold_sender(sender.name): sender for sender in senders},
            frozenset(token.scopes.split()),
            tuple(ip_network(block) for block in token.allowed_networks.split()),
        )
        if len(self._known) >= MOST_CACHED:
            self._known.clear()
        if self._changes == changes_before:  # else what was read may be older than what was announced
            left_s = CACHE_S if token.expires_at_ms is None else (token.expires_at_ms - now_ms()) / 1000
            self._known[text] = (time.monotonic() + min(CACHE_S, left_s), principal)
        self._used_at_ms[token.id] = now_ms()
        return principal

    async def _record_uses(self) -> None:
        while True:
            await asyncio.sleep(RECORD_USE_EVERY_S)
            with contextlib.suppress(Unavailable):
                await self._write_uses()

    async def _write_uses(self) -> None:
        used, self._used_at_ms = self._used_at_ms, {}
        if used:
            await self._runtime.database.write(lambda tx: store.record_token_uses(tx, used))


def fold_sender(name: str) -> str:
    """The form in which two spellings of one sender are equal: case and the leading plus of a number do not matter."""
    return name.strip().removeprefix("+").casefold()
