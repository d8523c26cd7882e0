"""Photographs a plate: geometry, surroundings and the order of the degradations.

Does: `photograph` gives what a reader sees, a detection rectified to a fixed size with a margin;
`scene_patch` gives a plate in perspective for pasting into scenes.
Does not: draw the plate (`art`) nor define single degradations (`camera`).

Rules: a plate is degraded at the resolution of an imagined sensor and enlarged afterwards, as in
reality. Corners run clockwise from the plate's own top left. Strengths are bounded by the pixels
per character, so that most shots stay readable to a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .art import PlateArt
from .camera import (
    cast_shadow,
    draw_severity,
    expose,
    glare,
    infrared,
    rain,
    roll,
    sense,
    soften,
    video_coding,
)
from .canvas import Image, one_of
from .mounting import bend, mount

MARGIN: Final = 0.15
"""Share of the returned image between its border and the plate, on each side."""

MIN_PITCH_PX: Final = 4.6
"""Sensor pixels per character below which people fail. Source: own look at shots, 2026."""

MIN_HEIGHT_PX: Final = 11.0
"""Sensor pixels of the plate's height per row below which people fail. Source: as above."""

Corners: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A rectified detection."""

    image: NDArray[np.uint8]
    """(80, 200, 3) BGR unless another size was asked for."""
    corners: Corners
    """(4, 2) x, y of the plate in the image."""


PARTS: Final = frozenset({"bend", "infrared", "roll", "coding", "weather", "noise", "blur"})
"""What a shot may be left without, to see what each part is worth (`shards --without`)."""


def photograph(
    art: PlateArt,
    rng: np.random.Generator,
    size: tuple[int, int] = (80, 200),
    parts: frozenset[str] = PARTS,
) -> Shot:
    """Photograph a plate and rectify it to `size` (rows, columns)."""
    mounted, plate = mount(art, rng)
    if "bend" in parts and rng.random() < 0.2:
        mounted = bend(mounted, rng)
    per_row = (len(art.text) + art.rows) / art.rows + 0.8
    aspect = art.image.shape[1] / art.image.shape[0]
    least = max(35.0, MIN_PITCH_PX * per_row, MIN_HEIGHT_PX * art.rows * aspect)
    width_px = float(np.clip(np.exp(rng.normal(4.6, 0.5)), least, 230.0))
    pitch_px = min(width_px / max(per_row, 8.0), 0.5 * width_px / aspect / art.rows)
    shape, target = _geometry(rng, width_px, aspect)
    severity = draw_severity(rng, pitch_px)
    scene = _surroundings(shape, target, rng, night=severity.night)
    scene = _pasted(scene, mounted, plate, target)
    if "weather" in parts:
        scene = _weather(scene, rng, night=severity.night)
    if "roll" in parts and rng.random() < 0.15:
        scene, target = roll(scene, target, rng)
    if "blur" in parts:
        scene = soften(scene, severity)
    if "infrared" in parts and severity.night and rng.random() < 0.5:
        scene = infrared(scene, target, rng)
    else:
        scene = expose(scene, rng, night=severity.night)
    if rng.random() < (0.85 if severity.night else 0.25):
        scene = cv2.cvtColor(cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR).astype(
            np.uint8
        )
    scene = _legible(scene, target, 15.0 + severity.noise * 1.3)
    if "noise" in parts:
        scene = sense(scene, rng, severity)
    if "coding" in parts and pitch_px > 7 and rng.random() < 0.15:
        scene = video_coding(scene, rng)
    scale = np.array([size[1] / shape[1], size[0] / shape[0]], np.float32)
    image = _enlarged(scene, size, rng)
    return Shot(image, (target * scale).astype(np.float32))


def scene_patch(art: PlateArt, rng: np.random.Generator, width_px: float) -> tuple[Image, Corners]:
    """Return a plate in random perspective, (h, w, 4) uint8 BGRA, and its corners (4, 2) in it."""
    mounted, plate = mount(art, rng)
    return _in_perspective(mounted, plate, art.image.shape[1] / art.image.shape[0], rng, width_px)


def perspective_patch(
    image: Image, rng: np.random.Generator, width_px: float
) -> tuple[Image, Corners]:
    """The same for any flat (h, w, 3) picture, without a plate's mounting."""
    rows, columns = image.shape[:2]
    opaque = np.dstack([image, np.full((rows, columns), 255, np.uint8)])
    flat = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    return _in_perspective(opaque, flat, columns / rows, rng, width_px)


def _in_perspective(
    mounted: Image, plate: Corners, aspect: float, rng: np.random.Generator, width_px: float
) -> tuple[Image, Corners]:
    quad = _unit_quad(aspect, rng, turn=float(rng.normal(0, 7)), slant=0.25)
    quad *= width_px / float(quad[:, 0].max() - quad[:, 0].min())
    pad = 0.12 * width_px / aspect + 2
    quad += pad - quad.min(axis=0)
    shape = (int(np.ceil(quad[:, 1].max() + pad)), int(np.ceil(quad[:, 0].max() + pad)))
    patch = _warped(mounted, plate, quad, shape)
    bgr = np.ascontiguousarray(patch[:, :, :3])
    if rng.random() < 0.3:
        bgr = cast_shadow(bgr, rng)
    ramp = np.arange(256, dtype=np.float32) * np.float32(rng.uniform(0.6, 1.05))
    bgr = np.asarray(cv2.LUT(bgr, np.clip(ramp, 0, 255).astype(np.uint8)), np.uint8)
    blur = float(rng.uniform(0, 0.9))
    both = np.dstack([bgr, patch[:, :, 3]])
    if blur > 0.35:
        both = cv2.GaussianBlur(both, (0, 0), blur).astype(np.uint8)
    return both, quad.astype(np.float32)


# --- geometry ------------------------------------------------------------------------------------


def _unit_quad(aspect: float, rng: np.random.Generator, turn: float, slant: float) -> Corners:
    """Return a plate of height 1, turned by degrees and seen from a side."""
    half = np.array([[-aspect, -1], [aspect, -1], [aspect, 1], [-aspect, 1]], np.float32) / 2
    yaw, pitch = rng.normal(0, slant), rng.normal(0, slant * 0.7)
    depth = 1.0 + (half[:, 0] * np.sin(yaw) + half[:, 1] * np.sin(pitch)) / (aspect * 3.0)
    seen = half * np.array([np.cos(yaw), np.cos(pitch)]) / depth[:, None]
    angle = np.deg2rad(turn)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(seen @ turned, np.float32)


def _geometry(
    rng: np.random.Generator, width_px: float, aspect: float
) -> tuple[tuple[int, int], Corners]:
    """Return the sensor's cut-out (rows, columns) and the plate's corners in it."""
    if rng.random() < 0.78:
        width, height = width_px / (1 - 2 * MARGIN), width_px / aspect / (1 - 2 * MARGIN)
        unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (1 - 2 * MARGIN) + MARGIN
        wild = 0.04 * float(rng.beta(1.3, 1.8))
        unit += rng.uniform(-wild, wild, (4, 2)) + rng.uniform(-wild, wild, 2)
        unit[:, 1] += (unit[:, 0] - 0.5) * rng.normal(0, 0.02)
        shape = (max(14, round(height)), max(30, round(width)))
        return shape, (unit * np.array([shape[1], shape[0]])).astype(np.float32)
    # Only box-cropped: the plate stays turned and slanted.
    turn = float(np.clip(rng.normal(0, 6), -12, 12)) * min(1.0, 3.0 / aspect)
    quad = _unit_quad(aspect, rng, turn, 0.3) * (width_px / aspect)
    margin = rng.uniform(0.04, MARGIN + 0.03)
    low, span = quad.min(axis=0), np.ptp(quad, axis=0)
    full = span / (1 - 2 * margin)
    quad = quad - low + (full - span) / 2
    shape = (max(14, round(float(full[1]))), max(30, round(float(full[0]))))
    return shape, np.asarray(quad, np.float32)


def _warped(mounted: Image, plate: Corners, target: Corners, shape: tuple[int, int]) -> Image:
    """Warp BGRA so that `plate` comes to `target`; shrink by area first against aliasing."""
    span = float(np.hypot(*(plate[1] - plate[0])))
    wanted = float(np.hypot(*(target[1] - target[0])))
    scale = min(1.0, 1.25 * wanted / span)
    if scale < 0.9:
        size = (max(8, round(mounted.shape[1] * scale)), max(8, round(mounted.shape[0] * scale)))
        ratio = np.array([size[0] / mounted.shape[1], size[1] / mounted.shape[0]], np.float32)
        mounted = np.asarray(cv2.resize(mounted, size, interpolation=cv2.INTER_AREA), np.uint8)
        plate = plate * ratio
    matrix = cv2.getPerspectiveTransform(plate.astype(np.float32), target.astype(np.float32))
    warped = cv2.warpPerspective(mounted, matrix, (shape[1], shape[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)


def _pasted(scene: Image, mounted: Image, plate: Corners, target: Corners) -> Image:
    """Lay the mounted plate over the surroundings."""
    warped = _warped(mounted, plate, target, (scene.shape[0], scene.shape[1]))
    alpha = warped[:, :, 3] * np.float32(1 / 255)
    face = np.ascontiguousarray(warped[:, :, :3])
    return np.asarray(cv2.blendLinear(face, scene, alpha, 1 - alpha), np.uint8)


# --- surroundings --------------------------------------------------------------------------------


def _surroundings(
    shape: tuple[int, int], target: Corners, rng: np.random.Generator, *, night: bool
) -> Image:
    """Paint a piece of a car: paint with a gradient, edges, a recess behind the plate."""
    rows, columns = shape
    body = np.array(one_of("kkkaasswwrbngmy", rng), np.float32)
    body *= rng.uniform(0.1, 0.5) if night else rng.uniform(0.4, 1.1)
    low = rng.uniform(0.6, 1.35, (int(rng.integers(2, 5)), 2)).astype(np.float32)
    shade = cv2.resize(low, (columns, rows), interpolation=cv2.INTER_CUBIC)
    scene: Image = np.clip(body * shade[:, :, None], 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 4))):  # body edges, grille bars, chrome
        y, lean = rng.uniform(0, rows), rng.normal(0, 0.06) * columns
        ink = one_of("kkasw", rng)
        thick = max(1, round(rng.uniform(0.01, 0.12) * rows))
        cv2.line(scene, (0, round(y)), (columns, round(y + lean)), ink, thick, cv2.LINE_AA)
    if rng.random() < 0.5:  # the recess
        middle = target.mean(axis=0)
        wide = (target - middle) * (1 + rng.uniform(0.05, 0.35, (1, 2))) + middle
        dark = one_of("kka", rng) if rng.random() < 0.7 else tuple(int(v) for v in body * 0.5)
        corners = np.round(wide * 8).astype(np.int32)
        cv2.fillConvexPoly(scene, corners, dark, cv2.LINE_AA, 3)
    if rng.random() < 0.12:  # a lamp, a badge
        at = (int(rng.integers(columns)), int(rng.choice([0, rows - 1])))
        cv2.circle(scene, at, max(2, rows // 6), one_of("rwysk", rng), -1, cv2.LINE_AA)
    if rng.random() < 0.5:  # the shadow of the plate or of a lamp housing above it
        middle = target.mean(axis=0)
        drop = np.array([0, rng.uniform(-0.08, 0.08) * rows])
        soft = np.round(((target - middle) * 1.05 + middle + drop) * 8).astype(np.int32)
        cv2.fillConvexPoly(scene, soft, (12, 12, 12), cv2.LINE_AA, 3)
    return scene


def _weather(scene: Image, rng: np.random.Generator, *, night: bool) -> Image:
    """Shadows, flare and rain."""
    if rng.random() < 0.28:
        scene = cast_shadow(scene, rng)
    if rng.random() < (0.3 if night else 0.07):
        scene = glare(scene, rng)
    if rng.random() < 0.04:
        scene = rain(scene, rng)
    return scene


# --- rectification -------------------------------------------------------------------------------


def _legible(scene: Image, target: Corners, least: float) -> Image:
    """Stretch the levels where the plate's contrast (standard deviation) is below `least`."""
    x0, y0 = np.maximum(target.min(axis=0), 0).astype(int)
    x1, y1 = np.maximum(target.max(axis=0), 3).astype(int)
    middle = scene[y0 + (y1 - y0) // 4 : y1 - (y1 - y0) // 5, x0:x1, 1]
    spread = float(middle.std()) if middle.size else 99.0
    if spread > least:
        return scene
    gain = least / max(spread, 3.0)
    mean = float(middle.mean())
    level = min(max(mean, 2.2 * least), 255 - 2.2 * least)
    return np.asarray(np.clip((scene - mean) * gain + level, 0, 255), np.uint8)


def _enlarged(scene: Image, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Resample to the wanted size as a rectifier would."""
    small = scene.shape[1] < size[1]
    way = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])) if small else cv2.INTER_AREA
    return np.asarray(cv2.resize(scene, (size[1], size[0]), interpolation=way), np.uint8)
