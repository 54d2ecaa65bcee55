"""Letters to people: by SMTP where the settings name a server, else kept for the outbox page."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

import structlog
from msgspec import Struct

from heliograph.config import Settings
from heliograph.core.ids import new_id, now_ms
from heliograph.runtime import Runtime
from heliograph.store import letters as store
from heliograph.store.letters import KeptLetter

log = structlog.get_logger(__name__)

WAITS_S = (2.0, 20.0, 120.0)  # before another try
TIMEOUT_S = 20.0
KEPT_MS = 7 * 86_400_000
SHOWN = 100


class Letter(Struct, frozen=True):
    recipient: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return "Letter(…)"


class Postman:
    """Sends in the background, so that no answer tells by its time whether a letter was written. One per process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._rounds: set[asyncio.Task[None]] = set()

    async def post(self, letter: Letter) -> None:
        """Kept when this returns, where there is no mail server; else it is on its way."""
        if not self._runtime.settings.smtp_url:
            kept = KeptLetter(new_id(), letter.recipient, letter.subject, letter.text, now_ms())
            await self._runtime.database.write(lambda tx: store.add_letter(tx, kept))
            return
        going = asyncio.create_task(self._carry(letter), name="carry-letter")
        self._rounds.add(going)
        going.add_done_callback(self._rounds.discard)

    async def _carry(self, letter: Letter) -> None:
        for wait_s in (*WAITS_S, None):
            try:
                await asyncio.to_thread(send_by_smtp, self._runtime.settings, letter)
            except (OSError, smtplib.SMTPException) as error:
                log.warning("letter_not_sent", reason=type(error).__name__, tries_again=wait_s is not None)
                if wait_s is None or isinstance(error, smtplib.SMTPRecipientsRefused):
                    return
                await asyncio.sleep(wait_s)
            else:
                return

    async def stop(self, grace_s: float) -> None:
        """Letters that are on their way may arrive within `grace_s`."""
        if self._rounds:
            await asyncio.wait(set(self._rounds), timeout=grace_s)
        for going in set(self._rounds):
            going.cancel()


def send_by_smtp(settings: Settings, letter: Letter) -> None:
    """smtps:// is TLS from the start; smtp:// asks for STARTTLS, and insists on it where it names a user (RFC 3207)."""
    server = urlsplit(settings.smtp_url)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.mail_from, letter.recipient, letter.subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="heliograph")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers
    message.set_content(letter.text)
    host, trusted = server.hostname or "localhost", ssl.create_default_context()
    if server.scheme == "smtps":
        line: smtplib.SMTP = smtplib.SMTP_SSL(host, server.port or 465, timeout=TIMEOUT_S, context=trusted)
    else:
        line = smtplib.SMTP(host, server.port or 587, timeout=TIMEOUT_S)
    with line:
        line.ehlo()
        if server.scheme == "smtp" and (server.username or line.has_extn("starttls")):
            line.starttls(context=trusted)
            line.ehlo()
        if server.username:
            line.login(unquote(server.username), unquote(server.password or ""))
        line.send_message(message)


async def kept_letters(runtime: Runtime) -> list[KeptLetter]:
    """The newest first."""
    return await runtime.database.read(lambda tx: store.newest_letters(tx, SHOWN))


async def sweep_letters(runtime: Runtime) -> None:
    at_ms = now_ms()
    await runtime.database.write(lambda tx: store.drop_old_letters(tx, at_ms - KEPT_MS))
