"""Ways through the street: paths of lines and arcs, and how fast they are driven.

Does: builds the path of every pattern and times it into a trajectory that can be asked for a pose
at any moment.
Does not: choose when vehicles start, keep them apart, or draw.

Rules: metres, seconds, metres per second. Headings are radians counter-clockwise from +x, so +y is
pi/2. Both axles run on the path; the body lies along the chord between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import acos, cos, hypot, sin, sqrt
from typing import Final

import numpy as np

from alpr_edge.simulator.camera import Points

STEP_M: Final = 0.2
_LATERAL: Final = 2.2
_ACCELERATION: Final = 1.9
_BRAKING: Final = 2.6
"""m/s2 of everyday driving. Source: ITE comfortable deceleration 3.0, side friction about 0.2 g."""
_CREEP: Final = 0.8
"""Slowest moving speed, m/s: keeps a stop short and the timing finite."""


@dataclass
class Turtle:
    """Writes a path. Starts at `(x, y)` with a heading, and goes forward.

    Attributes:
        points: samples `STEP_M` apart, with the largest speed at each (bends).
        stops: path lengths at which the vehicle halts, with seconds.
    """

    x: float
    y: float
    heading: float
    points: list[tuple[float, float]] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    stops: list[tuple[float, float]] = field(default_factory=list)

    def straight(self, length_m: float) -> Turtle:
        """Go straight."""
        return self._go(length_m, 0.0)

    def straight_to_y(self, y_m: float) -> Turtle:
        """Go straight along +y or -y until `y_m`."""
        return self._go((y_m - self.y) * (1 if sin(self.heading) > 0 else -1), 0.0)

    def arc(self, radius_m: float, angle: float) -> Turtle:
        """Turn by `angle` radians, positive to the left."""
        return self._go(abs(angle) * radius_m, (1 if angle > 0 else -1) / radius_m)

    def shift(self, left_m: float, radius_m: float) -> Turtle:
        """Change sideways by an S-bend, positive to the left."""
        angle = acos(1 - abs(left_m) / (2 * radius_m)) * (1 if left_m > 0 else -1)
        return self.arc(radius_m, angle).arc(radius_m, -angle)

    def halt(self, seconds: float) -> Turtle:
        """Stand here for a while."""
        self.stops.append((len(self.points) * STEP_M, seconds))
        return self

    def _go(self, length_m: float, curvature: float) -> Turtle:
        if length_m < 0:
            raise ValueError(f"path would run backwards by {-length_m:.2f} m")
        steps = max(1, round(length_m / STEP_M))
        step = length_m / steps
        limit = sqrt(_LATERAL / abs(curvature)) if curvature else 99.0
        for _ in range(steps):
            middle = self.heading + curvature * step / 2
            self.x, self.y = self.x + step * cos(middle), self.y + step * sin(middle)
            self.heading += curvature * step
            self.points.append((self.x, self.y))
            self.limits.append(limit)
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """A timed way.

    Attributes:
        start_s, end_s: when the vehicle comes into being and vanishes.
        times: `(N,)` seconds after `start_s`, rising.
        lengths: `(N,)` path length at `times`.
        path: `(M, 2)` the path, sampled at `path_lengths` `(M,)`.
        wheelbase_m: distance of the axles.
    """

    start_s: float
    end_s: float
    times: Points
    lengths: Points
    path: Points
    path_lengths: Points
    wheelbase_m: float

    def alive_at(self, time_s: float) -> bool:
        """Whether the vehicle exists at this time."""
        return self.start_s <= time_s < self.end_s

    def poses(self, times_s: Points) -> Points:
        """Middle of the vehicle and its heading at times `(N,)`: `(N, 3)` x, y, radians.

        Before the start and after the end it stands where it started or ended.
        """
        at = np.interp(times_s - self.start_s, self.times, self.lengths)
        half = self.wheelbase_m / 2
        front, rear = self._point(at + half), self._point(at - half)
        chord = front - rear
        middle = (front + rear) / 2
        return np.column_stack([middle, np.arctan2(chord[:, 1], chord[:, 0])])

    def speed(self, time_s: float) -> float:
        """Speed along the path, m/s."""
        span = np.array([time_s - 0.05, time_s + 0.05]) - self.start_s
        before, after = np.interp(span, self.times, self.lengths)
        return float((after - before) / 0.1)

    def _point(self, lengths: Points) -> Points:
        """Path points; beyond the ends, straight on."""
        inner = np.clip(lengths, self.path_lengths[0], self.path_lengths[-1])
        points = np.column_stack(
            [np.interp(inner, self.path_lengths, self.path[:, axis]) for axis in (0, 1)]
        )
        for end, sign in ((0, -1), (-1, 1)):
            other = self.path[1] if end == 0 else self.path[-2]
            along = (self.path[end] - other) / hypot(*(self.path[end] - other))
            beyond = np.maximum(sign * (lengths - self.path_lengths[end]), 0.0)
            points = points + beyond[:, None] * along
        return points


def drive(turtle: Turtle, cruise: float, wheelbase_m: float, start_speed: float) -> Trajectory:
    """Time a path: cruise where possible, slow for bends, brake for halts. Starts at 0 s."""
    path = np.array(turtle.points)
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    halts = [(min(round(at / STEP_M), len(path) - 1), seconds) for at, seconds in turtle.stops]
    speeds = _speeds(turtle, lengths, min(cruise, max(start_speed, _CREEP)), cruise, halts)
    passing = np.diff(lengths) / ((speeds[1:] + speeds[:-1]) / 2)
    times = np.concatenate([[0.0], np.cumsum(passing)])
    timed_lengths = lengths
    for index, seconds in sorted(halts, reverse=True):
        times = np.concatenate([times[: index + 1], times[index:] + seconds])
        timed_lengths = np.insert(timed_lengths, index, lengths[index])
    return Trajectory(0.0, float(times[-1]), times, timed_lengths, path, lengths, wheelbase_m)


def _speeds(
    turtle: Turtle, lengths: Points, start: float, cruise: float, halts: list[tuple[int, float]]
) -> Points:
    """`(N,)` speed at each path point, within the limits of bends, halts and the engine."""
    speeds: Points = np.minimum(np.array(turtle.limits), cruise)
    speeds[0] = start
    for index, _ in halts:
        speeds[index] = _CREEP
    steps = np.diff(lengths)
    for i, step in enumerate(steps):
        speeds[i + 1] = min(speeds[i + 1], sqrt(speeds[i] ** 2 + 2 * _ACCELERATION * step))
    for i in range(len(steps) - 1, -1, -1):
        speeds[i] = min(speeds[i], sqrt(speeds[i + 1] ** 2 + 2 * _BRAKING * steps[i]))
    return speeds
