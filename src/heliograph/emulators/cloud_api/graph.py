"""Graph's own habits around every call: version, token, proof, object id, parameters, headers (whatsapp-cloud-api.md §1)."""

import hmac
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph_errors import GraphError, bad_parameter, refuse
from heliograph.emulators.cloud_api.names import make_trace_id
from heliograph.emulators.cloud_api.signing import prove_app_secret

VERSION = re.compile(r"v([0-9]{1,2})\.([0-9])")
JSON_TYPE = "application/json; charset=UTF-8"
ENCODER = msgspec.json.Encoder()
USAGE = '{"call_count":1,"total_cputime":1,"total_time":1}'
BUSINESS_USAGE = (
    f'{{"{defaults.WABA_ID}":[{{"type":"whatsapp","call_count":1,"total_cputime":1,"total_time":1,'
    '"estimated_time_to_regain_access":0}]}'
)


class Call:
    """One call of a client, once it is known what it is about."""

    __slots__ = ("edge", "object_id", "query", "request", "token", "version")

    def __init__(
        self, request: web.BaseRequest, version: tuple[int, int], object_id: str, edge: str, query: dict[str, str]
    ) -> None:
        self.request = request
        self.version = version
        self.object_id = object_id
        self.edge = edge
        self.query = query
        self.token = ""

    async def parameters(self) -> dict[str, Any]:
        """Everything given: in the query, and in a body of JSON or of a form. Raises GraphError."""
        found: dict[str, Any] = dict(self.query)
        found.pop("access_token", None)
        kind = self.request.content_type
        if kind == "multipart/form-data":
            raise bad_parameter("This call takes no multipart body.")
        body = await self.request.read()
        if not body:
            return found
        if kind == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
            pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
            return found | {name: read_form_value(text) for name, text in pairs}
        return found | read_json_object(body)


def read_json_object(body: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_parameter("The request body is not valid JSON.") from None
    if not isinstance(given, dict):
        raise bad_parameter("The request body must be a JSON object.")
    return given


def read_form_value(text: str) -> Any:
    """Graph takes JSON for the structured fields of a form."""
    if text[:1] in {"{", "["}:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


Handler = Callable[[Emulator, Call], Awaitable[Any]]


def served_version(asked: tuple[int, int] | None) -> tuple[int, int]:
    """An ended version, or none, is served by the oldest one alive."""
    if asked is None or asked < defaults.OLDEST_VERSION:
        return defaults.OLDEST_VERSION
    return asked


def split_path(path: str) -> tuple[tuple[int, int] | None, str, str]:
    """Version, object id and edge of "/v26.0/100/messages"."""
    parts = path.strip("/").split("/", 2)
    version = None
    if match := VERSION.fullmatch(parts[0]):
        version = (int(match[1]), int(match[2]))
        parts = parts[1:]
        parts = parts[0].split("/") + parts[1:] if parts else [""]
    return version, parts[0], "/".join(parts[1:])


def token_of(request: web.BaseRequest, query: dict[str, str]) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in {"bearer", "oauth"} and token.strip():
        return token.strip()
    return query.get("access_token", "")


def check_token(token: str, tokens: tuple[str, ...]) -> None:
    """Raises GraphError 190."""
    if token in tokens:
        return
    if token == defaults.EXPIRED_TOKEN:
        raise refuse(
            190,
            subcode=463,
            message="Error validating access token: Session has expired on Tuesday, 24-Nov-26 09:00:00 PST.",
        )
    raise refuse(190)


def app_token(app_secret: str) -> str:
    """The app's own token, which manages its subscriptions."""
    return f"{defaults.APP_ID}|{app_secret}"


def check_proof(token: str, given: str | None, app_secret: str, *, required: bool) -> None:
    """Raises GraphError 100 when appsecret_proof is wrong, or missing although it is required."""
    if given is None:
        if required:
            raise GraphError(100, "API calls from the server require an appsecret_proof argument")
        return
    if not hmac.compare_digest(prove_app_secret(token, app_secret).encode(), given.encode()):
        raise GraphError(100, "Invalid appsecret_proof provided in the API argument")


def headers_of(version: tuple[int, int]) -> dict[str, str]:
    """What is worth logging of an answer."""
    trace_id = make_trace_id()
    served = min(version, defaults.NEWEST_VERSION)
    return {
        "Content-Type": JSON_TYPE,
        "facebook-api-version": f"v{served[0]}.{served[1]}",
        "x-fb-trace-id": trace_id,
        "x-fb-request-id": trace_id,
        "x-fb-rev": "1030000000",
        "x-app-usage": USAGE,
        "x-business-use-case-usage": BUSINESS_USAGE,
    }


def answer_json(value: Any, version: tuple[int, int], status: int = 200) -> web.Response:
    return web.Response(body=ENCODER.encode(value), status=status, headers=headers_of(version))


def answer_error(error: GraphError, version: tuple[int, int]) -> web.Response:
    answer = answer_json(error.body(), version, error.http_status)
    if error.http_status == 401:
        answer.headers["WWW-Authenticate"] = 'OAuth "Facebook Platform" "invalid_token"'
    return answer


def pick_fields(facts: dict[str, Any], given: str | None, usual: tuple[str, ...]) -> dict[str, Any]:
    """The fields that were asked for, else the usual ones; the id always."""
    wanted = [name.partition("{")[0].strip() for name in given.split(",")] if given else list(usual)
    return {name: facts[name] for name in ["id", *wanted] if name in facts}
