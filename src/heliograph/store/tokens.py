"""API tokens: only the SHA-256 of a secret is kept. A secret has 256 random bits, so no slow hash is needed."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class ApiToken(Struct, frozen=True):
    id: int
    account_id: int
    name: str
    secret_sha256: bytes
    rate_limit_per_minute: int | None
    created_at_ms: int
    last_used_at_ms: int | None
    revoked_at_ms: int | None
    scopes: str = "send read"  # words with spaces between
    expires_at_ms: int | None = None
    allowed_networks: str = ""  # CIDR blocks with spaces between; "" = from anywhere

    def __repr__(self) -> str:
        return f"ApiToken(id={self.id}, account_id={self.account_id}, name={self.name!r})"


TOKEN = (
    "id, account_id, name, secret_sha256, rate_limit_per_minute, created_at_ms, last_used_at_ms, revoked_at_ms, scopes, "
    "expires_at_ms, allowed_networks"
)

ADD_TOKEN = statement(
    "add_token",
    "INSERT INTO api_token (account_id, name, secret_sha256, rate_limit_per_minute, created_at_ms, scopes, expires_at_ms, "
    f"allowed_networks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {TOKEN}",
)
TOKEN_BY_ID = statement("token_by_id", f"SELECT {TOKEN} FROM api_token WHERE id = $1")
TOKENS_OF_ACCOUNT = statement("tokens_of_account", f"SELECT {TOKEN} FROM api_token WHERE account_id = $1 ORDER BY id")
REVOKE_TOKEN = statement(
    "revoke_token",
    "UPDATE api_token SET revoked_at_ms = $3 WHERE account_id = $1 AND id = $2 AND revoked_at_ms IS NULL",
)
RECORD_TOKEN_USE = statement(
    "record_token_use",
    "UPDATE api_token SET last_used_at_ms = $2 WHERE id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms < $2)",
)


async def add_token(
    tx: Tx,
    account_id: int,
    name: str,
    secret_sha256: bytes,
    rate_limit_per_minute: int | None,
    now_ms: int,
    *,
    scopes: str = "send read",
    expires_at_ms: int | None = None,
    allowed_networks: str = "",
) -> ApiToken:
    bounds = (scopes, expires_at_ms, allowed_networks)
    rows = await tx.rows(ADD_TOKEN, account_id, name, secret_sha256, rate_limit_per_minute, now_ms, *bounds)
    return ApiToken(*rows[0])


async def token_by_id(tx: Tx, token_id: int) -> ApiToken | None:
    row = await tx.row(TOKEN_BY_ID, token_id)
    return ApiToken(*row) if row else None


async def tokens_of_account(tx: Tx, account_id: int) -> list[ApiToken]:
    return [ApiToken(*row) for row in await tx.rows(TOKENS_OF_ACCOUNT, account_id)]


async def revoke_token(tx: Tx, account_id: int, token_id: int, now_ms: int) -> bool:
    """False when the account has no such token, or it is revoked already. Every node forgets it at once."""
    changed = await tx.run(REVOKE_TOKEN, account_id, token_id, now_ms)
    tx.announce("tokens")
    return changed > 0


async def record_token_uses(tx: Tx, last_used_at_ms: dict[int, int]) -> None:
    await tx.run_many(RECORD_TOKEN_USE, sorted(last_used_at_ms.items()))
