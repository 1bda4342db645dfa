"""The description of all routes, as OpenAPI 3.1."""

from typing import Any

from local.simulator.files import MEDIA_TYPES, SAMPLE_FILES
from local.simulator.samples import TYPES
from local.simulator.switches import SWITCHES
from local.simulator.templates import STATUSES

__all__ = ["description"]

JSON = dict[str, Any]

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_WHOLE = {"type": "integer"}
_OBJECT = {"type": "object"}

_CUSTOMER = {
    "name": _TEXT,
    "username": {**_TEXT, "description": "without @"},
    "online": _FLAG,
    "reads": {**_FLAG, "description": "reads by themselves what arrives"},
    "from_form": {"enum": ["with", "without", None], "description": "ninth digit"},
    "on_whatsapp": {**_FLAG, "description": "false: sends are refused with 131026"},
}
_MESSAGE = {
    "text": _TEXT,
    "type": {"type": "string", "default": "text", "examples": list(TYPES)},
    "name": {**_TEXT, "description": "the profile name from now on"},
    "reply_to": {**_TEXT, "description": "wamid answered, reacted to, edited or revoked"},
    "payload": {**_OBJECT, "description": "laid over the message; null takes a field away"},
    "contact": {
        "type": ["object", "null"],
        "description": "laid over the entry of contacts; null leaves contacts out",
    },
    "timestamp": {**_WHOLE, "description": "seconds since 1970"},
    "count": {**_WHOLE, "default": 1, "maximum": 10_000},
    "emoji": {**_TEXT, "description": "of a reaction; empty takes it back"},
    "group": {**_TEXT, "description": "id of the group it is written in; unknown ones are made"},
    "referral": {
        "type": ["boolean", "object"],
        "description": "the ad that the customer came from; true: a sample",
    },
    "forwarded": {"enum": [True, "once", "frequently"]},
    "sample": {
        **_TEXT,
        "description": "the file that is sent",
        "examples": [name for files in SAMPLE_FILES.values() for name in files],
    },
}
_FILES = {
    "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
    "caption": {**_TEXT, "description": "of the first"},
    "type": {"enum": list(MEDIA_TYPES), "description": "else by the MIME type"},
    "mime_type": {**_TEXT, "description": "as told, whatever the file is"},
    "filename": {**_TEXT, "description": "as told"},
    "sha256": {**_TEXT, "description": "as told"},
    "voice": _FLAG,
    "animated": _FLAG,
    "size": {**_WHOLE, "description": "bytes; the file goes on with zeros up to it"},
    "reply_to": _TEXT,
}
_ON_THE_PHONE = {
    "to": {**_TEXT, "description": "phone, BSUID or @username"},
    **{
        name: _MESSAGE[name]
        for name in ("text", "type", "reply_to", "payload", "timestamp", "emoji")
    },
    "group": {**_TEXT, "description": "id of a group in which that customer has written"},
}


def _operation(
    summary: str,
    body: JSON | None = None,
    required: tuple[str, ...] = (),
    status: int = 200,
    media_type: str = "application/json",
) -> JSON:
    operation: JSON = {"summary": summary, "responses": {str(status): {"description": "done"}}}
    if body is not None:
        schema: JSON = {"type": "object", "properties": body, "additionalProperties": False}
        if required:
            schema["required"] = list(required)
        operation["requestBody"] = {"content": {media_type: {"schema": schema}}}
        operation["responses"]["422"] = {"description": "the field named in error.field is wrong"}
    return operation


def _switch_properties() -> JSON:
    return {
        name: {**switch.schema, "default": switch.default, "description": switch.description}
        for name, switch in SWITCHES.items()
    }


def _paths() -> dict[str, JSON]:
    any_graph = {"type": "object", "description": "as in Meta's reference"}
    graph_body = {"content": {"application/json": {"schema": any_graph}}}
    return {
        "/": {"get": _operation("The customer's phone, a page")},
        "/customers": {
            "get": _operation("All customers"),
            "post": _operation(
                "Add a customer, or change the one with this phone or bsuid",
                {"phone": _TEXT, "bsuid": _TEXT, **_CUSTOMER},
                status=201,
            ),
        },
        "/customers/{phone}": {
            "get": _operation("One customer, by phone, BSUID or @username"),
            "patch": _operation("Change a customer", _CUSTOMER),
        },
        "/customers/{phone}/messages": {
            "get": _operation(
                "What is on the phone; ?all=1 also what is on its way or failed. direction: in = "
                "from the business, out = written by the customer"
            ),
            "post": _operation("The customer writes; unknown numbers are added", _MESSAGE, (), 201),
        },
        "/customers/{phone}/media": {
            "post": _operation(
                "The customer sends files, as a form; the webhook tells what the fields say",
                _FILES,
                ("file",),
                201,
                "multipart/form-data",
            )
        },
        "/business/messages": {
            "post": _operation(
                "The business writes on its own phone; the webhook gets an echo",
                _ON_THE_PHONE,
                ("to",),
                201,
            )
        },
        "/customers/{phone}/online": {"post": _operation("Back in reach")},
        "/customers/{phone}/offline": {"post": _operation("Out of reach")},
        "/customers/{phone}/read": {"post": _operation("Reads everything on the phone")},
        "/customers/{phone}/change-number": {
            "post": _operation(
                "Takes another number, and gets another BSUID with it",
                {
                    "new_phone": _TEXT,
                    "variant": {"enum": ["both", "system", "user_id_update"], "default": "both"},
                },
                ("new_phone",),
            )
        },
        "/switches": {
            "get": _operation("All faults"),
            "patch": _operation("Switch some on or off", _switch_properties()),
            "delete": _operation("All off"),
        },
        "/templates": {
            "get": _operation("The business's message templates"),
            "put": _operation(
                "Add a template, or change some fields of the one of that name and language",
                {
                    "name": _TEXT,
                    "language": {**_TEXT, "default": "pt_BR"},
                    "status": {"enum": list(STATUSES)},
                    "category": {"enum": ["UTILITY", "MARKETING", "AUTHENTICATION"]},
                    "components": {"type": "array", "description": "as in Meta's reference"},
                    "rejected_reason": _TEXT,
                    "parameter_format": {"enum": ["POSITIONAL", "NAMED"]},
                },
                ("name",),
            ),
        },
        "/templates/{name}": {"delete": _operation("Delete a template in all its languages")},
        "/deliveries": {"get": _operation("Counters of the webhooks; idle when all is done")},
        "/webhooks/raw": {
            "post": _operation(
                "One signed POST of any payload, at once; gives the status",
                {"body": {"type": ["object", "string"]}, "bad_signature": _FLAG},
                ("body",),
            )
        },
        "/bursts": {
            "post": _operation(
                "Many customers write many messages",
                {
                    "customers": {**_WHOLE, "default": 1},
                    "messages": {**_WHOLE, "default": 1, "description": "of each customer"},
                    "batch": {**_WHOLE, "default": 1000, "description": "updates a POST"},
                    "text": _TEXT,
                },
                status=202,
            )
        },
        "/reset": {"post": _operation("No customers, no faults, nothing on its way")},
        "/openapi.json": {"get": _operation("This")},
        "/{version}/{phone-number-id}/messages": {
            "post": {**_operation("Send; mark read; typing"), "requestBody": graph_body}
        },
        "/{version}/{business-account-id}/message_templates": {
            "get": _operation("A page of the templates: fields, limit, after")
        },
        "/{version}/{phone-number-id}/media": {
            "post": _operation(
                "Give WhatsApp a file, a form of messaging_product, type, file; kept 30 days"
            )
        },
        "/{version}/{media-id}": {
            "get": _operation("Where to download a file, for five minutes"),
            "delete": _operation("Forget a file"),
        },
    }


def description(url: str) -> JSON:
    """The whole document.

    Args:
        url: where the simulator serves.
    """
    paths = _paths()
    for path, operations in paths.items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if names:
            operations["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
            ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "WhatsApp simulator", "version": "1"},
        "servers": [{"url": url}],
        "paths": paths,
    }
