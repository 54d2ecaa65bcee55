"""A second factor: six digits from an app on the phone (TOTP, RFC 6238), and recovery codes for when the phone is lost."""

import hashlib
import hmac
import secrets

import pyotp

from heliograph.core.ids import now_ms
from heliograph.errors import Invalid
from heliograph.runtime import Runtime
from heliograph.store import accounts as store
from heliograph.store.accounts import User
from heliograph.store.engine import Tx

STEP_S = 30
AROUND = 1  # steps by which the phone's clock may differ, each way (RFC 6238 §5.2)
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is misread


def new_secret() -> str:
    return pyotp.random_base32()


def address_for_app(secret: str, email: str) -> str:
    """The otpauth:// address that an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Heliograph")


def fitting_step(secret: str, code: str, after_step: int) -> int | None:
    """The step whose code this is, if it is later than `after_step`: a code works once."""
    now_step = now_ms() // 1000 // STEP_S
    digits = "".join(code.split())
    for step in range(now_step - AROUND, now_step + AROUND + 1):
        if step > after_step and hmac.compare_digest(pyotp.HOTP(secret).at(step), digits):
            return step
    return None


def hash_code(code: str) -> bytes:
    """Recovery codes have 50 random bits and are tried under the limits of a log-in; case and dashes do not matter."""
    return hashlib.sha256(code.replace("-", "").replace(" ", "").lower().encode()).digest()


async def turn_on(runtime: Runtime, user: User, secret: str, code: str) -> list[str]:
    """From the next log-in on a code is asked for. The recovery codes, shown this once. Raises Invalid for a wrong code."""
    step = fitting_step(secret, code, 0)
    if step is None:
        raise Invalid.field("code", "This is not the code that the app shows now. Check the clock of the phone.")
    codes = [
        "-".join("".join(secrets.choice(ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(RECOVERY_CODES)
    ]
    sealed = runtime.vault.seal_text(secret)

    async def work(tx: Tx) -> None:
        await store.set_totp(tx, user.id, sealed, step)
        await store.drop_recovery_codes(tx, user.id)
        await store.add_recovery_codes(tx, user.id, [hash_code(made) for made in codes])

    await runtime.database.write(work)
    return codes


async def turn_off(runtime: Runtime, user_id: int) -> None:
    async def work(tx: Tx) -> None:
        await store.set_totp(tx, user_id, None, 0)
        await store.drop_recovery_codes(tx, user_id)

    await runtime.database.write(work)


async def check_code(runtime: Runtime, user_id: int, code: str) -> bool:
    """Whether `code` is one of the app's that was not used yet, or a recovery code, which is used up by this."""

    async def work(tx: Tx) -> bool:
        user = await store.user_by_id(tx, user_id)
        if user is None or user.sealed_totp is None:
            return False
        step = fitting_step(runtime.vault.unseal_text(user.sealed_totp), code, user.totp_step)
        if step is not None:
            return await store.use_totp_step(tx, user_id, step)
        return await store.use_recovery_code(tx, user_id, hash_code(code))

    return await runtime.database.write(work)


async def count_recovery_codes(runtime: Runtime, user_id: int) -> int:
    return await runtime.database.read(lambda tx: store.count_recovery_codes(tx, user_id))
