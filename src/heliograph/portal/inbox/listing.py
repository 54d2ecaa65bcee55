"""Which conversation and which list an address of the inbox speaks of."""

from heliograph.errors import NotFound
from heliograph.portal.inbox.reading import BOXES, Asked, Page, Talk, read_page
from heliograph.portal.visit import Visit
from heliograph.store.conversations import Box

NOBODY_WROTE = "Nobody with this number or id has written to this account."


def read_asked(visit: Visit, person: str = "") -> Asked:
    query = visit.query
    box: Box = next((known for known in BOXES if known == query["box"]), "open")
    return Asked(
        box=box,
        find=query["find"][:100],
        before=query["before"][:200],
        person=person,
        before_seq=read_count(query["before_seq"]),
    )


def read_count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def address_of(person: str, asked: Asked) -> str:
    return f"/inbox/with/{person}{asked.tail}"


async def read(visit: Visit, asked: Asked) -> Page:
    account, user_id = visit.known.account, visit.known.user.id
    return await visit.runtime.database.read(lambda tx: read_page(tx, account, user_id, asked))


async def read_talk(visit: Visit, person: str) -> Talk:
    """Raises NotFound for somebody who never wrote to this account."""
    page = await read(visit, read_asked(visit, person))
    if page.talk is None:
        raise NotFound(NOBODY_WROTE)
    return page.talk
