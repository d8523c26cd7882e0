"""Positions on the earth as metres in a plane that touches it: WGS 84 to east, north and back.

A plane touches the ellipsoid at its origin. Points go there by the earth-centred frame, so that the
antimeridian is no seam and no formula divides by a cosine of the latitude.

Stated error: for two points within `REACH_M` of the origin, the distance in the plane is never
longer than the true one by more than 1 mm, and shorter by less than `error_m(reach)`: 1 mm at 5 km,
2.5 cm at 20 km. The ground at distance d lies d²/2R below the plane (8 cm at 1 km): `drop_m`.
Tested against geographiclib.

Rules:
- Beyond `REACH_M` of the origin nothing is converted: `ValueError`.
- Latitudes beyond `MAX_LATITUDE` are refused where values are made (`premises`, `geofence`): near a
  pole the lines between two longitudes, as GeoJSON has them, are no lines on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, hypot, isfinite, radians, sin
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
LonLat = tuple[float, float]
"""Longitude, then latitude, in degrees, as GeoJSON has them (RFC 7946, section 3.1.1)."""

SEMI_MAJOR_M: Final = 6_378_137.0
FLATTENING: Final = 1 / 298.257223563
"""Source: WGS 84, NGA.STND.0036, table 3.1."""
_E2: Final = FLATTENING * (2 - FLATTENING)

SMALLEST_RADIUS_M: Final = 6_335_000.0
"""No radius of curvature of the ellipsoid is smaller (meridian at the equator: 6,335,439 m)."""

REACH_M: Final = 20_000.0
MAX_LATITUDE: Final = 85.0
LONGEST_EDGE_M: Final = 200.0
"""Longer edges of a polygon in degrees get points in between: at 85° such a straight line in
degrees and the one on the ground differ by 9 mm at the most (d² tan φ / 8R)."""


@dataclass(frozen=True)
class LocalPlane:
    """The plane that touches the earth at `longitude`, `latitude`; east is x, north is y, metres.

    Raises:
        ValueError: the origin is no place, or nearer to a pole than `MAX_LATITUDE` allows.
    """

    longitude: float
    latitude: float

    def __post_init__(self) -> None:
        problem = place_problem((self.longitude, self.latitude))
        if problem:
            raise ValueError(problem)

    def to_plane(self, lonlat: Points) -> Points:
        """Degrees `(..., 2)`, longitude first, to metres `(..., 2)`, east first.

        Raises:
            ValueError: a point lies beyond `REACH_M`, or is no number.
        """
        enu = (_earth_centred(np.asarray(lonlat, np.float64)) - self._origin) @ self._axes.T
        flat: Points = enu[..., :2]
        below = enu[..., 2]
        # A point on the far side of the earth may have a small east and north.
        if not (np.hypot(flat[..., 0], flat[..., 1]) <= REACH_M).all() or (below < -REACH_M).any():
            raise ValueError(f"a point lies more than {REACH_M / 1000:.0f} km away")
        return flat

    def to_lonlat(self, plane: Points) -> Points:
        """Metres `(..., 2)` to degrees `(..., 2)`, longitude within -180..180."""
        flat = np.asarray(plane, np.float64)
        guess = np.stack(
            [
                self.longitude
                + np.degrees(flat[..., 0] / (SEMI_MAJOR_M * cos(radians(self.latitude)))),
                self.latitude + np.degrees(flat[..., 1] / SEMI_MAJOR_M),
            ],
            axis=-1,
        )
        # Newton with the Jacobian of the origin: each round gains three digits at least.
        for _ in range(6):
            enu = (_earth_centred(guess) - self._origin) @ self._axes.T
            off = flat - enu[..., :2]
            latitude = np.radians(guess[..., 1])
            guess = guess + np.stack(
                [
                    np.degrees(off[..., 0] / (SEMI_MAJOR_M * np.cos(latitude))),
                    np.degrees(off[..., 1] / SEMI_MAJOR_M),
                ],
                axis=-1,
            )
        guess[..., 0] = (guess[..., 0] + 180.0) % 360.0 - 180.0
        result: Points = guess
        return result

    def from_other(self, other: LocalPlane, plane: Points) -> Points:
        """Metres `(..., 2)` of another plane near by to metres of this one.

        Points are taken as lying in the other plane: at a distance d from its origin the result is
        off by less than d³/2R², 0.2 mm at 2 km.
        """
        world = other._origin + np.asarray(plane, np.float64) @ other._axes[:2]
        flat: Points = (world - self._origin) @ self._axes[:2].T
        return flat

    def path_to_plane(self, path: tuple[LonLat, ...], *, closed: bool) -> Points:
        """A line or closed ring of degrees, its long edges divided, in metres `(N, 2)`.

        Raises:
            ValueError: a point lies beyond `REACH_M`, or is no number.
        """
        lonlat = np.asarray(path, np.float64)
        # Across the antimeridian the way goes the short side round.
        steps = np.roll(lonlat, -1, axis=0) - lonlat
        steps[:, 0] = (steps[:, 0] + 180.0) % 360.0 - 180.0
        plane = self.to_plane(lonlat)
        lengths = np.hypot(*(np.roll(plane, -1, axis=0) - plane).T)
        if not closed:
            steps[-1], lengths[-1] = 0.0, 0.0
        if lengths.max() <= LONGEST_EDGE_M:
            return plane
        parts = []
        for start, step, length in zip(lonlat, steps, lengths, strict=True):
            count = int(length // LONGEST_EDGE_M) + 1
            parts.append(start + step * (np.arange(count) / count)[:, None])
        return self.to_plane(np.concatenate(parts))

    @cached_property
    def _origin(self) -> Points:
        return _earth_centred(np.array([self.longitude, self.latitude]))

    @cached_property
    def _axes(self) -> Points:
        """`(3, 3)`, rows east, north, up."""
        lon, lat = radians(self.longitude), radians(self.latitude)
        return np.array(
            [
                (-sin(lon), cos(lon), 0.0),
                (-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat)),
                (cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)),
            ]
        )


def place_problem(place: LonLat) -> str | None:
    """Why a longitude and latitude name no usable place; `None` if they do."""
    longitude, latitude = place
    if not (isfinite(longitude) and isfinite(latitude)):
        return "longitude and latitude must be finite numbers"
    if not -180.0 <= longitude <= 180.0:
        return f"longitude {longitude:g} is not within -180 to 180"
    if not -90.0 <= latitude <= 90.0:
        return f"latitude {latitude:g} is not within -90 to 90"
    if abs(latitude) > MAX_LATITUDE:
        return f"latitude {latitude:g} is nearer to a pole than {MAX_LATITUDE:g}°: not supported"
    return None


def distance_m(one: LonLat, other: LonLat) -> float:
    """Straight distance through the earth between two places, metres.

    Shorter than the way on the ground by less than d³/24R²: 1 mm at 10 km, never longer.
    """
    a, b = _earth_centred(np.array([one, other], np.float64))
    return float(np.sqrt(((a - b) ** 2).sum()))


@overload
def drop_m(distance: float) -> float: ...
@overload
def drop_m(distance: NDArray[np.float64]) -> NDArray[np.float64]: ...
def drop_m(distance: Any) -> Any:
    """How far the ground lies below the plane at a distance from its origin, metres, at most."""
    return distance * distance / (2 * SMALLEST_RADIUS_M)


def error_m(distance: float) -> float:
    """How much shorter than on the earth lengths within `distance` of the origin are, at most."""
    return 2 * distance**3 / (6 * SMALLEST_RADIUS_M**2) * 1.5 + 1e-4


def degrees_round(place: LonLat, distance: float) -> tuple[float, float]:
    """Half width and height in degrees of a box that holds everything within `distance` metres.

    Never too small for places allowed by `place_problem` and distances up to `REACH_M`.
    """
    height = np.degrees(distance / SMALLEST_RADIUS_M) * 1.01
    farthest = min(abs(place[1]) + float(height), 89.0)
    return float(height) / cos(radians(farthest)), float(height)


def mean_place(places: list[LonLat]) -> LonLat:
    """The middle of some places, also across the antimeridian.

    Raises:
        ValueError: the places have no middle, or it lies too near to a pole.
    """
    x, y, z = _earth_centred(np.asarray(places, np.float64)).mean(axis=0)
    if hypot(x, y, z) < SEMI_MAJOR_M / 2:
        raise ValueError("the places lie all round the earth")
    middle = (
        float(np.degrees(np.arctan2(y, x))),
        float(np.degrees(np.arctan2(z / (1 - _E2), hypot(x, y)))),
    )
    problem = place_problem(middle)
    if problem:
        raise ValueError(problem)
    return middle


def _earth_centred(lonlat: Points) -> Points:
    """Degrees `(..., 2)` on the ellipsoid to earth-centred metres `(..., 3)`."""
    lon, lat = np.radians(lonlat[..., 0]), np.radians(lonlat[..., 1])
    across = SEMI_MAJOR_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    return np.stack(
        [
            across * np.cos(lat) * np.cos(lon),
            across * np.cos(lat) * np.sin(lon),
            across * (1 - _E2) * np.sin(lat),
        ],
        axis=-1,
    )
