"""Where callbacks go: subscribed_apps of an account, webhook_configuration of a number; verified by GET (§5)."""

import secrets
from typing import Any

import aiohttp
from yarl import URL

from heliograph.emulators.cloud_api import defaults
from heliograph.emulators.cloud_api.emulator import Emulator
from heliograph.emulators.cloud_api.graph import Call, app_token, pick_fields
from heliograph.emulators.cloud_api.graph_errors import GraphError, bad_parameter
from heliograph.emulators.cloud_api.world import Callback

VERIFY_WITHIN_S = 10.0
APP_NAME = "Emulated app"
APP_LINK = f"https://www.facebook.com/games/?app_id={defaults.APP_ID}"


async def subscribe(emulator: Emulator, call: Call) -> dict[str, bool]:
    """POST /{waba_id}/subscribed_apps. Raises GraphError when the address does not verify."""
    account = emulator.world.state.accounts[call.object_id]
    given = await call.parameters()
    callback = await read_callback(emulator, given)
    account.subscribed, account.callback = True, callback
    emulator.save()
    return {"success": True}


async def list_subscriptions(emulator: Emulator, call: Call) -> dict[str, Any]:
    account = emulator.world.state.accounts[call.object_id]
    if not account.subscribed:
        return {"data": []}
    app: dict[str, Any] = {"whatsapp_business_api_data": {"id": defaults.APP_ID, "name": APP_NAME, "link": APP_LINK}}
    if account.callback is not None:
        app["override_callback_uri"] = account.callback.url
    return {"data": [app]}


async def unsubscribe(emulator: Emulator, call: Call) -> dict[str, bool]:
    account = emulator.world.state.accounts[call.object_id]
    account.subscribed, account.callback = False, None
    emulator.save()
    return {"success": True}


async def read_app(_emulator: Emulator, call: Call) -> dict[str, Any]:
    facts = {"id": defaults.APP_ID, "name": APP_NAME, "link": APP_LINK}
    return pick_fields(facts, call.query.get("fields"), ("name", "link"))


async def read_app_token(emulator: Emulator, call: Call) -> dict[str, str]:
    """GET /oauth/access_token: the app's token for its id and secret. Raises GraphError."""
    given = await call.parameters()
    if str(given.get("client_id")) != defaults.APP_ID or given.get("client_secret") != emulator.options.app_secret:
        raise GraphError(101, "Error validating application. Cannot get application info due to a system error.")
    return {"access_token": app_token(emulator.options.app_secret), "token_type": "bearer"}


async def subscribe_app(emulator: Emulator, call: Call) -> dict[str, bool]:
    """POST /{app_id}/subscriptions: the app's own address, for everything that no override takes. Raises GraphError."""
    given = await call.parameters()
    if given.get("object") != "whatsapp_business_account":
        raise bad_parameter("Param object must be whatsapp_business_account.")
    named = {"override_callback_uri": given.get("callback_url"), "verify_token": given.get("verify_token")}
    callback = await read_callback(emulator, named)
    if callback is None:
        raise bad_parameter("The parameter callback_url is required.")
    emulator.world.state.app_callback = callback
    emulator.save()
    return {"success": True}


async def list_app_subscriptions(emulator: Emulator, _call: Call) -> dict[str, Any]:
    callback = emulator.world.state.app_callback
    if callback is None:
        return {"data": []}
    fields = [{"name": "messages", "version": "v26.0"}]
    subscription = {
        "object": "whatsapp_business_account",
        "callback_url": callback.url,
        "active": True,
        "fields": fields,
    }
    return {"data": [subscription]}


async def unsubscribe_app(emulator: Emulator, _call: Call) -> dict[str, bool]:
    emulator.world.state.app_callback = None
    emulator.save()
    return {"success": True}


async def configure_number(emulator: Emulator, number_id: str, wanted: Any) -> None:
    """The webhook_configuration of POST /{phone_number_id}; an empty address takes the override away. Raises GraphError."""
    if not isinstance(wanted, dict):
        raise bad_parameter("Param webhook_configuration must be a JSON object.")
    number = emulator.world.state.numbers[number_id]
    number.callback = await read_callback(emulator, wanted)


async def read_callback(emulator: Emulator, given: dict[str, Any]) -> Callback | None:
    """The address that a call names, verified; None when it names none. Raises GraphError."""
    url, word = given.get("override_callback_uri"), given.get("verify_token")
    if url is None or url == "":
        return None
    if not isinstance(url, str) or not isinstance(word, str) or not word:
        raise bad_parameter("override_callback_uri and verify_token must be given together.")
    callback = Callback(url, word)
    await verify(emulator, callback)
    return callback


async def verify(emulator: Emulator, callback: Callback) -> None:
    """Ask the address as Meta does: 200 and the challenge, nothing else. Raises GraphError."""
    challenge = str(secrets.randbelow(9 * 10**9) + 10**9)
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": callback.verify_token}
    try:
        url = URL(callback.url).update_query(query)
        within = aiohttp.ClientTimeout(total=VERIFY_WITHIN_S)
        async with emulator.outbox.session.get(url, allow_redirects=False, timeout=within) as answer:
            body = await answer.content.read(1000)
            if answer.status == 200 and body == challenge.encode():
                return
            reason = f"HTTP Status Code = {answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        reason = type(error).__name__
    raise GraphError(
        2200,
        f"(#2200) Callback verification failed with the following errors: {reason}; the answer must be the challenge.",
    )
