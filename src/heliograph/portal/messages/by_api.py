"""The call that a program makes to send what a person sent here."""

import json
import shlex
from typing import Any

from heliograph.portal.developers.snippets import Snippet
from heliograph.store.messages import Message


def curl_of(message: Message, template: dict[str, Any] | None, base_url: str, token: str) -> Snippet:
    """Runs as it stands, once `token` is one."""
    body: dict[str, Any] = {"recipient": message.person, "sender_id": message.sender, "type": "whatsapp"}
    if template:
        body["template"] = template
    else:
        body["message"] = message.text
        if message.media_url:
            body["media_url"] = message.media_url
    lines = [
        f"curl -X POST {base_url}/api/v3/sms/send",
        f"-H 'Authorization: Bearer {token}'",
        "-H 'Content-Type: application/json'",
        "-H 'Accept: application/json'",
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}",
    ]
    return Snippet("curl", " \\\n  ".join(lines) + "\n")
