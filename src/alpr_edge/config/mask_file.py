"""Mask records: JSON text → frozen `ZoneSet`, or one `ConfigError` with every problem in it.

    {"masks": [{"name": "gate", "polygon": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.7]]}]}
    {"masks": [], "nothing_protected": true}

Optional keys: `holes` (a list of polygons) in a mask; beside `masks`:

    "bands": [{"name": "mouth", "polygon": [...]}],
    "gates": [{"name": "kerb", "line": [[0.1, 0.5], [0.4, 0.5]], "taints": "both"}],
    "margin": 0.005, "band": 0.02, "whole_frame": false

x and y are fractions of the frame, origin top left; `margin` and `band` are fractions of its width.
What they mean: `alpr_edge.zone_set`. Pure: `mask_store` reads the file, `polygon` judges shapes,
`exclusion` rasterises them. Rules:

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
from typing import Any, Final, NoReturn

from alpr_edge.config.polygon import Polygon, shape_problems
from alpr_edge.errors import ConfigError
from alpr_edge.zone_set import GateLine, Taints, ZonePolygon, ZoneSet

MAX_MASK_BYTES: Final = 1 << 20
MAX_MASKS: Final = 128
MAX_POINTS: Final = 256
"""Enough to trace a facade by hand; bounds the check for crossings to 33,000 pairs of edges."""
MAX_HOLES: Final = 16
MAX_NAME: Final = 64
MAX_WIDTH: Final = 0.25
"""Widest margin and band: a quarter of the frame's width."""
MAX_PROBLEMS: Final = 100
_HINT: Final = "see configs/masks/example.json; x and y are fractions of the frame, 0 to 1"


_KEYS: Final = ("masks", "nothing_protected", "bands", "gates", "margin", "band", "whole_frame")


def parse_masks(text: str | bytes, *, source: str) -> ZoneSet:
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
    found = _record(record, problems)
    if problems or found is None:
        _refuse(source, problems)
    return found


def format_masks(record: ZoneSet) -> str:
    """Canonical JSON of a record. `parse_masks(format_masks(r), source=…) == r`."""
    values: dict[str, Any] = {"masks": [_region_values(mask) for mask in record.masks]}
    if record.bands:
        values["bands"] = [_region_values(band) for band in record.bands]
    if record.gates:
        values["gates"] = [
            {"name": g.name, "line": [list(p) for p in g.line], "taints": g.taints.value}
            for g in record.gates
        ]
    for key in ("margin", "band", "whole_frame", "nothing_protected"):
        if getattr(record, key):
            values[key] = getattr(record, key)
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _region_values(region: ZonePolygon) -> dict[str, Any]:
    values: dict[str, Any] = {"name": region.name, "polygon": [list(p) for p in region.polygon]}
    if region.holes:
        values["holes"] = [[list(p) for p in hole] for hole in region.holes]
    return values


def mask_digest(record: ZoneSet) -> str:
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


def _record(record: Any, problems: list[str]) -> ZoneSet | None:
    """The record if it is sound; all its problems if not."""
    if not isinstance(record, dict):
        problems.append('must be an object with the key "masks"')
        return None
    problems += [
        f"{_show(key)}: unknown key; known are {', '.join(_KEYS)}"
        for key in record
        if key not in _KEYS
    ]
    stated = _flag(record, "nothing_protected", problems)
    whole = _flag(record, "whole_frame", problems)
    widths = [_width(record, key, problems) for key in ("margin", "band")]
    known = len(problems)
    if "masks" not in record:
        problems.append("masks: missing")
    masks = tuple(_named(record, "masks", ("polygon", "holes"), problems))
    bands = tuple(_named(record, "bands", ("polygon",), problems))
    gates = tuple(_named(record, "gates", ("line", "taints"), problems))
    empty = not (whole or any(record.get(key) for key in ("masks", "bands", "gates")))
    if empty and stated is not True and len(problems) == known:
        problems.append('masks: empty without the statement "nothing_protected": true')
    if not empty and stated is True:
        problems.append("nothing_protected: true contradicts the masks that are given")
    if problems:
        return None
    return ZoneSet(
        tuple(ZonePolygon(name, *parts) for name, parts in masks),
        nothing_protected=stated,
        bands=tuple(ZonePolygon(name, *parts) for name, parts in bands),
        gates=tuple(GateLine(name, *parts) for name, parts in gates),
        margin=widths[0],
        band=widths[1],
        whole_frame=whole,
    )


def _flag(record: dict[str, Any], key: str, problems: list[str]) -> bool:
    value = record.get(key, False)
    if not isinstance(value, bool):
        problems.append(f"{key}: must be true or false")
        return False
    return value


def _width(record: dict[str, Any], key: str, problems: list[str]) -> float:
    value = record.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.append(f"{key}: must be a number")
    elif not 0 <= value <= MAX_WIDTH:  # also what is not a number (NaN)
        problems.append(f"{key}: must be within 0 and {MAX_WIDTH} of the frame's width")
    else:
        return value + 0.0
    return 0.0


def _named(
    record: dict[str, Any], key: str, known: tuple[str, ...], problems: list[str]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Name and parts of every sound entry of a list, and all problems of the others."""
    entries = record.get(key, [])
    if not isinstance(entries, list):
        problems.append(f"{key}: must be a list")
        return
    if len(entries) > MAX_MASKS:
        problems.append(f"{key}: {len(entries)} {key}, at most {MAX_MASKS} are possible")
        return
    names: dict[str, int] = {}
    for index, entry in enumerate(entries):
        where = f"{key}[{index}]"
        found: list[str] = []
        parts = _entry(entry, where, known, found)
        problems += found
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and names.setdefault(name, index) != index:
            problems.append(f"{where}.name: {_show(name)} is also {key}[{names[name]}]")
        if not found:
            yield str(name), parts


def _entry(entry: Any, where: str, known: tuple[str, ...], problems: list[str]) -> tuple[Any, ...]:
    if not isinstance(entry, dict):
        problems.append(f"{where}: must be an object with name and {known[0]}")
        return ()
    problems += [
        f"{where}.{_show(key)}: unknown key; known are name, {', '.join(known)}"
        for key in entry
        if key not in ("name", *known)
    ]
    name = entry.get("name")
    if "name" not in entry:
        problems.append(f"{where}.name: missing")
    elif not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        problems.append(f"{where}.name: must be text of 1 to {MAX_NAME} characters")
    elif not name.isprintable() or not name.strip():
        problems.append(f"{where}.name: must be printable and not blank")
    if known[0] == "line":
        line = _points(entry, "line", f"{where}.line", 2, problems)
        return line, _taints(entry, where, problems)
    polygon = _polygon(entry, "polygon", f"{where}.polygon", problems)
    return polygon, _holes(entry, where, problems)


def _holes(entry: dict[str, Any], where: str, problems: list[str]) -> tuple[Polygon, ...]:
    raw = entry.get("holes", [])
    if not isinstance(raw, list) or len(raw) > MAX_HOLES:
        problems.append(f"{where}.holes: must be a list of at most {MAX_HOLES} polygons")
        return ()
    named = {f"holes[{index}]": hole for index, hole in enumerate(raw)}
    return tuple(_polygon(named, key, f"{where}.{key}", problems) for key in named)


def _taints(entry: dict[str, Any], where: str, problems: list[str]) -> Taints:
    value = entry.get("taints", Taints.BOTH.value)
    if value not in list(Taints):
        problems.append(f"{where}.taints: must be one of {', '.join(Taints)}")
        return Taints.BOTH
    return Taints(value)


def _polygon(entry: dict[str, Any], key: str, where: str, problems: list[str]) -> Polygon:
    before = len(problems)
    points = _points(entry, key, where, 3, problems)
    if len(problems) == before:
        problems += [f"{where}: {problem}" for problem in shape_problems(points)]
    return points


def _points(
    entry: dict[str, Any], key: str, where: str, least: int, problems: list[str]
) -> Polygon:
    if key not in entry:
        problems.append(f"{where}: missing")
        return ()
    raw = entry[key]
    if not isinstance(raw, list):
        problems.append(f"{where}: must be a list of points [x, y]")
        return ()
    if not least <= len(raw) <= MAX_POINTS:
        problems.append(f"{where}: has {len(raw)} points, {least} to {MAX_POINTS} are possible")
        return ()
    points: list[tuple[float, float]] = []
    for index, point in enumerate(raw):
        trouble = _point_trouble(point)
        if trouble:
            problems.append(f"{where}[{index}]: {trouble}")
        else:
            points.append((point[0] + 0.0, point[1] + 0.0))  # -0.0 becomes 0.0
    if least == 2:
        problems += [
            f"{where}: points {i} and {i + 1} are equal"
            for i in range(len(points) - 1)
            if points[i] == points[i + 1]
        ]
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
