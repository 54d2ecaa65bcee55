"""The request reader: every row of v3-api.md §3, and any mix of places and encodings."""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.reading import as_text, find_token, optional_text, read_parameters
from heliograph.errors import BadRequest, HeliographError, Invalid

FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"
NO_HEADERS: dict[bytes, bytes] = {}


@pytest.mark.parametrize(
    "label",
    [
        JSON,
        FORM,
        b"text/plain",
        None,
        b"application/json; charset=utf-8",
        b"application/x-www-form-urlencoded; charset=UTF-8",
    ],
)
@pytest.mark.parametrize("before", [b"", b"\n  ", b"\xef\xbb\xbf"])
def test_json_under_any_label(label: bytes | None, before: bytes) -> None:
    """A body that begins with { is JSON whatever its label says, and & = + % and other letters in it stay as they are."""
    body = before + '{"message": "Tom & Ann = 100% + tea é 😀", "recipient": 447700900101}\n'.encode()
    values = read_parameters("POST", b"", label, body).values
    assert values == {"message": "Tom & Ann = 100% + tea é 😀", "recipient": 447700900101}


@pytest.mark.parametrize("body", [b"", b"  \n", b"[]", b"null", b" [] "])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_no_parameters(method: str, body: bytes) -> None:
    """An empty body, an empty list and null under a JSON label mean: no parameters."""
    assert read_parameters(method, b"", JSON, body).values == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a":}',
        b"[1]",
        b'"text"',
        b"12",
        b"{'a': 1}",
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":"\\ud800"}',
    ],
)
def test_what_is_no_json_object(body: bytes) -> None:
    """A body that claims JSON and is no object is refused as a bad request, however deep it is nested."""
    with pytest.raises(BadRequest):
        read_parameters("POST", b"", JSON, body)


def test_forms() -> None:
    """Form bodies are decoded, PHP-style arrays become lists, and multipart text fields are taken."""
    assert read_parameters("POST", b"", FORM, b"recipient=%2B31&message=a+b&x[]=1&x[]=2").values == {
        "recipient": "+31",
        "message": "a b",
        "x": ["1", "2"],
    }
    multipart = b'--B\r\nContent-Disposition: form-data; name="message"\r\n\r\nh\xc3\xa9\r\n--B--\r\n'
    assert read_parameters("POST", b"", b"multipart/form-data; boundary=B", multipart).values == {"message": "hé"}
    with pytest.raises(BadRequest):
        read_parameters("POST", b"", b"multipart/form-data; boundary=B", b"nothing of the kind")
    with pytest.raises(BadRequest):
        read_parameters("POST", b"a=%ff", None, b"")


def test_the_body_wins() -> None:
    """Query and body are merged, and the body wins."""
    found = read_parameters("POST", b"a=1&b=2", JSON, b'{"b": 3}')
    assert found.values == {"a": "1", "b": 3}
    assert (found.query, found.body) == ({"a": "1", "b": "2"}, {"b": 3})


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30).filter(
    lambda t: bool(t.strip())
)


@given(
    st.dictionaries(st.sampled_from(["recipient", "message", "sender_id", "type"]), TEXTS, min_size=1),
    st.sampled_from(["json", "form", "query", "multipart"]),
    st.sampled_from([JSON, FORM, b"text/plain", None]),
    st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
)
def test_any_place_says_the_same(values: dict[str, str], place: str, label: bytes | None, method: str) -> None:
    """The same parameters in a JSON body under any label, a form, the query or multipart are read alike."""
    query, body = b"", b""
    match place:
        case "json":
            body = msgspec.json.encode(values)
        case "form":
            label, body = FORM, urlencode(values).encode()
        case "query":
            query = urlencode(values, quote_via=quote).encode()
        case _:
            label = b"multipart/form-data; boundary=xBx"
            parts = [f'--xBx\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in values.items()]
            body = ("".join(parts) + "--xBx--\r\n").encode()
    found = read_parameters(method, query, label, body).values
    assert {name: optional_text(found, name) for name in values} == values


@given(
    st.binary(max_size=200),
    st.binary(max_size=80),
    st.sampled_from([JSON, FORM, b"multipart/form-data; boundary=x", b"a/b", None]),
)
def test_any_bytes_are_read_or_refused(body: bytes, query: bytes, label: bytes | None) -> None:
    """Arbitrary bytes give parameters or a refusal of ours, never another error."""
    try:
        found = read_parameters("POST", query, label, body)
        find_token(NO_HEADERS, found)
        for name in found.values:
            optional_text(found.values, name)
    except HeliographError as error:
        assert 400 <= error.http_status < 500


def token(headers: dict[bytes, bytes], query: bytes = b"", body: bytes = b"") -> str | None:
    return find_token(headers, read_parameters("GET", query, None, body))


def test_where_tokens_are() -> None:
    """Bearer header, body, query, a header of that name: the first that has one decides, raw or with %7C."""
    assert token({b"authorization": b"Bearer 17|kQ"}) == "17|kQ"
    assert token({b"authorization": b"bearer   17%7CkQ "}) == "17|kQ"
    assert token({}, body=b'{"api_token": "17|kQ"}') == "17|kQ"
    assert token({}, body=b"api_token=17%7CkQ") == "17|kQ"
    assert token({}, query=b"api_token=17%7CkQ") == "17|kQ"
    assert token({}, query=b"api_token=17|kQ") == "17|kQ"
    assert token({b"api_token": b"17|kQ"}) == "17|kQ"
    assert token({b"authorization": b"Bearer wrong"}, query=b"api_token=17|kQ") == "wrong"
    assert token({}, query=b"api_token=17|kQ", body=b'{"api_token": "other"}') == "other"
    assert token({b"authorization": b"Basic abc"}, query=b"api_token=17|kQ") == "17|kQ"
    assert token({b"authorization": b"Bearer"}) is None
    assert token({}, body=b'{"api_token": 12}') == "?"
    assert token({}) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (447700900101, "447700900101"),
        (447700900101.0, "447700900101"),
        (4.477009001e11, "447700900100"),
        (True, None),
        ([], None),
        (10**50, None),
    ],
)
def test_numbers_as_texts(value: Any, text: str | None) -> None:
    """Numbers become decimal text, never an exponent; what is neither text nor number is refused."""
    assert as_text(value) == text


def test_optional_texts() -> None:
    """null, an empty text and blanks count as absent; a NUL and an object are refused with the field's name."""
    assert optional_text({}, "a") is None
    assert optional_text({"a": None}, "a") is None
    assert optional_text({"a": "  "}, "a") is None
    for bad in ("a\x00b", {"x": 1}, [1]):
        with pytest.raises(Invalid) as refused:
            optional_text({"sender_id": bad}, "sender_id")
        assert list(refused.value.errors) == ["sender_id"]
