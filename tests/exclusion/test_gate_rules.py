"""Single rules of the gate, each at its edge: what mutation testing asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.exclusion.test_gate import ACROSS, LIMITS, SIZE, World, quad_at

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.held import LONGEST
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.types import ClosedTrack, DropReason, TrackPoint, TrackStep

FREE = make_zones([], size_px=SIZE, band_px=0, digest="free")


def closing(world: World, track_id: int = 1) -> ClosedTrack:
    return world.close(track_id, "ABC123")


def test_where_nothing_is_protected_a_gate_holds_nothing_unless_it_is_told_of_ground() -> None:
    world = World()
    open_view = Gate(FREE, LIMITS)
    assert len(open_view.step(TrackStep((), (closing(world),), ()), 0).released) == 1
    on_ground = Gate(FREE, LIMITS, ground=True)
    step = on_ground.step(TrackStep((TrackPoint(1, quad_at(20, 340)),), (), ()), 0)
    step = on_ground.step(TrackStep((), (closing(world),), ()), 100_000_000)
    assert step.released == ()
    assert on_ground.held + len(step.drops) == 1


def test_protected_ground_needs_no_mask_and_a_mask_needs_no_ground() -> None:
    point = TrackPoint(1, quad_at(320, 180), on_protected_ground=True)
    gate = Gate(FREE, LIMITS, ground=True)
    for tick in range(20):
        gate.step(TrackStep((), (), ()), tick * 100_000_000)
    gate.step(TrackStep((point,), (), ()), 2_000_000_000)
    drops = gate.step(TrackStep((), (closing(World()),), ()), 2_100_000_000).drops
    assert [drop.reason for drop in drops] == [DropReason.PROTECTED_GROUND]


def test_there_is_room_for_four_texts_a_track() -> None:
    limits = GateLimits(max_held=10)
    assert Gate(World().zones, limits).memory.nbytes == 4 * 10 * (LONGEST + 1)


@pytest.mark.parametrize(("most", "overflows"), [(3, False), (2, True)])
def test_so_many_tracks_and_no_more(most: int, overflows: bool) -> None:
    world = World(limits=replace(LIMITS, max_held=most))
    places = {1: (20, 340), 2: (300, 340), 3: (20, 20)}
    for shift in (0, 30, 60):
        world.step({i: quad_at(x + shift, y) for i, (x, y) in places.items()})
    world.step(closed=[(1, "AAAA11"), (2, "ZZZZ99"), (3, "KKKK55")])
    assert (DropReason.OVERFLOW in world.drops) == overflows


def test_a_new_plate_is_not_kin_of_one_that_is_seen_elsewhere_in_the_same_frame() -> None:
    """A tainted vehicle has just left the place beside which another begins at the border."""
    world = World()
    # Begins in the middle of the view: suspect to the end, and seen in every frame.
    for x in (300, 250, 200, 150, 100):
        world.step({9: quad_at(x, 250, 40)})
    # The new one begins within reach of where the other was, and far from where it is.
    path = [(20, 340), (80, 340), (140, 340), (200, 340), (260, 340)]
    away = [(330, 120), (330, 100), (330, 80), (330, 60), (330, 40)]
    for there, here in zip(path, away, strict=True):
        world.step({2: quad_at(*there), 9: quad_at(*here, 40)})
    for x in range(320, 640, 60):
        world.step({2: quad_at(x, 340), 9: quad_at(330, 30, 40)})
    world.step(closed=[(2, "CLEAN2")], unread=[9])
    world.wait(30)
    assert world.released == ["CLEAN2"]


def test_a_pass_is_released_whatever_the_order_of_the_points() -> None:
    world = World()
    world.drive(7, ACROSS, "FIRST7")
    world.drive(3, ACROSS, "OTHER3")
    world.wait(30)
    assert sorted(world.released) == ["FIRST7", "OTHER3"]


def test_partly_beyond_the_edge_and_moving_along_it_is_no_begin() -> None:
    """What once leaked: out of the premises, unseen, and then down along the edge of the frame."""
    world = World()
    world.drive(1, [(16 - n, 200 + 30 * n) for n in range(6)], "SECRET")
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


def test_partly_beyond_the_edge_and_moving_inwards_is_a_begin() -> None:
    world = World()
    world.drive(1, [(10, 340), *ACROSS[1:]], "CLEAN1")
    world.wait()
    assert world.released == ["CLEAN1"]
