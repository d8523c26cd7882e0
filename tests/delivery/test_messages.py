"""The published schemas, AsyncAPI document and page are what the types say, and say enough."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from delivery_samples import sample_event
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemas import FOLDER, check, validator

from alpr_edge.delivery.receipts import make_receipt

ROOT = Path(__file__).resolve().parents[2]
EVENT = json.loads(sample_event().to_json())


def test_the_files_are_what_the_types_say() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "messages.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_schema_is_one(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every member of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, one in inner:
        found.append((*path, key))
        if isinstance(one, dict):
            found += leaves(one, (*path, key))
    return found


@pytest.mark.parametrize("path", leaves(EVENT), ids=lambda path: ".".join(map(str, path)))
def test_an_event_without_any_one_member_is_invalid(path: tuple[Any, ...]) -> None:
    check("read.v1", EVENT)
    damaged = copy.deepcopy(EVENT)
    place = damaged
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    assert not validator("read.v1").is_valid(damaged)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("data", "usage", "training_mining", "cawg.ai_training", "use"), "allowed"),
        (("data", "confidence"), 1.5),
        (("data", "corners"), [[0, 0]] * 3),
        (("id",), "7"),
        (("time",), "yesterday"),
        (("type",), "alpr-edge.read.v2"),
        (("data", "provenance", "model"), "none"),
    ],
)
def test_wrong_values_are_invalid(path: tuple[str, ...], value: object) -> None:
    damaged = copy.deepcopy(EVENT)
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not validator("read.v1").is_valid(damaged)


@given(st.lists(st.uuids(version=4), max_size=20))
def test_receipts_are_valid(ids: list[Any]) -> None:
    check("receipt.v1", json.loads(make_receipt(map(str, ids))))


def test_the_asyncapi_document_is_whole() -> None:
    document = json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8"))
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {"reads", "state", "receipts", "responses", "requests"}
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        place = document
        for part in reference.split("/"):
            place = place[part]
    operations = document["operations"]
    assert not operations["send_reads"]["bindings"]["mqtt"]["retain"]
    assert operations["send_state"]["bindings"]["mqtt"]["retain"]
    data = document["components"]["messages"]["read-data-v1"]["payload"]["schema"]
    Draft202012Validator({**data, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_the_page_names_every_member_of_a_read() -> None:
    text = (ROOT / "docs" / "messages.md").read_text("utf-8")
    for path in leaves(EVENT["data"]):
        assert f"`{'.'.join(map(str, path))}`" in text
