"""Masks of other systems: ONVIF's and Frigate's polygons, in and out, without losing a pixel. Pure.

- **ONVIF** (`tt:Polygon` with `tt:Point x= y=`): −1..1, y up, origin in the middle of the picture.
  Source: ONVIF Media2 Service Specification, section on masks, and Core Specification, Polygon.
- **Frigate**: a line a polygon, `x,y,x,y,…`, parts of the frame, or pixels in old files.
  Source: docs.frigate.video, "Masks", 2026-11.

Numbers are rounded on the way. So every polygon is compared afterwards, pixel by pixel at the
frame's size, and grown until nothing that was protected is lost. Holes are left out (the polygon
then protects more); a margin is drawn into the polygon; bands and gates have no place there.

Frigate's masks do not hide anything in Frigate; here they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import shapely

from alpr_edge.config.mask_file import MAX_MASKS, MAX_POINTS
from alpr_edge.config.polygon import shape_problems
from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.zone_set import Ring, ZonePolygon, ZoneSet

_GROWTHS: Final = (0.0, 1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 4e-3)
"""Parts of the frame by which a polygon is grown until it loses no pixel."""
_POLYGON: Final = re.compile(r"<(?:\w+:)?Polygon\b[^>]*>(.*?)</(?:\w+:)?Polygon\s*>", re.DOTALL)
_POINT: Final = re.compile(r"<(?:\w+:)?Point\b([^>]*)>")
_ATTRIBUTE: Final = re.compile(r"""\b([xy])\s*=\s*["']\s*([-+0-9.eE]{1,40})\s*["']""")
_NUMBERS: Final = re.compile(
    r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s*,\s*-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)+"
)


def read_format(name: str, data: bytes, frame_px: tuple[int, int]) -> ZoneSet:
    """The masks in a document of another system.

    Args:
        name: `onvif` or `frigate`.
        frame_px: the frame that pixels in old Frigate files refer to.

    Raises:
        ConfigError: `config.masks.foreign`: no polygon in it, or one that cannot be used.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise _bad("it is not UTF-8 text") from err
    found = list(_onvif(text) if name == "onvif" else _frigate(text, frame_px))
    if not 1 <= len(found) <= MAX_MASKS:
        raise _bad(f"it has {len(found)} polygons; 1 to {MAX_MASKS} are possible")
    rings = [_checked(i, ring) for i, ring in enumerate(found)]
    return ZoneSet(tuple(ZonePolygon(f"{name} {i + 1}", ring) for i, ring in enumerate(rings)))


def write_format(name: str, zones: ZoneSet, frame_px: tuple[int, int]) -> bytes:
    """The masks for another system; protects at least the pixels that the masks blank.

    Raises:
        ConfigError: `config.masks.foreign`: there is no mask, or a polygon cannot be grown.
    """
    masks = zones.masks
    if zones.whole_frame:
        masks = (ZonePolygon("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))),)
    if not masks:
        raise _bad("there is no mask to write")
    lines = [_kept(name, mask, zones.margin, frame_px) for mask in masks]
    if name == "frigate":
        return "".join(f"{line}\n" for line in lines).encode()
    head = '<Masks xmlns:tt="http://www.onvif.org/ver10/schema">\n'
    return (head + "".join(f"  {line}\n" for line in lines) + "</Masks>\n").encode()


def _kept(name: str, mask: ZonePolygon, margin: float, frame_px: tuple[int, int]) -> str:
    """The polygon as text that, read again, blanks all that the mask does."""
    wanted = ZoneSet((ZonePolygon("m", mask.polygon),), margin=margin)
    before = rasterise(wanted, size_px=frame_px, digest="").core > 0
    width, height = frame_px
    for growth in _GROWTHS:
        for ring in _grown(mask.polygon, growth, margin, width / height):
            line = _line(name, ring)
            again = list(_onvif(line) if name == "onvif" else _frigate(line, frame_px))
            if len(again) != 1 or len(ring) > MAX_POINTS or shape_problems(again[0]):
                continue
            back = ZoneSet((ZonePolygon("m", again[0]),))
            after = rasterise(back, size_px=frame_px, digest="").core > 0
            if not np.any(before & ~after):
                return line
    raise _bad(f"the mask {mask.name!r} cannot be written without losing a pixel")


def _grown(ring: Ring, growth: float, margin: float, aspect: float) -> Iterator[Ring]:
    """Candidates that hold the ring and its margin, the closest first, its hull last."""
    if growth == 0.0 and margin == 0.0:
        yield ring
        return
    # The margin is a part of the width; y is scaled so that it is the same in both directions. The
    # device grows by a square, whose corner is 1.42 times as far as its side.
    shape = shapely.Polygon([(x, y / aspect) for x, y in ring])
    frame = shapely.box(0.0, 0.0, 1.0, 1.0 / aspect)
    for reach in (margin * 1.5 + growth, margin * 2 + growth):
        # Slivers near the smallest number make GEOS divide by zero: such a candidate then fails.
        with np.errstate(all="ignore"):
            grown = shape.buffer(reach, join_style="mitre", mitre_limit=2.0)
            hull = shape.convex_hull.buffer(reach, join_style="mitre", mitre_limit=2.0)
            cut = (grown.intersection(frame), hull.intersection(frame))
        for wide in cut:
            if isinstance(wide, shapely.Polygon) and not wide.is_empty:
                points = list(wide.exterior.coords)[:-1]
                yield tuple(
                    (min(max(x, 0.0), 1.0), min(max(y * aspect, 0.0), 1.0)) for x, y in points
                )


def _line(name: str, ring: Ring) -> str:
    if name == "frigate":
        return ",".join(f"{x:.6g},{y:.6g}" for x, y in ring)
    points = "".join(f'<tt:Point x="{2 * x - 1:.6f}" y="{1 - 2 * y:.6f}"/>' for x, y in ring)
    return f"<tt:Polygon>{points}</tt:Polygon>"


def _onvif(text: str) -> Iterator[Ring]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _bad("a document type has no place in it")
    for polygon in _POLYGON.finditer(text):
        points = []
        for point in _POINT.finditer(polygon[1]):
            values = dict(_ATTRIBUTE.findall(point[1]))
            if set(values) != {"x", "y"}:
                raise _bad("a point has no x and y")
            x, y = _number(values["x"]), _number(values["y"])
            points.append(((x + 1) / 2, (1 - y) / 2))
        yield tuple(points)


def _frigate(text: str, frame_px: tuple[int, int]) -> Iterator[Ring]:
    for match in _NUMBERS.finditer(text):
        values = [_number(part) for part in match[0].split(",")]
        if len(values) % 2:
            raise _bad("a polygon has an odd count of numbers")
        points = list(zip(values[::2], values[1::2], strict=True))
        if any(value > 1 for value in values):
            points = [(x / frame_px[0], y / frame_px[1]) for x, y in points]
        yield tuple(points)


def _checked(index: int, ring: Ring) -> Ring:
    """The ring within the frame. What lies a rounding error outside is on its edge."""
    where = f"polygon {index + 1}"
    if not 3 <= len(ring) <= MAX_POINTS:
        raise _bad(f"{where} has {len(ring)} points; 3 to {MAX_POINTS} are possible")
    if not all(-0.01 <= value <= 1.01 for point in ring for value in point):
        raise _bad(f"{where} leaves the frame")
    inside = tuple((min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in ring)
    unique = tuple(point for i, point in enumerate(inside) if point != inside[i - 1])
    problems = shape_problems(unique) if len(unique) >= 3 else ["has no area"]
    if problems:
        raise _bad(f"{where} {problems[0]}")
    return unique


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as err:
        raise _bad(f"{text[:20]!r} is no number") from err


def _bad(reason: str) -> ConfigError:
    return ConfigError(
        f"the masks of another system cannot be used: {reason}",
        code="config.masks.foreign",
        hint="see `alpr-edge masks import --help`",
    )
