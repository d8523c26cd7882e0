"""What a drawing would do to what is in force, while it is drawn. Pure; the unit judges again.

Geometry and pixels are `exclusion.compare`: the very code that a unit decides with.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from alpr_edge.config.mask_file import mask_digest, parse_masks
from alpr_edge.errors import AlprEdgeError, ConfigError
from alpr_edge.exclusion.compare import compare
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.placement.session import AnswerRefused, CalibrationSession
from alpr_edge.zone_set import ZoneSet

LEAST_BAND = 0.02
"""Band that units ask for unless they are configured otherwise; only shares hang on it here."""


def judge(values: Any, in_force: ZoneSet | None, frame_px: tuple[int, int]) -> dict[str, Any]:
    """Whether the zones are sound, and how they compare.

    `verdict`: `unsound`, `first` (nothing is in force), `same`, `wider` or `narrower`.
    """
    try:
        zones = parse_masks(json.dumps(values), source="the drawing")
    except ConfigError as err:
        return {"verdict": "unsound", "problems": list(err.problems)}
    raster = rasterise(zones, size_px=frame_px, digest="", least_band=LEAST_BAND)
    pixels = frame_px[0] * frame_px[1]
    told: dict[str, Any] = {
        "problems": [],
        "narrowings": [],
        "core_share": int(np.count_nonzero(raster.core)) / pixels,
        "band_share": int(np.count_nonzero(raster.band)) / pixels,
        "added_px": 0,
        "removed_px": 0,
    }
    if in_force is None:
        return {**told, "verdict": "first"}
    change = compare(in_force, zones, size_px=frame_px, least_band=LEAST_BAND)
    same = mask_digest(in_force) == mask_digest(zones)
    return {
        **told,
        "verdict": "same" if same else ("wider" if change.covers else "narrower"),
        "narrowings": list(change.narrowings),
        "added_px": change.core_added_px,
        "removed_px": change.core_removed_px,
    }


def calibrate(answers: Any) -> dict[str, Any]:
    """The next question, the problem, or the fit of some answers (`[[key, text], …]`)."""
    session = CalibrationSession()
    for one in answers if isinstance(answers, list) else []:
        if not (isinstance(one, list) and len(one) == 2 and all(isinstance(t, str) for t in one)):
            return {"problem": "an answer is a question and a text"}
        question = session.question
        if question is None or question.key != one[0]:
            return {"problem": f"{one[0]} is not asked here"}
        try:
            session = session.answer(one[1])
        except AnswerRefused as err:
            return {"problem": f"{question.text}: {err.message}", "key": question.key}
    if session.question is not None:
        return {"problem": f"still asked: {session.question.text}", "key": session.question.key}
    try:
        fit = session.fit()
    except AlprEdgeError as err:
        lines = [err.message, *getattr(err, "problems", ())]
        return {"problem": "; ".join(lines)}
    pose = fit.camera.pose
    return {
        "rms_px": round(fit.rms_px, 2),
        "residuals": [
            {"name": r.name, "off_px": [round(v, 1) for v in r.off_px], "used": r.is_used}
            for r in fit.residuals
        ],
        "warnings": list(fit.warnings),
        "heading_deg": round(pose.heading_deg, 2),
        "tilt_deg": round(pose.tilt_deg, 2),
        "height_m": round(pose.height_m, 2),
        "place": list(pose.place),
    }
