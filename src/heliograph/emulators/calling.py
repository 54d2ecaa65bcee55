"""How the commands reach a running emulator: one call, a plain sentence when it fails."""

import urllib.error
import urllib.request
from typing import Any

import click
import msgspec

WITHIN_S = 30.0
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an emulator is never behind a proxy


def call_emulator(method: str, url: str, what: str, value: Any = None) -> dict[str, Any]:
    """The decoded answer of /__emulator/`what`. Raises click.ClickException (exit code 1)."""
    if not url.startswith(("http://", "https://")):
        raise click.ClickException(f"{url} is not an http address.")
    body = None if value is None else msgspec.json.encode(value)
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url.rstrip('/')}/__emulator/{what}", body, headers, method=method)  # noqa: S310 - checked
    try:
        with DIRECT.open(request, timeout=WITHIN_S) as answer:
            found = msgspec.json.decode(answer.read(), type=dict[str, Any])
    except urllib.error.HTTPError as error:
        raise click.ClickException(read_refusal(error)) from None
    except (OSError, msgspec.DecodeError) as error:
        raise click.ClickException(
            f"No emulator answers at {url} ({error}). Start one: heliograph emulator cloud-api"
        ) from None
    return found


def read_refusal(error: urllib.error.HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read(), type=dict[str, Any])["error"])
    except (msgspec.DecodeError, KeyError):
        return f"The emulator answered {error.code}."
