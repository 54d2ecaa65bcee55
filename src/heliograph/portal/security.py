"""What keeps strangers' pages and networks out: cookies, CSRF tokens, and the headers of every answer."""

import base64
import hmac
import secrets

from heliograph.errors import Forbidden
from heliograph.runtime import Runtime

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

# Everything comes from this server; nothing is inline, so a text that slips through escaping cannot run.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
HTTPS_HEADER = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Csrf:
    """Tokens tied to a cookie that another site can neither read nor set: the session's, or a guest's before log-in.

    Each page carries the token under a fresh mask, so that compression tells nothing about it (BREACH)."""

    def __init__(self, runtime: Runtime) -> None:
        self._key = runtime.vault.mark("portal csrf")

    def token_for(self, cookie: str) -> str:
        mask = secrets.token_bytes(32)
        return base64.urlsafe_b64encode(mask + xor(mask, self._digest(cookie))).decode()

    def check(self, cookie: str, token: str) -> None:
        """Raises Forbidden when the form was not made for this browser."""
        try:
            raw = base64.urlsafe_b64decode(token.encode())
        except ValueError:
            raw = b""
        if len(raw) != 64 or not cookie or not hmac.compare_digest(xor(raw[:32], raw[32:]), self._digest(cookie)):
            raise Forbidden(
                "This form is too old, or came from another page. Go back, reload and try again.", code="csrf"
            )

    def sign(self, text: str) -> str:
        """`text` with a mark that only this installation can make; read it back with `read_signed`."""
        return base64.urlsafe_b64encode(self._mark(text) + text.encode()).decode()

    def read_signed(self, signed: str) -> str | None:
        try:
            raw = base64.urlsafe_b64decode(signed.encode())
            text = raw[32:].decode()
        except ValueError:
            return None
        return text if hmac.compare_digest(raw[:32], self._mark(text)) else None

    def _digest(self, cookie: str) -> bytes:
        return hmac.digest(self._key, b"token " + cookie.encode(), "sha256")

    def _mark(self, text: str) -> bytes:
        return hmac.digest(self._key, b"signed " + text.encode(), "sha256")


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def check_origin(headers: dict[bytes, bytes]) -> None:
    """The browser itself says where a request comes from (Fetch Metadata). Raises Forbidden for another site's."""
    if headers.get(b"sec-fetch-site", b"same-origin") not in {b"same-origin", b"none"}:
        raise Forbidden("This request came from another site.", code="cross_site")


def cookie_name(base: str, *, secure: bool) -> str:
    """Over https the name binds the cookie to this host and to https (RFC 6265bis §4.1.3.2)."""
    return f"__Host-{base}" if secure else base
