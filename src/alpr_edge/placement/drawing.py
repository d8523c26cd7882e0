"""The map and the picture of a placement as SVG text. Pure; no script, no font, no address.

Colours are told apart in grey too, and every area has a pattern or a line of its own, for printers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import cos, radians, sin
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.local_plane import LocalPlane, Points
from alpr_edge.exclusion.premises import Site, approach_pieces, core_area, taint_area
from alpr_edge.exclusion.projection import near_sites
from alpr_edge.placement.check import Placement, Policy

SIZE: Final = 480
_GROUNDS: Final = "#7a3b2e"
_CORE: Final = "#d98c6a"
_TAINT: Final = "#f3dcc3"
_LANE: Final = "#9db8c9"
_VIEW: Final = "#2f6690"
_STEPS_M: Final = (1, 2, 5, 10, 20, 50, 100, 200)


def map_svg(placement: Placement, sites: Sequence[Site], policy: Policy) -> str:
    """The ground from above, north up: wedge of view, readable part, premises, setback, lanes."""
    camera = placement.camera
    plane = LocalPlane(*camera.pose.place)
    reach = min(max(placement.far_m * 1.3, 40.0), policy.rules.reach_m)
    shown = near_sites(sites, camera, reach * 1.5)
    scale = SIZE / 2 / (reach * 1.15)
    window = shapely.box(-reach * 1.15, -reach * 1.15, reach * 1.15, reach * 1.15)

    def area(shape: BaseGeometry, style: str) -> str:
        return _path(shapely.intersection(shape, window), scale, style)

    parts = [_frame(SIZE, SIZE, "Map of the placement, north up")]
    for site in shown:
        taint = taint_area(site, plane, policy.rules.band_m)
        parts.append(area(taint, f"fill:{_TAINT};stroke:{_CORE};stroke-dasharray:4 3"))
        lanes = shapely.union_all(approach_pieces(site, plane))
        parts.append(area(lanes, f"fill:{_LANE};fill-opacity:.6;stroke:{_VIEW};stroke-width:.7"))
        parts.append(area(core_area(site, plane), f"fill:{_CORE};stroke:{_GROUNDS}"))
        for patch in site.grounds:
            ground = shapely.Polygon(plane.path_to_plane(patch.outer, closed=True))
            parts.append(area(ground, f"fill:{_GROUNDS};stroke:#000;stroke-width:.6"))
    parts += _view(camera, placement, reach, scale)
    for site in shown:
        x, y = shapely.get_coordinates(core_area(site, plane).representative_point())[0] * scale
        if abs(x) < SIZE / 2 - 20 and abs(y) < SIZE / 2 - 12:
            parts.append(_label(SIZE / 2 + x, SIZE / 2 - y, site.id, halo=True))
    parts += _north_and_scale(reach, scale)
    return "".join([*parts, "</svg>"])


def _view(camera: PlacedCamera, placement: Placement, reach: float, scale: float) -> list[str]:
    half, error = camera.lens.hfov_deg / 2, 1.96 * float(np.sqrt(camera.covariance[3][3]))
    heading, middle = camera.pose.heading_deg, SIZE / 2
    wedges = [
        (half + error, reach, f"fill:none;stroke:{_VIEW};stroke-dasharray:2 3"),
        (half, reach, f"fill:{_VIEW};fill-opacity:.10;stroke:{_VIEW}"),
    ]
    parts = [
        _path(_sector(heading, min(width, 179.0), 0.0, length), scale, style)
        for width, length, style in wedges
    ]
    if placement.far_m > 0:
        ring = _sector(heading, half, placement.near_m, min(placement.far_m, reach))
        parts.append(_path(ring, scale, f"fill:{_VIEW};fill-opacity:.22;stroke:none"))
    parts.append(f'<circle cx="{middle}" cy="{middle}" r="5" fill="#000"/>')
    parts.append(_label(middle + 8, middle + 14, camera.id, anchor="start", halo=True))
    return parts


def _sector(heading: float, half: float, near: float, far: float) -> BaseGeometry:
    angles = np.radians(heading + np.linspace(-half, half, 25))
    rim = np.column_stack([np.sin(angles), np.cos(angles)])
    return shapely.Polygon(np.vstack([rim * far, rim[::-1] * max(near, 0.01)])).buffer(0)


def _north_and_scale(reach: float, scale: float) -> list[str]:
    length = max(step for step in _STEPS_M if step <= max(reach / 2, 1))
    y, wide = SIZE - 14, length * scale
    return [
        f'<path d="M14 {y}h{wide:.1f}m0 -4v8m{-wide:.1f} -8v8" stroke="#000" fill="none"/>',
        _label(14, y - 7, f"{length} m", anchor="start", halo=True),
        f'<path d="M{SIZE - 22} 40V14m-5 8l5 -8l5 8" stroke="#000" fill="none"/>',
        _label(SIZE - 22, 54, "N"),
    ]


def picture_svg(placement: Placement) -> str:
    """The picture as the camera would give it: horizon, ground grid, masks, bands, gates."""
    lens = placement.camera.lens
    wide = SIZE
    high = round(SIZE * lens.height_px / lens.width_px)
    size = np.array([wide, high])
    zones = placement.zones
    parts = [
        _frame(wide, high, "Masks in the picture"),
        f'<rect width="{wide}" height="{high}" fill="#eef1f2"/>',
        '<defs><pattern id="b" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0v6" stroke="{_CORE}" stroke-width="2"/>'
        "</pattern></defs>",
    ]
    parts += [
        f'<path d="M{_points(line * size)}" fill="none" stroke="#9aa5ab" stroke-width=".7"/>'
        for line in _ground_grid(placement.camera)
    ]
    parts += [
        _rings((band.polygon, *band.holes), size, f"fill:url(#b);stroke:{_CORE}")
        for band in zones.bands
    ]
    parts += [
        _rings((mask.polygon, *mask.holes), size, f"fill:{_GROUNDS};fill-opacity:.85;stroke:#000")
        for mask in zones.masks
    ]
    parts += [
        f'<path d="M{_points(np.array(gate.line) * size)}" fill="none" stroke="#fff" '
        'stroke-width="4"/>'
        f'<path d="M{_points(np.array(gate.line) * size)}" fill="none" stroke="#b3001b" '
        'stroke-width="2"/>'
        for gate in zones.gates
    ]
    if zones.whole_frame:
        parts.append(f'<rect width="{wide}" height="{high}" fill="{_GROUNDS}" fill-opacity=".85"/>')
    if zones.nothing_protected:
        parts.append(_label(wide / 2, high / 2, "nothing protected in view"))
    parts.append(f'<rect width="{wide}" height="{high}" fill="none" stroke="#000"/>')
    return "".join([*parts, "</svg>"])


def _ground_grid(camera: PlacedCamera) -> Iterable[Points]:
    """Lines on the ground every ten metres ahead and every five aside, in parts of the frame."""
    heading = radians(camera.pose.heading_deg)
    ahead = np.array([sin(heading), cos(heading)])
    right = np.array([cos(heading), -sin(heading)])
    lines = [
        ahead * distance + right * np.linspace(-40, 40, 81)[:, None]
        for distance in range(10, 101, 10)
    ]
    lines += [
        right * aside + ahead * np.linspace(2, 100, 99)[:, None] for aside in range(-40, 41, 5)
    ]
    size = (camera.lens.width_px, camera.lens.height_px)
    for line in lines:
        in_camera = camera.view.to_camera(np.column_stack([line, np.zeros(len(line))]))
        in_camera = in_camera[in_camera[:, 2] > 0.5]
        if len(in_camera) < 2:
            continue
        seen = camera.lens.to_frame(camera.view.to_ideal(in_camera, camera.lens)) / size
        inside = ((seen > -0.2) & (seen < 1.2)).all(axis=1)
        if inside.sum() > 1:
            yield np.clip(seen[inside], 0.0, 1.0)


def _frame(wide: int, high: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" role="img" aria-label="{escape(title)}" '
        'font-family="sans-serif" font-size="11">'
    )


def _label(x: float, y: float, text: str, *, anchor: str = "middle", halo: bool = False) -> str:
    rim = ' stroke="#fff" stroke-width="3" paint-order="stroke"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{rim}>{escape(text[:40])}</text>'


def _path(shape: BaseGeometry, scale: float, style: str) -> str:
    """Areas in metres round the middle of the map."""
    middle = SIZE / 2
    rings = [
        ring
        for part in shapely.get_parts(shape)
        if isinstance(part, shapely.Polygon) and not part.is_empty
        for ring in (part.exterior, *part.interiors)
    ]
    if not rings:
        return ""
    lines = [
        _points(shapely.get_coordinates(ring) * (scale, -scale) + (middle, middle))
        for ring in rings
    ]
    text = "M" + "ZM".join(lines) + "Z"
    return f'<path d="{text}" fill-rule="evenodd" style="{style}"/>'


def _rings(rings: Sequence[Sequence[tuple[float, float]]], size: Points, style: str) -> str:
    text = "M" + "ZM".join(_points(np.array(ring) * size) for ring in rings) + "Z"
    return f'<path d="{text}" fill-rule="evenodd" style="{style}"/>'


def _points(points: Points) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
