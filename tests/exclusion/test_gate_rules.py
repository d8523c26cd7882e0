"""Single rules of the gate, each at its edge: what mutation testing asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.exclusion.test_gate import ACROSS, LIMITS, SIZE, World, heard, quad_at

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.held import LONGEST
from alpr_edge.exclusion.zones import make_zones, rasterise
from alpr_edge.types import ClosedTrack, DropReason, TrackPoint, TrackStep
from alpr_edge.zone_set import GateLine, Taints, ZoneSet

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
    for x in (300, 250, 200, 150, 100, 80):
        world.step({9: quad_at(x, 260, 40)})
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


# --- the edges of every rule ------------------------------------------------------------------

NEAR = 300
"""Along this height the mask lies 26 pixels above the grown plate: less than half a metre's swerve
in 0.7 s, at 131 pixels a metre."""


def hidden_pass(limits: GateLimits, *, unseen: int, ticks: int = 1) -> World:
    """A pass below the mask that is not seen for `unseen` frames there; a frame every `ticks`."""
    world = World(limits=limits)
    speed = 20 * ticks
    before = range(20, 440, speed)
    for x in before:
        world.step({1: quad_at(x, NEAR)}, ticks=ticks)
    for _ in range(unseen):
        world.step(ticks=ticks)
    for x in range(before[-1] + speed * (unseen + 1), 640, speed):
        world.step({1: quad_at(x, NEAR)}, ticks=ticks)
    world.step(closed=[(1, "HIDDEN7")], ticks=ticks)
    world.wait()
    return world


SEEN = replace(LIMITS, blind_ns=10_000_000_000, sweep_ns=10_000_000_000)


@pytest.mark.parametrize(
    ("limits", "unseen", "ticks", "leaves"),
    [
        (LIMITS, 0, 1, True),
        (LIMITS, 6, 1, False),
        # Frames came, and the plate was in none of them: judged, however long a sweep may be ...
        (replace(SEEN, blind_ns=699_999_999), 6, 1, False),
        # ... from the first nanosecond beyond what is allowed, and not before.
        (replace(SEEN, blind_ns=700_000_000), 6, 1, True),
        # A frame every 0.7 s misses nothing; what is judged there is the time between two frames.
        (replace(SEEN, sweep_ns=699_999_999, blind_ns=150_000_000), 0, 7, False),
        # Its speed at its last sighting is known as a mean only: its end is in doubt there.
        (replace(SEEN, sweep_ns=700_000_000, blind_ns=150_000_000), 0, 7, None),
        # One frame of two missed is twice the usual time: more than one and a half times.
        (replace(SEEN, blind_ns=150_000_000), 1, 4, False),
    ],
)
def test_a_plate_that_was_not_seen_may_have_been_where_it_could_have_been(
    limits: GateLimits, unseen: int, ticks: int, leaves: bool | None
) -> None:
    world = hidden_pass(limits, unseen=unseen, ticks=ticks)
    assert world.released == (["HIDDEN7"] if leaves else [])
    doubt = DropReason.ENDED_IN_VIEW if leaves is None else DropReason.TOUCHES_BAND
    assert world.drops == ([] if leaves else [doubt])


def test_two_sightings_are_enough_to_see_that_a_pass_began_in_the_view() -> None:
    world = World()
    world.drive(1, [(90, 340), (20, 340)], "TWICE11")
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


@pytest.mark.parametrize(("speed", "leaves"), [(10, True), (9, False)])
def test_a_pass_begins_half_a_second_from_the_border_at_the_most(speed: int, leaves: bool) -> None:
    """Fifty pixels from it: ten a frame of a tenth of a second are half a second, nine are more."""
    world = World()
    way = range(50, 100, speed)
    world.drive(1, [(x, 340) for x in (*way, *range(160, 640, 60))], "BEGINS1")
    world.wait()
    assert world.released == (["BEGINS1"] if leaves else [])


@pytest.mark.parametrize(("unseen_frames", "leaves"), [(6.0, True), (5.0, False)])
def test_a_slow_cameras_frames_are_followed_to_the_border(
    unseen_frames: float, leaves: bool
) -> None:
    """Six tenths of a second from it: six frames, and no more than `max_unseen_ns` says."""
    for most_ns, expected in ((600_000_000, leaves), (599_999_999, False)):
        limits = replace(LIMITS, unseen_frames=unseen_frames, max_unseen_ns=most_ns)
        world = World(limits=limits)
        world.drive(1, [(x, NEAR) for x in range(60, 640, 10)], "SLOWLY1")
        world.wait()
        assert (world.released == ["SLOWLY1"]) == expected


@pytest.mark.parametrize(("ticks", "dropped"), [(0, False), (15, False), (16, True), (-1, True)])
def test_frames_are_believed_across_the_longest_pause_and_no_longer(
    ticks: int, dropped: bool
) -> None:
    world = World()
    world.drive(1, ACROSS, "PAUSE11")
    world.step(ticks=ticks)
    assert world.drops == ([DropReason.FRAME_GAP] if dropped else [])


@pytest.mark.parametrize(("frames", "leaves"), [(15, False), (16, True)])
def test_what_is_there_in_the_first_moment_is_suspect_and_no_longer(
    frames: int, leaves: bool
) -> None:
    world = World()
    world.gate = Gate(world.zones, LIMITS)
    world.wait(frames)
    world.drive(1, ACROSS, "EARLY11")
    world.wait()
    assert world.released == (["EARLY11"] if leaves else [])


@pytest.mark.parametrize("comes_in", [True, False])
@pytest.mark.parametrize(("away_px", "leaves"), [(40, True), (12, False)])
def test_a_pass_is_followed_to_the_border_and_not_beyond(
    comes_in: bool, away_px: int, leaves: bool
) -> None:
    """A fifth of a second from the border it may be 16 px aside there; in twice the time, 52."""
    bottom = (340 - 11 - 10 - away_px) / 360
    left, right = (0.0, 0.05) if comes_in else (0.95, 1.0)
    world = World([[(left, 0.3), (right, 0.3), (right, bottom), (left, bottom)]])
    edge = [40, 60, 80] if comes_in else [600, 580, 560]
    far = [140 + 60 * k for k in range(8)] if comes_in else [500 - 60 * k for k in range(8)]
    path = [(x, 340) for x in (*edge, *far)]
    world.drive(1, path if comes_in else path[::-1], "FOLLOW1")
    world.wait()
    assert world.released == (["FOLLOW1"] if leaves else [])


def test_one_place_crosses_no_line() -> None:
    line = GateLine("g", ((0.0, 0.5), (1.0, 0.5)), Taints.LEFT_TO_RIGHT)
    zones = rasterise(ZoneSet(gates=(line,)), size_px=SIZE, digest="m1")
    gate = Gate(zones, LIMITS)
    assert gate.would_taint(quad_at(320, 165)) is None


# --- a vehicle that stands half in the frame --------------------------------------------------

SMALL = 8.0
"""Pixels of a plate far away: in a second and a half its vehicle reaches 118 pixels."""


def standing(world: World, track_id: int, text: str) -> None:
    """Stands at the left border, moves out, ends."""
    for x in (5, 5, 5, 5):
        world.step({track_id: quad_at(x, 180, SMALL)})
    world.step(closed=[(track_id, text)])


def test_what_stands_half_in_the_frame_has_not_left() -> None:
    """It yields nothing, however far every zone is: hidden for a while, it may drive on."""
    world = World()
    standing(world, 1, "STANDS1")
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


@pytest.mark.parametrize("comes_in", [True, False], ids=["came in", "stood there"])
def test_who_stops_on_the_border_hidden_and_enters_then_was_not_read_before(comes_in: bool) -> None:
    """Its track ends, a truck hides it longer than the hold, and it drives to the premises."""
    world = World(polygons=(MIDDLE,))
    for x in (40, 25, 12, 6, 4, 4, 4) if comes_in else (4,) * 6:
        world.step({1: quad_at(x, 180, SMALL)})
    world.step(closed=[(1, "ENTERS1")])
    world.wait(120)
    assert world.released == []
    for x in range(4, 320, 40):
        world.step({2: quad_at(x, 180, SMALL)})
    world.step(closed=[(2, "MISREAD")])
    world.wait(120)
    assert world.released == []


def test_what_stands_half_in_the_frame_near_a_zone_is_not() -> None:
    world = World(polygons=([(0.1, 0.3), (0.2, 0.3), (0.2, 0.7), (0.1, 0.7)],))
    standing(world, 1, "STANDS1")
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


@pytest.mark.parametrize("inwards", [True, False])
def test_moving_away_from_the_border_is_no_end_and_towards_it_no_begin(inwards: bool) -> None:
    world = World()
    ways = [(x, 180) for x in range(6, 30, 3)]
    world.drive(1, ways if inwards else ways[::-1], "INWARD1", width=SMALL)
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.ENDED_IN_VIEW if inwards else DropReason.STARTED_IN_VIEW]


def test_what_appears_on_the_border_may_be_what_was_lost_before() -> None:
    """A vehicle from the premises stands for a moment, is hidden, and stands at the border then.

    It was 46 pixels away: more than the three widths of a plate that was seen a moment ago, and
    less than six, where a second has passed.
    """
    world = World(limits=replace(LIMITS, hold_ns=4_000_000_000))
    for x in (480, 300, 150, 51, 51):
        world.step({1: quad_at(x, 180, SMALL)})
    world.step(unread=[1])
    world.wait(8)
    standing(world, 2, "UNKNOWN")
    world.wait(60)
    assert world.released == []


MIDDLE = [(0.45, 0.45), (0.55, 0.45), (0.55, 0.55), (0.45, 0.55)]


# --- kin of one that begins -------------------------------------------------------------------


def test_who_begins_beside_another_that_is_seen_too_is_no_kin_of_it() -> None:
    """Two widths away: nearer than a plate gets from frame to frame, farther than one vehicle."""
    world = World()
    for _ in range(3):
        world.step({9: quad_at(100, 260)})
    for x in range(20, 640, 60):
        world.step({2: quad_at(x, 300 if x == 20 else 340), 9: quad_at(100, 260)})
    world.step(closed=[(2, "CLEAN22")], unread=[9])
    world.wait(30)
    assert world.released == ["CLEAN22"]


def before_the_lost_one(world: World, kind: str) -> None:
    """Another track, known before the lost one, that is no kin of what begins later."""
    if kind == "of another size":
        for _ in range(3):
            world.step({7: quad_at(20, 300, 200)})
    if kind in ("long ago", "judged"):
        for x in range(20, 640, 60):
            world.step({7: quad_at(x, 340)})
        world.step(closed=[(7, "LONGAGO")])
        world.wait(16 if kind == "long ago" else 50)


@pytest.mark.parametrize("kind", ["none", "of another size", "long ago", "judged", "seen"])
def test_one_that_is_no_kin_does_not_end_the_search_for_others(kind: str) -> None:
    """From the premises, lost beside the border; another comes in there a moment later."""
    world = World(limits=replace(LIMITS, hold_ns=4_000_000_000))
    before_the_lost_one(world, kind)
    far = {7: quad_at(330, 40)} if kind == "seen" else {}
    for x in (480, 300, 110, 100):
        world.step({**far, 1: quad_at(x, 200)})
    world.step(far, unread=[1])
    for x in (20, 80, 140, 260, 350, 440, 530, 620):
        world.step({**far, 2: quad_at(x, 200 if x == 20 else 340)})
    world.step(closed=[(2, "UNKNOWN")])
    world.wait(60)
    assert "UNKNOWN" not in world.released


def test_one_that_has_left_does_not_end_the_search_for_others() -> None:
    world = World(limits=replace(LIMITS, hold_ns=4_000_000_000))
    world.drive(7, [(x, 340) for x in range(20, 640, 60)], "HASLEFT")
    for x in (480, 300, 150, 51, 51):
        world.step({1: quad_at(x, 180, SMALL)})
    world.step(unread=[1])
    world.wait(8)
    standing(world, 2, "UNKNOWN")
    world.wait(60)
    assert world.released == ["HASLEFT"]


@pytest.mark.parametrize(
    ("distance", "ticks", "width", "is_kin"),
    [
        # Three widths of the plate, and a second and a half, each to the edge ...
        (120, 1, 40, True),
        (121, 1, 40, False),
        (80, 15, 40, True),
        (80, 16, 40, False),
        # ... and two and a half times as large.
        (80, 1, 100, True),
        (80, 1, 101, False),
    ],
)
def test_what_comes_in_may_be_what_was_lost_near_there_a_moment_ago(
    distance: int, ticks: int, width: int, is_kin: bool
) -> None:
    world = World(limits=replace(LIMITS, hold_ns=4_000_000_000))
    for x in (480, 300, 200, 20 + distance):
        world.step({1: quad_at(x, 200, width)})
    for tick in range(ticks - 1):
        world.step(unread=[1] if tick == 0 else [])
    for x in (20, 80, 140, 260, 350, 440, 530, 620):
        world.step({2: quad_at(x, 200 if x == 20 else 340)})
    world.step(closed=[(2, "UNKNOWN")], unread=[1])
    world.wait(60)
    assert world.released == ([] if is_kin else ["UNKNOWN"])


def test_the_way_from_one_that_is_lost_to_one_that_begins_may_touch_a_zone() -> None:
    """One leaves below; a moment later one comes in beside it; between them lies the driveway."""
    for driveway, released in ((True, []), (False, ["LEAVES1", "COMESIN"])):
        polygon = [(0.1, 0.9), (0.13, 0.9), (0.13, 1.0), (0.1, 1.0)]
        world = World(polygons=(polygon if driveway else MIDDLE,), band_px=0)
        for y in (20, 80, 140, 200, 260, 320):
            world.step({1: quad_at(130, y)})
        world.step(closed=[(1, "LEAVES1")])
        for y in (340, 280, 220, 160, 100, 40):
            world.step({2: quad_at(24, y)})
        world.step(closed=[(2, "COMESIN")])
        world.wait(40)
        assert world.released == released
        assert set(world.drops) == (
            {DropReason.TOUCHES_MASK, DropReason.KIN_TAINTED} if driveway else set()
        )


# --- the end ----------------------------------------------------------------------------------


def test_shutdown_counts_what_is_held_and_gives_the_reason_of_what_was_tainted() -> None:
    world = World()
    for x in range(20, 640, 60):
        world.step({1: quad_at(x, 340), 2: quad_at(x, 20)})
    world.step({3: quad_at(480, 180)}, closed=[(1, "HELD111"), (2, "ZZZZ22")])
    last = TrackStep((), (world.close(3, "SECRET3"), world.close(9, "UNKNOWN")), ())
    drops = [drop.reason for drop in world.gate.shutdown(last).drops]
    assert drops == [
        DropReason.TOUCHES_MASK,
        DropReason.SHUTDOWN,
        DropReason.SHUTDOWN,
        DropReason.SHUTDOWN,
    ]
    # It has forgotten them all: the one that was tainted is a stranger now.
    again = world.gate.shutdown(TrackStep((), (world.close(3, "SECRET3"),), ()))
    assert [drop.reason for drop in again.drops] == [DropReason.SHUTDOWN]


def test_who_passes_where_another_was_seen_before_is_no_kin_of_it() -> None:
    world = World()
    for x in (20, 60, 100, 100):
        world.step({1: quad_at(x, 340)})
    for x in range(620, 0, -60):
        world.step({2: quad_at(x, 340)})
    world.step(closed=[(2, "CLEAN22")], unread=[1])
    world.wait(30)
    assert world.released == ["CLEAN22"]


@pytest.mark.parametrize("ticks", [1, 17])
def test_one_sighting_is_judged_as_a_begin_too(ticks: int) -> None:
    """Its motion is not known: even at the border nobody can say that it has just come."""
    world = World()
    world.gate = Gate(world.zones, LIMITS)
    world.wait(ticks)
    world.drive(1, [(5, 180)], "SINGLE1", width=SMALL)
    world.wait()
    assert world.released == []
    assert world.drops == [DropReason.STARTED_IN_VIEW]


# --- texts ------------------------------------------------------------------------------------


def test_a_text_that_is_read_anew_overwrites_the_one_before() -> None:
    world = World()
    heard(world, 1, quad_at(20, 340), "KKKK111")
    heard(world, 1, quad_at(80, 340), "KKKK117")
    assert b"KKKK117" in bytes(world.gate.memory)
    assert b"KKKK111" not in bytes(world.gate.memory)


def test_a_read_that_is_destroyed_is_overwritten_at_once() -> None:
    """The folded text stays for a while, to know the vehicle again; the read itself does not."""
    world = World()
    world.drive(1, ACROSS, "BOGUS17")
    assert b"BOGUS17" in bytes(world.gate.memory)
    world.step(overflow=True)
    assert world.drops == [DropReason.OVERFLOW]
    assert b"BOGUS17" not in bytes(world.gate.memory)
    assert b"806U517" in bytes(world.gate.memory)


def test_a_frame_in_which_nothing_is_read_forgets_no_text() -> None:
    world = World()
    heard(world, 1, quad_at(480, 180), "PRM1234")
    world.step({1: quad_at(560, 180)})
    world.step({1: quad_at(620, 180)}, unread=[1])
    world.wait(30)
    world.drive(2, ACROSS, "PRM1234")
    world.wait()
    assert world.released == []


def test_a_text_that_cannot_be_kept_suppresses_all() -> None:
    world = World()
    world.drive(1, ACROSS, "HELD111")
    heard(world, 2, quad_at(20, 20), "A" * (LONGEST + 1))
    assert world.drops == [DropReason.OVERFLOW]
    world.wait()
    assert world.released == []


def test_a_track_without_a_text_does_not_end_the_search_for_its_like() -> None:
    world = World()
    world.step({9: quad_at(20, 20)})
    heard(world, 1, quad_at(480, 180), "PRM1234")
    world.step({1: quad_at(620, 180), 9: quad_at(20, 20)}, unread=[1])
    for x in range(20, 640, 60):
        world.step({2: quad_at(x, 340), 9: quad_at(20, 20)})
    world.step(closed=[(2, "PRM1234")])
    world.wait()
    assert world.released == []
    assert DropReason.KIN_TAINTED in world.drops


def test_a_gap_suppresses_all_whatever_was_tainted_before() -> None:
    world = World()
    world.drive(1, ACROSS, "HELD111")
    world.step({2: quad_at(480, 180)})
    world.step(ticks=30)
    assert world.drops == [DropReason.FRAME_GAP]
    world.wait(30)
    assert world.released == []


# --- time -------------------------------------------------------------------------------------


def test_a_read_leaves_with_the_first_frame_after_its_hold_whoever_was_closed_before_it() -> None:
    world = World()
    for x in (480, 560, 620):
        world.step({1: quad_at(x, 180)})
    for x in range(20, 640, 60):
        world.step({2: quad_at(x, 340)})
    world.step(closed=[(1, "SECRET1"), (2, "CLEAN22")])
    world.wait(10)
    assert world.released == []
    world.wait(1)
    assert world.released == ["CLEAN22"]


@pytest.mark.parametrize(("ticks", "is_kin"), [(10, True), (12, False)])
def test_one_whose_hold_has_passed_waits_for_no_kin(ticks: int, is_kin: bool) -> None:
    world = World()
    for x in (480, 300, 110, 100):
        world.step({1: quad_at(x, 200)})
    world.step(unread=[1])
    world.wait(ticks - 1)
    for x in (20, 80, 140, 260, 350, 440, 530, 620):
        world.step({2: quad_at(x, 200 if x == 20 else 340)})
    world.step(closed=[(2, "UNKNOWN")])
    world.wait(30)
    assert world.released == ([] if is_kin else ["UNKNOWN"])


def test_a_read_is_held_so_long_and_no_longer() -> None:
    world = World(limits=replace(LIMITS, max_hold_ns=3_000_000_000))
    world.drive(1, [(20, 340), (60, 340), (20, 340)], "WAITS11")
    for _ in range(30):
        world.step({2: quad_at(40, 340)})
    assert world.drops == []
    world.step({2: quad_at(40, 340)})
    assert world.drops == [DropReason.HELD_TOO_LONG]


def test_a_suppressed_text_is_remembered_so_long_and_no_longer() -> None:
    world = World()
    heard(world, 1, quad_at(480, 180), "SECRET1")
    world.step(closed=[(1, "SECRET1")])
    world.wait(300)
    assert any(world.gate.memory)
    world.wait(1)
    assert not any(world.gate.memory)


# --- one vehicle under several tracks ---------------------------------------------------------


@pytest.mark.parametrize(("text", "is_explained"), [("AB12", True), ("AB1", False)])
def test_a_begin_in_the_view_is_explained_by_a_text_of_four_characters(
    text: str, is_explained: bool
) -> None:
    world = World()
    world.drive(1, [(x, 340) for x in (20, 70, 120, 170)], text)
    world.drive(2, [(x, 340) for x in range(270, 640, 50)], text)
    world.wait(30)
    assert world.released == ([text] * 2 if is_explained else [])


def test_one_end_explains_one_begin() -> None:
    world = World()
    world.drive(1, [(x, 340) for x in (20, 70, 120, 170)], "SAME123")
    for x in range(270, 640, 50):
        world.step({2: quad_at(x, 340), 3: quad_at(x, 20)})
    world.step(closed=[(2, "SAME123"), (3, "SAME123")])
    world.wait(30)
    assert world.released == []


def test_an_end_explains_no_begin_in_the_same_frame() -> None:
    """A vehicle is in one place at a time: this is another one, wherever it came from."""
    world = World()
    for x in (20, 70, 120):
        world.step({1: quad_at(x, 340)})
    world.step({1: quad_at(170, 340), 2: quad_at(270, 340)})
    for x in range(320, 640, 50):
        world.step({2: quad_at(x, 340)}, closed=[(1, "SAME123")] if x == 320 else [])
    world.step(closed=[(2, "SAME123")])
    world.wait(30)
    assert world.released == []


def test_a_begin_is_explained_by_the_latest_end_before_it() -> None:
    """The one before has left: it needs no begin, and the one that broke off does."""
    world = World()
    for y in range(20, 360, 60):
        world.step({1: quad_at(40, y)})
    for number, x in enumerate((20, 70, 120, 170)):
        world.step({2: quad_at(x, 340)}, closed=[] if number else [(1, "SAME123")])
    world.step(closed=[(2, "SAME123")])
    for x in range(270, 640, 50):
        world.step({3: quad_at(x, 340)})
    world.step(closed=[(3, "SAME123")])
    world.wait(30)
    assert world.released == ["SAME123"] * 3


@pytest.mark.parametrize(("place", "is_kin"), [((200, 180), True), ((60, 60), False)])
@pytest.mark.parametrize("left_before", [False, True])
def test_a_begin_that_is_explained_may_still_be_one_that_was_lost_before(
    place: tuple[int, int], is_kin: bool, left_before: bool
) -> None:
    """Seen 0.7 s ago: within three plate widths and as many a second of where it was."""
    world = World(limits=replace(LIMITS, hold_ns=4_000_000_000))
    if left_before:
        world.drive(7, [(x, 20) for x in range(20, 640, 60)], "HASLEFT")
    for x, y in ((480, 180), (300, 180), place, place):
        world.step({1: quad_at(x, y)})
    for number, x in enumerate((20, 70, 120, 170)):
        world.step({2: quad_at(x, 340)}, unread=[] if number else [1])
    world.step(closed=[(2, "SAME123")])
    for x in range(270, 640, 50):
        world.step({3: quad_at(x, 340)})
    world.step(closed=[(3, "SAME123")])
    world.wait(60)
    assert [text for text in world.released if text == "SAME123"] == (
        [] if is_kin else ["SAME123"] * 2
    )
