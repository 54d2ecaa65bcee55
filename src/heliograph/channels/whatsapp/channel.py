"""The WhatsApp channel: gives messages to Meta's Cloud API and says what came of each."""

import hashlib
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from yarl import URL

from heliograph.channels.contract import Connection, NumberFacts, Outgoing, Scope, SendOutcome, Verdict
from heliograph.channels.whatsapp.codes import details_of, find_code, outcome_of_error, unknown_outcome, with_details
from heliograph.channels.whatsapp.media import check_content, is_carriers_host
from heliograph.channels.whatsapp.payloads import read_mark, send_payload
from heliograph.channels.whatsapp.transport import BadAddress, HttpAnswer, NoAnswer, NotSent, Transport, address_of
from heliograph.errors import ChannelRefused

log = structlog.get_logger(__name__)

LONGEST_RAW = 4096
NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,status,name_status,throughput,code_verification_status,"
    "whatsapp_business_manager_messaging_limit,health_status"
)
PACE_OF_LEVEL = {"STANDARD": 80, "HIGH": 1000}  # messages a second (§13)
UNREACHABLE = "The carrier cannot be reached."
ASK_OPERATOR = "Check this server's network and the base URL of the sender."


class FetchedMedia(Struct, frozen=True):
    """An inbound file. mime_type is what its content is; sha256 in hex."""

    content: bytes
    mime_type: str
    sha256: str


class AnswerContact(Struct):
    wa_id: str | None = None
    user_id: str | None = None


class AnswerMessage(Struct):
    id: str


class SendAnswer(Struct):
    messages: list[AnswerMessage]
    contacts: list[AnswerContact] = []


SEND_ANSWER = msgspec.json.Decoder(SendAnswer)


class WhatsApp:
    """Speaks for any number of connections. Close it when the process ends."""

    def __init__(self, *, timeout_s: float, connect_timeout_s: float, max_connections: int) -> None:
        self._transport = Transport(
            timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, max_connections=max_connections
        )

    async def close(self) -> None:
        await self._transport.close()

    # Messages

    async def send(self, connection: Connection, message: Outgoing) -> SendOutcome:
        """One attempt. Raises nothing for what the carrier or the network can do wrong: that is a verdict."""
        try:
            answer = await self._transport.post_message(connection, send_payload(message))
        except NotSent as error:
            return SendOutcome(
                verdict=Verdict.RETRY,
                code="carrier_unreachable",
                sentence=f"{UNREACHABLE} ({error.reason})",
                advice="Nothing; it is tried again.",
            )
        except NoAnswer as error:
            return unknown_outcome(raw=msgspec.json.encode({"no_answer": error.reason}).decode())
        except BadAddress:
            return SendOutcome(
                verdict=Verdict.HOLD,
                scope=Scope.NUMBER,
                code="bad_base_url",
                sentence="The base URL of this sender is not an address.",
                advice=ASK_OPERATOR,
            )
        return read_send_answer(answer)

    async def mark_read(self, connection: Connection, carrier_message_id: str) -> None:
        """Show the person that an inbound message was read. Raises ChannelRefused."""
        await self._call(
            connection,
            "POST",
            f"{connection.phone_number_id}/messages",
            json=msgspec.json.decode(read_mark(carrier_message_id)),
        )

    # Media

    async def fetch_media(self, connection: Connection, media_id: str, *, max_bytes: int) -> FetchedMedia:
        """Look an inbound file up and download it (§4). Raises ChannelRefused; media_gone, _too_large and _refused are final."""
        if not media_id.isalnum():
            raise ChannelRefused("The file has no usable id.", code="media_gone")
        try:
            facts = await self._call(connection, "GET", media_id, query={"phone_number_id": connection.phone_number_id})
        except ChannelRefused as error:
            if error.carrier_code == "100":
                raise ChannelRefused(
                    "The carrier no longer has this file.", code="media_gone", carrier_code="100"
                ) from None
            raise
        size = facts.get("file_size")
        if isinstance(size, int | str) and str(size).isdecimal() and int(size) > max_bytes:
            raise ChannelRefused(f"The file has {size} bytes, more than are fetched.", code="media_too_large")
        url = URL(str(facts.get("url", "")))
        if not is_carriers_host(url, URL(connection.base_url)):
            # The token goes along: it must not leak to whoever wrote the answer.
            raise ChannelRefused("The file is not on the carrier's own servers.", code="media_refused")
        content = await self._download(connection, url, max_bytes)
        digest = hashlib.sha256(content).hexdigest()
        mime_type = check_content(content, str(facts.get("mime_type", "")))
        return FetchedMedia(content, mime_type, digest)

    async def _download(self, connection: Connection, url: URL, max_bytes: int) -> bytes:
        headers = {"Authorization": f"Bearer {connection.token}"}
        try:
            async with self._transport.session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status == 404:
                    raise ChannelRefused("The file's address has expired.", code="media_expired")
                if answer.status != 200:
                    raise ChannelRefused(
                        f"The file could not be fetched: HTTP {answer.status}.", code="media_unavailable"
                    )
                content = bytearray()
                async for chunk in answer.content.iter_chunked(65_536):
                    content += chunk
                    if len(content) > max_bytes:
                        raise ChannelRefused("The file is larger than files that are fetched.", code="media_too_large")
                return bytes(content)
        except (OSError, TimeoutError):  # aiohttp's connection errors are OSErrors, the rest of its family follows
            raise ChannelRefused("The file could not be fetched.", code="media_unavailable") from None

    # The number itself

    async def read_number(self, connection: Connection) -> NumberFacts:
        """What the carrier says of the number. Raises ChannelRefused, which says what is wrong with id, token or network."""
        facts = await self._call(connection, "GET", connection.phone_number_id, query={"fields": NUMBER_FIELDS})
        level = as_dict(facts.get("throughput")).get("level")
        health = as_dict(facts.get("health_status"))
        return NumberFacts(
            display_number="".join(c for c in str(facts.get("display_phone_number", "")) if c.isdecimal()),
            verified_name=str(facts.get("verified_name", "")),
            quality=str(facts.get("quality_rating", "UNKNOWN")),
            status=str(facts.get("status", "UNKNOWN")),
            throughput_per_s=PACE_OF_LEVEL.get(str(level), PACE_OF_LEVEL["STANDARD"]),
            messaging_limit=as_optional(facts.get("whatsapp_business_manager_messaging_limit")),
            name_status=as_optional(facts.get("name_status")),
            can_send=str(health.get("can_send_message", "AVAILABLE")),
            raw=msgspec.json.encode(facts).decode()[:LONGEST_RAW],
        )

    async def subscribe(self, connection: Connection, address: str, verify_token: str) -> None:
        """Have the account's callbacks sent to `address` (§5). The carrier verifies it at once. Raises ChannelRefused."""
        body = {"override_callback_uri": address, "verify_token": verify_token}
        await self._call(connection, "POST", f"{connection.business_account_id}/subscribed_apps", json=body)

    async def subscribe_number(self, connection: Connection, address: str, verify_token: str) -> None:
        """The same for one number, which wins over the account. Raises ChannelRefused."""
        wanted = {"override_callback_uri": address, "verify_token": verify_token}
        await self._call(connection, "POST", connection.phone_number_id, json={"webhook_configuration": wanted})

    async def request_code(self, connection: Connection, method: str, language: str = "en_US") -> None:
        """Have a verification code sent to the number; method: SMS or VOICE. Raises ChannelRefused."""
        body = {"code_method": method, "language": language}
        await self._call(connection, "POST", f"{connection.phone_number_id}/request_code", json=body)

    async def verify_code(self, connection: Connection, code: str) -> None:
        await self._call(connection, "POST", f"{connection.phone_number_id}/verify_code", json={"code": code})

    async def register(self, connection: Connection, pin: str) -> None:
        """Register the number with a six-digit PIN. At most 10 times in 72 hours, so it is never repeated by itself."""
        body = {"messaging_product": "whatsapp", "pin": pin}
        await self._call(connection, "POST", f"{connection.phone_number_id}/register", json=body)

    async def deregister(self, connection: Connection) -> None:
        await self._call(connection, "POST", f"{connection.phone_number_id}/deregister", json={})

    # Templates

    async def list_templates(self, connection: Connection) -> list[dict[str, Any]]:
        """All templates of the account, as the carrier describes them. Raises ChannelRefused."""
        found: list[dict[str, Any]] = []
        query = {"limit": "100"}
        for _ in range(100):
            page = await self._call(
                connection, "GET", f"{connection.business_account_id}/message_templates", query=query
            )
            rows = page.get("data")
            found += [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
            paging = as_dict(page.get("paging"))
            after = as_dict(paging.get("cursors")).get("after")
            if "next" not in paging or not isinstance(after, str):  # `next` itself carries the token: never followed
                break
            query = {"limit": "100", "after": after}
        return found

    async def create_template(self, connection: Connection, template: dict[str, Any]) -> dict[str, Any]:
        """Submit a template for review; the carrier's id, status and category. Raises ChannelRefused."""
        path = f"{connection.business_account_id}/message_templates"
        return await self._call(connection, "POST", path, json=template)

    async def _call(self, connection: Connection, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            address_of(connection, path)
            answer = await self._transport.call(connection, method, path, **options)
        except (NotSent, NoAnswer) as error:
            raise ChannelRefused(
                f"{UNREACHABLE} ({error.reason})", code="carrier_unreachable", advice=ASK_OPERATOR
            ) from None
        except BadAddress:
            raise ChannelRefused("The base URL is not an address.", code="bad_base_url", advice=ASK_OPERATOR) from None
        body = read_object(answer.body)
        if answer.status == 200 and body is not None:
            return body
        raise refusal_of(answer, body)


def read_send_answer(answer: HttpAnswer) -> SendOutcome:
    if answer.status == 200:
        try:
            found = SEND_ANSWER.decode(answer.body)
            message_id = found.messages[0].id
        except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
            return unknown_outcome(http_status=200, raw=shorten(answer.body), trace_id=answer.trace_id)
        contact = found.contacts[0] if found.contacts else AnswerContact()
        return SendOutcome(
            verdict=Verdict.ACCEPTED,
            code="accepted",
            carrier_message_id=message_id,
            carrier_recipient_id=contact.wa_id,
            recipient_user_id=contact.user_id,
            http_status=200,
            trace_id=answer.trace_id,
        )
    error = as_dict((read_object(answer.body) or {}).get("error"))
    code = error.get("code")
    raw = shorten(answer.body)
    if not isinstance(code, int) or isinstance(code, bool):
        if answer.status == 429:  # a gateway in front that speaks no Graph: it refused before anything happened
            return outcome_of_error(4, http_status=429, raw=raw, retry_after_s=answer.retry_after_s)
        if 400 <= answer.status < 500:
            return outcome_of_error(-answer.status, http_status=answer.status, raw=raw)
        return unknown_outcome(http_status=answer.status, raw=raw, trace_id=answer.trace_id)
    subcode = error.get("error_subcode")
    trace_id = error.get("fbtrace_id")
    return outcome_of_error(
        code,
        subcode=subcode if isinstance(subcode, int) else None,
        http_status=answer.status,
        details=details_of(error),
        raw=raw,
        trace_id=trace_id if isinstance(trace_id, str) else answer.trace_id,
        retry_after_s=answer.retry_after_s,
    )


def refusal_of(answer: HttpAnswer, body: dict[str, Any] | None) -> ChannelRefused:
    """An answer that is no success, in plain words."""
    error = as_dict((body or {}).get("error"))
    code, subcode = error.get("code"), error.get("error_subcode")
    if not isinstance(code, int):
        return ChannelRefused(
            f"The carrier answered HTTP {answer.status} without an explanation.",
            code="carrier_unavailable" if answer.status >= 500 else "carrier_refused",
            advice="Try again later." if answer.status >= 500 else ASK_OPERATOR,
        )
    row = find_code(code, subcode if isinstance(subcode, int) else None)
    details = details_of(error)
    if row is None:
        return ChannelRefused(details or "The carrier refused.", code="carrier_refused", carrier_code=str(code))
    return ChannelRefused(with_details(row.sentence, details), code=row.word, carrier_code=str(code), advice=row.advice)


def read_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_optional(value: object) -> str | None:
    return str(value) if value is not None else None


def shorten(body: bytes) -> str:
    """Evidence: the answer's beginning, as text."""
    return body[:LONGEST_RAW].decode(errors="replace").replace("\x00", "")
