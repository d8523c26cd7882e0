"""Shapes of the vehicles: side profiles, windows, lamps, wheels, mirrors.

Does: builds the mesh of each kind, once.
Does not: place, light or draw it; knows no plates but the recess behind them.

Rules: profiles run from the bottom of the front over the roof to the bottom of the rear; the points
4 to 8 of a passenger vehicle are its greenhouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from alpr_edge.simulator.mesh import Body, MeshBuilder, Profile, Surface
from alpr_edge.simulator.vehicles import SIZES, Kind

_P, _G, _T = Surface.PAINT, Surface.GLASS, Surface.TRIM


@dataclass(frozen=True, slots=True)
class _Shape:
    """Numbers of a passenger vehicle: profile, belt height, windows, and lamps by strip."""

    profile: Profile
    surfaces: tuple[Surface, ...]
    belt: float
    windows: tuple[tuple[tuple[float, float], ...], ...]
    roof_share: float
    rear_strip: int
    glass_strips: tuple[int, ...]


_SHAPES: Final[dict[Kind, _Shape]] = {
    Kind.SEDAN: _Shape(
        ((2.28, 0.22, 0.86), (2.375, 0.50, 0.9), (2.34, 0.66, 0.92), (2.22, 0.76, 0.93),
         (0.95, 0.96, 0.97), (0.15, 1.40, 0.76), (-0.35, 1.45, 0.77), (-1.0, 1.41, 0.75),
         (-1.72, 1.05, 0.95), (-2.27, 1.0, 0.92), (-2.375, 0.66, 0.93), (-2.30, 0.25, 0.88)),
        (_T, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P),
        1.05,
        (((0.78, 1.02), (0.12, 1.35), (-0.32, 1.39), (-0.36, 1.0)),
         ((-0.44, 1.0), (-0.40, 1.39), (-0.96, 1.35), (-1.42, 1.07))),
        0.76, 9, (4, 7),
    ),
    Kind.SUV: _Shape(
        ((2.22, 0.26, 0.86), (2.325, 0.56, 0.92), (2.30, 0.78, 0.93), (2.18, 0.93, 0.94),
         (1.02, 1.08, 0.97), (0.35, 1.62, 0.8), (-0.4, 1.72, 0.8), (-1.75, 1.66, 0.78),
         (-2.22, 1.12, 0.94), (-2.325, 0.72, 0.94), (-2.24, 0.28, 0.88)),
        (_T, _P, _P, _P, _P, _P, _P, _P, _P, _T),
        1.12,
        (((0.88, 1.13), (0.32, 1.54), (-0.30, 1.62), (-0.34, 1.12)),
         ((-0.42, 1.12), (-0.38, 1.62), (-1.05, 1.62), (-1.10, 1.13)),
         ((-1.18, 1.14), (-1.13, 1.61), (-1.66, 1.58), (-1.95, 1.18))),
        0.8, 8, (4, 7),
    ),
    Kind.VAN: _Shape(
        ((2.55, 0.26, 0.88), (2.65, 0.60, 0.93), (2.60, 0.86, 0.94), (2.45, 1.02, 0.95),
         (1.75, 1.16, 0.97), (1.0, 1.95, 0.84), (0.2, 2.08, 0.85), (-2.4, 2.05, 0.84),
         (-2.62, 1.2, 0.96), (-2.65, 0.55, 0.96), (-2.55, 0.28, 0.9)),
        (_T, _P, _P, _P, _P, _P, _P, _P, _P, _T),
        1.2,
        (((1.55, 1.24), (0.98, 1.84), (0.35, 1.90), (0.35, 1.2)),
         ((0.22, 1.2), (0.22, 1.90), (-1.0, 1.92), (-1.0, 1.2)),
         ((-1.12, 1.2), (-1.12, 1.92), (-2.25, 1.92), (-2.35, 1.2))),
        0.85, 8, (4, 7),
    ),
    Kind.PICKUP: _Shape(
        ((2.72, 0.34, 0.9), (2.85, 0.66, 0.95), (2.83, 0.96, 0.95), (2.70, 1.10, 0.95),
         (1.35, 1.20, 0.97), (0.70, 1.80, 0.8), (0.0, 1.88, 0.8), (-0.75, 1.82, 0.79),
         (-0.95, 1.18, 0.96), (-2.82, 1.18, 0.97), (-2.84, 0.66, 0.97), (-2.78, 0.42, 0.9)),
        (_T, _P, _P, _P, _P, _P, _P, _P, _T, _P, _T),
        1.2,
        (((1.18, 1.22), (0.68, 1.72), (0.20, 1.78), (0.16, 1.20)),
         ((0.08, 1.20), (0.12, 1.78), (-0.66, 1.74), (-0.78, 1.21))),
        0.8, 9, (4, 7),
    ),
}  # fmt: skip
"""Profiles in metres. Source: drawn by eye after side views of common models."""


@lru_cache(maxsize=16)
def body_of(kind: Kind) -> Body:
    """The mesh of a kind. Built once."""
    return _truck() if kind is Kind.TRUCK else _car(kind)


def _car(kind: Kind) -> Body:
    shape, size = _SHAPES[kind], SIZES[kind]
    build = MeshBuilder()
    half = size.width_m / 2
    strips = build.hull(shape.profile, half, shape.surfaces, _P)
    head = [build.on(strips[2], (s * 0.98, s * 0.5, 0.05, 0.98), Surface.HEADLAMP) for s in (-1, 1)]
    _front(build, strips)
    rear = strips[shape.rear_strip]
    tail = [build.on(rear, (s * 0.99, s * 0.62, 0.06, 0.52), Surface.TAILLAMP) for s in (-1, 1)]
    _rear(build, rear, strips[-1])
    for strip in shape.glass_strips:
        build.on(strips[strip], (-0.92, 0.92, 0.06, 0.94), _T)
        build.on(strips[strip], (-0.89, 0.89, 0.1, 0.91), _G, 2)
        build.on(strips[strip], (-0.89, 0.89, 0.52, 0.91), Surface.GLASS_SHINE, 3)
    build.on(strips[5], (-0.9, 0.9, 0.1, 0.9), Surface.SHINE)
    _mirrors(build, half, shape)
    for window in shape.windows:
        build.sides(half * (shape.roof_share + 0.13), window, _G)
    axle = size.wheelbase_m / 2
    build.wheels(half * 0.975, (axle, -axle), 0.33 if kind is Kind.SEDAN else 0.38)
    _doors(build, half, axle, shape.belt)
    return build.done(head, tail)


def _front(build: MeshBuilder, strips: list[int]) -> None:
    """Grille, lamps' inner parts, bumper, air inlet, and the folds of the bonnet."""
    build.on(strips[2], (-0.46, 0.46, 0.1, 0.85), Surface.CHROME)
    build.on(strips[2], (-0.44, 0.44, 0.18, 0.78), _T, 2)
    for side in (-1, 1):
        build.on(strips[2], (side * 0.9, side * 0.66, 0.25, 0.8), Surface.CHROME, 2)
        build.on(strips[2], (side * 0.98, side * 0.92, 0.05, 0.98), Surface.LENS, 2)
        build.on(strips[1], (side * 0.92, side * 0.7, 0.12, 0.5), _T)
        build.on(strips[3], (side * 0.84, side * 0.82, 0.0, 1.0), Surface.SHADE, 2)
        build.on(strips[0], (side * 0.86, side * 0.74, 0.4, 0.7), Surface.CHROME)
    build.on(strips[1], (-0.98, 0.98, 0.62, 1.0), Surface.SHINE)
    build.on(strips[1], (-0.62, 0.62, 0.0, 0.12), _T, 2)
    build.on(strips[0], (-0.6, 0.6, 0.3, 0.8), Surface.TYRE)
    build.on(strips[3], (-0.82, 0.82, 0.35, 1.0), Surface.SHINE)


def _rear(build: MeshBuilder, rear: int, bumper: int) -> None:
    """Lid or door, the plate's recess, reverse lamps, and the bumper."""
    build.on(rear, (-0.98, 0.98, 0.0, 0.08), Surface.SHINE)
    build.on(rear, (-0.4, 0.4, 0.16, 0.99), Surface.SHADE)
    build.on(rear, (-0.34, 0.34, 0.12, 0.2), Surface.CHROME, 2)
    for side in (-1, 1):
        build.on(rear, (side * 0.76, side * 0.64, 0.3, 0.5), Surface.CHROME, 2)
        build.on(bumper, (side * 0.92, side * 0.78, 0.3, 0.44), Surface.TAILLAMP)
    build.on(bumper, (-0.96, 0.96, 0.0, 0.1), Surface.SHINE)
    build.on(bumper, (-0.9, 0.9, 0.6, 1.0), _T)


def _mirrors(build: MeshBuilder, half: float, shape: _Shape) -> None:
    """Wing mirrors: their front, rear and top."""
    y, z = shape.profile[4][0] - 0.25, shape.belt
    for side in (-1.0, 1.0):
        inner, outer = side * half * 0.96, side * (half + 0.2)
        low, high = z - 0.02, z + 0.14
        front, back = y + 0.07, y - 0.07
        for at, way, surface in ((front, 1.0, _P), (back, -1.0, _G)):
            face = [(inner, at, low), (outer, at, low), (outer, at, high), (inner, at, high)]
            build.add(face, surface, np.array([0.0, way, 0.0]))
        top = [(inner, front, high), (outer, front, high), (outer, back, high), (inner, back, high)]
        build.add(top, _P, np.array([0.0, 0.0, 1.0]))


def _doors(build: MeshBuilder, half: float, axle: float, belt: float) -> None:
    """Sills, door gaps and handles."""
    x = half * 0.97
    end = axle + 0.5
    build.sides(x, ((end, 0.36), (end, 0.58), (-end, 0.58), (-end, 0.36)), Surface.SHADE)
    crease = ((end, belt - 0.12), (end, belt - 0.09), (-end, belt - 0.09), (-end, belt - 0.12))
    build.sides(x, crease, Surface.SHINE)
    build.sides(x, ((axle - 0.45, 0.26), (axle - 0.45, 0.36), (0.45 - axle, 0.36),
                    (0.45 - axle, 0.26)), _T)  # fmt: skip
    for y in (axle - 0.55, -0.38):
        build.sides(x, ((y, 0.4), (y, belt - 0.1), (y - 0.02, belt - 0.1), (y - 0.02, 0.4)),
                    Surface.LINE)  # fmt: skip
    for y in (-0.18, -1.1):
        handle = (
            (y, belt - 0.2),
            (y, belt - 0.16),
            (y - 0.18, belt - 0.16),
            (y - 0.18, belt - 0.2),
        )
        build.sides(x, handle, _T, 2)


def _truck() -> Body:
    """A cab, and a box behind it."""
    size = SIZES[Kind.TRUCK]
    half, end = size.width_m / 2, size.length_m / 2
    build = MeshBuilder()
    cab: Profile = (
        (end - 0.1, 0.35, 0.9), (end, 0.75, 0.94), (end - 0.02, 1.05, 0.95),
        (end - 0.1, 1.25, 0.95), (end - 0.6, 1.45, 0.95), (end - 1.15, 2.25, 0.84),
        (end - 2.1, 2.32, 0.84), (end - 2.15, 0.5, 0.92),
    )  # fmt: skip
    strips = build.hull(cab, half, (_T, _P, _P, _P, _P, _P, _P), _P)
    head = [build.on(strips[2], (s * 0.95, s * 0.62, 0.0, 0.95), Surface.HEADLAMP) for s in (-1, 1)]
    build.on(strips[2], (-0.55, 0.55, 0.0, 0.9), _T)
    build.on(strips[4], (-0.92, 0.92, 0.08, 0.92), _G)
    build.sides(half * 0.96, ((end - 0.85, 1.5), (end - 1.2, 2.1), (end - 1.95, 2.1),
                              (end - 1.95, 1.45)), _G)  # fmt: skip
    box: Profile = (
        (end - 2.25, 0.95, 1.0), (end - 2.25, 3.3, 1.0), (-end, 3.3, 1.0), (-end, 0.95, 1.0),
        (-end, 0.5, 0.9),
    )  # fmt: skip
    cargo = Surface.CARGO
    boxes = build.hull(box, half, (cargo, cargo, cargo, _T), cargo)
    build.on(boxes[2], (-0.012, 0.012, 0.02, 0.98), Surface.LINE)
    for row in (0.25, 0.75):
        build.on(boxes[2], (-0.95, 0.95, row, row + 0.012), Surface.LINE)
    tail = [build.on(boxes[3], (s * 0.98, s * 0.74, 0.2, 0.6), Surface.TAILLAMP) for s in (-1, 1)]
    build.wheels(half * 0.98, (size.wheelbase_m / 2 + 0.3, -size.wheelbase_m / 2), 0.45)
    return build.done(head, tail)
