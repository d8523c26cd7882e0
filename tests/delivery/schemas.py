"""Checks messages against the schemas that are published in docs/schemas."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def check(name: str, document: Any) -> None:
    """Fails with every violation."""
    errors = [f"{e.json_path}: {e.message}" for e in validator(name).iter_errors(document)]
    assert not errors, f"{name}: {errors}"


def check_message(topic: str, payload: bytes) -> None:
    """Checks a message by its topic; payloads that a test made up are passed over."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    if topic.endswith("/reads") and "specversion" in document:
        check("read.v1", document)
        check("read-data.v1", document["data"])
    elif topic.endswith("/reads") and "schema" in document:
        check("read-data.v1", document)
    elif topic.endswith("/state") and document.get("state") == "offline":
        check("offline.v1", document)
    elif topic.endswith("/state") and "link" in document:
        check("state.v1", document)
    elif topic.endswith("/receipts") and "ids" in document:
        check("receipt.v1", document)
    elif topic.endswith("/responses") and "outcome" in document:
        check("response.v1", document)
