"""Links that are sent by mail and work once: to confirm an address, to choose a new password, to join an account.

Only the SHA-256 of a link's token is kept; the token is 256 random bits."""

from msgspec import Struct

from heliograph.store.accounts import fold_email
from heliograph.store.engine import Tx, statement


class MailLink(Struct, frozen=True):
    """`purpose`: confirm, reset or invite. `role`: what an invited person becomes; "" for the other purposes."""

    token_sha256: bytes
    purpose: str
    email: str
    account_id: int
    role: str
    created_at_ms: int
    expires_at_ms: int

    def __repr__(self) -> str:
        return f"MailLink(purpose={self.purpose!r}, account_id={self.account_id})"


LINK = "token_sha256, purpose, email, account_id, role, created_at_ms, expires_at_ms"
ADD_LINK = statement(
    "add_mail_link", f"INSERT INTO mail_link ({LINK}, email_folded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
)
LINK_BY_TOKEN = statement(
    "mail_link_by_token",
    f"SELECT {LINK} FROM mail_link WHERE token_sha256 = $1 AND purpose = $2 AND expires_at_ms > $3",
)
INVITATIONS = statement(
    "invitations",
    f"SELECT {LINK} FROM mail_link WHERE account_id = $1 AND purpose = 'invite' AND expires_at_ms > $2 ORDER BY created_at_ms",
)
DROP_LINKS = statement(
    "drop_mail_links", "DELETE FROM mail_link WHERE account_id = $1 AND purpose = $2 AND email_folded = $3"
)
DROP_ENDED_LINKS = statement("drop_ended_mail_links", "DELETE FROM mail_link WHERE expires_at_ms <= $1")


async def add_link(tx: Tx, link: MailLink) -> None:
    values = (getattr(link, field) for field in MailLink.__struct_fields__)
    await tx.run(ADD_LINK, *values, fold_email(link.email))


async def link_by_token(tx: Tx, token_sha256: bytes, purpose: str, now_ms: int) -> MailLink | None:
    """The living link of that token and purpose."""
    row = await tx.row(LINK_BY_TOKEN, token_sha256, purpose, now_ms)
    return MailLink(*row) if row else None


async def invitations(tx: Tx, account_id: int, now_ms: int) -> list[MailLink]:
    """Those that nobody has followed yet, oldest first."""
    return [MailLink(*row) for row in await tx.rows(INVITATIONS, account_id, now_ms)]


async def drop_links(tx: Tx, account_id: int, purpose: str, email: str) -> int:
    """Every link of that purpose to that address stops working. How many there were."""
    return await tx.run(DROP_LINKS, account_id, purpose, fold_email(email))


async def drop_ended_links(tx: Tx, now_ms: int) -> None:
    await tx.run(DROP_ENDED_LINKS, now_ms)
