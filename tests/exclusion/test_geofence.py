"""The live geofence: what may be in view is protected, what is not known reads nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from tests.exclusion.world_samples import HOME, box_site, register_of

from alpr_edge.exclusion.geofence import (
    Doubt,
    Fence,
    Geofence,
    Judgement,
    Limits,
    Looking,
    Verdict,
    view_polygon,
)
from alpr_edge.exclusion.local_plane import LocalPlane
from alpr_edge.exclusion.premises import Register
from alpr_edge.types import GnssFix, HeadPosition

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
LIMITS = Limits()
AHEAD = Looking(hfov_deg=40.0, error_deg=2.0)


def fix_at(
    east: float, north: float, second: float, *, plane: LocalPlane = HOME, **more: object
) -> GnssFix:
    lon, lat = plane.to_lonlat(np.array([east, north]))
    values: dict[str, object] = {
        "accuracy_m": 3.0, "satellites": 9, "speed_mps": 10.0, "course_deg": 0.0,
        "gnss_time": START + timedelta(seconds=second), **more,
    }  # fmt: skip
    return GnssFix((float(lon), float(lat)), int(second * 1e9), True, **values)  # type: ignore[arg-type]


def drive(fence: Geofence, fixes: list[GnssFix], looking: Looking = AHEAD) -> list[Judgement]:
    return [
        fence.judge(
            fix,
            looking,
            now_ns=fix.taken_ns + 1_000_000,
            clock=START + timedelta(seconds=fix.taken_ns / 1e9),
        )
        for fix in fixes
    ]


def fence(*middles: tuple[float, float], limits: Limits = LIMITS) -> Geofence:
    sites = [box_site(HOME, m, (5, 5), name=f"s{n}") for n, m in enumerate(middles)]
    return Geofence(register_of(*sites), limits, on=date(2026, 11, 24))


def northwards(seconds: int, start: float = 0.0) -> list[GnssFix]:
    return [fix_at(0, 10.0 * s, s + start) for s in range(seconds)]


def test_a_vehicle_that_drives_past() -> None:
    judged = drive(fence((0, 200)), northwards(40))
    assert [j.verdict for j in judged[:5]] == [Verdict.UNKNOWN] * 4 + [Verdict.CLEAR]
    assert judged[0].doubts == (Doubt.SETTLING,)
    verdicts = [j.verdict for j in judged[5:]]
    first = verdicts.index(Verdict.PROTECTED) + 5
    assert 200 - 10 * first > LIMITS.reach_m  # before it can be read
    assert judged[first].sites == ("s0",)
    last = 39 - verdicts[::-1].index(Verdict.PROTECTED)
    assert 10 * last >= 205 + LIMITS.hold_s * 10 - 10
    assert verdicts[-1] is Verdict.CLEAR


def test_the_camera_looks_where_the_vehicle_goes() -> None:
    beside = fence((80, 0))
    assert drive(beside, northwards(8))[-1].verdict is Verdict.CLEAR
    sideways = replace(AHEAD, offset_deg=90.0)
    site = fence((60, 60))
    assert drive(site, northwards(8), sideways)[-1].verdict is Verdict.PROTECTED


def test_an_unknown_heading_or_head_may_look_anywhere() -> None:
    behind = (0, -30)
    known = [replace(f, heading_deg=0.0, heading_error_deg=1.0) for f in northwards(8)]
    assert drive(fence(behind), known)[-1].verdict is Verdict.CLEAR
    slow = [fix_at(0, 0, s, speed_mps=0.0, course_deg=None) for s in range(8)]
    assert drive(fence(behind), slow)[-1].verdict is Verdict.PROTECTED
    lost = replace(AHEAD, has_head=True)
    close = fence((0, -15))
    assert drive(close, known[:1] * 1 + known[1:3], lost)[-1].sites == ("s0",)
    there = replace(AHEAD, has_head=True, head=HeadPosition(180.0, 0.0, 1.0))
    assert drive(fence((0, -15)), known[:3], there)[-1].sites == ("s0",)


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"accuracy_m": 40.0}, Doubt.COARSE_FIX),
        ({"accuracy_m": math.inf}, Doubt.COARSE_FIX),
        ({"accuracy_m": math.nan}, Doubt.COARSE_FIX),
        ({"accuracy_m": 0.0}, Doubt.COARSE_FIX),
        ({"satellites": 3}, Doubt.FEW_SATELLITES),
        ({"is_valid": False}, Doubt.NO_FIX),
        ({"speed_mps": math.nan}, Doubt.NO_FIX),
        ({"place": (200.0, 0.0)}, Doubt.NO_PLACE),
        ({"place": (0.0, 89.0)}, Doubt.NO_PLACE),
        ({"place": (math.nan, 0.0)}, Doubt.NO_PLACE),
        ({"place": (10.0, 10.0)}, Doubt.IMPOSSIBLE_JUMP),
        ({"speed_mps": 60.0}, Doubt.SPEED_MISMATCH),
        ({"gnss_time": START - timedelta(hours=1)}, Doubt.TIME_WENT_BACK),
        ({"gnss_time": START + timedelta(seconds=60)}, Doubt.CLOCK_MISMATCH),
        ({"taken_ns": 6 * 10**9}, Doubt.TIME_WENT_BACK),
    ],
)
def test_every_doubt_stops(change: dict[str, object], doubt: Doubt) -> None:
    fixes = northwards(9)
    fixes[7] = replace(fixes[7], **change)  # type: ignore[arg-type]
    judged = drive(fence((500, 500)), fixes)
    assert judged[6].verdict is Verdict.CLEAR
    assert judged[7].verdict is Verdict.UNKNOWN
    assert doubt in judged[7].doubts


def test_after_a_jump_it_takes_some_fixes_to_be_believed() -> None:
    fixes = northwards(6) + [fix_at(5_000, 10.0 * s, s) for s in range(6, 16)]
    verdicts = [j.verdict for j in drive(fence((500, 500)), fixes)]
    assert verdicts[5] is Verdict.CLEAR
    assert set(verdicts[6:11]) == {Verdict.UNKNOWN}
    assert verdicts[11:] == [Verdict.CLEAR] * 5


def test_a_place_that_stands_still_while_the_speed_is_stated() -> None:
    fixes = northwards(6) + [fix_at(0, 50, s) for s in range(6, 10)]
    assert Doubt.SPEED_MISMATCH in drive(fence((500, 500)), fixes)[-1].doubts


def test_no_fix_an_old_one_and_a_stale_register() -> None:
    far = fence((500, 500))
    assert far.judge(None, AHEAD, now_ns=0, clock=None).doubts == (Doubt.NO_FIX,)
    drive(far, northwards(6))
    old = northwards(6)[-1]
    judged = far.judge(old, AHEAD, now_ns=old.taken_ns + 3 * 10**9, clock=None)
    assert Doubt.STALE_FIX in judged.doubts
    ahead_of_time = far.judge(old, AHEAD, now_ns=old.taken_ns - 1, clock=None)
    assert Doubt.STALE_FIX in ahead_of_time.doubts
    register = replace(register_of(box_site(HOME, (500, 0), (1, 1))), valid_to=date(2026, 1, 1))
    stale = Geofence(register, LIMITS, on=date(2026, 11, 24))
    assert Doubt.REGISTER_STALE in drive(stale, northwards(9))[-1].doubts
    unknown_day = Geofence(register, LIMITS, on=None)
    assert Doubt.REGISTER_STALE in drive(unknown_day, northwards(9))[-1].doubts


def test_a_clock_that_is_not_trusted_is_not_compared() -> None:
    far = fence((500, 500))
    for fix in northwards(8):
        judged = far.judge(fix, AHEAD, now_ns=fix.taken_ns, clock=None)
    assert judged.verdict is Verdict.CLEAR


places = st.tuples(st.floats(-120, 120), st.floats(-120, 120))


@given(
    places,
    st.floats(0.5, 30), st.floats(0, 30), st.floats(10, 100), st.floats(0, 60),
    st.floats(0, 359), st.floats(0, 60), st.floats(0, 60), st.booleans(),
)  # fmt: skip
def test_less_certainty_never_frees_a_site(
    middle: tuple[float, float], accuracy: float, worse: float, hfov: float, wider: float,
    heading: float, error: float, more: float, forget: bool,
) -> None:  # fmt: skip
    """N4: a worse fix, heading or lens, or a longer reach, never takes a site out of view."""
    index = Fence([box_site(HOME, middle, (2, 2))], 2.0)
    good = fix_at(0, 0, 0, accuracy_m=accuracy, heading_deg=heading, heading_error_deg=error)
    bad = replace(good, accuracy_m=accuracy + worse, heading_error_deg=error + more)
    if forget:
        bad = replace(bad, heading_deg=None, speed_mps=0.0)
        good = replace(good, speed_mps=0.0)
    narrow, wide = (replace(AHEAD, hfov_deg=angle) for angle in (hfov, hfov + wider))
    limits = replace(LIMITS, reach_m=LIMITS.reach_m + worse)
    if index.touched(good.place, view_polygon(good, narrow, LIMITS)):
        assert index.touched(bad.place, view_polygon(bad, wide, limits))


@given(
    st.floats(-180, 180), st.floats(-84, 84), st.floats(1, 10), st.floats(0, 359),
    st.floats(0, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 2 * math.pi),
)  # fmt: skip
def test_whatever_is_truly_in_view_is_found(
    lon: float, lat: float, accuracy: float, heading: float,
    share: float, aside: float, off: float, bearing: float,
) -> None:  # fmt: skip
    plane = LocalPlane(lon, lat)
    fix = fix_at(0, 0, 0, plane=plane, accuracy_m=accuracy, speed_mps=0.0,
                 heading_deg=heading, heading_error_deg=3.0)  # fmt: skip
    true = off * accuracy * np.array([math.sin(bearing), math.cos(bearing)])
    angle = math.radians(heading + aside * (20 + 3 + 2))
    seen = true + share * LIMITS.reach_m * np.array([math.sin(angle), math.cos(angle)])
    site = box_site(plane, (float(seen[0]), float(seen[1])), (0.2, 0.2))
    assert Fence([site], 0.0).touched(fix.place, view_polygon(fix, AHEAD, LIMITS)) == ("box",)


def test_both_sides_of_the_antimeridian_are_near() -> None:
    plane = LocalPlane(179.9999, 50.0)
    site = box_site(plane, (40, 0), (3, 3))
    assert site.grounds[0].outer[0][0] < 0
    looking_east = fix_at(0, 0, 0, plane=plane, heading_deg=90.0, heading_error_deg=1.0)
    view = view_polygon(looking_east, AHEAD, LIMITS)
    assert Fence([site], 2.0).touched(looking_east.place, view) == ("box",)
    west_of_it = LocalPlane(-179.9999, 50.0)
    back = fix_at(0, 0, 0, plane=west_of_it, heading_deg=270.0, heading_error_deg=1.0)
    site = box_site(west_of_it, (-40, 0), (3, 3))
    assert site.grounds[0].outer[0][0] > 0
    assert Fence([site], 2.0).touched(back.place, view_polygon(back, AHEAD, LIMITS)) == ("box",)


def test_the_index_forgets_nobody() -> None:
    rng = np.random.default_rng(4)
    sites = [
        box_site(
            HOME, (rng.uniform(-4_000, 4_000), rng.uniform(-4_000, 4_000)), (6, 6), name=f"{n}"
        )
        for n in range(200)
    ]
    index = Fence(sites, 2.0)
    middles = [HOME.to_plane(np.array(s.grounds[0].outer)).mean(axis=0) for s in sites]
    for _ in range(40):
        x, y = rng.uniform(-4_000, 4_000, 2)
        fix = fix_at(x, y, 0, speed_mps=0.0, course_deg=None)
        view = view_polygon(fix, AHEAD, LIMITS)
        polygon = shapely.Polygon(view + HOME.to_plane(np.array(fix.place)))
        near = {
            s.id
            for s, m in zip(sites, middles, strict=True)
            if polygon.intersects(shapely.box(*(m - 6), *(m + 6)).buffer(1.99))
        }
        assert near <= set(index.touched(fix.place, view))


def test_an_empty_register_is_clear() -> None:
    empty = Geofence(Register("t", "a", 1, date(2026, 1, 1), ()), LIMITS, on=None)
    assert drive(empty, northwards(6))[-1].verdict is Verdict.CLEAR
