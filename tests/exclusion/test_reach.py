"""What a vehicle may have reached unseen: monotone, symmetric in time, and never too small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alpr_edge.exclusion.reach import (
    ACCELERATION,
    PLATE_M,
    Sight,
    _meets,
    may_reach,
    may_reach_between,
    seconds_to_border,
    width_px,
)
from alpr_edge.exclusion.zones import Zones, grow, make_zones

SIZE = (640, 360)
MASK = [(0.6, 0.0), (1.0, 0.0), (1.0, 1.0), (0.6, 1.0)]
"""The right two fifths: from x = 384."""
ZONES = make_zones([MASK], size_px=SIZE, band_px=0, digest="d")


def sight(x: float, y: float, vx: float = 0.0, vy: float = 0.0, *, at_s: float = 0.0) -> Sight:
    w, h = 20.0, 10.0
    quad = [[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]]
    return Sight(np.array(quad, np.float32), round(at_s * 1e9), np.array([vx, vy], np.float64))


def test_a_standing_vehicle_reaches_as_far_as_it_can_accelerate() -> None:
    px_per_m = 40.0 / PLATE_M
    free_px = 384 - (200 + 20 * 1.16) - 3
    seconds = (2 * free_px / px_per_m / ACCELERATION) ** 0.5
    assert not may_reach(ZONES, sight(200, 180), 0.8 * seconds)
    assert may_reach(ZONES, sight(200, 180), 1.01 * seconds)
    assert may_reach(ZONES, sight(200, 180), -1.01 * seconds)


def test_motion_carries_towards_and_away() -> None:
    assert may_reach(ZONES, sight(200, 180, 400.0), 0.5)
    assert not may_reach(ZONES, sight(200, 180, -300.0), 0.5)
    assert may_reach(ZONES, sight(200, 180, -400.0), -0.5)


def test_between_two_sightings_only_the_detour_counts() -> None:
    there, back = sight(100, 180, 200.0), sight(200, 180, 200.0, at_s=0.5)
    assert not may_reach_between(ZONES, there, back)
    assert may_reach_between(ZONES, there, sight(200, 180, 200.0, at_s=6.0))


@pytest.mark.parametrize("over_s", [1 / 30, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_vehicle_in_a_bend_is_faster_at_its_last_sighting_than_on_the_way_there(
    over_s: float, backwards: bool
) -> None:
    """It accelerates all the time; the way from sighting to sighting shows half of that."""
    px_per_m = 40.0 / PLATE_M
    push = 0.99 * ACCELERATION * px_per_m
    for after_s in (0.1, 0.3, 0.5):
        moved = 0.5 * push * after_s**2 + push * over_s * after_s  # since the last sighting
        mean = 0.5 * push * over_s  # its speed towards the mask, from sighting to sighting
        edge = 384 - 20 * 1.16 - moved + 1  # there its plate just touches the mask afterwards
        known = sight(edge, 180, -mean if backwards else mean)
        seconds = -after_s if backwards else after_s
        assert may_reach(ZONES, replace(known, over_s=over_s), seconds)
        if over_s >= 0.5 and after_s >= 0.3:
            assert not may_reach(ZONES, known, seconds)


def test_no_number_reaches_everything() -> None:
    assert may_reach(ZONES, sight(float("nan"), 100), 0.1)
    assert may_reach(ZONES, sight(100, 100, float("inf")), 0.1)


places = st.tuples(st.floats(0, 640), st.floats(0, 360), st.floats(-900, 900), st.floats(-900, 900))


@given(places, st.floats(0.01, 3), st.floats(1.0, 2.0))
def test_more_time_never_reaches_less(place, seconds, more) -> None:
    one = sight(*place)
    # The circles of a longer time are drawn at other moments: allow for the gap between two.
    if may_reach(ZONES, one, seconds) and not may_reach(ZONES, one, seconds * more):
        assert not may_reach(ZONES, one, seconds * 0.9)


@given(places, st.floats(0.01, 2), st.integers(0, 60))
def test_a_wider_zone_is_never_reached_less(place, seconds, band_px) -> None:
    wider = make_zones([MASK], size_px=SIZE, band_px=band_px, digest="d")
    if may_reach(ZONES, sight(*place), seconds):
        assert may_reach(wider, sight(*place), seconds)


@given(places, st.floats(0.05, 2), st.floats(-1, 1), st.floats(-1, 1))
def test_any_way_within_the_acceleration_is_covered(place, seconds, ax, ay) -> None:
    """Drive a way with constant acceleration within the bound and look where it goes."""
    one = sight(*place)
    bound = ACCELERATION * width_px(one.quad) / PLATE_M
    push = np.array([ax, ay]) * bound / max(1.0, float(np.hypot(ax, ay)))
    times = np.linspace(0, seconds, 60)
    way = np.array([place[0], place[1]]) + times[:, None] * one.velocity
    way = way + 0.5 * times[:, None] ** 2 * push
    cells = np.floor(way).astype(int)
    inside = ((cells >= 0) & (cells < SIZE)).all(axis=1)
    if (ZONES.band[cells[inside, 1], cells[inside, 0]] > 0).any():
        assert may_reach(ZONES, one, seconds)


pushes = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=3, max_size=3)


@given(places, st.floats(0.05, 3), pushes)
def test_any_way_between_two_sightings_is_covered(place, seconds, pushes) -> None:
    """Three pushes within the bound, one after the other: the way from first to last is covered."""
    start = sight(*place)
    bound = ACCELERATION * width_px(start.quad) / PLATE_M
    steps = 60
    at, v, way = np.array(place[:2], float), start.velocity.copy(), []
    for n in range(steps + 1):
        way.append(at.copy())
        ax, ay = pushes[min(2, n * 3 // steps)]
        push = np.array([ax, ay]) * bound / max(1.0, float(np.hypot(ax, ay)))
        at = at + v * (seconds / steps) + 0.5 * push * (seconds / steps) ** 2
        v = v + push * (seconds / steps)
    end = sight(*way[-1], at_s=seconds)
    cells = np.floor(np.array(way)).astype(int)
    inside = ((cells >= 0) & (cells < SIZE)).all(axis=1)
    if (ZONES.band[cells[inside, 1], cells[inside, 0]] > 0).any():
        assert may_reach_between(ZONES, start, end)


@given(
    st.tuples(st.floats(-4, 4), st.floats(6, 40)),
    st.tuples(st.floats(-6, 6), st.floats(-15, 15)),
    st.floats(0.05, 2.5),
    pushes,
    st.floats(0.2, 0.9),
)
def test_any_way_over_the_ground_is_covered_in_perspective(place, speed, seconds, pushes, edge):
    """A plate drives over the ground before a pinhole camera; its middle stands for it."""
    zones = make_zones(
        [[(edge, 0), (1, 0), (1, 1), (edge, 1)]], size_px=SIZE, band_px=0, digest="d"
    )

    def seen(at: np.ndarray, at_s: float) -> Sight:
        px_per_m = 600.0 / at[1]
        x, y = 320 + at[0] * px_per_m, 60 + 3.0 * px_per_m
        w, h = PLATE_M / 2 * px_per_m, PLATE_M / 4 * px_per_m
        quad = np.array(
            [(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)], np.float32
        )
        return Sight(quad, round(at_s * 1e9), np.zeros(2))

    steps, at, v = 48, np.array(place, float), np.array(speed, float)
    dt, way = seconds / 48, []
    for n in range(steps + 1):
        way.append(at.copy())
        push = np.array(pushes[min(2, n * 3 // steps)])
        push = push * ACCELERATION / max(1.0, float(np.hypot(*push)))
        at, v = at + v * dt + 0.5 * push * dt**2, v + push * dt
    assume(min(p[1] for p in way) > 4.0)
    cells = [np.floor(seen(p, 0.0).quad.mean(0)).astype(int) for p in way]
    inside = [c for c in cells if 0 <= c[0] < SIZE[0] and 0 <= c[1] < SIZE[1]]
    if any(zones.band[c[1], c[0]] for c in inside):
        assert may_reach_between(zones, seen(way[0], 0.0), seen(way[-1], seconds))


@pytest.mark.parametrize(
    ("velocity", "backwards", "seconds"),
    [((-80, 0), False, 1.25), ((80, 0), True, 1.25), ((0, 125), False, 2.0), ((0, 0), False, None)],
)
def test_seconds_to_the_border(velocity, backwards, seconds) -> None:
    found = seconds_to_border(sight(100, 110, *velocity), SIZE, backwards=backwards)
    assert found == (pytest.approx(seconds) if seconds else float("inf"))


def test_partly_across_is_out_as_soon_as_its_motion_has_it_and_no_number_never() -> None:
    assert seconds_to_border(sight(5, 100, -50.0), SIZE, backwards=False) == pytest.approx(0.1)
    assert seconds_to_border(sight(5, 100, 50.0), SIZE, backwards=True) == pytest.approx(0.1)
    assert seconds_to_border(sight(-2, 100, -50.0), SIZE, backwards=False) == 0.0
    # Inwards, or along the edge: it is not on its way out there.
    assert seconds_to_border(sight(5, 100, 50.0), SIZE, backwards=False) > 10
    assert seconds_to_border(sight(5, 110, 0.0, 125.0), SIZE, backwards=False) == 2.0
    assert seconds_to_border(sight(50, np.nan, 50.0), SIZE, backwards=False) == float("inf")


# --- not too large either: what is suppressed without need is lost -----------------------------


def plate(x: float, y: float, width: float, *, at_s: float, vx: float = 0.0) -> Sight:
    w, h = width / 2, width / 4
    quad = [[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]]
    return Sight(np.array(quad, np.float32), round(at_s * 1e9), np.array([vx, 0.0], np.float64))


def above(line_px: int) -> Zones:
    """Everything above a line is protected."""
    share = line_px / SIZE[1]
    polygon = [(0.0, 0.0), (1.0, 0.0), (1.0, share), (0.0, share)]
    return make_zones([polygon], size_px=SIZE, band_px=0, digest="d")


def topmost_between(before: Sight, after: Sight, seconds: float) -> float:
    """The least y that a corner may have had, by the sum itself, at 2,001 moments."""
    first, last = width_px(before.quad), width_px(after.quad)
    start, end = grow(before.quad)[:, 1].min(), grow(after.quad)[:, 1].min()
    found = np.inf
    for share in np.linspace(0, 1, 2001):
        # Up to a second the vehicle is as far away as its size tells, and comes nearer evenly.
        straight = seconds <= 1.0
        width = first + share * (last - first) if straight else max(first, last)
        passed = share * last / width if straight else share
        metres = ACCELERATION / 2 * (passed * seconds) * (seconds - passed * seconds)
        found = min(found, start + share * (end - start) - metres * width / PLATE_M)
    return float(found)


@pytest.mark.parametrize(
    ("first", "last", "seconds"),
    [
        (40, 40, 0.8),
        (40, 40, 1.1),
        (20, 60, 0.8),
        (60, 20, 0.8),
        (20, 60, 1.0),
        (20, 60, 1.001),
    ],
)
def test_between_two_sightings_nothing_is_reached_that_is_farther_than_the_sum_says(
    first: float, last: float, seconds: float
) -> None:
    before = plate(100, 240, first, at_s=0)
    after = plate(500, 240, last, at_s=seconds)
    top = int(topmost_between(before, after, seconds))
    assert may_reach_between(above(top + 2), before, after)
    assert not may_reach_between(above(top - 8), before, after)


@pytest.mark.parametrize("seconds", [0.4, 0.7, -0.7])
def test_after_and_before_nothing_is_reached_that_is_farther_than_the_sum_says(
    seconds: float,
) -> None:
    seen = plate(320, 240, 40, at_s=0, vx=100)
    free_px = ACCELERATION / 2 * seconds**2 * 40 / PLATE_M
    top = int(grow(seen.quad)[:, 1].min() - free_px)
    assert may_reach(above(top + 2), seen, seconds)
    assert not may_reach(above(top - 8), seen, seconds)


def test_the_scale_is_that_of_the_wider_side_and_a_pixel_at_least() -> None:
    turned = np.array([[0, 0], [10, 0], [10, 20], [0, 20]], np.float32)
    assert width_px(turned) == 40.0
    assert width_px(turned[:, ::-1]) == 20.0
    assert width_px(np.zeros((4, 2), np.float32)) == 1.0


@pytest.mark.parametrize("which", [0, 1])
def test_no_number_in_either_sighting_reaches_everything(which: int) -> None:
    sights = [plate(100, 340, 40, at_s=0), plate(120, 340, 40, at_s=0.1)]
    assert not may_reach_between(above(20), *sights)
    sights[which].quad[2, 1] = np.nan
    assert may_reach_between(above(20), *sights)


@pytest.mark.parametrize("which", [0, 1])
def test_no_number_in_place_or_motion_reaches_everything(which: int) -> None:
    seen = plate(100, 340, 40, at_s=0)
    assert not may_reach(above(20), seen, 0.1)
    (seen.quad[3], seen.velocity)[which][0] = np.nan
    assert may_reach(above(20), seen, 0.1)


@pytest.mark.parametrize(("pixels", "reached"), [(1, True), (2, False)])
def test_at_the_moment_itself_only_what_is_next_to_it_is_reached(
    pixels: int, reached: bool
) -> None:
    """Half the pixel of the corner and one more: `away` is measured between pixels' middles."""
    zones = above(100)
    row = int(np.flatnonzero(zones.away[:, 320] == pixels)[0])
    seen = plate(320, row + 0.5 + 1.16 * 10, 40, at_s=0)
    assert may_reach(zones, seen, 0.0) is reached


@pytest.mark.parametrize(
    ("apart", "radius", "pixels", "reached"),
    [
        # One place: half a pixel each of corner and zone, half a pixel more, and the circle itself.
        (0, 0.5, 2, True),
        (0, 0.5, 3, False),
        # Two places ten pixels apart, the zone five from either, between them or as near to one.
        (10, 0.0, 6, True),
        (10, 0.0, 7, False),
    ],
)
def test_what_lies_between_two_moments_is_covered_by_half_of_the_way(
    apart: int, radius: float, pixels: int, reached: bool
) -> None:
    zones = above(100)
    row = float(np.flatnonzero(zones.away[:, 320] == pixels)[0])
    ways = np.array([[[320.0, row]] * 4, [[320.0 + apart, row]] * 4])
    assert _meets(zones, ways, np.array([radius, radius])) is reached


@pytest.mark.parametrize(
    ("x", "speed", "seconds"), [(639, 0.5, 2.0), (1, -0.5, 2.0), (700, 100, 0.0), (-9, -100, 0.0)]
)
def test_slow_ones_get_to_the_border_too_and_those_beyond_are_there(
    x: float, speed: float, seconds: float
) -> None:
    assert seconds_to_border(sight(x, 180, speed), SIZE, backwards=False) == seconds
    assert seconds_to_border(sight(x, 180, -speed), SIZE, backwards=True) == seconds
