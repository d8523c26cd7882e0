"""A placed camera as JSON, hand-written or from `alpr-edge calibrate`. Pure.

    {"id": "cam-1", "position": [-118.2437, 34.0522], "height_m": 4.6, "heading_deg": 355.7,
     "tilt_deg": -12.7, "roll_deg": 0, "width_px": 1920, "height_px": 1080, "hfov_deg": 23,
     "tolerance": {"position_m": 0.5, "height_m": 0.1, "heading_deg": 1, "tilt_deg": 0.5,
                   "roll_deg": 0.5, "hfov_deg": 0.5}}

A tolerance is what a measure is "± so much" in 95 of 100 cases. `calibrate` writes `lens` in place
of `hfov_deg` and `covariance` in place of `tolerance`. What is left out of `tolerance` is taken
from `LOOSE`: what a phone's compass and a plan of the street give.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.camera_model import (
    GroundError,
    Lens,
    PlacedCamera,
    Pose,
    measured_covariance,
)

MAX_BYTES: Final = 1 << 16
LOOSE: Final = {
    "position_m": 2.0,
    "height_m": 0.3,
    "heading_deg": 3.0,
    "tilt_deg": 2.0,
    "roll_deg": 1.0,
    "hfov_deg": 1.5,
}
_HINT: Final = "see docs/placement.md, or let `alpr-edge calibrate` write it"
_KEYS: Final = {
    "id", "position", "height_m", "heading_deg", "tilt_deg", "roll_deg", "width_px", "height_px",
    "hfov_deg", "lens", "tolerance", "covariance", "ground",
}  # fmt: skip
_LENS: Final = {"fx_px", "fy_px", "cx_px", "cy_px", "distortion", "error_px"}


def parse_camera(text: str | bytes, *, source: str) -> PlacedCamera:
    """The camera in a JSON text.

    Raises:
        ConfigError: `placement.camera.invalid`, with all problems.
    """
    try:
        if len(text) > MAX_BYTES:
            raise ValueError("larger than 64 KiB")
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        values = json.loads(text.removeprefix("\ufeff"))
    except RecursionError as err:
        raise _invalid(source, ["not JSON: nested too deeply"]) from err
    except ValueError as err:
        raise _invalid(source, [f"not JSON in UTF-8: {err}"]) from err
    return camera_from(values, source=source)


def camera_from(values: Any, *, source: str) -> PlacedCamera:
    """The camera in a JSON object.

    Raises:
        ConfigError: `placement.camera.invalid`, with all problems.
    """
    if not isinstance(values, dict):
        raise _invalid(source, ["must be an object"])
    reader = _Reader(values)
    problems = reader.problems
    problems += [f"{key!r:.60}: unknown key" for key in values if key not in _KEYS]
    name = values.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable():
        problems.append("id: must be printable text of 1 to 64 characters")
    position = values.get("position")
    if not isinstance(position, list) or len(position) != 2:
        problems.append("position: must be [longitude, latitude]")
        position = [0.0, 0.0]
    place = (reader.number(position[0], "position[0]"), reader.number(position[1], "position[1]"))
    pose = Pose(
        place, reader.get("height_m"), reader.get("heading_deg"), reader.get("tilt_deg"),
        reader.get("roll_deg", 0.0),
    )  # fmt: skip
    lens = _lens(reader)
    covariance = _covariance(reader, lens)
    ground = reader.part("ground", {"height_m", "slope"})
    loose = GroundError(
        reader.number(ground.get("height_m", 0.3), "ground.height_m"),
        reader.number(ground.get("slope", 0.01), "ground.slope"),
    )
    if problems or lens is None or covariance is None:
        raise _invalid(source, problems)
    camera = PlacedCamera(str(name), lens, pose, covariance, loose)
    problems += camera.problems()
    if problems:
        raise _invalid(source, problems)
    return camera


def camera_values(camera: PlacedCamera) -> dict[str, Any]:
    """The camera as a JSON object. `camera_from(camera_values(c), source=…) == c`."""
    lens, pose = camera.lens, camera.pose
    return {
        "id": camera.id,
        "position": list(pose.place),
        "height_m": pose.height_m,
        "heading_deg": pose.heading_deg,
        "tilt_deg": pose.tilt_deg,
        "roll_deg": pose.roll_deg,
        "width_px": lens.width_px,
        "height_px": lens.height_px,
        "lens": {
            "fx_px": lens.fx_px,
            "fy_px": lens.fy_px,
            "cx_px": lens.cx_px,
            "cy_px": lens.cy_px,
            "distortion": list(lens.distortion),
            "error_px": lens.error_px,
        },
        "covariance": [list(row) for row in camera.covariance],
        "ground": {"height_m": camera.ground.height_m, "slope": camera.ground.slope},
    }


def camera_digest(camera: PlacedCamera) -> str:
    """SHA-256 in hex of the canonical JSON."""
    text = json.dumps(camera_values(camera), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def tolerances_to_covariance(
    tolerance: Mapping[str, float], hfov_deg: float
) -> tuple[tuple[float, ...], ...]:
    """The covariance of stated tolerances; what is not stated is `LOOSE`."""
    full = {**LOOSE, **tolerance}
    return measured_covariance(
        position_m=full["position_m"],
        height_m=full["height_m"],
        heading_deg=full["heading_deg"],
        tilt_deg=full["tilt_deg"],
        roll_deg=full["roll_deg"],
        focal_share=min(full["hfov_deg"] / hfov_deg * 1.2, 1.0),
    )


@dataclass(slots=True)
class _Reader:
    """Reads values and notes what is wrong with them."""

    values: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    def get(self, key: str, default: float | None = None) -> float:
        if key not in self.values and default is not None:
            return default
        return self.number(self.values.get(key), key)

    def number(self, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problems.append(f"{where}: must be a number")
            return 1.0
        try:
            return float(value)
        except OverflowError:
            self.problems.append(f"{where}: is out of range")
            return 1.0

    def whole(self, key: str) -> int:
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 8 <= value <= 16_384:
            self.problems.append(f"{key}: must be a whole number within 8 to 16384")
            return 8
        return value

    def part(self, key: str, known: set[str]) -> dict[str, Any]:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            self.problems.append(f"{key}: must be an object")
            return {}
        self.problems += [f"{key}.{k!r:.60}: unknown key" for k in value if k not in known]
        return value


def _lens(reader: _Reader) -> Lens | None:
    width, height = reader.whole("width_px"), reader.whole("height_px")
    if "lens" not in reader.values:
        hfov = reader.get("hfov_deg")
        if not 0.5 <= hfov <= 120.0:
            reader.problems.append(f"hfov_deg: {hfov:g} is not within 0.5 to 120")
            return None
        return Lens.from_hfov(width, height, hfov)
    if "hfov_deg" in reader.values:
        reader.problems.append("hfov_deg: contradicts lens; leave one out")
    part = reader.part("lens", _LENS)
    fx, fy, cx, cy = (
        reader.number(part.get(key), f"lens.{key}") for key in ("fx_px", "fy_px", "cx_px", "cy_px")
    )
    bent = part.get("distortion", [0, 0, 0, 0, 0])
    if not isinstance(bent, list) or len(bent) != 5:
        reader.problems.append("lens.distortion: must be [k1, k2, p1, p2, k3]")
        bent = [0.0] * 5
    k1, k2, p1, p2, k3 = (reader.number(v, f"lens.distortion[{i}]") for i, v in enumerate(bent))
    error = reader.number(part.get("error_px", 2.0), "lens.error_px")
    return Lens(width, height, fx, fy, cx, cy, (k1, k2, p1, p2, k3), error)


def _covariance(reader: _Reader, lens: Lens | None) -> tuple[tuple[float, ...], ...] | None:
    if "covariance" not in reader.values:
        tolerance = {
            key: reader.number(value, f"tolerance.{key}")
            for key, value in reader.part("tolerance", set(LOOSE)).items()
        }
        bad = [key for key, value in tolerance.items() if not 0 <= value <= 180]
        reader.problems += [f"tolerance.{key}: must be within 0 to 180" for key in bad]
        if bad or reader.problems or lens is None:
            return None
        hfov = lens.hfov_deg
        return tolerances_to_covariance(tolerance, hfov) if hfov > 0 else None
    if "tolerance" in reader.values:
        reader.problems.append("tolerance: contradicts covariance; leave one out")
    rows = reader.values["covariance"]
    if (
        not isinstance(rows, list)
        or len(rows) != 7
        or not all(isinstance(row, list) and len(row) == 7 for row in rows)
    ):
        reader.problems.append("covariance: must be seven rows of seven numbers")
        return None
    return tuple(
        tuple(reader.number(value, f"covariance[{i}][{j}]") for j, value in enumerate(row))
        for i, row in enumerate(rows)
    )


def _invalid(source: str, problems: list[str]) -> ConfigError:
    return ConfigError(
        f"{source} is not a valid camera",
        code="placement.camera.invalid",
        hint=_HINT,
        problems=tuple(problems[:100]),
    )
