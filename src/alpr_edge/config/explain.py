"""Pydantic's errors → lines for people. Pure.

`explain` takes one error as `ValidationError.errors()` gives it. It knows the models' fields, to
name ranges and similar keys; it does not decide what is wrong.
"""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Sequence
from typing import Any, Final

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from alpr_edge.config.models import DeviceConfig

_Loc = Sequence[int | str]
_Fields = dict[str, FieldInfo]
_SHOWN: Final = 60
_RANGE_ERRORS: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
)
_WANTED: Final = {
    "bool_type": "true or false",
    "dict_type": "a section",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "model_attributes_type": "a section",
    "model_type": "a section",
    "string_type": "text in quotes",
    "tuple_type": "a list",
}


def explain(error: ErrorDetails) -> str:
    """One line for an error: `section.key: what is wrong`.

    Pydantic puts the chosen kind of source into the place, `('source', 'rtsp', 'url')`; people know
    it as `source.url`.
    """
    loc = error["loc"]
    kind = loc[1] if len(loc) > 1 and loc[0] == "source" and loc[1] in _source_models() else None
    where = (loc[0], *loc[2:]) if kind else loc
    key = _key([*where, "kind"] if error["type"].startswith("union_tag") else where)
    return f"{key}: {_what(error, where, _fields(where[:-1], kind))}"


def _what(error: ErrorDetails, where: _Loc, known: _Fields) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return "missing" + (f": add a section [{where[0]}]" if len(where) == 1 else "")
    if kind == "extra_forbidden":
        return _unknown_key(str(where[-1]), list(known))
    if kind in _RANGE_ERRORS:
        return f"{_show(value)} is not within {_range(known.get(str(where[-1])))}"
    if kind in ("literal_error", "union_tag_invalid"):
        return _not_a_choice(value, context)
    if kind == "union_tag_not_found":
        return f"missing: it is one of {', '.join(_source_models())}"
    if kind in ("string_too_short", "string_too_long", "too_short", "too_long"):
        return _length(kind, context)
    if kind == "value_error":
        return str(context["error"])
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_named(value)}"
    return error["msg"]


def _key(where: _Loc) -> str:
    key = ""
    for part in where:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += ("." if key else "") + _bare(part)
    return key


def _bare(key: str) -> str:
    plain = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if plain and len(key) <= _SHOWN else _show(key)


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key[:_SHOWN], known, n=1)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; known are {', '.join(known)}" if known else "unknown key"


def _not_a_choice(value: object, context: dict[str, Any]) -> str:
    choices = context.get("expected") or context.get("expected_tags") or ""
    names = [name.strip(" '") for name in choices.replace(" or ", ", ").split(",")]
    if isinstance(value, dict):
        value = value.get("kind")
    near = difflib.get_close_matches(str(value)[:_SHOWN], names, n=1)
    ending = f"; did you mean {near[0]}?" if near else ""
    return f"{_show(value)} is not one of {', '.join(names)}{ending}"


def _length(kind: str, context: dict[str, Any]) -> str:
    unit = "characters" if kind.startswith("string") else "items"
    if kind.endswith("short"):
        return f"must have at least {context['min_length']} {unit}"
    return f"must have at most {context['max_length']} {unit}"


def _range(field: FieldInfo | None) -> str:
    """`[0, 1]` from the field's bounds; a round bracket where the bound itself is out."""
    low, high = "(…", "…)"
    for bound in _bounds(field):
        match bound:
            case Ge(ge=limit):
                low = f"[{limit}"
            case Gt(gt=limit):
                low = f"({limit}"
            case Le(le=limit):
                high = f"{limit}]"
            case Lt(lt=limit):
                high = f"{limit})"
            case _:
                pass
    return f"{low}, {high}"


def _bounds(field: FieldInfo | None) -> list[Any]:
    """Bounds lie on the field, or inside an optional type: `Annotated[float, …] | None`."""
    if field is None:
        return []
    found = list(field.metadata)
    for part in typing.get_args(field.annotation):
        for extra in getattr(part, "__metadata__", ()):
            found += getattr(extra, "metadata", [extra])
    return found


def _fields(where: _Loc, kind: int | str | None) -> _Fields:
    """Fields of the section at `where`; for `source`, those of its kind."""
    models: list[type[BaseModel]] = [DeviceConfig]
    for part in where:
        if part == "source" and kind is not None:
            models = [_source_models()[str(kind)]]
            continue
        fields = [model.model_fields.get(str(part)) for model in models]
        models = [one for field in fields if field for one in _models_in(field.annotation)]
    return {name: field for model in models for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType):
        return [model for part in typing.get_args(annotation) for model in _models_in(part)]
    return []


def _source_models() -> dict[str, type[BaseModel]]:
    models = _models_in(DeviceConfig.model_fields["source"].annotation)
    return {typing.get_args(model.model_fields["kind"].annotation)[0]: model for model in models}


def _named(value: object) -> str:
    if isinstance(value, bool | int | float):
        return _show(value)
    if isinstance(value, str):
        return f"the text {_show(value)}"
    if isinstance(value, dict):
        return "a section"
    return "a list" if isinstance(value, list) else "a date or time"


def _show(value: object) -> str:
    """Short, printable, one line."""
    text = json.dumps(value) if isinstance(value, str | bool) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
