"""N7 in full: `python -m bench.view_battery [--step-s 20] [--photos FOLDER]`.

Does: a whole simulated day (every `step-s` seconds of it), shifts at every third hour, and, with
photos, real scenes as static views: other light must not stop, known homographies must. Writes
out/view.json; exit status 1 if anything stopped that should not, or did not that should.
Does not: tune anything; thresholds were chosen on the simulated day.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.view_reference import Reference, make_reference
from alpr_edge.exclusion.view_watch import ViewState, ViewWatch
from alpr_edge.exclusion.zones import Zones, make_zones
from alpr_edge.simulator.day import Day, DayConfig
from alpr_edge.simulator.scene import mask_polygons
from alpr_edge.simulator.view_faults import turned
from alpr_edge.types import Frame, Image

STEP_NS = 500_000_000
SIZE = (384, 216)
SHIFTS = ({"pan": 0.5}, {"pan": -1.5}, {"tilt": 0.5}, {"roll": 2.0}, {"zoom": 1.05}, {"pan": 6.0})
STOPPED = (ViewState.MOVED, ViewState.TURNED)
PHOTO_MASK = [(0.0, 0.0), (0.3, 0.0), (0.3, 0.4), (0.0, 0.4)]


class View:
    """One view's frames through mask and watch, half a second apart."""

    def __init__(self, zones: Zones) -> None:
        self.zones = zones
        self._masker = Masker(zones)

    def masked(self, images: Iterable[Image]) -> Iterator[MaskedFrame]:
        """Frames of a clock that begins at 0."""
        for number, image in enumerate(images):
            now = datetime(2026, 1, 1, tzinfo=UTC)
            yield self._masker.apply(Frame(image, "battery", number, now, number * STEP_NS))

    def states(self, reference: Reference, images: Iterable[Image]) -> list[tuple[ViewState, bool]]:
        """State and permission to read after each frame."""
        watch = ViewWatch(reference, self.zones)
        reports = [watch.step(frame) for frame in self.masked(images)]
        return [(report.state, report.may_read) for report in reports]


def whole_day(step_s: float) -> dict[str, Any]:
    """Every `step_s` of 24 hours with fog and rain; half a second apart for the watch."""
    day = Day(DayConfig(3, *SIZE, rain_hours=(13.0, 15.0), fog_hours=(4.0, 9.0)))
    view = View(make_zones(mask_polygons(day.camera), size_px=SIZE, band_px=8, digest="battery"))
    reference = make_reference(view.masked(day.frame(11.0, 9 * n) for n in range(20)), view.zones)
    looks = int(86_400 / step_s)
    states = view.states(reference, (day.frame(n * step_s / 3600, n) for n in range(looks)))
    stops = [
        round(n * step_s / 3600, 2) for n, (_, reads) in enumerate(states) if n > 1 and not reads
    ]
    found, late = 0, []
    for how in SHIFTS:
        elsewhere = Day(day.config, turned(day.camera, **how))
        for hour in range(0, 24, 3):
            frames = ((day if n < 6 else elsewhere).frame(hour + 0.5, n) for n in range(16))
            after = view.states(reference, frames)[6:]
            if after[-1][0] in STOPPED:
                found += 1
            else:
                late.append(f"{hour}.5 h {how}: {after[-1][0]}")
    return {
        "looks": looks,
        "false_stops_at_hours": stops,
        "states": dict(Counter(state.value for state, _ in states)),
        "shifts": found + len(late),
        "told_within_5_s": found,
        "not_told": late,
    }


def lights(image: Image, seed: int) -> Iterator[tuple[str, Callable[[int], Image]]]:
    """The scene in other light, as functions of the frame's number (another noise each time)."""
    scale = np.arange(256, dtype=np.float32) / 255

    def noisy(curve: np.ndarray, sigma: float, number: int) -> Image:
        lit = cv2.LUT(image, np.clip(curve, 0, 255).astype(np.uint8)).astype(np.float32)
        noise = np.random.default_rng([seed, number]).normal(0, sigma, image.shape)
        return np.clip(lit + noise, 0, 255).astype(np.uint8)

    for name, curve, sigma in (
        ("as it is", scale * 255, 2.0),
        ("darker", scale * 80, 5.0),
        ("over-exposed", scale * 420, 2.0),
        ("gamma 0.5", 255 * scale**0.5, 3.0),
        ("gamma 2", 255 * scale**2, 3.0),
        ("flat, as in fog", 120 + scale * 70, 3.0),
    ):
        yield name, lambda number, curve=curve, sigma=sigma: noisy(curve, sigma, number)


def warps(width: int, height: int) -> dict[str, np.ndarray]:
    """Known homographies, each beyond the margin."""
    centre = (width / 2, height / 2)
    roll = np.vstack([cv2.getRotationMatrix2D(centre, 3.0, 1.0), [0, 0, 1]])
    zoom = np.vstack([cv2.getRotationMatrix2D(centre, 0.0, 1.06), [0, 0, 1]])
    tilt = np.array([[1, 0.01, 0], [0, 1.02, -0.03 * height], [0, 0.03 / height, 1]])
    pan = np.array([[1, 0, 0.03 * width], [0, 1, 0], [0, 0, 1]], float)
    return {"pan": pan, "roll": roll, "zoom": zoom, "tilt with keystone": tilt}


def photos(files: list[Path]) -> dict[str, object]:
    """Real scenes as static views."""
    plain, stops, missed = 0, [], []
    tried = Counter[str]()
    for number, path in enumerate(files):
        image = cv2.imread(str(path))
        if image is None:
            continue
        height, width = image.shape[:2]
        view = View(make_zones([PHOTO_MASK], size_px=(width, height), band_px=12, digest="p"))
        scenes = dict(lights(image, number))
        usual = scenes["as it is"]
        reference = make_reference(view.masked(usual(n) for n in range(4)), view.zones)
        try:
            ViewWatch(reference, view.zones)
        except ExclusionError:
            plain += 1
            continue
        for name, scene in scenes.items():
            tried["light"] += 1
            if not view.states(reference, (scene(n) for n in range(8)))[-1][1]:
                stops.append(f"{path.name}: {name}")
        for name, matrix in warps(width, height).items():
            tried["warp"] += 1
            moved = [
                cv2.warpPerspective(
                    usual(n), matrix, (width, height), borderMode=cv2.BORDER_REFLECT
                )
                for n in range(10)
            ]
            states = view.states(reference, [*(usual(n) for n in range(4)), *moved])
            if states[-1][0] not in STOPPED:
                missed.append(f"{path.name}: {name}: {states[-1][0]}")
    return {
        "scenes": len(files),
        "too_plain": plain,
        "other_light": tried["light"],
        "stopped_in_other_light": stops,
        "homographies": tried["warp"],
        "not_told_within_5_s": missed,
    }


def clip(path: Path) -> dict[str, object]:
    """A real traffic clip: its own view must be confirmed, the shifted one must not."""
    reader = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        good, image = reader.read()
        if not good:
            break
        frames.append(np.asarray(image, np.uint8))
    frames = frames[::6]
    height, width = frames[0].shape[:2]
    view = View(make_zones([PHOTO_MASK], size_px=(width, height), band_px=15, digest="v"))
    reference = make_reference(view.masked(f.copy() for f in frames[::3]), view.zones)
    states = view.states(reference, (f.copy() for f in frames))
    matrix = warps(width, height)["pan"]
    moved = [
        cv2.warpPerspective(f, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        for f in frames[20:30]
    ]
    after = view.states(reference, [*(f.copy() for f in frames[10:20]), *moved])
    return {
        "frames": len(frames),
        "states": dict(Counter(state.value for state, _ in states)),
        "shifted_is": after[-1][0].value,
    }


def main() -> int:
    """Run it all and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.view_battery", description=__doc__)
    parser.add_argument("--step-s", type=float, default=20.0, help="seconds of the day (20)")
    parser.add_argument("--photos", type=Path, default=os.environ.get("ALPR_EDGE_PHOTOS"))
    parser.add_argument("--most", type=int, default=60, help="photos of each folder (60)")
    parser.add_argument("--out", type=Path, default=Path("out/view.json"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    report: dict[str, dict[str, object]] = {"day": whole_day(args.step_s)}
    if args.photos:
        folder = Path(args.photos)
        for name, place in (("scenes", "measure/scenes"), ("street photos", "measure/photos")):
            report[name] = photos(sorted((folder / place).rglob("*.jpg"))[: args.most])
        for path in sorted((folder / "measure" / "video").glob("*.mp4")):
            report[path.name] = clip(path)
    print(json.dumps(report, indent=2))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    day = report["day"]
    return 1 if day["false_stops_at_hours"] or day["not_told"] else 0


if __name__ == "__main__":
    sys.exit(main())
