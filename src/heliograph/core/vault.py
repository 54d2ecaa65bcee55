"""Seals carrier credentials: Fernet (AES-128-CBC with HMAC-SHA256) under a key that stays outside the database."""

import base64
import hashlib
import hmac
import secrets

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec import Struct


class Secrets(Struct, frozen=True):
    """What a connection needs to speak to its carrier and to believe its callbacks."""

    token: str
    app_secret: str

    def __repr__(self) -> str:
        return "Secrets(…)"


class CannotUnseal(Exception):
    """The credentials were sealed with another key: secret_key was lost or changed."""


class Vault:
    def __init__(self, key: str) -> None:
        """`key`: 32 bytes as URL-safe base64. Raises ValueError for anything else."""
        self._fernet = Fernet(key)
        self._mark_key = hashlib.sha256(b"app mark" + base64.urlsafe_b64decode(key)).digest()

    @staticmethod
    def new_key() -> str:
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

    def seal(self, kept: Secrets) -> bytes:
        return self._fernet.encrypt(msgspec.json.encode(kept))

    def unseal(self, sealed: bytes) -> Secrets:
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed), type=Secrets)
        except InvalidToken:
            raise CannotUnseal from None

    def seal_text(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def unseal_text(self, sealed: bytes) -> str:
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise CannotUnseal from None

    def mark(self, app_secret: str) -> bytes:
        """Equal for equal secrets, and tells nothing else: so we know which numbers share an app."""
        return hmac.digest(self._mark_key, app_secret.encode(), "sha256")
