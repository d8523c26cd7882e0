"""The ground round a camera as shapes in metres, for the map of the studio. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from alpr_edge.config.mask_file import format_masks
from alpr_edge.errors import AlprEdgeError, ConsoleError
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.local_plane import LocalPlane
from alpr_edge.exclusion.premises import Site, approach_pieces, core_area, taint_area
from alpr_edge.exclusion.projection import Rules, near_sites
from alpr_edge.placement.camera_file import camera_from
from alpr_edge.placement.check import Policy, check_placement

REACH_M: Final = 150.0


def ground(camera_values: Any, sites: tuple[Site, ...]) -> dict[str, Any]:
    """Camera and premises, x to the east and y to the north, metres from the camera's foot.

    Without a calibration the first site is the middle.
    """
    camera = _camera(camera_values)
    if camera is not None:
        origin = camera.pose.place
        near = tuple(near_sites(sites, camera, REACH_M))
    elif sites and sites[0].grounds:
        origin, near = sites[0].grounds[0].outer[0], sites[:50]
    else:
        return {"origin": None, "sites": [], "camera": None}
    plane = LocalPlane(*origin)
    drawn = []
    for site in near:
        patches = [
            shapely.Polygon(plane.path_to_plane(patch.outer, closed=True)) for patch in site.grounds
        ]
        drawn.append(
            {
                "id": site.id,
                "name": site.name,
                "grounds": list(_rings(shapely.union_all(patches))),
                "core": list(_rings(core_area(site, plane))),
                "taint": list(_rings(taint_area(site, plane, Rules().band_m))),
                "lanes": list(_rings(shapely.union_all(approach_pieces(site, plane)))),
            }
        )
    shown = None
    if camera is not None:
        shown = {
            "id": camera.id,
            "heading_deg": camera.pose.heading_deg,
            "hfov_deg": camera.lens.hfov_deg,
            "frame": [camera.lens.width_px, camera.lens.height_px],
        }
    return {"origin": list(origin), "sites": drawn, "camera": shown}


def placement(camera_values: Any, sites: tuple[Site, ...]) -> dict[str, Any]:
    """Whether the camera may stand there, as `alpr-edge placement check` judges.

    Raises:
        ConsoleError: `host.studio.calibration`: the unit was not calibrated.
    """
    found = check_placement(_needed(camera_values), sites, Policy())
    return {
        "verdict": found.verdict.value,
        "text": found.verdict.text,
        "reasons": list(found.reasons),
        "near_m": round(found.near_m, 1),
        "far_m": round(found.far_m, 1),
        "suggestions": [one.text for one in found.suggestions],
    }


def masks_from_map(camera_values: Any, sites: tuple[Site, ...]) -> dict[str, Any]:
    """The masks that the placement check asks for, as a mask file, and whether there are any.

    Raises:
        ConsoleError: `host.studio.calibration`: the unit was not calibrated.
    """
    found = check_placement(_needed(camera_values), sites, Policy(), suggest=False)
    values = json.loads(format_masks(found.zones))
    return {"zones": values, "text": found.verdict.text, "verdict": found.verdict.value}


def _needed(camera_values: Any) -> PlacedCamera:
    camera = _camera(camera_values)
    if camera is None:
        raise ConsoleError(
            "without a calibration there is no verdict",
            code="host.studio.calibration",
            hint="set points and save the fit first",
        )
    return camera


def _camera(values: Any) -> PlacedCamera | None:
    if not isinstance(values, dict):
        return None
    try:
        return camera_from(values, source="the unit's calibration")
    except AlprEdgeError:
        return None


def place_of(origin: tuple[float, float], x_m: float, y_m: float) -> tuple[float, float]:
    """Longitude and latitude of a point of the map."""
    lon, lat = LocalPlane(*origin).to_lonlat(np.array([(x_m, y_m)]))[0]
    return round(float(lon), 8), round(float(lat), 8)


def _rings(shape: BaseGeometry) -> Iterator[list[list[float]]]:
    for part in shapely.get_parts(shape):
        if isinstance(part, shapely.Polygon) and not part.is_empty:
            yield [[round(x, 2), round(y, 2)] for x, y in part.exterior.coords]
