"""Edge: a street as a video file with its truth beside it.

Does: encodes every frame (MJPG in `.avi`, mp4v in `.mp4`) and writes one JSON line a frame.
Does not: play it back; `capture` reads it like any other video.

Rules: the truth file's first line describes the street (size, masks, vehicles), every further line
one frame: `{"frame": 0, "time_s": 0.0, "vehicles": [...]}`, pixels of the frame.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import cv2

from alpr_edge.errors import AlprEdgeError
from alpr_edge.simulator.street import Street, VehicleTruth

_CODECS: Final = {".avi": "MJPG", ".mp4": "mp4v"}
_PLACES: Final = 2


def write_video(street: Street, path: Path) -> Path:
    """Write the whole clip; the codec follows from the suffix.

    Returns:
        The truth file: `path` with `.truth.jsonl` for its suffix.

    Raises:
        AlprEdgeError: `simulator.video`: the suffix is unknown or the file cannot be written.
    """
    codec = _CODECS.get(path.suffix.lower())
    if codec is None:
        raise AlprEdgeError(
            f"{path.name} is no video file that can be written",
            code="simulator.video",
            hint=f"end its name in {' or '.join(_CODECS)}",
        )
    truth_path = path.with_suffix(".truth.jsonl")
    config = street.config
    size = (config.width_px, config.height_px)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), config.fps, size)
    try:
        if not writer.isOpened():
            raise OSError("the encoder did not open it")
        with truth_path.open("w", encoding="utf-8") as lines:
            lines.write(json.dumps(_head(street)) + "\n")
            for frame in street.frames():
                writer.write(frame.image)
                vehicles = [truth_record(truth) for truth in frame.truth]
                record = {"frame": frame.number, "time_s": frame.time_s, "vehicles": vehicles}
                lines.write(json.dumps(record) + "\n")
    except OSError as err:
        raise AlprEdgeError(
            f"cannot write {path}: {err}",
            code="simulator.video",
            hint="check that the folder exists and has room",
        ) from err
    finally:
        writer.release()
    return truth_path


def truth_record(truth: VehicleTruth) -> dict[str, Any]:
    """One vehicle in one frame, ready for JSON."""
    corners = truth.corners
    return {
        "vehicle_id": truth.vehicle_id,
        "plate": truth.plate,
        "pattern": truth.pattern.value,
        "rear": truth.rear,
        "corners": None if corners is None else corners.astype(float).round(_PLACES).tolist(),
        "visible_fraction": round(truth.visible_fraction, 3),
        "width_px": round(truth.width_px, _PLACES),
        "facing_deg": round(truth.facing_deg, 1),
        "position_m": [round(truth.x_m, 3), round(truth.y_m, 3)],
        "heading": round(truth.heading, 4),
        "touches_premises": truth.touches_premises,
        "readable": truth.readable,
    }


def _head(street: Street) -> dict[str, Any]:
    config = street.config
    return {
        "seed": config.seed,
        "width": config.width_px,
        "height": config.height_px,
        "fps": config.fps,
        "duration_s": config.duration_s,
        "light": config.light.value,
        "masks": street.mask_polygons(),
        "vehicles": [
            {
                "vehicle_id": one.vehicle_id,
                "plate": one.plate,
                "pattern": one.pattern.value,
                "protected": one.protected,
                "readable": one.readable,
                "readable_frames": one.readable_frames,
            }
            for one in street.summary()
        ],
    }
