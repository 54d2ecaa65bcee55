"""The bytes that must be right to the last one: signatures, proofs, escaping, names."""

import base64

import msgspec
import pytest

from heliograph.emulators.cloud_api.names import make_user_id, make_wamid
from heliograph.emulators.cloud_api.signing import encode_as_meta, escape_as_meta, prove_app_secret, sign_body

SECRET = "app-secret-for-tests"


def test_signature_check_value() -> None:
    """The signature of the reference's 17 bytes is the reference's."""
    body = rb'{"a":"\u00e9\/x"}'
    assert len(body) == 17
    assert sign_body(body, SECRET) == "sha256=6063769a7f7432899e739f591d094c814bc2e00075f74d9bb335c7d8056502a2"


def test_proof_check_value() -> None:
    """The app secret proof of the reference's token is the reference's."""
    assert prove_app_secret("TOKEN", SECRET) == "e26fc90c8d4d522d08c54ee335afed044fabbc9227f95cf57472622c595baf0c"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": "é/x"}, rb'{"a":"\u00e9\/x"}'),
        ({"a": "👍"}, rb'{"a":"\ud83d\udc4d"}'),
        ({"a": "ＡB"}, rb'{"a":"\uff21B"}'),
        ({"a": 'quote " back \\ line \n'}, rb'{"a":"quote \" back \\ line \n"}'),
        ({"a": "plain"}, b'{"a":"plain"}'),
    ],
)
def test_escaping(value: dict[str, str], expected: bytes) -> None:
    """Beyond ASCII is lower-case \\uXXXX with surrogate pairs, "/" is "\\/"; it still means the same."""
    assert encode_as_meta(value) == expected
    assert msgspec.json.decode(expected) == value


def test_escaping_keeps_what_is_escaped() -> None:
    """A text that holds a backslash before a slash means the same afterwards."""
    value = {"a": "\\/ and \\u00e9"}
    assert msgspec.json.decode(escape_as_meta(msgspec.json.encode(value))) == value


@pytest.mark.parametrize(
    ("inbound", "tail"), [(False, b"\x15\x02\x00\x11\x18\x12"), (True, b"\x15\x02\x00\x12\x18\x14")]
)
def test_wamid(inbound: bool, tail: bytes) -> None:
    """A wamid has the layout of real ones, fits 128 characters, and none comes twice."""
    wamid = make_wamid("31612345678", inbound=inbound)
    raw = base64.b64decode(wamid.removeprefix("wamid."))
    assert raw[:2] == b"\x1c\x18"
    assert raw[3 : 3 + raw[2]] == b"31612345678"
    rest = raw[3 + raw[2] :]
    assert rest.startswith(tail)
    assert len(rest) == len(tail) + (20 if inbound else 18) + 1
    assert rest.endswith(b"\x00")
    assert len(wamid) <= 128
    assert len({make_wamid("31612345678") for _ in range(2000)}) == 2000


def test_user_id() -> None:
    """A person's business-scoped id has the country in front and never changes."""
    assert make_user_id("31612345678").startswith("NL.")
    assert make_user_id("12025550100").startswith("US.")
    assert make_user_id("31612345678") == make_user_id("31612345678") != make_user_id("31612345679")
