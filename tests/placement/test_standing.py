"""Whether a camera may read where it stands: every doubt stops, and some cannot be waived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.exclusion.world_samples import HOME, box_site
from tests.service.site_samples import SiteUnit, street_placed, street_premises

from alpr_edge.capture.gnss import ScriptedGnss
from alpr_edge.capture.ptz import SetHead
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.exclusion.geofence import Limits, Looking
from alpr_edge.exclusion.interlock import Interlock, Stop, StopReason
from alpr_edge.placement.check import Policy
from alpr_edge.placement.moving import MovingCamera, Post
from alpr_edge.placement.site_files import SiteFiles, SiteKeys, SitePaths
from alpr_edge.placement.standing import NoSite, Question, StandingCamera
from alpr_edge.types import GnssFix, HeadPosition
from alpr_edge.zone_set import ZonePolygon, ZoneSet

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
FAR = box_site(HOME, (3_000, 0), (4, 4), name="far")
CORNER = ZonePolygon("more", ((0.8, 0.8), (1.0, 0.8), (1.0, 1.0), (0.8, 1.0)))


@pytest.fixture
def unit(tmp_path: Path) -> SiteUnit:
    return SiteUnit(tmp_path)


def files_of(unit: SiteUnit, *, unsigned: bool = False) -> SiteFiles:
    folder = unit.folder
    paths = SitePaths(
        folder / "premises.json", folder / "record.json", folder / "camera.json",
        folder / "identity" / "register.number",
    )  # fmt: skip
    keys = (unit.city.public,)
    return SiteFiles(paths, lambda: SiteKeys(keys, keys, unsigned))


def judge_of(unit: SiteUnit, *, unsigned: bool = False) -> StandingCamera:
    return StandingCamera(files_of(unit, unsigned=unsigned), "unit-1", Policy(), least_band=0.02)


def asked(unit: SiteUnit, zones: ZoneSet | None = None, **changes: object) -> Question:
    zones = zones or unit.zones
    question = Question(zones, mask_digest(zones), (1280, 720), None, NOW, 0)
    return replace(question, **changes)  # type: ignore[arg-type]


def reasons(stops: tuple[Stop, ...]) -> set[StopReason]:
    return {stop.reason for stop in stops}


def commissioned(unit: SiteUnit) -> StandingCamera:
    unit.calibrated()
    unit.commission(unit.register(street_premises(), FAR))
    return judge_of(unit)


def test_as_commissioned_it_may_read_and_its_ground_taints(unit: SiteUnit) -> None:
    judge = commissioned(unit)
    assert judge.stops(asked(unit)) == ()
    assert judge.register
    assert judge.commissioning
    ground = judge.ground()
    assert ground is not None
    assert ground.protected
    assert judge.stops(asked(unit, frame_px=None)) == ()


def test_premises_in_view_without_a_record_are_never_waived(unit: SiteUnit) -> None:
    unit.calibrated()
    unit.register(street_premises())
    stops = judge_of(unit).stops(asked(unit))
    assert reasons(stops) == {StopReason.SITE_NOT_COMMISSIONED}
    assert "street" in stops[0].detail
    waives = Interlock(frozenset({StopReason.SITE_NOT_COMMISSIONED}))
    assert not stops[0].may_be(waives.waived)


def test_a_bench_may_go_without_a_record_where_surely_nothing_is_in_view(unit: SiteUnit) -> None:
    unit.calibrated()
    unit.register(FAR)
    (stop,) = judge_of(unit).stops(asked(unit))
    assert stop.may_be(frozenset({StopReason.SITE_NOT_COMMISSIONED}))
    assert judge_of(unit).ground() is None
    # Without the camera nobody knows what is in view.
    (unit.folder / "camera.json").unlink()
    stops = judge_of(unit).stops(asked(unit))
    assert reasons(stops) == {StopReason.SITE_NOT_COMMISSIONED}
    assert all(stop.is_final for stop in stops)


def test_without_a_register_nothing_is_read(unit: SiteUnit) -> None:
    judge = commissioned(unit)
    (unit.folder / "premises.json").unlink()
    assert StopReason.SITE_REGISTER in reasons(judge.stops(asked(unit)))
    (stop,) = NoSite().stops(asked(unit))
    assert stop.reason is StopReason.SITE_NOT_COMMISSIONED
    assert NoSite().ground() is None


def test_masks_may_grow_after_commissioning_and_nothing_else(unit: SiteUnit) -> None:
    judge = commissioned(unit)
    wider = replace(unit.zones, masks=(*unit.zones.masks, CORNER))
    assert judge.stops(asked(unit, wider)) == ()
    assert judge.stops(asked(unit, ZoneSet(whole_frame=True))) == ()
    for narrower in (
        ZoneSet(masks=(CORNER,)),
        replace(unit.zones, band=0.0),
        replace(wider, masks=(CORNER,)),
        ZoneSet(nothing_protected=True),
    ):
        stops = judge.stops(asked(unit, narrower))
        assert reasons(stops) == {StopReason.SITE_NOT_COMMISSIONED}
        assert all(stop.is_final for stop in stops)


def test_what_is_not_as_commissioned_stops(unit: SiteUnit) -> None:
    judge = commissioned(unit)
    assert reasons(judge.stops(asked(unit, reference="a" * 64)))
    assert reasons(judge.stops(asked(unit, frame_px=(1920, 1080))))
    turned = replace(unit.camera, pose=replace(unit.camera.pose, heading_deg=10.0))
    unit.calibrated(turned)
    assert reasons(judge.stops(asked(unit))) == {StopReason.SITE_NOT_COMMISSIONED}
    unit.calibrated()
    assert judge.stops(asked(unit)) == ()
    (unit.folder / "camera.json").write_text("{}")
    assert reasons(judge.stops(asked(unit))) == {StopReason.SITE_NOT_COMMISSIONED}


def test_a_newer_register_that_touches_the_view_stops_until_commissioned_again(
    unit: SiteUnit,
) -> None:
    judge = commissioned(unit)
    assert judge.stops(asked(unit)) == ()
    before = judge.basis
    unit.register(street_premises(), serial=2)
    assert judge.stops(asked(unit)) == ()
    assert judge.basis != before
    wider = unit.register(replace(street_premises(), setback_m=1.5), FAR, serial=3)
    assert reasons(judge.stops(asked(unit))) == {StopReason.SITE_UNCOVERED}
    # Projection asks for a little more now: the masks are made anew, and all is commissioned.
    unit.zones = ZoneSet(whole_frame=True)
    unit.commission(wider)
    assert judge.stops(asked(unit)) == ()


def test_no_register_goes_back(unit: SiteUnit) -> None:
    judge = commissioned(unit)
    assert judge.stops(asked(unit)) == ()
    newer = unit.register(street_premises(), serial=7)
    unit.commission(newer)
    assert judge.stops(asked(unit)) == ()
    old = unit.register(street_premises(), serial=3)
    unit.commission(old)
    stops = judge.stops(asked(unit))
    assert StopReason.SITE_REGISTER in reasons(stops)
    assert "number 7 has been here" in " ".join(stop.detail for stop in stops)


def test_signatures_count_and_a_bench_may_go_without(unit: SiteUnit) -> None:
    from tests.service.site_samples import issued

    from alpr_edge.exclusion.register_file import format_register

    commissioned(unit)
    plain = format_register(issued(street_premises(), FAR))
    (unit.folder / "premises.json").write_text(plain)
    assert StopReason.SITE_REGISTER in reasons(judge_of(unit).stops(asked(unit)))
    assert judge_of(unit, unsigned=True).stops(asked(unit)) == ()
    data = (unit.folder / "record.json").read_bytes()
    (unit.folder / "record.json").write_bytes(data.replace(b'"payload":"', b'"payload":"A', 1))
    stops = judge_of(unit, unsigned=True).stops(asked(unit))
    assert StopReason.SITE_NOT_COMMISSIONED in reasons(stops)


# --- cameras that move -----------------------------------------------------------------------


def fix_at(east_m: float, north_m: float, number: int, **changes: object) -> GnssFix:
    import numpy as np

    lon, lat = HOME.to_lonlat(np.array([east_m, north_m]))
    fix = GnssFix(
        (float(lon), float(lat)), number * 1_000_000_000, True, 3.0, 9,
        speed_mps=5.0, course_deg=0.0, heading_deg=0.0, heading_error_deg=2.0,
        gnss_time=NOW + timedelta(seconds=number),
    )  # fmt: skip
    return replace(fix, **changes)  # type: ignore[arg-type]


def test_a_vehicle_reads_until_premises_come_into_view(unit: SiteUnit) -> None:
    unit.register(box_site(HOME, (0, 200), (5, 5), name="ahead"))
    gnss = ScriptedGnss([fix_at(0, 5.0 * n, n) for n in range(1, 40)])
    judge = MovingCamera(files_of(unit), gnss, Looking(40.0), Limits())
    told: list[set[StopReason]] = []
    for number in range(1, 40):
        gnss.step()
        now = NOW + timedelta(seconds=number)
        question = asked(unit, now=now, now_ns=number * 1_000_000_000)
        told.append(reasons(judge.stops(question)))
    assert told[0] == {StopReason.SITE_POSITION}, "settling"
    assert told[8] == set()
    assert told[-1] == {StopReason.SITE_IN_VIEW}
    # The receiver falls silent: what is known grows old.
    late = asked(unit, now=NOW + timedelta(seconds=60), now_ns=60_000_000_000)
    assert reasons(judge.stops(late)) == {StopReason.SITE_POSITION}
    (unit.folder / "premises.json").unlink()
    assert reasons(judge.stops(late)) == {StopReason.SITE_REGISTER}
    judge.close()


def test_a_jump_stops_a_vehicle(unit: SiteUnit) -> None:
    unit.register(FAR)
    fixes = [fix_at(0, 5.0 * n, n) for n in range(1, 10)] + [fix_at(900, 50, 10)]
    gnss = ScriptedGnss(fixes)
    judge = MovingCamera(files_of(unit), gnss, Looking(40.0), Limits())
    told = []
    for number in range(1, 11):
        gnss.step()
        now = NOW + timedelta(seconds=number)
        told.append(judge.stops(asked(unit, now=now, now_ns=number * 1_000_000_000)))
    assert told[8] == ()
    assert reasons(told[9]) == {StopReason.SITE_POSITION}
    assert "impossible_jump" in told[9][0].detail


def test_a_head_on_a_post_reads_where_nothing_protected_may_be_seen(unit: SiteUnit) -> None:
    unit.register(box_site(HOME, (0, 40), (5, 5), name="north"))
    camera, clock, head = street_placed(), [0], SetHead()
    judge = MovingCamera(
        files_of(unit), Post(camera, lambda: clock[0]), Looking(20.0), Limits(), head=head
    )

    def ask(pointing: HeadPosition | None) -> set[StopReason]:
        head.pointing = pointing
        stops: tuple[Stop, ...] = ()
        # Long enough that no verdict is held any more.
        for _ in range(10):
            clock[0] += 500_000_000
            stops = judge.stops(asked(unit, now_ns=clock[0]))
        return reasons(stops)

    assert ask(HeadPosition(180.0, 0.0, 1.0)) == set()
    assert ask(HeadPosition(0.0, 0.0, 1.0)) == {StopReason.SITE_IN_VIEW}
    assert ask(HeadPosition(180.0, 0.0, 1.0)) == set()
    assert ask(HeadPosition(90.0, 0.0, 70.0)) == {StopReason.SITE_IN_VIEW}, "it may have turned"
    assert ask(None) == {StopReason.SITE_IN_VIEW}, "it may look anywhere"
