"""The OpenAPI 3.1 description of the API, built from the route table: an address without a description fails to build."""

from typing import Any

import heliograph
from heliograph.api.error_codes import ERROR_CODES
from heliograph.api.http import plain_path
from heliograph.api.routes import ROUTES, Route
from heliograph.core.statuses import V3_WORD

Json = dict[str, Any]

DESCRIPTION = """\
Send and receive WhatsApp messages. Two flavours carry the same operations: `/api/v3` takes the token in the `Authorization`
header, `/api/http` takes it as `api_token` in the body or the query. Every answer has the same envelope; `status` is
`success` or `error`. A message that was answered with success is on disk."""


def text(description: str, **more: Any) -> Json:
    return {"type": "string", "description": description, **more}


def integer(description: str, **more: Any) -> Json:
    return {"type": "integer", "description": description, **more}


def optional(schema: Json) -> Json:
    return {**schema, "type": [schema["type"], "null"]}


MESSAGE_KEYS: Json = {
    "uid": text("Identifies the message; opaque."),
    "to": text("Digits of the recipient's number (of several: joined by commas); for incoming ones our number."),
    "from": text("The sender id; for incoming ones the outside number."),
    "message": text("The text."),
    "status": text("What is known of it.", enum=sorted(set(V3_WORD.values()))),
    "cost": text("Units, as a plain decimal."),
    "sms_count": integer("Number of parts."),
    "sms_type": text("The channel."),
    "direction": text("Which way.", enum=["outgoing", "incoming"]),
    "media_url": optional(text("The image that went along.")),
    "schedule_time": optional(text("When it leaves, if later than at once.", format="date-time")),
    "created_at": text("When it was accepted.", format="date-time"),
    "updated_at": text("When its status last changed.", format="date-time"),
    "failure": {
        "type": "object",
        "description": "Present when it failed or its fate is unknown.",
        "properties": {"code": text("Stable word."), "message": {"type": ["string", "null"]}},
        "required": ["code", "message"],
    },
}
REQUIRED_KEYS = [key for key in MESSAGE_KEYS if key != "failure"]

SEND_FIELDS: Json = {
    "recipient": {
        "description": "Number with country code; several as a comma-separated text or a list. A person who hides the number "
        "is written to by the id that `from` of their message shows.",
        "anyOf": [
            {"type": "string", "examples": ["31612345678"]},
            {"type": "integer"},
            {"type": "array", "items": {"type": ["string", "integer"]}},
        ],
    },
    "sender_id": optional(
        text(
            "A registered sender: a name of at most 11 characters, or a number. Needed unless the account has a default.",
            examples=["YourName"],
        )
    ),
    "type": optional(text("`whatsapp`. Absent: the channel of the sender.", examples=["whatsapp"])),
    "message": optional(
        text(
            "The text, at most 4096 characters; 1024 with an image. Needed unless there is an image or a template.",
            examples=["This is a test message"],
        )
    ),
    "media_url": optional(text("Address of an image; the text becomes its caption.", format="uri")),
    "schedule_time": optional(
        text(
            "When to send: `Y-m-d H:i` in the account's zone, or RFC 3339 with an offset.",
            examples=["2030-01-02 07:00"],
        )
    ),
    "template": {
        "type": ["object", "null"],
        "description": "Extension: a template as the Cloud API takes it; replaces text and image.",
        "properties": {
            "name": {"type": "string"},
            "language": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
            "components": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["name", "language"],
    },
}

SCHEMAS: Json = {
    "Message": {"type": "object", "properties": MESSAGE_KEYS, "required": REQUIRED_KEYS},
    "SentMessages": {
        "type": "object",
        "description": "One message, or with `messages` and `rejected` several.",
        "properties": {
            **MESSAGE_KEYS,
            "messages": {"type": "array", "items": {"$ref": "#/components/schemas/Message"}},
            "rejected": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"recipient": {"type": "string"}, "message": {"type": "string"}},
                    "required": ["recipient", "message"],
                },
            },
        },
        "required": REQUIRED_KEYS,
    },
    "CancelledMessage": {
        "type": "object",
        "properties": {**MESSAGE_KEYS, "result": {"const": "cancelled"}},
        "required": [*REQUIRED_KEYS, "result"],
    },
    "MessagePage": {
        "type": "object",
        "properties": {
            "current_page": integer("From 1."),
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Message"}},
            "first_page_url": text("Address of page 1."),
            "from": {"type": ["integer", "null"]},
            "last_page": integer("How many pages there are."),
            "last_page_url": text("Address of the last page."),
            "links": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "url": {"type": ["string", "null"]},
                        "label": {"type": "string"},
                        "active": {"type": "boolean"},
                    },
                    "required": ["url", "label", "active"],
                },
            },
            "next_page_url": {"type": ["string", "null"]},
            "path": text("Address of the list."),
            "per_page": integer("Rows a page."),
            "prev_page_url": {"type": ["string", "null"]},
            "to": {"type": ["integer", "null"]},
            "total": integer("Rows altogether."),
            "next_cursor": {"type": ["string", "null"], "description": "Give it as `cursor` for the rows that follow."},
            "total_is_exact": {
                "type": "boolean",
                "description": "False where a filtered list was counted up to 10,000 only.",
            },
        },
        "required": [
            *("current_page", "data", "first_page_url", "from", "last_page", "last_page_url", "links"),
            *("next_page_url", "path", "per_page", "prev_page_url", "to", "total", "next_cursor"),
        ],
    },
    "Explanation": {
        "type": "object",
        "properties": {
            "uid": {"type": "string"},
            "state": {"type": "string"},
            "status": {"type": "string"},
            "summary": text("A sentence for people."),
            "steps": {
                "type": "array",
                "description": "The evidence, oldest first.",
                "items": {
                    "type": "object",
                    "properties": {
                        "step": {"type": "string"},
                        "at": {"type": "string", "format": "date-time"},
                        "source": {"type": "string"},
                        "sentence": {"type": ["string", "null"]},
                        "code": {"type": "string"},
                        "carrier_code": {"type": "string"},
                        "raw": {"description": "What the carrier said, as it said it."},
                    },
                    "required": ["step", "at", "source"],
                },
            },
            "next_attempt": {
                "type": ["object", "null"],
                "properties": {
                    "at": {
                        "type": ["string", "null"],
                        "format": "date-time",
                        "description": "null: when the cause of `hold` is mended.",
                    },
                    "attempt": integer("Which one it will be, or is."),
                    "under_way": {"type": "boolean"},
                },
                "required": ["at", "attempt", "under_way"],
            },
            "hold": {
                "type": ["object", "null"],
                "description": "Why the sender stands still, where it does: its messages wait.",
                "properties": {
                    "code": text("Stable word."),
                    "message": text("A sentence for people."),
                    "until": {"type": ["string", "null"], "format": "date-time"},
                },
                "required": ["code", "message", "until"],
            },
            "carrier": {"type": ["object", "null"]},
        },
        "required": ["uid", "state", "status", "summary", "steps", "next_attempt", "hold", "carrier"],
    },
    "Error": {
        "type": "object",
        "properties": {
            "status": {"const": "error"},
            "message": text("A sentence for people.", minLength=1),
            "code": text("A stable word for programs.", enum=sorted(ERROR_CODES)),
            "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "request_id": text("Quote it when you ask for help."),
            "doc_url": text("What the code means."),
        },
        "required": ["status", "message", "code", "request_id", "doc_url"],
    },
}


def query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


STRING: Json = {"type": "string"}
LIST_PARAMETERS = [
    query("page", {"type": "integer", "minimum": 1}, "Which page."),
    query("per_page", {"type": "integer", "minimum": 1, "maximum": 100}, "Rows a page; 25 by default."),
    query(
        "cursor",
        {"type": "string", "pattern": "^[0-9]{1,18}$"},
        "`next_cursor` of the page before; stays put while messages arrive.",
    ),
    query("status", {"type": "string", "enum": sorted(set(V3_WORD.values()))}, "Only messages with this status."),
    query("direction", {"type": "string", "enum": ["outgoing", "incoming"]}, "Only this direction."),
    query("recipient", STRING, "Only messages with this person."),
    query("since", STRING, "Accepted at or after this time."),
    query("until", STRING, "Accepted before this time."),
]
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "The same key and the same request get the same answer for 24 hours, and nothing is done twice.",
}

# What each address does: (summary, schema of `data`). A route that is missing here fails to build the document.
OPERATIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("POST", "/sms/send"): ("Send a message", "SentMessages"),
    ("GET", "/sms/send"): ("Send a message by query", "SentMessages"),
    ("POST", "/sms"): ("Send a message", "SentMessages"),
    ("GET", "/sms"): ("List messages, newest first", "MessagePage"),
    ("GET", "/sms/{uid}"): ("View one message", "Message"),
    ("GET", "/sms/send/{uid}"): ("View one message", "Message"),
    ("GET", "/sms/{uid}/explain"): ("Explain what happened to a message", "Explanation"),
    ("POST", "/sms/{uid}/cancel"): ("Cancel a message that has not left", "CancelledMessage"),
    ("POST", "/sms/{uid}/read"): ("Mark an incoming message as read", "Message"),
}
NOT_YET = frozenset({"/sms/campaign"})


def build_openapi(base_url: str) -> Json:
    """The document as JSON values. Raises KeyError for a route that nobody has described."""
    paths: Json = {}
    for flavour in ("v3", "http"):
        for route in ROUTES:
            if flavour not in route.flavours or route.path in NOT_YET:
                continue
            path = plain_path(f"/api/{flavour}{route.path}")
            paths[path] = {
                method.lower(): describe_operation(flavour, method, route) for method in sorted(route.handlers)
            }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Heliograph",
            "version": heliograph.__version__,
            "summary": "WhatsApp messages by REST",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "tags": [
            {"name": "v3", "description": "Token in the header"},
            {"name": "http", "description": "Token in the body"},
        ],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token from the developers' section."},
                "api_token": {"type": "apiKey", "in": "query", "name": "api_token", "description": "Also in the body."},
            },
        },
    }


def describe_operation(flavour: str, method: str, route: Route) -> Json:
    summary, schema = OPERATIONS[method, route.path]
    name = "_".join(part.strip("{}") for part in route.path.split("/") if part)
    operation: Json = {
        "operationId": f"{flavour}_{method.lower()}_{name}",
        "summary": summary,
        "tags": [flavour],
        "security": [{"token": []}] if flavour == "v3" else [{"token": []}, {"api_token": []}],
        "parameters": list_parameters(method, route),
        "responses": describe_answers(schema),
    }
    if schema == "SentMessages" and method == "POST":
        operation["requestBody"] = {
            "required": True,
            "content": {
                kind: {
                    "schema": {
                        "type": "object",
                        "properties": SEND_FIELDS
                        if flavour == "v3"
                        else {"api_token": text("The token, where no header has it."), **SEND_FIELDS},
                        "required": ["recipient"],
                    }
                }
                for kind in ("application/json", "application/x-www-form-urlencoded")
            },
        }
    return operation


def list_parameters(method: str, route: Route) -> list[Json]:
    found: list[Json] = []
    if "{uid}" in route.path:
        found.append(
            {
                "name": "uid",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
                "description": "Identifies the message; the send answered it.",
            }
        )
    if (method, route.path) == ("GET", "/sms"):
        found += LIST_PARAMETERS
    if (method, route.path) == ("GET", "/sms/send"):
        plain = ("recipient", "sender_id", "type", "message", "media_url", "schedule_time")
        found += [query(name, STRING, SEND_FIELDS[name].get("description", "")) for name in plain]
    if method == "POST":
        found.append(IDEMPOTENCY_KEY)
    return found


def describe_answers(schema: str) -> Json:
    answers: Json = {
        "200": {
            "description": "Success.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "status": {"const": "success"},
                            "message": {"type": ["string", "null"]},
                            "data": {"$ref": f"#/components/schemas/{schema}"},
                        },
                        "required": ["status", "message", "data"],
                    }
                }
            },
        }
    }
    by_status: dict[int, list[str]] = {}
    for code, known in ERROR_CODES.items():
        by_status.setdefault(known.http_status, []).append(code)
    for status, codes in sorted(by_status.items()):
        answers[str(status)] = {
            "description": " ".join(ERROR_CODES[code].meaning for code in codes),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    return answers
