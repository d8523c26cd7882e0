"""Meshes of flat faces: what a body is made of, and the builder that writes it.

Does: holds faces, packs them for fast projection, and builds hulls from side profiles.
Does not: know any vehicle's shape (see `bodies`), place, light or draw it.

Rules: a vehicle's own axes, x right, y forward, z up, metres. A face is a polygon, convex if it has
four corners or fewer, seen from the side its normal points to. A face with `layer` 0 is part of a
hull; higher layers lie on it and are drawn after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from alpr_edge.simulator.camera import Points

Profile = tuple[tuple[float, float, float], ...]
"""`(y, z, share of half width)` from the bottom of the front over the roof to the rear's bottom."""


class Surface(Enum):
    """What a face is made of; decides its colour and how it takes light."""

    PAINT = auto()
    SHINE = auto()
    SHADE = auto()
    GLASS = auto()
    GLASS_SHINE = auto()
    TRIM = auto()
    TYRE = auto()
    RIM = auto()
    HEADLAMP = auto()
    TAILLAMP = auto()
    CARGO = auto()
    LINE = auto()
    LENS = auto()
    CHROME = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A convex polygon.

    Attributes:
        corners: `(N, 3)` metres.
        normal: `(3,)` unit, outwards.
        parent: index of the hull face it lies on, itself for hull faces.
        layer: order of drawing on the same hull face.
    """

    corners: Points
    normal: Points
    surface: Surface
    parent: int
    layer: int


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A mesh, packed for fast projection.

    Attributes:
        faces: hull faces and what lies on them.
        vertices: `(V, 3)` all corners of all faces, in their order.
        starts: `(F + 1,)` where each face's corners start in `vertices`.
        normals: `(F, 3)`.
        middles: `(F, 3)` mean of each face's corners.
        parents, layers: `(F,)` as in the faces.
        headlamps, taillamps: `(L, 3)` middles of the lamps.
    """

    faces: tuple[Face, ...]
    vertices: Points
    starts: tuple[int, ...]
    normals: Points
    middles: Points
    parents: NDArray[np.int64]
    layers: NDArray[np.int64]
    headlamps: Points
    taillamps: Points


class MeshBuilder:
    """Writes a mesh, face by face."""

    def __init__(self) -> None:
        self.faces: list[Face] = []

    def hull(
        self, profile: Profile, half_width: float, surfaces: Sequence[Surface], side: Surface
    ) -> list[int]:
        """Strips along a profile and both sides; returns the index of each strip."""
        points = np.array(profile)
        across = points[:, 2] * half_width
        strips = []
        for i, surface in enumerate(surfaces):
            (y0, z0, _), (y1, z1, _) = points[i], points[i + 1]
            strip = [(-across[i], y0, z0), (across[i], y0, z0)]
            strip += [(across[i + 1], y1, z1), (-across[i + 1], y1, z1)]
            strips.append(self.add(strip, surface, np.array([0.0, z1 - z0, y0 - y1])))
        for sign in (-1.0, 1.0):
            for part in _side_parts(len(points)):
                corners = [(sign * across[k], points[k, 0], points[k, 1]) for k in part]
                self.add(corners, side, np.array([sign, 0.0, 0.0]))
        return strips

    def add(
        self,
        corners: Sequence[Sequence[float]],
        surface: Surface,
        outwards: Points,
        parent: int | None = None,
        layer: int = 0,
    ) -> int:
        """Add a face whose normal is on the side of `outwards`; returns its index."""
        polygon = np.array(corners, dtype=np.float64)
        after = np.roll(polygon, -1, axis=0)
        normal = np.cross(polygon, after).sum(axis=0)  # Newell: right for bent polygons too
        normal *= np.sign(normal @ outwards) / np.linalg.norm(normal)
        index = len(self.faces)
        self.faces.append(
            Face(polygon, normal, surface, index if parent is None else parent, layer)
        )
        return index

    def on(
        self,
        strip: int,
        box: tuple[float, float, float, float],
        surface: Surface,
        layer: int = 1,
    ) -> Points:
        """Lay a quad on a strip: `(u0, u1, v0, v1)`, u -1..1 across, v 0..1 along the profile."""
        face = self.faces[strip]
        a, b, c, d = face.corners
        u0, u1, v0, v1 = box

        def at(u: float, v: float) -> Points:
            left, right = a + (d - a) * v, b + (c - b) * v
            point: Points = left + (right - left) * (u + 1) / 2 + face.normal * 0.004 * layer
            return point

        quad = np.array([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)])
        self.add(quad.tolist(), surface, face.normal, strip, layer)
        middle: Points = quad.mean(axis=0)
        return middle

    def sides(
        self, x: float, polygon: Sequence[tuple[float, float]], surface: Surface, layer: int = 1
    ) -> None:
        """Lay a polygon `(y, z)` on both sides at `x` metres from the middle.

        It belongs to the side face whose middle is nearest, height counting most: bodies are long.
        """
        middle = np.mean(polygon, axis=0)
        for sign in (-1.0, 1.0):
            parent = min(
                (i for i, f in enumerate(self.faces) if f.layer == 0 and sign * f.normal[0] > 0.7),
                key=lambda i: float(
                    np.hypot(*((self.faces[i].corners[:, 1:].mean(axis=0) - middle) * (1, 4)))
                ),
            )
            corners = [(sign * (x + 0.004 * layer), y, z) for y, z in polygon]
            self.add(corners, surface, np.array([sign, 0, 0]), parent, layer)

    def wheels(self, x: float, axles: Sequence[float], radius: float) -> None:
        """Tyres and rims flush with the sides, with the dark arch around them."""
        for y in axles:
            for share, surface, layer in (
                (1.13, Surface.TRIM, 2), (1.0, Surface.TYRE, 3), (0.66, Surface.RIM, 4),
                (0.2, Surface.TRIM, 5),
            ):  # fmt: skip
                self.sides(x, _disc(y, radius, radius * share), surface, layer)

    def done(self, head: list[Points], tail: list[Points]) -> Body:
        """Pack the mesh."""
        starts = np.cumsum([0, *(len(face.corners) for face in self.faces)])
        return Body(
            faces=tuple(self.faces),
            vertices=np.concatenate([face.corners for face in self.faces]),
            starts=tuple(int(s) for s in starts),
            normals=np.array([face.normal for face in self.faces]),
            middles=np.array([face.corners.mean(axis=0) for face in self.faces]),
            parents=np.array([face.parent for face in self.faces]),
            layers=np.array([face.layer for face in self.faces]),
            headlamps=np.array(head),
            taillamps=np.array(tail),
        )


def _disc(y: float, z: float, radius: float) -> list[tuple[float, float]]:
    steps = 18
    angles = [2 * pi * i / steps for i in range(steps)]
    return [(y + radius * cos(a), z + radius * sin(a)) for a in angles]


def _side_parts(count: int) -> list[list[int]]:
    """Corners of the lower body's side, and of the greenhouse's if the profile has one."""
    greenhouse = list(range(4, 9))
    if count <= greenhouse[-1] + 1:
        return [list(range(count))]
    return [[k for k in range(count) if k <= 4 or k >= 8], greenhouse]
