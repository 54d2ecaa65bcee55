"""Letters of an installation without a mail server: kept a while, to be read on the outbox page."""

from msgspec import Struct

from heliograph.store.engine import Tx, statement


class KeptLetter(Struct, frozen=True):
    id: bytes
    recipient: str
    subject: str
    text: str
    created_at_ms: int

    def __repr__(self) -> str:
        return f"KeptLetter(id={self.id.hex()})"


LETTER = "id, recipient, subject, text, created_at_ms"
ADD_LETTER = statement("add_letter", f"INSERT INTO letter ({LETTER}) VALUES ($1, $2, $3, $4, $5)")
NEWEST_LETTERS = statement(
    "newest_letters", f"SELECT {LETTER} FROM letter ORDER BY created_at_ms DESC, id DESC LIMIT $1"
)
DROP_OLD_LETTERS = statement("drop_old_letters", "DELETE FROM letter WHERE created_at_ms < $1")


async def add_letter(tx: Tx, letter: KeptLetter) -> None:
    await tx.run(ADD_LETTER, letter.id, letter.recipient, letter.subject, letter.text, letter.created_at_ms)


async def newest_letters(tx: Tx, limit: int) -> list[KeptLetter]:
    return [KeptLetter(*row) for row in await tx.rows(NEWEST_LETTERS, limit)]


async def drop_old_letters(tx: Tx, before_ms: int) -> None:
    await tx.run(DROP_OLD_LETTERS, before_ms)
