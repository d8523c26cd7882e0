"""Vehicles that drive about while masks change, tracks break, frames stall and the device crashes.

Whatever happens, a vehicle that ever touched the zone of its time is never released again in its
life, and the gate's memory is empty once it has forgotten.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.zones import grow, make_zones, touches
from alpr_edge.types import ClosedTrack, Read, TrackPoint, TrackStep

SIZE = (400, 240)
TICK_NS = 100_000_000
LIMITS = GateLimits(
    hold_ns=5 * TICK_NS, remember_ns=60 * TICK_NS, max_unseen_ns=2 * TICK_NS, max_held=16
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEP_PX = 30
NAMES = ("AAA1111", "BBB2222", "CCC3333")


class Car:
    """A vehicle that is seen in every frame from the border until it leaves across it."""

    def __init__(self, name: str, x: float, y: float, track_id: int) -> None:
        self.name, self.x, self.y, self.track_id = name, x, y, track_id
        self.quads: list[np.ndarray] = []
        self.has_touched = False

    @property
    def quad(self) -> np.ndarray:
        x, y = self.x, self.y
        return np.array(
            [[x - 12, y - 6], [x + 12, y - 6], [x + 12, y + 6], [x - 12, y + 6]], np.float32
        )

    @property
    def is_outside(self) -> bool:
        return not (0 <= self.x <= SIZE[0] and 0 <= self.y <= SIZE[1])


class Street(RuleBasedStateMachine):
    """The street, its device, and what may never happen."""

    def __init__(self) -> None:
        super().__init__()
        self.masks = [[(0.7, 0.3), (1.0, 0.3), (1.0, 0.7), (0.7, 0.7)]]
        self.cars: dict[str, Car] = {}
        self.forbidden: set[str] = set()
        self.released: list[str] = []
        self.now_ns = 0
        self.ids = 0
        self.start()

    def start(self) -> None:
        self.zones = make_zones(self.masks, size_px=SIZE, band_px=4, digest="m")
        self.gate = Gate(self.zones, LIMITS)
        for car in self.cars.values():
            self.renew(car)

    def renew(self, car: Car) -> None:
        self.ids += 1
        car.track_id, car.quads = self.ids, []

    def tick(self, closed: tuple[ClosedTrack, ...] = (), *, ns: int = TICK_NS) -> None:
        self.now_ns += ns
        points = []
        for car in self.cars.values():
            quads = [*car.quads[-1:], car.quad]
            swept = np.concatenate([grow(q) for q in quads])
            if touches(self.zones.band, swept):
                self.forbidden.add(car.name)
            car.quads.append(car.quad)
            points.append(TrackPoint(car.track_id, car.quad, car.name))
        step = self.gate.step(TrackStep(tuple(points), closed, ()), self.now_ns)
        self.released += [one.track.read.plate for one in step.released]

    def close(self, car: Car) -> ClosedTrack:
        read = Read(car.name, 0.9, (0.9,) * len(car.name), None)
        first, last = car.quads[0], car.quads[-1]
        count = len(car.quads)
        return ClosedTrack(car.track_id, read, first, first, last, NOW, NOW, count, count)

    @rule(name=st.sampled_from(NAMES), y=st.integers(10, 230))
    def arrive(self, name: str, y: int) -> None:
        # A vehicle of this name comes once: one that comes back was read before, see the docs.
        if name not in self.cars and name not in self.forbidden and name not in self.released:
            self.ids += 1
            self.cars[name] = Car(name, 8, y, self.ids)
            self.tick()

    @rule(data=st.data())
    def drive(self, data: st.DataObject) -> None:
        for car in self.cars.values():
            car.x += data.draw(st.integers(-STEP_PX // 3, STEP_PX))
            car.y += data.draw(st.integers(-STEP_PX, STEP_PX))
        gone = [car for car in self.cars.values() if car.is_outside]
        for car in gone:
            del self.cars[car.name]
        closed = tuple(self.close(car) for car in gone if car.quads)
        self.forbidden |= {car.name for car in gone if not car.quads}
        self.tick(closed)

    @precondition(lambda self: self.cars)
    @rule(data=st.data())
    def break_a_track(self, data: st.DataObject) -> None:
        car = self.cars[data.draw(st.sampled_from(sorted(self.cars)))]
        if car.quads:
            closed = self.close(car)
            self.renew(car)
            self.tick((closed,))

    @rule()
    def stall(self) -> None:
        self.tick(ns=LIMITS.max_gap_ns + 1)

    @rule()
    def step_the_clock_back(self) -> None:
        self.tick(ns=-TICK_NS)

    @rule(x=st.floats(0.3, 0.8), y=st.floats(0.0, 0.8))
    def widen(self, x: float, y: float) -> None:
        self.masks.append([(x, y), (x + 0.15, y), (x + 0.15, y + 0.15)])
        last = self.gate.shutdown(TrackStep((), (), ()))
        assert last.released == ()
        assert not any(self.gate.memory)
        self.start()

    @rule()
    def crash(self) -> None:
        self.start()

    @rule()
    def wait(self) -> None:
        for _ in range(7):
            self.tick()

    @invariant()
    def nothing_forbidden_is_released(self) -> None:
        assert not self.forbidden & set(self.released)

    @invariant()
    def the_gate_is_bounded(self) -> None:
        assert self.gate.held <= LIMITS.max_held + len(NAMES)

    def teardown(self) -> None:
        if self.cars:
            closed = tuple(self.close(car) for car in self.cars.values() if car.quads)
            self.cars.clear()
            self.tick(closed)
        for _ in range(70):
            self.tick()
        assert not any(self.gate.memory)
        assert not self.forbidden & set(self.released)


TestStreet = Street.TestCase
TestStreet.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
