"""Mask records: JSON text → frozen `MaskFile`, or one `ConfigError` with every problem in it.

    {"masks": [{"name": "gate", "polygon": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.7]]}]}
    {"masks": [], "nothing_protected": true}

x and y are fractions of the frame, origin top left. Pure: `mask_store` reads the file, `polygon`
judges shapes, `exclusion` rasterises them. Rules:

- Nothing is repaired. A point outside 0..1 is not clamped, a crossing not untangled: what a person
  drew and what is blanked must be the same thing.
- A record without masks is valid only with the statement `nothing_protected`: an empty file must
  never mean "all clear".
- Unknown and repeated keys are refused: `"polygon"` written twice would drop one of the two.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from alpr_edge.config.polygon import Polygon, shape_problems
from alpr_edge.errors import ConfigError

MAX_MASK_BYTES: Final = 1 << 20
MAX_MASKS: Final = 128
MAX_POINTS: Final = 256
"""Enough to trace a facade by hand; bounds the check for crossings to 33,000 pairs of edges."""
MAX_NAME: Final = 64
MAX_PROBLEMS: Final = 100
_HINT: Final = "see configs/masks/example.json; x and y are fractions of the frame, 0 to 1"


@dataclass(frozen=True, slots=True)
class MaskPolygon:
    """One mask: at least three points, not crossing itself, closed without repeating the first."""

    name: str
    polygon: Polygon


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask record. `nothing_protected` is true exactly where `masks` is empty."""

    masks: tuple[MaskPolygon, ...]
    nothing_protected: bool


def parse_masks(text: str | bytes, *, source: str) -> MaskFile:
    """The mask record in a JSON document.

    Args:
        text: the document; bytes must be UTF-8.
        source: its name, for messages.

    Raises:
        ConfigError: `exclusion.mask.invalid`, with all problems.
    """
    if len(text) > MAX_MASK_BYTES:
        _refuse(source, [f"larger than {MAX_MASK_BYTES} bytes"])
    record = _json(text, source)
    problems: list[str] = []
    masks = tuple(_masks(record, problems))
    if problems:
        _refuse(source, problems)
    return MaskFile(masks, nothing_protected=not masks)


def format_masks(record: MaskFile) -> str:
    """Canonical JSON of a record. `parse_masks(format_masks(r), source=…) == r`."""
    values: dict[str, Any] = {
        "masks": [{"name": m.name, "polygon": [list(p) for p in m.polygon]} for m in record.masks]
    }
    if record.nothing_protected:
        values["nothing_protected"] = True
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def mask_digest(record: MaskFile) -> str:
    """SHA-256 in hex of the canonical JSON: the same masks, the same digest."""
    return hashlib.sha256(format_masks(record).encode("ascii")).hexdigest()


def _json(text: str | bytes, source: str) -> Any:
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                repeated.append(f"key {_show(key)} is given twice in one object")
            found[key] = value
        return found

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        record = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=pairs)
    except UnicodeDecodeError as err:
        _refuse(source, [f"not UTF-8 text (byte {err.start})"])
    except json.JSONDecodeError as err:
        _refuse(source, [f"not JSON: {err.msg} (line {err.lineno}, column {err.colno})"])
    except RecursionError:
        _refuse(source, ["not a mask record: nested too deeply"])
    except ValueError:  # an integer of thousands of digits
        _refuse(source, ["not a mask record: a number is out of range"])
    if repeated:
        _refuse(source, repeated)
    return record


def _masks(record: Any, problems: list[str]) -> Iterator[MaskPolygon]:
    """The masks that are sound, and all problems of the others."""
    if not isinstance(record, dict):
        problems.append('must be an object with the key "masks"')
        return
    problems += [
        f"{_show(key)}: unknown key; known are masks, nothing_protected"
        for key in record
        if key not in ("masks", "nothing_protected")
    ]
    stated = record.get("nothing_protected", False)
    if not isinstance(stated, bool):
        problems.append("nothing_protected: must be true or false")
    entries = record.get("masks")
    if not isinstance(entries, list):
        problems.append("masks: must be a list" if "masks" in record else "masks: missing")
        return
    if len(entries) > MAX_MASKS:
        problems.append(f"masks: {len(entries)} masks, at most {MAX_MASKS} are possible")
        return
    if not entries and stated is not True:
        problems.append('masks: empty without the statement "nothing_protected": true')
    if entries and stated is True:
        problems.append("nothing_protected: true contradicts the masks that are given")
    names: dict[str, int] = {}
    for index, entry in enumerate(entries):
        mask = _mask(entry, f"masks[{index}]", problems)
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and names.setdefault(name, index) != index:
            problems.append(f"masks[{index}].name: {_show(name)} is also masks[{names[name]}]")
        if mask is not None:
            yield mask


def _mask(entry: Any, where: str, problems: list[str]) -> MaskPolygon | None:
    if not isinstance(entry, dict):
        problems.append(f"{where}: must be an object with name and polygon")
        return None
    found = [
        f"{where}.{_show(key)}: unknown key; known are name, polygon"
        for key in entry
        if key not in ("name", "polygon")
    ]
    name = entry.get("name")
    if "name" not in entry:
        found.append(f"{where}.name: missing")
    elif not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        found.append(f"{where}.name: must be text of 1 to {MAX_NAME} characters")
    elif not name.isprintable() or not name.strip():
        found.append(f"{where}.name: must be printable and not blank")
    polygon = _polygon(entry, f"{where}.polygon", found)
    problems += found
    return MaskPolygon(str(name), polygon) if not found else None


def _polygon(entry: dict[str, Any], where: str, problems: list[str]) -> Polygon:
    if "polygon" not in entry:
        problems.append(f"{where}: missing")
        return ()
    raw = entry["polygon"]
    if not isinstance(raw, list):
        problems.append(f"{where}: must be a list of points [x, y]")
        return ()
    if not 3 <= len(raw) <= MAX_POINTS:
        problems.append(f"{where}: has {len(raw)} points, 3 to {MAX_POINTS} are possible")
        return ()
    points = []
    bad = []
    for index, point in enumerate(raw):
        trouble = _point_trouble(point)
        if trouble:
            bad.append(f"{where}[{index}]: {trouble}")
        else:
            points.append((point[0] + 0.0, point[1] + 0.0))  # -0.0 becomes 0.0
    if not bad:
        bad = [f"{where}: {problem}" for problem in shape_problems(tuple(points))]
    problems += bad
    return tuple(points)


def _point_trouble(point: Any) -> str | None:
    if not isinstance(point, list) or len(point) != 2:
        return "must be a point [x, y]"
    for axis, value in zip("xy", point, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{axis} must be a number"
        if not 0 <= value <= 1:  # also what is not a number (NaN)
            if isinstance(value, float) and not math.isfinite(value):
                return f"{axis} is not a finite number"
            return f"{axis} {_show(value)} is outside 0 to 1: clamp it to the frame's edge"
    return None


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _refuse(source: str, problems: list[str]) -> NoReturn:
    shown = problems[:MAX_PROBLEMS]
    if len(problems) > MAX_PROBLEMS:
        shown.append(f"and {len(problems) - MAX_PROBLEMS} more")
    raise ConfigError(
        f"{source} is not a valid mask record",
        code="exclusion.mask.invalid",
        hint=_HINT,
        problems=tuple(shown),
    )
