"""Verdicts, what is lost, suggestions that hold, fleets and pages."""

from __future__ import annotations

import html.parser
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exclusion.world_samples import HOME, box_site, camera, register_of, ring

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.premises import Way, WayKind
from alpr_edge.placement.check import (
    Placement,
    Policy,
    Verdict,
    check_placement,
    readable_range,
)
from alpr_edge.placement.drawing import map_svg, picture_svg
from alpr_edge.placement.fleet import SiteIndex, check_row, read_table
from alpr_edge.placement.fleet_runner import run_fleet
from alpr_edge.placement.page import camera_page, fleet_page

POLICY = Policy()


def narrow(**more: float) -> PlacedCamera:
    return camera(**{"hfov_deg": 25.0, "tilt_deg": -10.0, **more})  # type: ignore[arg-type]


def judged(*middles: tuple[float, float], **more: float) -> Placement:
    sites = [box_site(HOME, m, (4, 4), name=f"s{n}", setback_m=2) for n, m in enumerate(middles)]
    return check_placement(narrow(**more), sites, POLICY)


def test_the_three_verdicts() -> None:
    assert judged((0, -100)).verdict is Verdict.FITS
    with_mask = judged((-14, 32))
    assert with_mask.verdict is Verdict.FITS_WITH_MASK
    assert with_mask.lost < 0.6
    assert 0 < with_mask.masked < 0.5
    assert not with_mask.sites[0].readable
    assert with_mask.sites[0].in_view
    assert 25 < with_mask.sites[0].distance_m < 31
    in_front = judged((0, 16))
    assert in_front.verdict is Verdict.MUST_NOT_STAND
    inside = judged((0, 2))
    assert inside.verdict is Verdict.MUST_NOT_STAND
    assert "stands in" in inside.reasons[0]
    assert "put the pole" in inside.suggestions[0].text


def test_suggestions_hold() -> None:
    found = judged((3, 20))
    assert found.verdict is not Verdict.FITS
    assert found.suggestions
    site = box_site(HOME, (3, 20), (4, 4), name="s0", setback_m=2)
    for suggestion in found.suggestions:
        changed = narrow(heading_deg=suggestion.turn_deg)
        if suggestion.hfov_deg is not None:
            changed = narrow(hfov_deg=suggestion.hfov_deg)
        assert check_placement(changed, [site], POLICY).verdict is suggestion.verdict


def test_moving_the_pole_as_told_is_enough() -> None:
    site = box_site(HOME, (0, 2), (4, 4), name="s0", setback_m=2)
    text = check_placement(narrow(), [site], POLICY).suggestions[0].text
    told = re.search(r"(\d+) m away, towards (\d+)°", text)
    assert told is not None
    metres, bearing = float(told[1]), np.radians(float(told[2]))
    lon, lat = HOME.to_lonlat(metres * np.array([np.sin(bearing), np.cos(bearing)]))
    moved = narrow()
    moved = replace(moved, pose=replace(moved.pose, place=(float(lon), float(lat))))
    assert "stands in" not in check_placement(moved, [site], POLICY).reasons[0]


def test_the_readable_range_follows_the_optics() -> None:
    near, far = readable_range(narrow(tilt_deg=-8.0), POLICY)
    # 1280 px over 25°: a plate of 0.305 m has 50 px at 17.6 m.
    assert far == pytest.approx(17.1, abs=0.5)
    assert 8 < near < far
    assert readable_range(narrow(tilt_deg=20.0), POLICY) == (0.0, 0.0)


@settings(max_examples=30)
@given(st.floats(-40, 40), st.floats(-40, 60), st.floats(0, 20))
def test_a_larger_setback_never_gives_a_better_verdict(x: float, y: float, more: float) -> None:
    order = list(Verdict)
    small, large = (
        check_placement(
            narrow(), [box_site(HOME, (x, y), (3, 3), setback_m=m)], POLICY, suggest=False
        )
        for m in (1.0, 1.0 + more)
    )
    assert order.index(large.verdict) >= order.index(small.verdict)
    assert large.lost >= small.lost - 0.02


class _Pure(html.parser.HTMLParser):
    """Fails on anything that would load or run."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "form")
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("href", "src", "action", "xlink:href"), (tag, name)
            assert name == "xmlns" or "://" not in (value or "")


def test_pages_are_whole_escaped_and_self_contained() -> None:
    site = replace(
        box_site(HOME, (-14, 30), (4, 4), name="<b>&x", setback_m=2),
        name="<script>alert(1)</script>",
        ways=(
            Way("d", WayKind.DRIVEWAY, line=ring(HOME, [(0, 30), (-10, 30)]), width_m=4),
            Way("a", WayKind.APPROACH, line=ring(HOME, [(2, 9), (2, 30)]), width_m=3),
        ),
    )
    register = register_of(site)
    seen_by = replace(narrow(), id="cam<1>")
    found = check_placement(seen_by, [site], POLICY)
    page = camera_page(found, [site], POLICY, register, "2026-11-24")
    _Pure().feed(page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "made up" in page
    for drawing in (map_svg(found, [site], POLICY), picture_svg(found)):
        assert ET.fromstring(drawing).tag.endswith("svg")
        assert drawing in page
    assert "gate" in page


@pytest.mark.parametrize("middle", [(0, 2), (0, -90), (0, 30), (-60, 60)])
def test_every_verdict_can_be_drawn(middle: tuple[float, float]) -> None:
    site = box_site(HOME, middle, (4, 4))
    found = check_placement(narrow(), [site], POLICY)
    assert ET.fromstring(map_svg(found, [site], POLICY)) is not None
    assert ET.fromstring(picture_svg(found)) is not None


# --- fleets ----------------------------------------------------------------------------------

HEAD = "id,longitude,latitude,height_m,heading_deg,tilt_deg,hfov_deg,width_px,height_px"


def table(*lines: str, head: str = HEAD) -> list[tuple[int, dict[str, str]]]:
    return list(read_table([head + "\n", *(line + "\n" for line in lines)], source="x.csv"))


def row_at(east: float, north: float, name: str, heading: float = 0.0) -> str:
    lon, lat = HOME.to_lonlat(np.array([east, north]))
    return f"{name},{lon:.8f},{lat:.8f},4.6,{heading},-10,25,1280,720"


def test_a_fleet_is_told_worst_first() -> None:
    sites = [box_site(HOME, (0, 0), (6, 6), name="s", setback_m=3)]
    rows = table(
        row_at(0, 500, "far"), row_at(1, 1, "inside"), row_at(-12, -30, "masked", 20.0),
        "broken,x,34,5,0,-10,25,1280,720",
    )  # fmt: skip
    told: list[int] = []
    found = run_fleet(iter(rows), sites, POLICY, jobs=1, progress=told.append)
    assert told == [1, 2, 3, 4]
    found.sort(key=lambda r: r.rank)
    assert [r.id for r in found] == ["broken", "inside", "masked", "far"]
    assert found[0].verdict is None
    assert "position[0]: must be a number" in found[0].note
    page = fleet_page(found, register_of(*sites), POLICY, "2026-11-24")
    _Pure().feed(page)
    places = [page.index(f"<td>{r.id}</td>") for r in found]
    assert places == sorted(places)


def test_the_index_finds_what_looking_at_all_finds() -> None:
    rng = np.random.default_rng(2)
    sites = [
        box_site(HOME, tuple(rng.uniform(-900, 900, 2)), (8, 8), name=f"s{n}", setback_m=5)
        for n in range(60)
    ]
    index = SiteIndex(sites, POLICY.rules.reach_m)
    for number in range(12):
        text = row_at(*rng.uniform(-900, 900, 2), f"c{number}", float(rng.uniform(0, 360)))
        row = table(text)[0]
        quick = check_row(*row, index, POLICY, suggest=False)
        whole = check_row(*row, SiteIndex(sites, 19_000.0), POLICY, suggest=False)
        assert quick.verdict is whole.verdict
        assert quick.sites == whole.sites


@pytest.mark.slow
def test_several_processes_give_the_same() -> None:
    sites = [box_site(HOME, (0, 0), (6, 6), name="s", setback_m=3)]
    rows = table(*(row_at(n * 9.0 - 1900, -40, f"c{n}") for n in range(420)))
    one = run_fleet(iter(rows), sites, POLICY, jobs=1, progress=lambda n: None)
    two = run_fleet(iter(rows), sites, POLICY, jobs=2, progress=lambda n: None)
    assert one == two


def test_a_table_that_is_none_is_refused() -> None:
    for head in ("", "a,b", HEAD + ",id", HEAD + ",colour", HEAD.replace("tilt_deg", "pitch")):
        with pytest.raises(ConfigError) as caught:
            table("x", head=head)
        assert caught.value.code == "placement.fleet.invalid"
    assert table(HEAD.replace(",", ";"), head=HEAD.replace(",", ";") + ";roll_deg")


@given(st.lists(st.text(max_size=30), max_size=5))
@settings(max_examples=40)
def test_any_rows_are_judged_or_told(lines: list[str]) -> None:
    index = SiteIndex([box_site(HOME, (0, 0), (6, 6))], 400.0)
    try:
        rows = table(*lines)
    except ConfigError:
        return
    for row in rows:
        found = check_row(*row, index, POLICY, suggest=False)
        assert found.verdict is not None or found.note
