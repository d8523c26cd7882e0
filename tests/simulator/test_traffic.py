"""Who drives when: shares, distances, realistic ways, and what touches the premises."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from alpr_edge.simulator.itineraries import plan
from alpr_edge.simulator.routes import Turtle, drive
from alpr_edge.simulator.scene import convex_overlap
from alpr_edge.simulator.traffic import (
    _CHECK_STEP_S,
    DEFAULT_MIX,
    TOUCHING_MIX,
    _collide,
    _room,
    _Taken,
    allocate,
    populate,
)
from alpr_edge.simulator.vehicles import (
    Pattern,
    Vehicle,
    ever_touches,
    footprint,
    plate_quad,
    touches_premises,
)

DURATION_S = 40.0


@pytest.fixture(scope="module", params=[1, 2, 3])
def vehicles(request: pytest.FixtureRequest) -> tuple[Vehicle, ...]:
    return populate(np.random.default_rng(request.param), DURATION_S, 17, DEFAULT_MIX)


def test_allocation_meets_the_shares() -> None:
    patterns = allocate(DEFAULT_MIX, 100)
    assert {p: patterns.count(p) for p, _ in DEFAULT_MIX} == {
        p: round(share * 100) for p, share in DEFAULT_MIX
    }
    assert len(allocate(DEFAULT_MIX, 1)) == 1
    assert allocate(((Pattern.PARK, 2.0),), 3) == [Pattern.PARK] * 3


def test_default_street_is_busy_and_a_third_is_protected(vehicles: tuple[Vehicle, ...]) -> None:
    assert 14 <= len(vehicles) <= 20
    protected = sum(ever_touches(vehicle) for vehicle in vehicles)
    assert 0.2 <= protected / len(vehicles) <= 0.45
    assert [v.vehicle_id for v in vehicles] == list(range(len(vehicles)))


def test_nothing_runs_through_anything(vehicles: tuple[Vehicle, ...]) -> None:
    for time_s in np.arange(0, DURATION_S, 0.1):
        shapes = [
            footprint(v.size, v.pose(time_s)) for v in vehicles if v.trajectory.alive_at(time_s)
        ]
        assert not any(convex_overlap(a, b) for a, b in combinations(shapes, 2)), time_s


def test_speeds_are_those_of_a_street(vehicles: tuple[Vehicle, ...]) -> None:
    for vehicle in vehicles:
        way = vehicle.trajectory
        times = np.arange(0, DURATION_S, 0.1)
        speeds = [way.speed(t) for t in times if way.alive_at(t - 0.1) and way.alive_at(t + 0.1)]
        assert all(-1e-6 <= speed <= 60 / 3.6 for speed in speeds)
        if vehicle.pattern is Pattern.PASS and speeds:
            assert min(speeds) >= 20 / 3.6


def test_protected_follows_from_the_way(vehicles: tuple[Vehicle, ...]) -> None:
    for vehicle in vehicles:
        if vehicle.pattern in (Pattern.ENTER, Pattern.LEAVE):
            assert ever_touches(vehicle)
        if vehicle.pattern in (Pattern.PASS, Pattern.PARK):
            assert not ever_touches(vehicle)
        way = vehicle.trajectory
        begin = max(way.start_s, -30)
        times = np.arange(begin, min(way.end_s, DURATION_S + 30), 0.1)
        if any(touches_premises(vehicle, vehicle.pose(float(t))) for t in times):
            assert ever_touches(vehicle)


def test_some_turn_round_on_the_premises_and_some_do_not() -> None:
    mix = ((Pattern.TURN_ROUND, 1.0),)
    turning = populate(np.random.default_rng(5), 120.0, 6, mix)
    assert {ever_touches(vehicle) for vehicle in turning} == {True, False}


@pytest.mark.parametrize("pattern", list(Pattern))
@pytest.mark.parametrize("variant", range(4))
def test_every_way_can_be_driven_without_jumps(pattern: Pattern, variant: int) -> None:
    itinerary = plan(pattern, variant, np.random.default_rng(variant))
    start = 12.0 if itinerary.start_speed is None else itinerary.start_speed
    way = drive(itinerary.turtle, 12.0, 2.8, start)
    poses = way.poses(np.arange(0, way.times[-1] + 0.1, 0.05))
    steps = np.hypot(*np.diff(poses[:, :2], axis=0).T)
    assert steps.max() < 12.5 * 0.05 + 0.05
    turns = np.abs(np.angle(np.exp(1j * np.diff(poses[:, 2]))))
    assert turns.max() < 0.2
    assert np.all(np.diff(way.times) > 0)


def test_halts_last_as_long_as_told() -> None:
    free = drive(Turtle(0, 0, 0).straight(50).straight(50), 10, 2.8, 10)
    halting = drive(Turtle(0, 0, 0).straight(50).halt(3).straight(50), 10, 2.8, 10)
    assert halting.times[-1] - free.times[-1] > 3
    standing = [halting.speed(float(t)) for t in np.arange(0, halting.times[-1], 0.1)]
    assert sum(speed < 0.01 for speed in standing) * 0.1 == pytest.approx(3, abs=0.4)


def test_a_path_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        Turtle(0, 5, np.pi / 2).straight_to_y(4)


def test_same_generator_same_traffic() -> None:
    def facts() -> list[object]:
        drawn = populate(np.random.default_rng(9), 20.0, 8, DEFAULT_MIX)
        return [(v.plate, v.kind, v.colour, v.trajectory.start_s, v.front, v.rear) for v in drawn]

    assert facts() == facts()


def test_plates_face_forward_and_back(vehicles: tuple[Vehicle, ...]) -> None:
    for vehicle in vehicles:
        for rear, sign in ((False, 1), (True, -1)):
            quad, normal = plate_quad(vehicle, rear)
            assert sign * quad[:, 1].mean() > vehicle.size.length_m / 2
            assert sign * normal[1] > 0.9
            along, down = quad[1] - quad[0], quad[3] - quad[0]
            assert np.allclose(np.linalg.norm(along), vehicle.plate.design.size_m[0])
            assert np.allclose(np.linalg.norm(down), vehicle.plate.design.size_m[1])
            # Clockwise as its reader sees it: the corners' own normal points away from the reader.
            assert np.cross(along, down) @ normal < 0


def test_a_free_room_is_free_of_all_that_are_taken() -> None:
    """Rooms are looked up by time; the answer is that of comparing with each."""
    rng = np.random.default_rng(5)
    cars = populate(rng, 120.0, 60, TOUCHING_MIX)
    clock = np.arange(-6.0, 128.0, _CHECK_STEP_S)
    rooms = [_room(car, clock, 0.0) for car in cars]
    taken = _Taken()
    for room in rooms[::2]:
        taken.add(room)
    answers = []
    for car in cars[1::2]:
        for shift in rng.uniform(-30.0, 30.0, 4):
            room = _room(car, clock, float(shift))
            answers.append(taken.is_free(room))
            assert answers[-1] == (not any(_collide(room, other) for other in rooms[::2]))
    assert True in answers
    assert False in answers


def test_a_vehicle_that_stands_for_ever_costs_no_more_than_its_way() -> None:
    hour = np.arange(-6.0, 3608.0, _CHECK_STEP_S)
    cars = populate(np.random.default_rng(5), 60.0, 30, ((Pattern.PARK, 1.0), (Pattern.PASS, 2.0)))
    stay = [car for car in cars if car.trajectory.end_s > 1e5]
    assert stay
    for car in stay:
        room = _room(car, hour, 0.0)
        assert room.end == len(hour)
        assert len(room.boxes) < 1_000
        # What is left out is what it shows at last.
        again = car.trajectory.poses(hour[-1:])
        assert np.allclose(room.middles[-1], again[0, :2], atol=0.01)
