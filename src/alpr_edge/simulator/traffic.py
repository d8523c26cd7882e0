"""Who drives when: the vehicles of a street, none of which runs through another.

Does: draws kinds, colours, plates and ways from a seeded generator, and gives each vehicle the
moment nearest to the wished one at which its way is free.
Does not: simulate drivers; every way is timed beforehand, and only its start is moved.

Rules: the shares of the patterns are met by largest remainder, not by chance. A vehicle that finds
no free moment is left out; the street then has one fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from alpr_edge.simulator.camera import Points
from alpr_edge.simulator.itineraries import Itinerary, plan
from alpr_edge.simulator.plate_art import PlateSpec, draw_plates
from alpr_edge.simulator.routes import Trajectory, drive
from alpr_edge.simulator.vehicles import SIZES, Kind, Pattern, PlateMount, Vehicle

Mix = tuple[tuple[Pattern, float], ...]

DEFAULT_MIX: Final[Mix] = (
    (Pattern.PASS, 0.58),
    (Pattern.ENTER, 0.14),
    (Pattern.LEAVE, 0.14),
    (Pattern.TURN_ROUND, 0.07),
    (Pattern.PARK, 0.07),
)
_KINDS: Final = (
    (Kind.SEDAN, 0.42),
    (Kind.SUV, 0.28),
    (Kind.VAN, 0.09),
    (Kind.PICKUP, 0.13),
    (Kind.TRUCK, 0.08),
)
_PAINTS: Final = (
    (228, 230, 232), (206, 206, 204), (44, 42, 40), (112, 108, 104), (64, 60, 150), (130, 74, 34),
    (72, 82, 62), (150, 168, 182), (40, 34, 104), (176, 156, 128),
)  # fmt: skip
"""BGR. Source: PPG colour popularity: mostly white, silver, grey, black; some red and blue."""

TOUCHING_MIX: Final[Mix] = (
    (Pattern.PASS, 0.46),
    (Pattern.ENTER, 0.15),
    (Pattern.LEAVE, 0.15),
    (Pattern.TURN_ROUND, 0.02),
    (Pattern.STOP, 0.09),
    (Pattern.CLOSE, 0.02),
    (Pattern.HIDDEN, 0.09),
    (Pattern.PARK, 0.02),
)
"""For the exclusion battery: every way to touch the premises, and enough that do not."""

_CHECK_STEP_S: Final = 0.2
_SIDE_GAP_M: Final = 0.25
_LONG_GAP_M: Final = 1.3
"""Room kept around every vehicle, half of the gap between two."""
_SEARCH_S: Final = tuple(sign * 0.4 * i for i in range(60) for sign in ((1, -1) if i else (1,)))
_REACH_M: Final = 14.0
"""Two kept-free rectangles whose middles are further apart along x or y cannot overlap."""
_FOREVER_S: Final = 1e6
_SLOT: Final = 100
"""Ticks for which placed vehicles are looked up together (20 s)."""


def allocate(mix: Mix, count: int) -> list[Pattern]:
    """`count` patterns in the shares of `mix`, by largest remainder."""
    total = sum(share for _, share in mix)
    exact = [share / total * count for _, share in mix]
    numbers = [int(x) for x in exact]
    by_rest = sorted(range(len(mix)), key=lambda i: (numbers[i] - exact[i], i))
    for i in by_rest[: count - sum(numbers)]:
        numbers[i] += 1
    return [pattern for (pattern, _), n in zip(mix, numbers, strict=True) for _ in range(n)]


def populate(
    rng: np.random.Generator, duration_s: float, count: int, mix: Mix
) -> tuple[Vehicle, ...]:
    """The vehicles of a street of `duration_s` seconds, in the order of their ids."""
    patterns = allocate(mix, count)
    order = rng.permutation(count)
    plates = draw_plates(rng, count + patterns.count(Pattern.HIDDEN))
    seen: dict[Pattern, int] = dict.fromkeys(Pattern, 0)
    drafts: list[tuple[float, Vehicle]] = []
    for slot, index in enumerate(order):
        pattern = patterns[int(index)]
        wished = (slot + 0.5 + float(rng.uniform(-0.3, 0.3))) / count * duration_s
        draft = _draft(rng, pattern, seen[pattern], plates[slot])
        drafts.append((wished, draft))
        seen[pattern] += 1
        if pattern is Pattern.HIDDEN:
            truck = _truck(rng, seen[pattern], plates.pop())
            drafts.append((wished + float(rng.uniform(-1.5, 1.5)), truck))
    return _place(drafts, duration_s)


def _draft(rng: np.random.Generator, pattern: Pattern, variant: int, plate: PlateSpec) -> Vehicle:
    """A vehicle whose life starts when its reference moment is at 0 s."""
    shares = [share for _, share in _KINDS]
    kind = _KINDS[int(rng.choice(len(_KINDS), p=shares))][0]
    if pattern is not Pattern.PASS and kind is Kind.TRUCK:
        kind = Kind.VAN
    way = plan(pattern, variant, rng)
    cruise = float(np.clip(rng.normal(40, 8), 22, 58)) / 3.6
    start = cruise if way.start_speed is None else way.start_speed
    trajectory = _anchored(drive(way.turtle, cruise, SIZES[kind].wheelbase_m, start), way)
    base = np.array(_PAINTS[int(rng.integers(len(_PAINTS)))]) + rng.integers(-8, 9, 3)
    blue, green, red = (int(c) for c in np.clip(base, 10, 245))
    return Vehicle(
        vehicle_id=0,
        kind=kind,
        pattern=pattern,
        colour=(blue, green, red),
        plate=plate,
        front=_mount(rng, 4.0),
        rear=_mount(rng, 6.0),
        trajectory=trajectory,
    )


def _truck(rng: np.random.Generator, variant: int, plate: PlateSpec) -> Vehicle:
    """A passing truck, for hiding others behind it; odd variants drive away from the camera."""
    draft = _draft(rng, Pattern.PASS, 1 - variant % 2, plate)
    return replace(draft, kind=Kind.TRUCK)


def _mount(rng: np.random.Generator, pitch_deg: float) -> PlateMount:
    return PlateMount(
        pitch_deg=float(rng.normal(0, pitch_deg / 2)),
        roll_deg=float(rng.normal(0, 0.9)),
        offset_m=float(rng.normal(0, 0.03)),
    )


def _anchored(way: Trajectory, itinerary: Itinerary) -> Trajectory:
    """Shift a trajectory so that its reference moment is at 0 s, and add its waiting."""
    if itinerary.waits_s:
        times = np.concatenate([[0.0], way.times + itinerary.waits_s])
        lengths = np.concatenate([[way.lengths[0]], way.lengths])
        way = replace(way, times=times, lengths=lengths, start_s=-itinerary.waits_s)
    else:
        poses = way.poses(way.times)
        near = np.flatnonzero(np.abs(poses[:, 1] - itinerary.event_y_m) < 1.0)
        way = replace(way, start_s=-float(way.times[int(near[0])]))
    end = _FOREVER_S if itinerary.stays else way.start_s + float(way.times[-1])
    return replace(way, end_s=end)


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    """What a placed vehicle keeps free.

    Attributes:
        first: index of the clock's first tick at which it exists.
        end: index of the first tick at which it exists no more.
        boxes: `(T, 4, 2)` corners of the kept-free rectangle from there on; the last one holds for
            all later ticks: from then on it stands.
        middles: `(T, 2)` their middles.
    """

    first: int
    end: int
    boxes: Points
    middles: Points

    @property
    def stands(self) -> int:
        """Index of the tick from which on nothing changes."""
        return self.first + len(self.boxes) - 1


class _Taken:
    """The rooms of placed vehicles, found by the time of a new one."""

    def __init__(self) -> None:
        self._moving: dict[int, list[_Room]] = {}
        self._standing: list[_Room] = []

    def add(self, room: _Room) -> None:
        """Keep a room free from now on."""
        if room.end > room.stands + 1:
            self._standing.append(room)
        else:
            for slot in range(room.first // _SLOT, room.end // _SLOT + 1):
                self._moving.setdefault(slot, []).append(room)

    def is_free(self, room: _Room) -> bool:
        """Whether a room overlaps none of those that are taken."""
        if any(_collide(room, other) for other in self._standing):
            return False
        seen: set[int] = set()
        for slot in range(room.first // _SLOT, room.end // _SLOT + 1):
            for other in self._moving.get(slot, ()):
                if id(other) not in seen:
                    seen.add(id(other))
                    if _collide(room, other):
                        return False
        return True


def _place(drafts: Sequence[tuple[float, Vehicle]], duration_s: float) -> tuple[Vehicle, ...]:
    """Start every draft as near to its wished time as the others leave room.

    Ways that turn are placed first: they need more room than the passing ones around them.
    """
    clock = np.arange(-6.0, duration_s + 8.0, _CHECK_STEP_S)
    placed: list[tuple[float, Vehicle]] = []
    taken = _Taken()
    for wished, draft in sorted(drafts, key=lambda d: d[1].pattern is Pattern.PASS):
        for shift in _SEARCH_S:
            at = round((wished + shift) / _CHECK_STEP_S) * _CHECK_STEP_S
            if not 0.0 <= at <= duration_s:
                continue
            room = _room(draft, clock, at)
            if taken.is_free(room):
                way = draft.trajectory
                moved = replace(way, start_s=way.start_s + at, end_s=way.end_s + at)
                placed.append((at, replace(draft, trajectory=moved)))
                taken.add(room)
                break
    placed.sort(key=lambda entry: entry[0])
    return tuple(replace(vehicle, vehicle_id=i) for i, (_, vehicle) in enumerate(placed))


def _room(vehicle: Vehicle, clock: Points, at: float) -> _Room:
    """The room of a vehicle, whose reference moment is `at`, at the clock's times `(T,)`."""
    way = vehicle.trajectory
    first, end = _tick(clock, at, way.start_s), _tick(clock, at, way.end_s)
    rests = _tick(clock, at, way.start_s + float(way.times[-1])) + 2
    poses = way.poses(clock[first : min(end, rests)] - at)
    a = vehicle.size.width_m / 2 + _SIDE_GAP_M
    b = vehicle.size.length_m / 2 + _LONG_GAP_M
    ahead = np.column_stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])])
    right = np.column_stack([ahead[:, 1], -ahead[:, 0]])
    signs = ((-a, -b), (a, -b), (a, b), (-a, b))
    corners = [poses[:, :2] + x * right + y * ahead for x, y in signs]
    boxes = np.stack(corners, axis=1)
    return _Room(first, end, boxes, boxes.mean(axis=1))


def _tick(clock: Points, at: float, time_s: float) -> int:
    """Index of the clock's first time that is not before `time_s`, counted from `at`."""
    guess = int(np.clip((time_s + at - clock[0]) / _CHECK_STEP_S, 0, len(clock)))
    low, high = max(guess - 3, 0), min(guess + 4, len(clock))
    return low + int(np.searchsorted(clock[low:high] - at, time_s))


def _collide(one: _Room, other: _Room) -> bool:
    """Whether two vehicles' rooms overlap at any time (separating axes)."""
    begin, end = max(one.first, other.first), min(one.end, other.end)
    # Once both stand, one look is enough.
    end = min(end, max(one.stands, other.stands, begin) + 1)
    if begin >= end:
        return False
    ticks = np.arange(begin, end)
    here = np.minimum(ticks - one.first, len(one.boxes) - 1)
    there = np.minimum(ticks - other.first, len(other.boxes) - 1)
    away = np.abs(one.middles[here] - other.middles[there]).max(axis=1)
    near = np.flatnonzero(away < _REACH_M)
    if not len(near):
        return False
    left, right = one.boxes[here[near]], other.boxes[there[near]]
    apart = np.zeros(len(near), dtype=bool)
    for box in (left, right):
        for axis in (box[:, 1] - box[:, 0], box[:, 2] - box[:, 1]):
            a, b = (np.einsum("tcx,tx->tc", corners, axis) for corners in (left, right))
            apart |= (a.max(axis=1) < b.min(axis=1)) | (b.max(axis=1) < a.min(axis=1))
    return bool(not apart.all())
