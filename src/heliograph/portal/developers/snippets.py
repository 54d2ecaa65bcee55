"""The first request in each language, ready to paste: this installation's address, this account's sender."""

import json
import re

from markupsafe import Markup, escape
from msgspec import Struct

YOUR_TOKEN = "YOUR_TOKEN"  # noqa: S105 - what stands in a snippet until there is a token
EXAMPLE_RECIPIENT = "31612345678"
EXAMPLE_TEXT = "This is a test message"


class Snippet(Struct, frozen=True):
    """One way to say it. `text` runs as it stands."""

    name: str
    text: str

    def html(self) -> Markup:
        return highlight(self.text)


CURL = """\
curl -X POST {base}/api/v3/sms/send \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' \\
  -H 'Accept: application/json' \\
  -d '{{
    "recipient": "{recipient}",
    "sender_id": "{sender}",
    "type": "whatsapp",
    "message": "{text}"
  }}'
"""
PYTHON = """\
import json
import urllib.request

request = urllib.request.Request(
    "{base}/api/v3/sms/send",
    headers={{
        "Authorization": "Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }},
    data=json.dumps({{
        "recipient": "{recipient}",
        "sender_id": "{sender}",
        "type": "whatsapp",
        "message": "{text}",
    }}).encode(),
)
with urllib.request.urlopen(request, timeout=10) as answer:
    print(json.load(answer)["data"]["uid"])
"""
PHP = """\
<?php
$call = curl_init('{base}/api/v3/sms/send');
curl_setopt_array($call, [
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_HTTPHEADER => [
        'Authorization: Bearer {token}',
        'Content-Type: application/json',
        'Accept: application/json',
    ],
    CURLOPT_POSTFIELDS => json_encode([
        'recipient' => '{recipient}',
        'sender_id' => '{sender}',
        'type' => 'whatsapp',
        'message' => '{text}',
    ]),
]);
echo json_decode(curl_exec($call))->data->uid, "\\n";
"""
JAVASCRIPT = """\
const answer = await fetch("{base}/api/v3/sms/send", {{
  method: "POST",
  headers: {{
    "Authorization": "Bearer {token}",
    "Content-Type": "application/json",
    "Accept": "application/json",
  }},
  body: JSON.stringify({{
    recipient: "{recipient}",
    sender_id: "{sender}",
    type: "whatsapp",
    message: "{text}",
  }}),
}});
console.log((await answer.json()).data.uid);
"""
GO = """\
package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

func main() {{
	body := strings.NewReader(`{{
		"recipient": "{recipient}",
		"sender_id": "{sender}",
		"type": "whatsapp",
		"message": "{text}"
	}}`)
	request, err := http.NewRequest("POST", "{base}/api/v3/sms/send", body)
	if err != nil {{
		panic(err)
	}}
	request.Header.Set("Authorization", "Bearer {token}")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {{
		panic(err)
	}}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	fmt.Println(string(text))
}}
"""
C_SHARP = """\
using System.Net.Http.Headers;
using System.Net.Http.Json;

using var http = new HttpClient();
http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "{token}");
http.DefaultRequestHeaders.Accept.ParseAdd("application/json");
var answer = await http.PostAsJsonAsync("{base}/api/v3/sms/send", new
{{
    recipient = "{recipient}",
    sender_id = "{sender}",
    type = "whatsapp",
    message = "{text}",
}});
Console.WriteLine(await answer.Content.ReadAsStringAsync());
"""
HTTP_API = """\
curl -X POST {base}/api/http/sms/send \\
  -H 'Accept: application/json' \\
  --data-urlencode 'api_token={token}' \\
  --data-urlencode 'recipient={recipient}' \\
  --data-urlencode 'sender_id={sender}' \\
  --data-urlencode 'type=whatsapp' \\
  --data-urlencode 'message={text}'
"""
LANGUAGES = (("curl", CURL), ("Python", PYTHON), ("PHP", PHP), ("JavaScript", JAVASCRIPT), ("Go", GO), ("C#", C_SHARP))


def make_snippets(base_url: str, token: str, sender: str) -> list[Snippet]:
    return [make_snippet(name, text, base_url, token, sender) for name, text in LANGUAGES]


def make_http_snippet(base_url: str, token: str, sender: str) -> Snippet:
    return make_snippet("curl", HTTP_API, base_url, token, sender)


def make_snippet(name: str, text: str, base_url: str, token: str, sender: str) -> Snippet:
    # A sender's name has no character but the apostrophe that means something in one of these languages; the shell
    # and PHP end their quotes there.
    quoted = {"curl": sender.replace("'", "'\\''"), "PHP": sender.replace("'", "\\'")}.get(name, sender)
    filled = text.format(
        base=base_url, token=token, sender=quoted, recipient=EXAMPLE_RECIPIENT, text=json.dumps(EXAMPLE_TEXT)[1:-1]
    )
    return Snippet(name, filled)


TOKENS = re.compile(
    r"(?P<s>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`)"
    r"|(?P<k>\b(?:import|with|as|print|const|await|echo|true|package|func|if|err|nil|panic|defer|using|var|new|return)\b)"
    r"|(?P<n>\b\d+\b)"
)


def highlight(text: str) -> Markup:
    """Strings, keywords and numbers in spans; enough for a few lines that we wrote ourselves."""
    parts: list[str] = []
    at = 0
    for found in TOKENS.finditer(text):
        parts.append(str(escape(text[at : found.start()])))
        parts.append(f'<span class="{found.lastgroup}">{escape(found.group())}</span>')
        at = found.end()
    parts.append(str(escape(text[at:])))
    return Markup("".join(parts))  # noqa: S704 - every part was escaped above
