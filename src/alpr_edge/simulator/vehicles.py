"""What a vehicle of the street is: its kind, colour, plates, pattern, and its way through time.

Does: holds vehicles as frozen values and gives their footprint and plates in the world.
Does not: choose them (see `traffic`), shape their bodies (see `bodies`), or draw.

Rules: a vehicle's own axes are x right, y forward, z up, origin on the ground below its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import cos, radians, sin
from typing import Final

import numpy as np

from alpr_edge.simulator.camera import Points
from alpr_edge.simulator.plate_art import PlateSpec
from alpr_edge.simulator.routes import Trajectory
from alpr_edge.simulator.scene import PREMISES, Premises


class Pattern(StrEnum):
    """What a vehicle does in the street."""

    PASS = "pass"
    ENTER = "enter"
    LEAVE = "leave"
    PARK = "park"
    TURN_ROUND = "turn_round"
    STOP = "stop"
    """Stops in the driveway's mouth, or beside it with a wheel on it."""
    CLOSE = "close"
    """Passes close by the driveway; some touch it, some do not."""
    HIDDEN = "hidden"
    """Enters or leaves with a truck between it and the camera."""


class Kind(StrEnum):
    """Body of a vehicle."""

    SEDAN = "sedan"
    SUV = "suv"
    VAN = "van"
    PICKUP = "pickup"
    TRUCK = "truck"


@dataclass(frozen=True, slots=True)
class KindSize:
    """Measures in metres.

    Attributes:
        plate_front_m, plate_rear_m: height of the plates' middles above the ground.
    """

    length_m: float
    width_m: float
    height_m: float
    wheelbase_m: float
    plate_front_m: float
    plate_rear_m: float


SIZES: Final[dict[Kind, KindSize]] = {
    Kind.SEDAN: KindSize(4.75, 1.82, 1.45, 2.80, 0.48, 0.80),
    Kind.SUV: KindSize(4.65, 1.88, 1.72, 2.70, 0.58, 0.92),
    Kind.VAN: KindSize(5.30, 1.98, 2.10, 3.10, 0.60, 0.85),
    Kind.PICKUP: KindSize(5.70, 1.98, 1.88, 3.60, 0.66, 0.72),
    Kind.TRUCK: KindSize(7.80, 2.30, 3.30, 4.60, 0.66, 0.90),
}
"""Source: data sheets of common US models, rounded (mid-size sedan, compact SUV, full-size pickup,
class 5 box truck)."""

PLATE_PROUD_M: Final = 0.03
"""How far a plate stands out from the body's end."""


@dataclass(frozen=True, slots=True)
class PlateMount:
    """How a plate is fixed: small angles in degrees, sideways offset in metres."""

    pitch_deg: float
    roll_deg: float
    offset_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Vehicle:
    """One vehicle of the street, for its whole life.

    Attributes:
        vehicle_id: from 0, unique in its street.
        colour: BGR of the paint.
        front, rear: how its two plates, both with the same serial, are mounted.
    """

    vehicle_id: int
    kind: Kind
    pattern: Pattern
    colour: tuple[int, int, int]
    plate: PlateSpec
    front: PlateMount
    rear: PlateMount
    trajectory: Trajectory

    @property
    def size(self) -> KindSize:
        """Its measures."""
        return SIZES[self.kind]

    def pose(self, time_s: float) -> tuple[float, float, float]:
        """Middle on the ground, x and y in metres, and heading in radians from +x to the left."""
        x, y, heading = self.trajectory.poses(np.array([time_s]))[0]
        return float(x), float(y), float(heading)


def rotation_of(heading: float) -> Points:
    """`(3, 3)` from a vehicle's axes to the world's, for row vectors: `own @ rotation_of(h)`."""
    ahead = np.array([cos(heading), sin(heading), 0.0])
    right = np.array([sin(heading), -cos(heading), 0.0])
    return np.stack([right, ahead, np.array([0.0, 0.0, 1.0])])


def footprint(size: KindSize, pose: tuple[float, float, float], margin_m: float = 0.0) -> Points:
    """`(4, 2)` the ground rectangle below a vehicle, counter-clockwise, grown by a margin."""
    x, y, heading = pose
    a, b = size.width_m / 2 + margin_m, size.length_m / 2 + margin_m
    own = np.array([(-a, -b, 0), (a, -b, 0), (a, b, 0), (-a, b, 0)])
    ground: Points = (own @ rotation_of(heading))[:, :2] + (x, y)
    return ground


def plate_quad(vehicle: Vehicle, rear: bool) -> tuple[Points, Points]:
    """A plate in the vehicle's axes.

    Returns:
        `(4, 3)` corners, clockwise from the plate's own top left as a reader sees it, and the
        `(3,)` unit normal, pointing to the reader.
    """
    mount = vehicle.rear if rear else vehicle.front
    size = vehicle.size
    width, height = vehicle.plate.design.size_m
    corners = np.array([(-1, 0, 1), (1, 0, 1), (1, 0, -1), (-1, 0, -1)]) * (
        width / 2,
        0,
        height / 2,
    )
    roll, pitch = radians(mount.roll_deg), radians(mount.pitch_deg)
    rolled = corners @ np.array(
        [(cos(roll), 0, -sin(roll)), (0, 1, 0), (sin(roll), 0, cos(roll))]
    )  # as seen by a reader who looks along +y
    leaning = np.array([(1, 0, 0), (0, cos(pitch), sin(pitch)), (0, -sin(pitch), cos(pitch))])
    turned = rolled @ leaning
    normal = np.array([0.0, -1.0, 0.0]) @ leaning
    middle = np.array([mount.offset_m, -size.length_m / 2 - PLATE_PROUD_M, 0.0])
    middle[2] = size.plate_rear_m if rear else size.plate_front_m
    quad = turned + middle
    if not rear:
        half_turn = np.array([-1.0, -1.0, 1.0])
        return quad * half_turn, normal * half_turn
    return quad, normal


def touches_premises(
    vehicle: Vehicle, pose: tuple[float, float, float], premises: Premises = PREMISES
) -> bool:
    """Whether the vehicle's footprint overlaps the grounds, their setback or the driveway."""
    return premises.touched_by(footprint(vehicle.size, pose))


def ever_touches(vehicle: Vehicle, premises: Premises = PREMISES, step_s: float = 0.05) -> bool:
    """Whether it touches what is protected at any time of its life, in view or not."""
    way = vehicle.trajectory
    last = way.start_s + float(way.times[-1])
    poses = way.poses(np.arange(way.start_s, last + step_s, step_s))
    # Most of a life is far away: no corner is further from the middle than the sides are long.
    reach_m = vehicle.size.length_m + vehicle.size.width_m
    near = np.zeros(len(poses), bool)
    for ground in premises.protected():
        low, high = ground.min(axis=0) - reach_m, ground.max(axis=0) + reach_m
        near |= ((poses[:, :2] >= low) & (poses[:, :2] <= high)).all(axis=1)
    for pose in poses[near]:
        if touches_premises(vehicle, (float(pose[0]), float(pose[1]), float(pose[2])), premises):
            return True
    return False
