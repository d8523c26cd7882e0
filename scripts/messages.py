"""Writes what stands on the wire, from the types in `alpr_edge.delivery.wire`.

docs/schemas/*.json (JSON Schema), docs/asyncapi.json (AsyncAPI 3.0.0), docs/messages.md (the page).
`--check` writes nothing and fails if a file is not what the types say.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from alpr_edge.delivery import wire

ROOT = Path(__file__).resolve().parents[1]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Message:
    """One kind of message: name, type, title, and the words for it."""

    name: str
    type: Any
    title: str
    content_type: str = "application/json"


@dataclass(frozen=True)
class Channel:
    """One topic below PREFIX/DEVICE."""

    name: str
    action: str
    messages: tuple[str, ...]
    text: str


MESSAGES = (
    Message(
        "read.v1", wire.ReadEvent, "A read, structured CloudEvents 1.0",
        "application/cloudevents+json",
    ),
    Message("read-data.v1", wire.ReadData, "A read's data: the payload in binary mode (MQTT 5)"),
    Message("state.v1", wire.State, "Health"),
    Message("offline.v1", wire.Offline, "The last word"),
    Message("receipt.v1", wire.Receipt, "The application has stored events"),
    Message("response.v1", wire.Response, "The answer to a request"),
)  # fmt: skip
CHANNELS = (
    Channel("reads", "send", ("read.v1", "read-data.v1"), "Reads, QoS 1, never retained. In binary "
            "mode the CloudEvents attributes are MQTT 5 user properties."),
    Channel("state", "send", ("state.v1", "offline.v1"), "Health, retained; also the last will."),
    Channel("receipts", "receive", ("receipt.v1",), "The receiving application answers here."),
    Channel("responses", "send", ("response.v1",), "Answers, unless the request names a topic."),
    Channel("requests", "receive", (), "Requests of the city: a DSSE envelope of kind `command`, "
            "described in docs/delivery.md."),
)  # fmt: skip


def schema(message: Message) -> dict[str, Any]:
    """JSON Schema of one message; an object may have more members than are listed."""
    found = TypeAdapter(message.type).json_schema()
    found.pop("title", None)
    identifier = (
        wire.READ_SCHEMA
        if message.name == "read-data.v1"
        else (f"urn:x-alpr-edge:schema:{message.name}")
    )
    return {"$schema": DIALECT, "$id": identifier, "title": message.title, **found}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document, seen from the device."""
    parameters = {
        "prefix": {"description": "mqtt.topic_prefix", "default": "alpr-edge"},
        "device": {"description": "device.id"},
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for one in CHANNELS:
        names = one.messages or ("request",)
        channels[one.name] = {
            "address": f"{{prefix}}/{{device}}/{one.name}",
            "description": one.text,
            "parameters": parameters,
            "messages": {key(n): {"$ref": f"#/components/messages/{key(n)}"} for n in names},
            "bindings": {"mqtt": {"bindingVersion": "0.2.0"}},
        }
        operations[f"{one.action}_{one.name}"] = {
            "action": one.action,
            "channel": {"$ref": f"#/channels/{one.name}"},
            "bindings": {
                "mqtt": {"qos": 1, "retain": one.name == "state", "bindingVersion": "0.2.0"}
            },
        }
    request = {
        "title": "A signed request of the city",
        "contentType": "application/json",
        "payload": {
            "type": "object",
            "required": ["payload", "payloadType", "signatures"],
            "properties": {
                "payload": {"type": "string", "contentEncoding": "base64"},
                "payloadType": {"const": "application/vnd.alpr-edge.command+json"},
                "signatures": {"type": "array", "items": {"type": "object"}},
            },
        },
    }
    messages = {
        key(m.name): {
            "title": m.title,
            "contentType": m.content_type,
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-07",
                "schema": flat(m),
            },
        }
        for m in MESSAGES
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "alpr-edge",
            "version": "1.0.0",
            "description": "What a plate reader sends and hears over MQTT 5 or 3.1.1.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {**messages, "request": request}},
    }


def key(name: str) -> str:
    """A message's name as AsyncAPI's maps take it."""
    return name.replace(".", "-")


def flat(message: Message) -> Any:
    """The schema without references: parsers resolve `$defs` inside a message differently."""
    whole = schema(message)
    definitions = whole.pop("$defs", {})
    for name in ("$schema", "$id", "title"):
        whole.pop(name, None)

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                target = resolve(definitions[value["$ref"].rsplit("/", 1)[1]])
                return target | {k: v for k, v in value.items() if k != "$ref"}
            items = {k: resolve(v) for k, v in value.items()}
            prefix = items.pop("prefixItems", None)
            if prefix is not None:
                items["items"] = prefix
            return items
        return [resolve(one) for one in value] if isinstance(value, list) else value

    return resolve(whole)


# --- the page --------------------------------------------------------------------------------

HEAD = """\
# Messages

Written by `scripts/messages.py` from `src/alpr_edge/delivery/wire.py`; every message that the tests
send is checked against it. Machine-readable: [asyncapi.json](asyncapi.json) (AsyncAPI 3.0) and
[schemas](schemas/read.v1.json). What the messages are for: [delivery.md](delivery.md).

`PREFIX` is `mqtt.topic_prefix`, `DEVICE` is `device.id`. New fields may be added: take no offence
at one that you do not know. A field that changes its meaning changes the version in `type` and
`schema`.

| topic | device | retained | messages |
| --- | --- | --- | --- |
"""


def page() -> str:
    """docs/messages.md."""
    lines = [HEAD]
    titles = {m.name: m.title for m in MESSAGES}
    for one in CHANNELS:
        kinds = "; ".join(titles[n] for n in one.messages) or "signed requests"
        verb = {"send": "sends", "receive": "hears"}[one.action]
        retained = "yes" if one.name == "state" else "never"
        lines.append(f"| `PREFIX/DEVICE/{one.name}` | {verb} | {retained} | {kinds} |\n")
    for message in MESSAGES:
        lines.append(f"\n## {message.title}\n\n")
        if message.name == "read.v1":
            lines.append("`data` is described below.\n\n")
        lines += table(message)
    return "".join(lines)


def table(message: Message) -> list[str]:
    """Every field with its type and words, nested ones with a dotted name."""
    whole = schema(message)
    definitions = whole.get("$defs", {})
    rows = ["| field | type | what |\n| --- | --- | --- |\n"]

    def add(node: dict[str, Any], prefix: str) -> None:
        for name, field in node.get("properties", {}).items():
            inner = target(field, definitions)
            full = f"{prefix}{name}"
            what = field.get("description") or inner.get("description", "")
            what = " ".join(what.split()).replace("|", "\\|")
            rows.append(f"| `{full}` | {kind(field, definitions)} | {what} |\n")
            if "properties" in inner and not (message.name == "read.v1" and name == "data"):
                add(inner, f"{full}.")

    add(whole, "")
    return rows


def target(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a field refers to, null aside."""
    for one in (field, *field.get("anyOf", [])):
        if "$ref" in one:
            found = definitions[one["$ref"].rsplit("/", 1)[1]]
            assert isinstance(found, dict)
            return found
    return {}


def kind(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A field's type in a word or two."""
    if "anyOf" in field:
        return " or ".join(kind(one, definitions) for one in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if "$ref" in field:
        return "object"
    if field.get("type") == "array":
        inner = field.get("items", {})
        return f"list of {kind(inner, definitions)}" if inner else "list"
    return str(field.get("type", "any"))


def files() -> dict[Path, str]:
    """Every file with its content."""

    def text(document: Any) -> str:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    found = {ROOT / f"docs/schemas/{m.name}.json": text(schema(m)) for m in MESSAGES}
    found[ROOT / "docs/asyncapi.json"] = text(asyncapi())
    found[ROOT / "docs/messages.md"] = page()
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="compare, write nothing")
    mode.add_argument("--write", action="store_true", help="write the files")
    write = parser.parse_args().write
    stale = []
    for path, content in files().items():
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != content:
            stale.append(path.relative_to(ROOT).as_posix())
    if stale:
        print(f"not what the types say, run `make fix`: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
