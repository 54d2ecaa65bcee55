"""Media sent by link: fetched by Meta after its answer, so what is wrong with it comes as a failed status (131053)."""

from typing import Any
from urllib.parse import urlsplit

import aiohttp

from heliograph.emulators.cloud_api.checks import LARGEST, fits
from heliograph.emulators.cloud_api.effects import Effect, failing
from heliograph.emulators.cloud_api.emulator import Emulator

NOWHERE = ".invalid"  # RFC 2606: never a host, so such a link always fails
FETCH_WITHIN_S = 10.0


async def effect_of_link(emulator: Emulator, content: Any, kind: str, usual: Effect | None) -> Effect | None:
    """Failed with 131053 when the link cannot be fetched. Only --fetch-links really fetches."""
    link = content.get("link") if isinstance(content, dict) else None
    if link is None:
        return usual
    if (urlsplit(link).hostname or "").endswith(NOWHERE):
        return failing(131053)
    if emulator.options.fetch_links and not await can_be_fetched(emulator, link, kind):
        return failing(131053)
    return usual


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
