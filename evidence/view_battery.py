"""N7 in full: a whole simulated day at the watch's own rate, moves, sabotage, and real scenes.

Does: gives the watch 24 hours (night, dusk, day, fog, rain, traffic with headlights), a dirty lens
with passing high beams, shifts at every third hour, every kind of sabotage; and, with photos, real
scenes as static views in other light and under known homographies.
Does not: tune anything; thresholds were chosen on the simulated day, before these runs.

Rules: a piece depends on its key alone. The day is seen twice:

- *lapse*: all of it in an hour. Two glances a second of the watch's time, so traffic and noise
  come at their own rate, and the light of 12 s later at each. Light and weather of this day blend
  over an hour and more, so nothing of them lies between two such glances. What would be easier so
  is made as hard: a view may stay unconfirmed for a 24th of the time (`doubt_ns`), so that a doubt
  that would stop a unit stops here; and a real change of light is never so fast.
- *day*: five minutes of every hour (all minutes, with the whole day) at the watch's own rate. They
  begin two minutes early, so that a doubt from before goes on in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.view_reference import Reference, make_reference
from alpr_edge.exclusion.view_watch import ViewState, ViewWatch, WatchLimits
from alpr_edge.exclusion.zones import Zones, make_zones
from alpr_edge.simulator.day import Day, DayConfig
from alpr_edge.simulator.scene import mask_polygons
from alpr_edge.simulator.view_faults import covered, defocused, dirt, glare, turned
from alpr_edge.types import Frame, Image

STEP_S = 0.5
"""The watch looks every 0.48 s: a frame in between would only pass the time."""
SIZE = (384, 216)
_LEAD = 250
"""Glances before a piece of the day: longer than the longest doubt (120 s)."""
_PIECE = 600
"""Glances of five minutes."""
DAY_PIECES, WHOLE_DAY = 24, 288
LAPSE = 24
_HOUR = 3600 * 2 // LAPSE
"""Glances of an hour in lapse."""
_LAPSE_LEAD = 30
"""Glances before it: longer than the longest doubt there (5 s)."""
_NOON = 11.0
WITHIN = 10
"""Glances in five seconds."""
SHIFTS: dict[str, dict[str, float]] = {
    "pan 0.5°": {"pan": 0.5},
    "pan -1.5°": {"pan": -1.5},
    "tilt 0.5°": {"tilt": 0.5},
    "roll 2°": {"roll": 2.0},
    "zoom 1.05": {"zoom": 1.05},
    "pan 6°": {"pan": 6.0},
}
SHIFT_HOURS = (0.5, 3.5, 6.5, 9.5, 12.5, 15.5, 18.5, 21.5)
"""Fog at 6.5 h, rain ends at 15 h, night at 0.5, 3.5 and 21.5 h."""
SABOTAGE: dict[str, set[ViewState]] = {
    "covered, dark": {ViewState.COVERED},
    "covered, bright": {ViewState.COVERED},
    "defocused": {ViewState.DEFOCUSED},
    "blurred away": {ViewState.DEFOCUSED, ViewState.COVERED},
    "another view": {ViewState.TURNED},
    "turned by 40°": {ViewState.TURNED, ViewState.MOVED},
    "frozen": {ViewState.FROZEN},
}
"""What may be said of each. A picture may freeze for ten seconds before it is called frozen."""
SABOTAGE_HOURS = (6.0, 11.0, 14.0, 23.0)
_MOVED = (ViewState.MOVED, ViewState.TURNED)
PHOTO_MASK = [(0.0, 0.0), (0.3, 0.0), (0.3, 0.4), (0.0, 0.4)]
Row = dict[str, Any]


class View:
    """One view's frames through mask and watch, half a second apart."""

    def __init__(self, zones: Zones) -> None:
        self.zones = zones
        self._masker = Masker(zones)

    def masked(self, images: Iterable[Image]) -> Iterator[MaskedFrame]:
        """Frames of a clock that begins at 0."""
        for number, image in enumerate(images):
            now, taken_ns = datetime(2026, 1, 1, tzinfo=UTC), int(number * STEP_S * 1e9)
            yield self._masker.apply(Frame(image, "battery", number, now, taken_ns))

    def states(
        self, reference: Reference, images: Iterable[Image], limits: WatchLimits | None = None
    ) -> list[tuple[ViewState, bool]]:
        """State and permission to read after each frame."""
        watch = ViewWatch(reference, self.zones, limits)
        reports = [watch.step(frame) for frame in self.masked(images)]
        return [(report.state, report.may_read) for report in reports]


@cache
def _day() -> tuple[Day, View, Reference]:
    day = Day(DayConfig(3, *SIZE, rain_hours=(13.0, 15.0), fog_hours=(4.0, 9.0)))
    view = View(make_zones(mask_polygons(day.camera), size_px=SIZE, band_px=8, digest="battery"))
    reference = make_reference(view.masked(day.frame(_NOON, 9 * n) for n in range(20)), view.zones)
    return day, view, reference


@cache
def _elsewhere(name: str) -> Day:
    day = _day()[0]
    return Day(day.config, turned(day.camera, **{**SHIFTS, "pan 40°": {"pan": 40.0}}[name]))


def keys(photos: Path | None, day_pieces: int = DAY_PIECES) -> list[str]:
    """Every piece; of the day at the watch's own rate the first `day_pieces`."""
    # One of each hour, then another of each: over the hours all minutes occur.
    order = [12 * h + (h + turn) % 12 for turn in range(12) for h in range(24)]
    found = [f"lapse {n}" for n in range(24)]
    found += [f"day {n}" for n in order[:day_pieces]]
    found += [f"lens {h:g}" for h in SHIFT_HOURS]
    found += [f"shift {h:g} {name}" for h in SHIFT_HOURS for name in SHIFTS]
    found += [f"sabotage {h:g} {name}" for h in SABOTAGE_HOURS for name in SABOTAGE]
    if photos is not None:
        for path in photo_files(photos):
            kind = "clip" if path.suffix == ".mp4" else "photo"
            found.append(f"{kind} {path.relative_to(photos).as_posix()}")
    return found


def photo_files(photos: Path) -> list[Path]:
    """The real scenes and clips that are used."""
    scenes = [p for name in ("scenes", "photos") for p in (photos / "measure" / name).rglob("*")]
    wanted = [p for p in scenes if p.suffix.lower() in (".jpg", ".png")]
    return sorted(wanted) + sorted((photos / "measure" / "video").glob("*.mp4"))


def piece(key: str, photos: Path | None) -> Row:
    """One piece's counts."""
    kind, _, rest = key.partition(" ")
    if kind == "lapse":
        return hour(int(rest))
    if kind == "day":
        return minutes(int(rest))
    if kind == "lens":
        return lens(float(rest))
    if kind == "shift":
        at, _, name = rest.partition(" ")
        return shift(float(at), name)
    if kind == "sabotage":
        at, _, name = rest.partition(" ")
        return sabotage(float(at), name)
    assert photos is not None
    return (clip if kind == "clip" else photo)(photos / rest)


def minutes(number: int) -> Row:
    """600 glances of the day, and those before them."""
    day, view, reference = _day()
    first, lead = number * _PIECE, _LEAD if number else 0
    frames = (day.frame(n * STEP_S / 3600, n) for n in range(first - lead, first + _PIECE))
    states = view.states(reference, frames)
    return _without_a_stop(states, lead or 2, first * STEP_S / 3600)


def hour(number: int) -> Row:
    """An hour of the day in 150 s, and the minutes before it."""
    day, view, reference = _day()
    first, lead = number * _HOUR, _LAPSE_LEAD if number else 0
    frames = (day.frame(n * STEP_S * LAPSE / 3600, n) for n in range(first - lead, first + _HOUR))
    limits = WatchLimits(doubt_ns=WatchLimits().doubt_ns // LAPSE)
    states = view.states(reference, frames, limits)
    return _without_a_stop(states, lead or 2, number, STEP_S * LAPSE)


def lens(at: float) -> Row:
    """Two minutes through a half dirty lens, with high beams that pass every ten seconds."""
    day, view, reference = _day()

    def seen(n: int) -> Image:
        beam = max(0.0, 1.0 - abs(n % 20 - 10) / 4)

        def through(image: Image) -> Image:
            dirty = dirt(image, 0.5)
            return glare(dirty, (0.3 + 0.02 * (n % 20), 0.4), 0.8 * beam) if beam else dirty

        return day.frame(at + n * STEP_S / 3600, n, lens=through if n >= 12 else None)

    return _without_a_stop(view.states(reference, (seen(n) for n in range(252))), 12, at)


def _without_a_stop(
    states: list[tuple[ViewState, bool]], skip: int, at: float, step_s: float = STEP_S
) -> Row:
    counted = states[skip:]
    stops = [round(at + n * step_s / 3600, 4) for n, (_, reads) in enumerate(counted) if not reads]
    longest = run = 0
    for state, _ in counted:
        run = run + 1 if state is ViewState.DOUBTFUL else 0
        longest = max(longest, run)
    return {
        "glances": len(counted),
        "stops": len(stops),
        "first_stop_h": stops[0] if stops else None,
        "states": dict(Counter(state.value for state, _ in counted)),
        "longest_doubt_s": longest * step_s,
    }


def shift(at: float, name: str) -> Row:
    """A mount that gives way after three seconds."""
    day, view, reference = _day()
    frames = ((day if n < 6 else _elsewhere(name)).frame(at, n) for n in range(6 + WITHIN + 6))
    return _told(view.states(reference, frames)[6:], set(_MOVED))


def sabotage(at: float, name: str) -> Row:
    """Something done to the lens after three seconds."""
    day, view, reference = _day()
    frozen = name == "frozen"
    frames = (_sabotaged(day, at, name, n) for n in range(6 + (2 + frozen) * WITHIN + 8))
    return _told(view.states(reference, frames)[6:], SABOTAGE[name])


def _sabotaged(day: Day, at: float, name: str, n: int) -> Image:
    if n < 6:
        return day.frame(at, n)
    if name == "frozen":
        return day.frame(at, 6)
    if name == "turned by 40°":
        return _elsewhere("pan 40°").frame(at, n)
    if name == "another view":
        bricks = np.random.default_rng(2).integers(0, 256, (18, 32, 3), dtype=np.uint8)
        wall = cv2.resize(bricks, SIZE, interpolation=cv2.INTER_NEAREST)
        return np.asarray(cv2.add(wall, np.full_like(wall, n % 3)), np.uint8)
    how: dict[str, Callable[[Image], Image]] = {
        "covered, dark": covered,
        "covered, bright": lambda image: covered(image, bright=True),
        "defocused": lambda image: defocused(image, 0.012),
        "blurred away": lambda image: defocused(image, 0.05),
    }
    return day.frame(at, n, lens=how[name])


def _told(after: list[tuple[ViewState, bool]], names: set[ViewState]) -> Row:
    """When one of the names was first said, when reading first stopped, and the last word."""
    told = next((n for n, (state, _) in enumerate(after, 1) if state in names), None)
    stopped = next((n for n, (_, reads) in enumerate(after, 1) if not reads), None)
    return {
        "told_s": None if told is None else told * STEP_S,
        "stopped_s": None if stopped is None else stopped * STEP_S,
        "last": after[-1][0].value,
        "reads_at_the_end": after[-1][1],
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


def photo(path: Path) -> Row:
    """A real scene as a static view: other light must not stop, a homography must."""
    image = _small(np.asarray(cv2.imread(str(path)), np.uint8))
    height, width = image.shape[:2]
    view = View(make_zones([PHOTO_MASK], size_px=(width, height), band_px=12, digest="p"))
    scenes = dict(lights(image, 7))
    usual = scenes["as it is"]
    reference = make_reference(view.masked(usual(n) for n in range(4)), view.zones)
    refused = _refused(reference, view.zones)
    if refused:
        return {"refused": refused}
    stops = [
        name
        for name, scene in scenes.items()
        if not view.states(reference, (scene(n) for n in range(8)))[-1][1]
    ]
    missed = []
    for name, matrix in warps(width, height).items():
        moved = [_warped(usual(n), matrix) for n in range(WITHIN)]
        states = view.states(reference, [*(usual(n) for n in range(4)), *moved])
        if states[-1][0] not in _MOVED:
            missed.append(f"{name}: {states[-1][0].value}, {'reads' if states[-1][1] else 'stops'}")
    return {"lights": len(scenes), "stops": stops, "warps": 4, "missed": missed}


def _refused(reference: Reference, zones: Zones) -> str:
    """Why a view cannot be watched, if it cannot; a device would not start with it."""
    try:
        ViewWatch(reference, zones)
    except ExclusionError as err:
        return err.code
    return ""


def clip(path: Path) -> Row:
    """A real traffic clip: its own view must be confirmed, the shifted one must not."""
    reader = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    while True:
        good, image = reader.read()
        if not good:
            break
        frames.append(np.asarray(image, np.uint8))
    reader.release()
    frames = frames[::6]
    height, width = frames[0].shape[:2]
    view = View(make_zones([PHOTO_MASK], size_px=(width, height), band_px=15, digest="v"))
    reference = make_reference(view.masked(f.copy() for f in frames[::3]), view.zones)
    refused = _refused(reference, view.zones)
    if refused:
        return {"refused": refused}
    states = view.states(reference, (f.copy() for f in frames))
    missed = []
    for name, matrix in warps(width, height).items():
        moved = [_warped(f, matrix) for f in frames[20:30]]
        after = view.states(reference, [*(f.copy() for f in frames[10:20]), *moved])
        if after[-1][0] not in _MOVED:
            missed.append(f"{name}: {after[-1][0].value}")
    found = _without_a_stop(states, 2, 0)
    return {**found, "warps": 4, "missed": missed}


def _warped(image: Image, matrix: np.ndarray) -> Image:
    size = image.shape[1], image.shape[0]
    return np.asarray(
        cv2.warpPerspective(image, matrix, size, borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def _small(image: Image) -> Image:
    """Width 512 at the most: the watch looks at 128 cells, and noise for more pixels costs time."""
    scale = 512 / image.shape[1]
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=3), np.uint8)
