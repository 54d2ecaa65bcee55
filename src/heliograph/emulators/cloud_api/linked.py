"""Media sent by link: fetched by Meta after its answer, so what is wrong with it comes as a failed status (131053)."""

from typing import Any
from urllib.parse import urlsplit

import aiohttp

from heliograph.emulators.cloud_api.checks import LARGEST, fits
from heliograph.emulators.cloud_api.effects import Effect, failing
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.statuses import Sent

NOWHERE = ".invalid"  # RFC 2606: never a host, so such a link always fails
FETCH_WITHIN_S = 10.0
CANNOT_FETCH = failing(131053)


def link_of(content: Any) -> str | None:
    return content.get("link") if isinstance(content, dict) else None


def goes_nowhere(link: str) -> bool:
    return (urlsplit(link).hostname or "").endswith(NOWHERE)


async def fetch_then_plan(emulator: Emulator, sent: Sent, link: str, kind: str, usual: Effect | None) -> None:
    """The statuses, once it is known whether the file can be had. One update must be counted in `owed` meanwhile."""
    fetched = await can_be_fetched(emulator, link, kind)
    early = emulator.plan_statuses(sent, usual if fetched else CANNOT_FETCH)
    if early is not None:
        emulator.outbox.put(early)
    emulator.outbox.owed.done(sent.place)


async def can_be_fetched(emulator: Emulator, link: str, kind: str) -> bool:
    try:
        within = aiohttp.ClientTimeout(total=FETCH_WITHIN_S)
        async with emulator.outbox.session.get(link, timeout=within) as answer:
            if answer.status != 200 or not fits(kind, answer.content_type):
                return False
            size = 0
            async for chunk in answer.content.iter_chunked(65_536):
                size += len(chunk)
                if size > LARGEST[kind]:
                    return False
            return True
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
