"""The WhatsApp channel: gives messages to Meta's Cloud API and says what came of each."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from yarl import URL

from heliograph.channels.contract import Connection, NumberFacts, Outgoing, Scope, SendOutcome, Verdict
from heliograph.channels.whatsapp.answers import LONGEST_RAW, hide_secrets, read_call_answer, read_send_answer
from heliograph.channels.whatsapp.codes import NEW_TOKEN, TRIED_AGAIN, unknown_outcome
from heliograph.channels.whatsapp.media import check_content, is_carriers_host, is_digest
from heliograph.channels.whatsapp.payloads import read_mark, send_payload
from heliograph.channels.whatsapp.transport import (
    BadAddress,
    BadToken,
    NoAnswer,
    NotSent,
    TooLong,
    Transport,
    path_of,
)
from heliograph.channels.whatsapp.values import mapping, number, objects, text
from heliograph.errors import ChannelRefused

log = structlog.get_logger(__name__)

CORE_FIELDS = "id,display_phone_number,verified_name,quality_rating"
NUMBER_FIELDS = (
    f"{CORE_FIELDS},status,name_status,throughput,code_verification_status,is_on_biz_app,"
    "whatsapp_business_manager_messaging_limit,health_status"
)
TEMPLATE_FIELDS = "id,name,language,status,category,parameter_format,components,quality_score,rejected_reason"
TEMPLATE_PAGE = {"limit": "100", "fields": TEMPLATE_FIELDS}
PACE_OF_LEVEL = {"STANDARD": 80, "HIGH": 1000}  # messages a second (§13)
PACE_BESIDE_THE_APP = 20  # of a number that the WhatsApp Business app uses too
MOST_PAGES = 100
ASK_OPERATOR = "Check this server's network and the base URL of the sender."
BAD_BASE_URL = "The base URL or an id of this sender is not usable in an address."
BAD_TOKEN = "The token of this sender has a blank or another character that no token has."  # noqa: S105 - a sentence
NUMBER_ID, ACCOUNT_ID, MEDIA_ID = "phone number id", "business account id", "file id"


class FetchedMedia(Struct, frozen=True):
    """An inbound file. mime_type is what its content is; sha256 in hex."""

    content: bytes
    mime_type: str
    sha256: str


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
                sentence=f"The carrier cannot be reached: {error.reason}.",
                advice=TRIED_AGAIN,
            )
        except NoAnswer as error:
            return unknown_outcome(raw=msgspec.json.encode({"no_answer": error.reason}).decode())
        except BadAddress:
            return held("bad_base_url", BAD_BASE_URL, ASK_OPERATOR)
        except BadToken:
            return held("token_invalid", BAD_TOKEN, NEW_TOKEN)
        except UnicodeEncodeError:
            return SendOutcome(
                verdict=Verdict.FAIL,
                code="not_a_text",
                sentence="The message holds half of a character, which cannot be sent.",
                advice="Send the text again without it.",
            )
        return read_send_answer(connection, answer)

    async def mark_read(self, connection: Connection, carrier_message_id: str) -> None:
        """Show the person that an inbound message was read. Raises ChannelRefused."""
        path = (connection.phone_number_id, "messages")
        await self._call(connection, "POST", path, NUMBER_ID, json=read_mark(carrier_message_id))

    # Media

    async def fetch_media(self, connection: Connection, media_id: str, *, max_bytes: int) -> FetchedMedia:
        """Look an inbound file up and download it (§4).

        Raises ChannelRefused: number_gone, media_gone, media_too_large and media_refused are final, with any other code
        it may be tried again."""
        if media_id in {"", ".", ".."}:
            raise ChannelRefused("The file has no usable id.", code="media_gone")
        try:
            facts, content = await self._fetch(connection, media_id, max_bytes)
        except AddressExpired:
            # It lives for five minutes; a new look-up gives a new one.
            try:
                facts, content = await self._fetch(connection, media_id, max_bytes)
            except AddressExpired:
                raise ChannelRefused("The file is not where the carrier says it is.", code="media_expired") from None
        return await asyncio.to_thread(check_media, facts, content)

    async def _fetch(self, connection: Connection, media_id: str, max_bytes: int) -> tuple[dict[str, Any], bytes]:
        """The look-up's facts, and the content. Raises ChannelRefused or AddressExpired."""
        query = {"phone_number_id": connection.phone_number_id}
        try:
            facts = await self._call(connection, "GET", (media_id,), MEDIA_ID, query=query)
        except ChannelRefused as error:
            if error.carrier_code == "100" and error.code != "app_secret_wrong":
                raise ChannelRefused(
                    "The carrier no longer has this file.", code="media_gone", carrier_code="100"
                ) from None
            raise
        if (number(facts.get("file_size")) or 0) > max_bytes:
            raise too_large(max_bytes)
        url = read_url(facts.get("url"))
        if url is None or not is_carriers_host(url, URL(connection.base_url)):
            # The token goes along: it must not leak to whoever wrote the answer.
            raise ChannelRefused("The file is not on the carrier's own servers.", code="media_refused")
        try:
            status, content = await self._transport.download(connection, url, max_bytes)
        except TooLong:
            raise too_large(max_bytes) from None
        except (NotSent, NoAnswer, BadAddress, BadToken) as error:
            log.info("media_not_fetched", phone_number_id=connection.phone_number_id, reason=reason_of(error))
            raise ChannelRefused("The file could not be fetched.", code="media_unavailable") from None
        if status == 404:
            raise AddressExpired
        if status != 200:
            raise ChannelRefused(f"The file could not be fetched: HTTP {status}.", code="media_unavailable")
        return facts, content

    # The number itself

    async def read_number(self, connection: Connection) -> NumberFacts:
        """What the carrier says of the number. Raises ChannelRefused, which says what is wrong with id, token or network."""
        path = (connection.phone_number_id,)
        try:
            facts = await self._call(connection, "GET", path, NUMBER_ID, query={"fields": NUMBER_FIELDS})
        except ChannelRefused as error:
            if error.code != "invalid_parameter":
                raise
            # A version that does not have one of the fields refuses them all. It tells the most important ones then.
            facts = await self._call(connection, "GET", path, NUMBER_ID, query={"fields": CORE_FIELDS})
        digits = "".join(c for c in text(facts.get("display_phone_number")) or "" if c in "0123456789")
        if not digits:
            raise ChannelRefused(
                "This id is not that of a phone number.",
                code="number_unknown",
                advice="Give the phone number id, not the id of the business account, the app or the portfolio.",
            )
        pace = PACE_OF_LEVEL.get(text(mapping(facts.get("throughput")).get("level")) or "", PACE_OF_LEVEL["STANDARD"])
        return NumberFacts(
            display_number=digits,
            verified_name=text(facts.get("verified_name")) or "",
            quality=text(facts.get("quality_rating")) or "UNKNOWN",
            status=text(facts.get("status")) or "UNKNOWN",
            throughput_per_s=PACE_BESIDE_THE_APP if facts.get("is_on_biz_app") is True else pace,
            messaging_limit=text(facts.get("whatsapp_business_manager_messaging_limit")),
            name_status=text(facts.get("name_status")),
            verification=text(facts.get("code_verification_status")) or "UNKNOWN",
            can_send=text(mapping(facts.get("health_status")).get("can_send_message")) or "AVAILABLE",
            raw=hide_secrets(connection, msgspec.json.encode(facts).decode())[:LONGEST_RAW],
        )

    async def list_numbers(self, connection: Connection) -> dict[str, str]:
        """The numbers of the business account: phone number id → E.164 digits. Raises ChannelRefused."""
        found: dict[str, str] = {}
        query = {"fields": "id,display_phone_number", "limit": "100"}
        for one in await self._list(connection, (connection.business_account_id, "phone_numbers"), query):
            shown = text(one.get("display_phone_number")) or ""
            found[text(one.get("id")) or ""] = "".join(c for c in shown if c in "0123456789")
        return found

    async def subscribe(self, connection: Connection, address: str, verify_token: str) -> None:
        """Have the account's callbacks sent to `address` (§5). The carrier verifies it at once. Raises ChannelRefused."""
        body = {"override_callback_uri": address, "verify_token": verify_token}
        path = (connection.business_account_id, "subscribed_apps")
        await self._call(connection, "POST", path, ACCOUNT_ID, json=body)

    async def subscribe_number(self, connection: Connection, address: str, verify_token: str) -> None:
        """The same for one number, which wins over the account. Raises ChannelRefused."""
        wanted = {"override_callback_uri": address, "verify_token": verify_token}
        path = (connection.phone_number_id,)
        await self._call(connection, "POST", path, NUMBER_ID, json={"webhook_configuration": wanted})

    async def request_code(self, connection: Connection, method: str, language: str = "en_US") -> None:
        """Have a verification code sent to the number; method: SMS or VOICE. Raises ChannelRefused."""
        body = {"code_method": method, "language": language}
        await self._call(connection, "POST", (connection.phone_number_id, "request_code"), NUMBER_ID, json=body)

    async def verify_code(self, connection: Connection, code: str) -> None:
        """Give the carrier the code that came by SMS or voice. Raises ChannelRefused."""
        await self._call(
            connection, "POST", (connection.phone_number_id, "verify_code"), NUMBER_ID, json={"code": code}
        )

    async def register(self, connection: Connection, pin: str) -> None:
        """Register the number with a six-digit PIN. At most 10 times in 72 hours, so it is never repeated by itself."""
        body = {"messaging_product": "whatsapp", "pin": pin}
        await self._call(connection, "POST", (connection.phone_number_id, "register"), NUMBER_ID, json=body)

    async def deregister(self, connection: Connection) -> None:
        """Take the number off the Cloud API; counts as register does. Raises ChannelRefused."""
        await self._call(connection, "POST", (connection.phone_number_id, "deregister"), NUMBER_ID, json={})

    # Templates

    async def list_templates(self, connection: Connection) -> list[dict[str, Any]]:
        """All templates of the account, as the carrier describes them. Raises ChannelRefused."""
        return await self._list(connection, (connection.business_account_id, "message_templates"), TEMPLATE_PAGE)

    async def create_template(self, connection: Connection, template: dict[str, Any]) -> dict[str, Any]:
        """Submit a template for review; the carrier's id, status and category. Raises ChannelRefused."""
        path = (connection.business_account_id, "message_templates")
        return await self._call(connection, "POST", path, ACCOUNT_ID, json=template)

    async def delete_template(self, connection: Connection, name: str, template_id: str) -> None:
        """Delete it in its one language. An approved name is blocked for 30 days then. Raises ChannelRefused."""
        path, query = (connection.business_account_id, "message_templates"), {"name": name, "hsm_id": template_id}
        await self._call(connection, "DELETE", path, ACCOUNT_ID, query=query)

    async def _list(self, connection: Connection, path: tuple[str, ...], query: dict[str, str]) -> list[dict[str, Any]]:
        """Everything of a list of the business account, page by page. Raises ChannelRefused."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = await self._call(connection, "GET", path, ACCOUNT_ID, query={**query, **after})
            found += objects(page.get("data"))
            paging = mapping(page.get("paging"))
            cursor = mapping(paging.get("cursors")).get("after")
            if "next" not in paging or not isinstance(cursor, str):  # `next` itself carries the token: never followed
                break
            after = {"after": cursor}
        return found

    async def _call(
        self,
        connection: Connection,
        method: str,
        path: tuple[str, ...],
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A call that is not a send; `subject` says in words whose id begins the path. Raises ChannelRefused."""
        try:
            answer = await self._transport.call(connection, method, path_of(*path), query=query, json=json)
        except NotSent as error:
            raise ChannelRefused(
                f"The carrier cannot be reached: {error.reason}.", code="carrier_unreachable", advice=ASK_OPERATOR
            ) from None
        except NoAnswer as error:
            log.info("carrier_did_not_answer", phone_number_id=connection.phone_number_id, reason=error.reason)
            raise ChannelRefused(
                "The carrier was asked and did not answer.", code="carrier_unreachable", advice="Try again later."
            ) from None
        except BadAddress:
            raise ChannelRefused(BAD_BASE_URL, code="bad_base_url", advice=ASK_OPERATOR) from None
        except BadToken:
            raise ChannelRefused(BAD_TOKEN, code="token_invalid", advice=NEW_TOKEN) from None
        try:
            return read_call_answer(connection, answer, subject)
        except ChannelRefused as error:
            log.info(
                "carrier_refused_call",
                phone_number_id=connection.phone_number_id,
                call=path[1:] or subject,
                code=error.code,
                carrier_code=error.carrier_code,
                http_status=answer.status,
                trace_id=answer.trace_id,
            )
            raise


class AddressExpired(Exception):
    """The address of a file is no longer good."""


def held(code: str, sentence: str, advice: str) -> SendOutcome:
    """The sender's own settings are at fault: its messages wait until they are mended."""
    return SendOutcome(verdict=Verdict.HOLD, scope=Scope.NUMBER, code=code, sentence=sentence, advice=advice)


def check_media(facts: dict[str, Any], content: bytes) -> FetchedMedia:
    """Raises ChannelRefused for a file that is damaged or not what it claims to be. Costs time: not for the loop."""
    digest = hashlib.sha256(content)
    told = text(facts.get("sha256"))
    if told is not None and not is_digest(told, digest.digest()):
        raise ChannelRefused("The file arrived damaged.", code="media_damaged")
    return FetchedMedia(content, check_content(content, text(facts.get("mime_type")) or ""), digest.hexdigest())


def too_large(max_bytes: int) -> ChannelRefused:
    return ChannelRefused(
        f"The file is larger than {max_bytes} bytes, the most that is fetched.", code="media_too_large"
    )


def reason_of(error: Exception) -> str:
    return error.reason if isinstance(error, NotSent | NoAnswer) else type(error).__name__


def read_url(value: object) -> URL | None:
    try:
        return URL(value) if isinstance(value, str) else None
    except ValueError:
        return None
