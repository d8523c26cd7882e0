"""What a vehicle may have reached unseen: monotone, symmetric in time, and never too small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alpr_edge.exclusion.reach import (
    ACCELERATION,
    PLATE_M,
    Sight,
    may_reach,
    may_reach_between,
    seconds_to_border,
    width_px,
)
from alpr_edge.exclusion.zones import make_zones

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
