"""The baseline of sending: aiohttp posts the same JSON as often as asked, and does nothing with the answers.

python -m bench.bare_post URL COUNT AT_ONCE; prints a JSON object with seconds and CPU seconds."""

import asyncio
import json
import sys
import time
from itertools import repeat

import aiohttp
import uvloop

from heliograph.emulators.cloud_api import defaults

HEADERS = {"Authorization": f"Bearer {defaults.TOKEN}", "Content-Type": "application/json"}


async def post(url: str, count: int, at_once: int) -> None:
    connector = aiohttp.TCPConnector(limit=at_once)
    places = iter(range(count))
    address = f"{url}/v26.0/{defaults.PHONE_NUMBER_ID}/messages"
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=HEADERS
    ) as session:

        async def work() -> None:
            for place in places:
                text = {"body": "Your verification code is 482913. It is valid for 5 minutes.", "preview_url": False}
                body = {
                    "messaging_product": "whatsapp",
                    "to": str(31_800_000_000 + place),
                    "type": "text",
                    "text": text,
                }
                async with session.post(address, data=json.dumps(body).encode()) as answer:
                    await answer.read()
                    assert answer.status == 200

        began_at, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work() for _ in repeat(None, at_once)))
        print(json.dumps({"seconds": time.perf_counter() - began_at, "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    uvloop.run(post(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
