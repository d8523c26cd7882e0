"""The ways of each pattern: where a vehicle comes from, where it turns, where it ends.

Does: writes the path of a pattern, with some variety from a seeded generator.
Does not: time it against other vehicles (see `traffic`).

Rules: lives begin and end far out on the road, or inside the premises' building, or at the kerb.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from alpr_edge.simulator import scene
from alpr_edge.simulator.routes import Turtle
from alpr_edge.simulator.vehicles import Pattern

_UP, _DOWN = pi / 2, -pi / 2


@dataclass(frozen=True, slots=True)
class Itinerary:
    """A path and how its life starts and ends.

    Attributes:
        start_speed: m/s; None starts at cruise.
        event_y_m: the vehicle's reference moment is when it first is within 1 m of this y.
        stays: stands at its end until the street ends.
        waits_s: seconds it stands at its start (kerb) before it moves.
    """

    turtle: Turtle
    start_speed: float | None = None
    event_y_m: float = 20.0
    stays: bool = False
    waits_s: float = 0.0


def plan(pattern: Pattern, variant: int, rng: np.random.Generator) -> Itinerary:
    """The way of a pattern; `variant` counts its vehicles, so that every kind of way occurs."""
    if pattern is Pattern.PASS:
        return _pass(variant, rng)
    if pattern is Pattern.ENTER:
        return _enter(variant, rng)
    if pattern is Pattern.LEAVE:
        return _leave(variant, rng)
    if pattern is Pattern.PARK:
        return _park(variant, rng)
    if pattern is Pattern.STOP:
        return _stop(variant, rng)
    if pattern is Pattern.CLOSE:
        return _pull_over(float(rng.uniform(0.2, 0.9)))
    if pattern is Pattern.HIDDEN:
        return _leave(0, rng) if variant % 2 else _enter(0, rng)
    return _turn_round(variant, rng)


def _away(rng: np.random.Generator) -> Turtle:
    return Turtle(scene.AWAY_X_M + float(rng.normal(0, 0.1)), scene.ROAD_ENDS_Y_M[0], _UP)


def _oncoming(rng: np.random.Generator) -> Turtle:
    return Turtle(scene.ONCOMING_X_M + float(rng.normal(0, 0.1)), scene.ROAD_ENDS_Y_M[1], _DOWN)


def _pass(variant: int, rng: np.random.Generator) -> Itinerary:
    if variant % 2:
        return Itinerary(_oncoming(rng).straight_to_y(scene.ROAD_ENDS_Y_M[0]))
    return Itinerary(_away(rng).straight_to_y(scene.ROAD_ENDS_Y_M[1]))


def _enter(variant: int, rng: np.random.Generator) -> Itinerary:
    """Two in three come up the away lane and cross the other; some wait before they turn."""
    middle = scene.GATE_MIDDLE_Y_M
    if variant % 3 == 1:
        turtle = _oncoming(rng).straight_to_y(middle + 5.5).arc(5.5, -pi / 2)
    else:
        turtle = _away(rng).straight_to_y(middle - 7.0)
        if rng.random() < 0.5:
            turtle.halt(float(rng.uniform(0.4, 1.6)))
        turtle.straight(1.5).arc(5.5, pi / 2)
    return Itinerary(turtle.straight(turtle.x - scene.PORTAL_X_M), event_y_m=middle)


def _leave(variant: int, rng: np.random.Generator) -> Itinerary:
    """Half turn right towards the camera, half cross and drive away."""
    turtle = Turtle(scene.PORTAL_X_M, scene.GATE_MIDDLE_Y_M, 0.0)
    jitter = float(rng.normal(0, 0.1))
    if variant % 2:
        radius, lane = 5.4, scene.AWAY_X_M + jitter
        turtle.straight(lane - radius - turtle.x - 2.0)
        turtle.halt(float(rng.uniform(0.3, 1.2))).straight(2.0).arc(radius, pi / 2)
        turtle.straight_to_y(scene.ROAD_ENDS_Y_M[1])
    else:
        radius, lane = 5.2, scene.ONCOMING_X_M + jitter
        turtle.straight(lane - radius - turtle.x).arc(radius, -pi / 2)
        turtle.straight_to_y(scene.ROAD_ENDS_Y_M[0])
    return Itinerary(turtle, start_speed=3.0, event_y_m=scene.GATE_MIDDLE_Y_M)


def _park(variant: int, rng: np.random.Generator) -> Itinerary:
    """In turn: drives up and stays; stands there and drives off; stands all the time."""
    bay = scene.PARKING_Y_M[variant % len(scene.PARKING_Y_M)]
    shift = scene.PARKING_X_M - scene.AWAY_X_M
    if variant % 3 == 0:
        turtle = _away(rng)
        shift = scene.PARKING_X_M - turtle.x
        turtle.straight_to_y(bay - 10.5).shift(-shift, 8.0)
        turtle.straight_to_y(bay)
        return Itinerary(turtle, stays=True)
    turtle = Turtle(scene.PARKING_X_M, bay, _UP)
    if variant % 3 == 1:
        turtle.straight(0.6).shift(shift, 8.0).straight_to_y(scene.ROAD_ENDS_Y_M[1])
        return Itinerary(turtle, start_speed=0.0, event_y_m=bay, waits_s=600.0)
    turtle.straight(0.4)
    return Itinerary(turtle, start_speed=0.0, event_y_m=bay, stays=True, waits_s=600.0)


def _stop(variant: int, rng: np.random.Generator) -> Itinerary:
    """In turn: at the kerb beside the mouth; in the mouth on the way in; in it on the way out."""
    middle, wait_s = scene.GATE_MIDDLE_Y_M, float(rng.uniform(2.0, 14.0))
    if variant % 3 == 0:
        return _pull_over(float(rng.uniform(0.85, 1.0)), wait_s)
    if variant % 3 == 1:
        turtle = _away(rng).straight_to_y(middle - 5.5).arc(5.5, pi / 2)
        turtle.straight(1.0).halt(wait_s)
        return Itinerary(turtle.straight(turtle.x - scene.PORTAL_X_M), event_y_m=middle)
    turtle = Turtle(scene.PORTAL_X_M, middle, 0.0)
    turtle.straight(scene.ONCOMING_X_M - 5.2 - 2.5 - turtle.x).halt(wait_s).straight(2.5)
    turtle.arc(5.2, -pi / 2).straight_to_y(scene.ROAD_ENDS_Y_M[0])
    return Itinerary(turtle, start_speed=3.0, event_y_m=middle)


def _pull_over(by_m: float, wait_s: float = 0.0) -> Itinerary:
    """Down the oncoming lane, over towards the kerb for the length of the mouth, and back."""
    low, high = scene.GATE_Y_M
    turtle = Turtle(scene.ONCOMING_X_M, scene.ROAD_ENDS_Y_M[1], _DOWN)
    turtle.straight_to_y(high + 6.0).shift(-by_m, 20.0).straight_to_y((low + high) / 2)
    if wait_s:
        turtle.halt(wait_s)
    turtle.straight_to_y(low - 1.0).shift(by_m, 20.0).straight_to_y(scene.ROAD_ENDS_Y_M[0])
    return Itinerary(turtle)


def _turn_round(variant: int, rng: np.random.Generator) -> Itinerary:
    """In turn: through the driveway's mouth, back from the away lane; across the parking lane."""
    radius = 2.9
    if variant % 2 == 0:
        turtle = _away(rng).straight_to_y(26.2).arc(radius, pi)
        turtle.shift(scene.ONCOMING_X_M - turtle.x, 5.0)
        turtle.straight_to_y(scene.ROAD_ENDS_Y_M[0])
    else:
        turtle = _oncoming(rng).straight_to_y(16.5).arc(radius, pi)
        turtle.shift(turtle.x - scene.AWAY_X_M, 5.0)
        turtle.straight_to_y(scene.ROAD_ENDS_Y_M[1])
    return Itinerary(turtle)
