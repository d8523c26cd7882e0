"""Places to metres and back, against an independent geodesic library."""

from __future__ import annotations

import numpy as np
import pytest
from geographiclib.geodesic import Geodesic
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.local_plane import (
    LONGEST_EDGE_M,
    MAX_LATITUDE,
    REACH_M,
    LocalPlane,
    degrees_round,
    distance_m,
    drop_m,
    error_m,
    mean_place,
    place_problem,
)

longitudes = st.floats(-180, 180)
latitudes = st.floats(-84.5, 84.5)
bearings = st.floats(0, 360)


def away(place: tuple[float, float], bearing: float, metres: float) -> tuple[float, float]:
    """Where one gets to by the other library."""
    there = Geodesic.WGS84.Direct(place[1], place[0], bearing, metres)
    return float(there["lon2"]), float(there["lat2"])


def geodesic_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(Geodesic.WGS84.Inverse(one[1], one[0], other[1], other[0])["s12"])


@given(longitudes, latitudes, bearings, bearings, st.floats(0, 19_900), st.floats(0, 19_900))
def test_lengths_in_the_plane_are_the_earths(
    lon: float, lat: float, one: float, other: float, near: float, far: float
) -> None:
    places = [away((lon, lat), one, near), away((lon, lat), other, far)]
    if any(place_problem(p) for p in places):
        return
    a, b = LocalPlane(lon, lat).to_plane(np.array(places))
    true, found = geodesic_m(*places), float(np.hypot(*(a - b)))
    assert -1e-3 <= true - found <= error_m(max(near, far)) + 1e-3


@given(longitudes, latitudes, bearings, st.floats(0.1, 19_900))
def test_directions_in_the_plane_are_the_earths(
    lon: float, lat: float, bearing: float, metres: float
) -> None:
    there = away((lon, lat), bearing, metres)
    if place_problem(there):
        return
    east, north = LocalPlane(lon, lat).to_plane(np.array(there))
    off = (np.degrees(np.arctan2(east, north)) - bearing + 180) % 360 - 180
    assert abs(off) * metres < 0.1  # 2 mm aside at the end


@given(longitudes, latitudes, st.floats(-14_000, 14_000), st.floats(-14_000, 14_000))
def test_there_and_back(lon: float, lat: float, east: float, north: float) -> None:
    plane = LocalPlane(lon, lat)
    back = plane.to_plane(plane.to_lonlat(np.array([[east, north]])))
    assert np.abs(back - (east, north)).max() < 1e-5


@given(longitudes, latitudes, bearings, st.floats(0, 2_000), bearings, st.floats(0, 5_000))
def test_from_one_plane_to_another(
    lon: float, lat: float, bearing: float, metres: float, to: float, apart: float
) -> None:
    there, origin = away((lon, lat), bearing, metres), away((lon, lat), to, apart)
    if place_problem(there) or place_problem(origin):
        return
    first, second = LocalPlane(lon, lat), LocalPlane(*origin)
    moved = second.from_other(first, first.to_plane(np.array([there])))
    assert np.abs(moved - second.to_plane(np.array([there]))).max() < 2e-3


@given(longitudes, latitudes, bearings, st.floats(0, REACH_M))
def test_straight_distance_is_never_longer_than_the_way(
    lon: float, lat: float, bearing: float, metres: float
) -> None:
    straight = distance_m((lon, lat), away((lon, lat), bearing, metres))
    assert metres - metres**3 / (24 * 6.3e6**2) - 1e-4 <= straight <= metres + 1e-6


@given(longitudes, latitudes, bearings, st.floats(0, REACH_M))
def test_the_box_of_degrees_holds_the_circle(
    lon: float, lat: float, bearing: float, metres: float
) -> None:
    there = away((lon, lat), bearing, metres)
    wide, high = degrees_round((lon, lat), metres)
    assert abs((there[0] - lon + 180) % 360 - 180) <= wide + 1e-12
    assert abs(there[1] - lat) <= high + 1e-12


def test_the_antimeridian_is_no_seam() -> None:
    plane = LocalPlane(179.9999, 60.0)
    east, north = plane.to_plane(np.array([-179.9999, 60.0]))
    assert east == pytest.approx(geodesic_m((179.9999, 60.0), (-179.9999, 60.0)), abs=1e-3)
    assert abs(north) < 1e-3
    assert mean_place([(179.9, 10.0), (-179.9, 10.0)])[0] == pytest.approx(180.0)


def test_long_edges_follow_the_line_in_degrees() -> None:
    plane = LocalPlane(10.0, 80.0)
    path = plane.path_to_plane(((10.0, 80.0), (10.05, 80.0)), closed=False)
    middle = plane.to_plane(np.array([10.025, 80.0]))
    assert np.hypot(*(path - middle).T).min() < LONGEST_EDGE_M / 2
    assert len(path) > 2
    along, to = path[-1] - path[0], path - path[0]
    off = np.abs(along[0] * to[:, 1] - along[1] * to[:, 0]) / np.hypot(*along)
    assert off.max() > 0.05  # the straight line in metres would have missed it


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(0.0, 90.0), (0.0, -86.0), (181.0, 0.0), (0.0, 91.0), (float("nan"), 0.0), (0, float("inf"))],
)
def test_poles_and_nonsense_are_refused(lon: float, lat: float) -> None:
    assert place_problem((lon, lat))
    with pytest.raises(ValueError):
        LocalPlane(lon, lat)


def test_far_points_are_refused() -> None:
    plane = LocalPlane(0.0, 0.0)
    for far in ([1.0, 0.0], [180.0, 0.0], [float("nan"), 0.0]):
        with pytest.raises(ValueError):
            plane.to_plane(np.array(far))


def test_places_all_round_have_no_middle() -> None:
    with pytest.raises(ValueError):
        mean_place([(0.0, 0.0), (120.0, 0.0), (-120.0, 0.0)])
    with pytest.raises(ValueError):
        mean_place([(0.0, MAX_LATITUDE + 2.0)])


def test_the_ground_falls_away() -> None:
    assert drop_m(1_000.0) == pytest.approx(0.0785, abs=0.001)
