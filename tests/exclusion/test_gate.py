"""N2: what touches, begins or ends beside a zone yields nothing; the rest is released once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.exclusion.gate import Gate, GateLimits, ReleasedRead
from alpr_edge.exclusion.photo import judge_still
from alpr_edge.exclusion.zones import make_zones, rasterise
from alpr_edge.types import (
    ClosedTrack,
    Detection,
    DropReason,
    Read,
    Sighting,
    TrackPoint,
    TrackStep,
)
from alpr_edge.zone_set import GateLine, Taints, ZoneSet

SIZE = (640, 360)
START = datetime(2026, 1, 1, tzinfo=UTC)
MASK = [(0.7, 0.3), (0.9, 0.3), (0.9, 0.7), (0.7, 0.7)]
LIMITS = GateLimits(hold_ns=1_000_000_000)
TICK_NS = 100_000_000


def quad_at(x: float, y: float, width: float = 40.0) -> np.ndarray:
    h = width / 4
    w = width / 2
    return np.array([[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]], np.float32)


def read(text: str) -> Read:
    return Read(text, 0.9, (0.9,) * len(text), None)


class World:
    """Drives a gate frame by frame, with tracks that are given, not tracked."""

    def __init__(self, polygons=(MASK,), limits: GateLimits = LIMITS, band_px: int = 10) -> None:
        self.zones = make_zones(polygons, size_px=SIZE, band_px=band_px, digest="m1")
        self.gate = Gate(self.zones, limits)
        self.tick = 0
        self.seen: dict[int, list[np.ndarray]] = {}
        self.released: list[str] = []
        self.drops: list[DropReason] = []
        self.warm_up()

    def warm_up(self) -> None:
        """Let the gate look at an empty street: what is there at its start is suspect."""
        self.wait(17)

    def step(self, seen=None, closed=(), unread=(), overflow=False, ticks: int = 1) -> None:
        seen = seen or {}
        self.tick += ticks
        for track_id, quad in seen.items():
            self.seen.setdefault(track_id, []).append(quad)
        result = self.gate.step(
            TrackStep(
                tuple(TrackPoint(i, q) for i, q in seen.items()),
                tuple(self.close(i, text) for i, text in closed),
                tuple(unread),
                overflow,
            ),
            self.tick * TICK_NS,
        )
        self.released += [r.track.read.plate for r in result.released]
        self.drops += [d.reason for d in result.drops]

    def close(self, track_id: int, text: str) -> ClosedTrack:
        quads = self.seen.get(track_id) or [quad_at(5, 5)]
        at = START + timedelta(milliseconds=100 * self.tick)
        return ClosedTrack(
            track_id, read(text), quads[0], quads[0], quads[-1], START, at, len(quads), len(quads)
        )

    def wait(self, ticks: int = 15) -> None:
        for _ in range(ticks):
            self.step()

    def drive(self, track_id: int, path, text: str, *, width: float = 40.0) -> None:
        for x, y in path:
            self.step({track_id: quad_at(x, y, width)})
        self.step(closed=[(track_id, text)])


ACROSS = [(x, 340) for x in range(20, 640, 60)]
"""Along the lower border, clear of mask and band."""


def test_a_clean_pass_is_released_once_after_the_hold():
    world = World()
    world.drive(1, ACROSS, "CLEAN1")
    assert world.released == []
    assert world.gate.held == 1
    world.wait()
    assert world.released == ["CLEAN1"]
    world.wait()
    assert world.released == ["CLEAN1"]
    assert world.drops == []


def test_without_a_zone_a_closed_track_leaves_at_once():
    world = World(polygons=())
    world.drive(1, [(300, 180), (310, 180)], "ABC123")
    assert world.released == ["ABC123"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ([(20, 340), (300, 300), (480, 180), (620, 340)], DropReason.TOUCHES_MASK),
        ([(20, 180), (300, 180), (415, 180), (300, 300), (20, 300)], DropReason.TOUCHES_BAND),
        ([(300, 180), (200, 180), (20, 180)], DropReason.STARTED_IN_VIEW),
        ([(20, 180), (200, 180), (300, 180)], DropReason.ENDED_IN_VIEW),
    ],
)
def test_suppressed_with_a_reason(path, reason):
    world = World()
    world.drive(1, path, "SECRET")
    world.wait()
    assert world.released == []
    assert world.drops == [reason]


def test_a_fast_vehicle_cannot_jump_over_the_zone():
    world = World()
    world.drive(1, [(330, 20), (330, 180), (620, 180)], "JUMPER")
    world.wait()
    assert world.released == []
    assert world.drops[0] in (DropReason.TOUCHES_MASK, DropReason.TOUCHES_BAND)


def test_a_small_plate_may_not_begin_in_view_either():
    world = World()
    for x, width in [(300, 10), (280, 30), (200, 60), (20, 80)]:
        world.step({1: quad_at(x, 180, width)})
    world.step(closed=[(1, "NEARER")])
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


def test_a_plate_that_its_motion_carries_across_the_border_may_end_there():
    world = World()
    for y in (10, 60, 110, 170, 240, 310):
        world.step({1: quad_at(100, y)})
    world.step(closed=[(1, "PASSED")])
    world.wait()
    assert world.released == ["PASSED"]


def test_a_broken_track_is_kin_of_its_continuation():
    world = World()
    for x in (20, 100):
        world.step({1: quad_at(x, 20)})
    world.step(closed=[(1, "BROKEN")])
    for x, y in [(180, 20), (300, 100), (480, 180)]:
        world.step({2: quad_at(x, y)})
    world.step(closed=[(2, "X8ZZZZ")])
    world.wait()
    assert world.released == []
    assert len(world.drops) == 2


def test_kin_wait_for_each_other():
    world = World()
    world.drive(1, [(20, 20), (100, 20), (180, 20)], "FIRST1")
    world.step({2: quad_at(220, 20)})
    for _ in range(30):
        world.step({2: quad_at(230, 20)})
    assert world.released == []
    for x, y in [(300, 100), (400, 150)]:
        world.step({2: quad_at(x, y)})
    world.step({2: quad_at(480, 180)}, closed=[])
    world.step(closed=[(2, "SECOND")])
    world.wait()
    assert world.released == []


def test_texts_alike_are_kin_wherever_they_are():
    world = World()
    world.drive(1, [(480, 180), (600, 180)], "7ABC123")
    world.drive(2, ACROSS, "7A8C123")
    world.drive(3, [(x, 20) for x in range(20, 640, 60)], "OTHER99")
    world.wait()
    assert world.released == ["OTHER99"]
    assert DropReason.KIN_TAINTED in world.drops


@pytest.mark.parametrize("ticks", [30, -3])
def test_a_gap_or_clock_step_suppresses_what_is_held(ticks):
    world = World()
    world.drive(1, ACROSS, "HELD11")
    world.step(ticks=ticks)
    world.wait(20)
    assert world.released == []
    assert world.drops == [DropReason.FRAME_GAP]


def test_overflow_suppresses():
    world = World()
    world.step({1: quad_at(20, 340)}, overflow=True)
    world.step({1: quad_at(620, 340)})
    world.step(closed=[(1, "FLOODS")])
    world.wait()
    assert world.released == []


def test_a_track_that_was_never_seen_is_suppressed():
    world = World()
    world.step(closed=[(7, "GHOST1")])
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


@pytest.mark.parametrize("frames_before", [0, 5, 17])
def test_what_is_there_when_the_gate_begins_to_look_is_suppressed(frames_before):
    world = World()
    world.gate = Gate(world.zones, LIMITS)
    world.wait(frames_before)
    world.drive(1, ACROSS, "EARLY11")
    world.wait()
    assert world.released == (["EARLY11"] if frames_before == 17 else [])


def test_what_is_there_after_a_gap_is_suppressed():
    world = World()
    world.step(ticks=30)
    world.drive(1, ACROSS, "AFTER11")
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


def test_shutdown_destroys_what_is_open_or_held():
    world = World()
    world.drive(1, ACROSS, "HELD11")
    world.step({2: quad_at(20, 20)})
    last = world.gate.shutdown(TrackStep((), (world.close(2, "OPEN22"),), ()))
    assert last.released == ()
    assert [d.reason for d in last.drops] == [DropReason.SHUTDOWN] * 2
    assert world.gate.held == 0


def test_shutdown_without_a_zone_releases():
    world = World(polygons=())
    world.step({1: quad_at(300, 180)})
    last = world.gate.shutdown(TrackStep((), (world.close(1, "LAST11"),), ()))
    assert [r.track.read.plate for r in last.released] == ["LAST11"]


def test_nobody_else_builds_a_released_read():
    world = World()
    with pytest.raises(TypeError, match=r"only alpr_edge\.exclusion\.gate"):
        ReleasedRead(world.close(1, "FORGED"), "m1", object())


def test_a_still_shows_only_what_is_clear_of_the_mask():
    zones = make_zones([MASK], size_px=SIZE, band_px=0, digest="m1")
    sightings = [
        Sighting(Detection(quad_at(x, y), 0.9), read("ABC123"), 1.0)
        for x, y in [(100, 100), (500, 180), (428, 180)]
    ]
    shown, drops = judge_still(zones, sightings)
    assert shown == (sightings[0],)
    assert [d.reason for d in drops] == [DropReason.TOUCHES_MASK] * 2


def test_a_touch_while_closing_destroys_the_read_and_overwrites_its_text():
    world = World()
    world.drive(1, ACROSS, "CANARY7")
    assert b"CANARY7" in bytes(world.gate.memory)
    heard(world, 2, quad_at(480, 180), "CANARY7")
    assert world.gate.held == 0
    assert DropReason.KIN_TAINTED in world.drops
    world.wait(15)
    world.step(closed=[(2, "CANARY7")])
    world.wait(320)
    assert world.released == []
    assert not any(world.gate.memory)


def test_the_gates_memory_is_empty_after_a_release_and_after_shutdown():
    world = World()
    world.drive(1, ACROSS, "CLEAN1")
    world.wait()
    assert world.released == ["CLEAN1"]
    assert not any(world.gate.memory)
    world.drive(2, ACROSS, "HELD22")
    heard(world, 3, quad_at(20, 20), "OPEN333")
    world.gate.shutdown(TrackStep((), (), ()))
    assert not any(world.gate.memory)


def test_a_parked_car_is_destroyed_with_a_zone_in_view_and_released_without():
    for polygons, expected in (((MASK,), []), ((), ["PARKED1"])):
        world = World(polygons=polygons)
        for x in (20, 100, 180, 200, 200, 200):
            world.step({1: quad_at(x, 340)})
        # The tracker gives up a track that lasts too long, while the car still stands there.
        world.step({2: quad_at(200, 340)}, closed=[(1, "PARKED1")])
        for _ in range(20):
            world.step({2: quad_at(200, 340)})
        world.step(unread=[2])
        world.wait()
        assert world.released == expected


def test_a_hold_that_lasts_too_long_destroys():
    world = World(limits=replace(LIMITS, max_hold_ns=3_000_000_000))
    world.drive(1, [(20, 340), (60, 340), (20, 340)], "WAITS1")
    for _ in range(40):
        world.step({2: quad_at(40, 340)})
    assert world.released == []
    assert DropReason.HELD_TOO_LONG in world.drops


def test_a_short_gap_is_explained_by_the_same_text_and_a_long_one_is_not():
    for ticks, expected in ((3, ["SAME123"] * 2), (30, [])):
        world = World(limits=replace(LIMITS, max_gap_ns=4_000_000_000, hold_ns=4_000_000_000))
        for x in (20, 70, 120, 170):
            world.step({1: quad_at(x, 340)})
        world.step(closed=[(1, "SAME123")])
        world.step(ticks=ticks - 2)
        for x in range(170 + 50 * ticks, 640, 50) if ticks < 9 else range(400, 640, 50):
            world.step({2: quad_at(x, 340)})
        world.step(closed=[(2, "SAME123")])
        world.wait(60)
        assert world.released == expected


def test_another_text_explains_nothing():
    world = World()
    for x in (20, 70, 120, 170):
        world.step({1: quad_at(x, 340)})
    world.step(closed=[(1, "ONE1111")])
    for x in range(270, 640, 50):
        world.step({2: quad_at(x, 340)})
    world.step(closed=[(2, "TWO2222")])
    world.wait(30)
    assert world.released == []


def test_a_plate_hidden_just_inside_the_border_has_not_left():
    # Comes in, and a truck hides it at once.
    world = World()
    for y in (4, 6, 8):
        world.step({1: quad_at(300, y, 20)})
    world.step(closed=[(1, "HIDDEN1")])
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.ENDED_IN_VIEW]


@pytest.mark.parametrize(
    ("taints", "down", "up"),
    [
        (Taints.BOTH, [], []),
        (Taints.LEFT_TO_RIGHT, [], ["PASSER1"]),
        (Taints.RIGHT_TO_LEFT, ["PASSER1"], []),
    ],
)
def test_a_gate_line_taints_in_its_direction(taints, down, up):
    zone_set = ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), taints),))
    way = [(100, y) for y in range(11, 360, 40)]
    for path, expected in ((way, down), (way[::-1], up)):
        world = World()
        world.zones = rasterise(zone_set, size_px=SIZE, digest="m1")
        world.gate = Gate(world.zones, LIMITS)
        world.warm_up()
        world.drive(1, path, "PASSER1")
        world.wait()
        assert world.released == expected
        assert world.drops == ([] if expected else [world.drops[0]])


steps = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 640), st.integers(0, 360), st.booleans()),
    min_size=1,
    max_size=25,
)


def run_random(moves, *, extra=(), band_px=5) -> tuple[list[str], list[tuple[str, np.ndarray]]]:
    world = World(polygons=(MASK, *extra), band_px=band_px)
    ids: dict[int, int] = {}
    history: list[tuple[str, np.ndarray]] = []
    names = 0
    for vehicle, x, y, ends in moves:
        if vehicle not in ids:
            names += 1
            ids[vehicle] = 100 * vehicle + names
        quad = quad_at(x, y)
        text = f"{ids[vehicle]}" * 3
        history.append((text, quad))
        world.step({ids[vehicle]: quad})
        if ends:
            world.step(closed=[(ids.pop(vehicle), text)])
    for track_id in ids.values():
        world.step(closed=[(track_id, f"{track_id}" * 3)])
    world.wait(14)
    return world.released, history


@settings(max_examples=40)
@given(steps)
def test_nothing_that_touched_the_zone_is_ever_released(moves):
    released, history = run_random(moves)
    box = np.array([0.7 * 640, 0.3 * 360, 0.9 * 640, 0.7 * 360])
    for text, quad in history:
        low, high = quad.min(0), quad.max(0)
        if (low < box[2:]).all() and (high > box[:2]).all():
            assert text not in released
    assert len(released) == len(set(released))


@settings(max_examples=30)
@given(
    steps,
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=4),
    st.integers(0, 30),
)
def test_more_mask_or_band_never_adds_a_read(moves, polygon, more_band):
    fewer = run_random(moves, extra=(polygon,), band_px=5 + more_band)[0]
    assert set(fewer) <= set(run_random(moves)[0])


def test_kin_of_kin_wait_for_each_other():
    """A and C never met; B met both. C goes to the zone long after A has closed."""
    world = World()
    for x in (20, 60, 100):
        world.step({1: quad_at(x, 340)})
    world.step({2: quad_at(150, 340)})
    world.step({2: quad_at(160, 340)}, closed=[(1, "AAA111")])
    world.step({3: quad_at(200, 340)})
    for _ in range(15):
        world.step({3: quad_at(205, 340)}, unread=[2] if world.tick < 9 else [])
    for x, y in [(300, 300), (400, 240), (480, 180)]:
        world.step({3: quad_at(x, y)})
    world.step(closed=[(3, "ZZZ999")])
    world.wait()
    assert world.released == []


def heard(world: World, track_id: int, quad, text: str) -> None:
    world.seen.setdefault(track_id, []).append(quad)
    world.tick += 1
    step = TrackStep((TrackPoint(track_id, quad, text),), (), ())
    result = world.gate.step(step, world.tick * TICK_NS)
    world.released += [r.track.read.plate for r in result.released]
    world.drops += [d.reason for d in result.drops]


def test_a_vehicle_that_comes_back_is_known_before_its_track_closes():
    world = World()
    world.drive(1, ACROSS, "PRM1234")
    heard(world, 2, quad_at(620, 20), "PRM1234")
    for _ in range(30):
        heard(world, 2, quad_at(600, 20), "PRM1234")
    assert world.released == []
    heard(world, 2, quad_at(500, 180), "PRM1234")
    world.step(closed=[(2, "PRM1234")])
    world.wait()
    assert world.released == []


def test_a_suppressed_track_without_a_read_is_remembered():
    world = World()
    heard(world, 1, quad_at(480, 180), "PRM1234")
    heard(world, 1, quad_at(620, 180), "PRM1234")
    world.step(unread=[1])
    assert world.drops == [DropReason.TOUCHES_MASK]
    world.wait(30)
    world.drive(2, ACROSS, "PRM1234")
    world.wait()
    assert world.released == []


def test_a_plate_that_stands_on_the_border_has_not_left():
    world = World()
    for _ in range(4):
        world.step({1: quad_at(15, 180)})
    world.step(closed=[(1, "WAITER")])
    for x in (15, 60, 200, 350, 480):
        world.step({2: quad_at(x, 180)})
    world.step(closed=[(2, "9X9X9X")])
    world.wait()
    assert world.released == []


def test_two_tracks_on_one_vehicle_are_kin():
    world = World()
    for x in (20, 60, 100):
        world.step({1: quad_at(x, 340), 2: quad_at(x + 5, 345)})
    world.step({2: quad_at(110, 340)}, closed=[(1, "DOUBLE")])
    for x, y in [(200, 300), (350, 240), (480, 180)]:
        world.step({2: quad_at(x, y)})
    world.step(closed=[(2, "QQQ777")])
    world.wait()
    assert world.released == []


def test_tracks_that_end_unread_are_counted():
    world = World()
    world.step({1: quad_at(20, 340)})
    world.step({1: quad_at(80, 340)}, unread=[1])
    assert world.drops == [DropReason.UNREAD]
