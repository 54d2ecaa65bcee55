"""What a carrier posts to us, made and signed by the test."""

import hashlib
import hmac
import time
from typing import Any

import aiohttp
import msgspec

from tests.kit.house import BUSINESS_ACCOUNT_ID, BUSINESS_NUMBER, EMULATOR_APP_SECRET, PHONE_NUMBER_ID


def sign(raw: bytes, secret: str = EMULATOR_APP_SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


async def post_raw(url: str, raw: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer, which is in the envelope whatever was posted."""
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as answer:
        body: dict[str, Any] = msgspec.json.decode(await answer.read())
        assert body["status"] == ("success" if answer.status == 200 else "error")
        return answer.status, body


async def post_signed(url: str, value: object, secret: str = EMULATOR_APP_SECRET) -> int:
    """Post a callback (an object, or bytes as they are) as the app with that secret would."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    headers = {"X-Hub-Signature-256": sign(raw, secret), "Content-Type": "application/json"}
    return (await post_raw(url, raw, headers))[0]


def envelope(*values: dict[str, Any], phone_number_id: str = PHONE_NUMBER_ID) -> dict[str, Any]:
    """One callback with an entry for each of the values of the field `messages`."""
    metadata = {"display_phone_number": BUSINESS_NUMBER, "phone_number_id": phone_number_id}
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": BUSINESS_ACCOUNT_ID,
                "changes": [
                    {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
                ],
            }
            for value in values
        ],
    }


def status(reference: str | None, word: str, *, carrier_id: str = "wamid.TEST", **more: Any) -> dict[str, Any]:
    """A report on one message, as a value for `envelope`."""
    report: dict[str, Any] = {"id": carrier_id, "status": word, "timestamp": str(int(time.time())), **more}
    if reference is not None:
        report["biz_opaque_callback_data"] = reference
    return {"statuses": [report]}


def inbound(carrier_id: str, text: str, person: str = "31655500001", **more: Any) -> dict[str, Any]:
    """A text from a person, as a value for `envelope`."""
    message = {
        "from": person,
        "id": carrier_id,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    contact = {"profile": {"name": "Ada"}, "wa_id": person}
    return {"contacts": [contact], "messages": [{**message, **more}]}
