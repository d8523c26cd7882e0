"""Zones round outwards: no touched pixel is left out, and more polygon never means less zone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.zones import crosses, grow, is_far, make_zones, rasterise, touches
from alpr_edge.zone_set import GateLine, Taints, ZonePolygon, ZoneSet

SIZE = (48, 32)

share = st.floats(0, 1, allow_nan=False)
point = st.tuples(share, share)
polygon = st.lists(point, min_size=3, max_size=6)


def zones(*polygons, band_px=0, size=SIZE, margin_px=0):
    return make_zones(polygons, size_px=size, band_px=band_px, digest="d", margin_px=margin_px)


def touched_by_sampling(points_px: np.ndarray) -> np.ndarray:
    """Pixels that hold a point of the polygon's border, by walking along it finely."""
    width, height = SIZE
    hit = np.zeros((height, width), bool)
    for a, b in zip(points_px, np.roll(points_px, -1, axis=0), strict=True):
        walk = a + np.linspace(0, 1, 400)[:, None] * (b - a)
        cells = np.clip(np.floor(walk).astype(int), 0, (width - 1, height - 1))
        hit[cells[:, 1], cells[:, 0]] = True
    return hit


@given(polygon)
def test_every_pixel_that_the_border_passes_is_blanked(points):
    core = zones(points).core > 0
    assert core[touched_by_sampling(np.array(points) * SIZE)].all()


def test_every_pixel_inside_is_blanked():
    core = zones([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]).core
    assert (core[8:24, 12:36] == 255).all()
    assert core[0, 0] == 0


@given(polygon, polygon)
def test_another_polygon_never_frees_a_pixel(first, second):
    alone, both = zones(first), zones(first, second)
    assert (both.core >= alone.core).all()
    assert (both.band >= alone.band).all()


@given(polygon, st.integers(0, 6), st.integers(0, 6))
def test_a_wider_band_never_frees_a_pixel(points, narrow, more):
    assert (zones(points, band_px=narrow + more).band >= zones(points, band_px=narrow).band).all()


@given(polygon, st.integers(0, 4))
def test_the_band_holds_the_core(points, band_px):
    made = zones(points, band_px=band_px)
    assert (made.band >= made.core).all()


@given(st.lists(point, min_size=4, max_size=4), polygon)
def test_touch_is_any_shared_pixel(quad, mask):
    made = zones(mask)
    quad_px = (np.array(quad) * SIZE).astype(np.float32)
    walked = touched_by_sampling(quad_px)
    if (walked & (made.core > 0)).any():
        assert touches(made.core, quad_px)


@given(st.lists(point, min_size=4, max_size=4), polygon, polygon)
def test_touch_is_monotone(quad, mask, more):
    quad_px = (np.array(quad) * SIZE).astype(np.float32)
    if touches(zones(mask).core, quad_px):
        assert touches(zones(mask, more).core, quad_px)
        assert touches(zones(mask, band_px=3).band, quad_px)


def test_numbers_that_are_not_finite_touch():
    empty = zones()
    assert touches(empty.core, np.array([[0, 0], [1, 0], [1, np.nan], [0, 1]], np.float32))


def test_a_polygon_that_is_not_finite_masks_everything():
    assert zones([(0.1, 0.1), (0.2, float("nan")), (0.3, 0.3)]).core.all()


def test_a_quad_beyond_the_frame_counts_as_on_its_edge():
    made = zones([(0.9, 0.0), (1.0, 0.0), (1.0, 1.0), (0.9, 1.0)])
    assert touches(made.core, np.array([[60, 5], [70, 5], [70, 9], [60, 9]], np.float32))
    assert not touches(made.core, np.array([[-9, 5], [-5, 5], [-5, 9], [-9, 9]], np.float32))


def test_a_grown_quad_holds_the_quad():
    quad = np.array([[10, 10], [20, 11], [20, 16], [10, 15]], np.float32)
    grown = grow(quad)
    assert (grown[0] < quad[0]).all()
    assert (grown[2] > quad[2]).all()


def test_nothing_protected():
    assert not zones().protected
    assert zones([(0, 0), (0.1, 0), (0, 0.1)]).protected


@pytest.mark.parametrize("bad", [{"size": (0, 4)}, {"band_px": -1}, {"margin_px": -1}])
def test_wrong_sizes_are_refused(bad):
    with pytest.raises(ValueError, match="no zones"):
        zones(**bad)


def test_a_hull_that_the_frame_cuts_touches_where_it_crosses():
    # From inside to far above: it crosses the upper edge at x = 30, not at the moved corner.
    made = zones([(0.6, 0.0), (0.66, 0.0), (0.66, 0.05), (0.6, 0.05)])
    path = np.array([[40, 20], [41, 20], [20, -20], [21, -20]], np.float32)
    assert touches(made.core, path)


@given(st.lists(st.tuples(st.floats(-2, 3), st.floats(-2, 3)), min_size=4, max_size=4), polygon)
def test_touch_sees_what_of_a_hull_lies_in_the_frame(quad, mask):
    made = zones(mask)
    quad_px = (np.array(quad) * SIZE).astype(np.float32)
    for a, b in zip(quad_px, np.roll(quad_px, -1, axis=0), strict=True):
        walk = a + np.linspace(0, 1, 400)[:, None] * (b - a)
        inside = ((walk >= 0) & (walk < SIZE)).all(1)
        cells = np.floor(walk[inside]).astype(int)
        if (made.core[cells[:, 1], cells[:, 0]] > 0).any():
            assert touches(made.core, quad_px)


BOX = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
HOLE = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))


def pixels(zone_set: ZoneSet, size=(100, 100), **more):
    return rasterise(zone_set, size_px=size, digest="d", **more)


def test_a_hole_is_free_inside_and_never_its_outline():
    core = pixels(ZoneSet((ZonePolygon("a", BOX, (HOLE,)),))).core
    assert not core[45:56, 45:56].any()
    assert core[39:41, 40:60].all()
    assert core[40:60, 59:61].all()
    assert core[30, 30] == 255


def test_a_hole_frees_nothing_of_another_mask():
    both = ZoneSet((ZonePolygon("a", BOX, (HOLE,)), ZonePolygon("b", BOX)))
    assert pixels(both).core[50, 50] == 255


@given(polygon, polygon)
def test_a_hole_never_frees_more_than_itself(outer, hole):
    whole = pixels(ZoneSet((ZonePolygon("a", tuple(outer)),)), SIZE).core
    holed = pixels(ZoneSet((ZonePolygon("a", tuple(outer), (tuple(hole),)),)), SIZE).core
    inside = pixels(ZoneSet((ZonePolygon("h", tuple(hole)),)), SIZE).core
    assert (holed <= whole).all()
    assert (inside[(whole > 0) & (holed == 0)] > 0).all()
    walked = touched_by_sampling(np.array(hole) * SIZE)
    assert holed[walked & (whole > 0)].all()


def test_margin_widens_the_core_and_band_comes_on_top():
    made = pixels(ZoneSet((ZonePolygon("a", BOX),), margin=0.05, band=0.1))
    assert made.core[15, 50] == 255
    assert made.core[12, 50] == 0
    assert made.band[5, 50] == 255
    assert made.band[2, 50] == 0


def test_the_device_may_widen_the_band_and_not_narrow_it():
    zone_set = ZoneSet((ZonePolygon("a", BOX),), band=0.1)
    assert (pixels(zone_set, least_band=0.01).band == pixels(zone_set).band).all()
    assert pixels(zone_set, least_band=0.15).band.sum() > pixels(zone_set).band.sum()


def test_bands_and_gates_taint_but_blank_nothing():
    zone_set = ZoneSet(
        bands=(ZonePolygon("b", BOX),), gates=(GateLine("g", ((0.0, 0.9), (1.0, 0.95))),)
    )
    made = pixels(zone_set)
    assert not made.core.any()
    assert made.band[50, 50] == made.band[92, 50] == 255
    assert made.protected


def test_the_whole_frame():
    made = pixels(ZoneSet(whole_frame=True))
    assert made.core.all()
    assert made.band.all()


def test_a_one_way_line_blanks_and_bands_nothing_but_protects():
    made = pixels(ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), Taints.LEFT_TO_RIGHT),)))
    assert not made.band.any()
    assert made.protected


UP = np.array([[40, 30], [50, 30], [50, 34], [40, 34]], np.float32)
DOWN = UP + np.array([0, 40], np.float32)


@pytest.mark.parametrize(
    ("taints", "down", "up"),
    [(Taints.LEFT_TO_RIGHT, True, False), (Taints.RIGHT_TO_LEFT, False, True)],
)
def test_only_the_stated_direction_taints(taints, down, up):
    # Drawn from left to right, the upper side is the left one.
    line = pixels(ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), taints),))).one_way[0]
    assert crosses(line, UP, DOWN) is down
    assert crosses(line, DOWN, UP) is up
    assert not crosses(line, UP, UP + 5)


def test_a_crossing_that_is_not_clear_taints():
    line = pixels(
        ZoneSet(gates=(GateLine("g", ((0.0, 0.5), (1.0, 0.5)), Taints.LEFT_TO_RIGHT),))
    ).one_way[0]
    onto = UP + np.array([0, 20], np.float32)
    assert crosses(line, onto, UP)
    assert crosses(line, onto, onto)
    assert crosses(line, UP, np.full((4, 2), np.nan, np.float32))


def test_nothing_given_must_be_stated():
    with pytest.raises(ValueError, match="nothing_protected"):
        ZoneSet()
    with pytest.raises(ValueError, match="nothing_protected"):
        ZoneSet(whole_frame=True, nothing_protected=True)


@given(
    st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)), min_size=8, max_size=8), polygon
)
def test_what_is_far_at_a_glance_touches_nothing(corners, mask):
    made = make_zones([mask], size_px=(200, 120), band_px=3, digest="d")
    points = (np.array(corners) * (200, 120)).astype(np.float32)
    one, other = points[:4], points[4:]
    if is_far(made, (one, other)):
        assert not touches(made.band, np.concatenate([grow(one), grow(other)]))


def test_a_small_plate_in_the_free_is_far_and_no_number_is_not():
    made = make_zones([BOX], size_px=(1000, 1000), band_px=3, digest="d")
    plate = np.array([[20, 20], [60, 20], [60, 40], [20, 40]], np.float32)
    assert is_far(made, (plate, plate + 5))
    assert not is_far(made, (plate, plate * np.nan))


# --- what mutation testing asked for ----------------------------------------------------------


def test_the_rasters_cannot_be_written_to() -> None:
    made = pixels(ZoneSet((ZonePolygon("a", BOX),)))
    for raster in (made.core, made.band, made.away):
        with pytest.raises(ValueError, match="read-only"):
            raster[0, 0] = 0


def test_a_frame_of_one_pixel_has_zones() -> None:
    assert pixels(ZoneSet((ZonePolygon("a", BOX),)), (1, 1)).core.all()


def test_the_last_pixels_of_a_frame_touch_like_all_others() -> None:
    """A quad in the last row and column, on the edge, and beyond it."""
    made = zones([(0.95, 0.95), (1, 0.95), (1, 1), (0.95, 1)])
    width, height = SIZE
    for x, y in ((width - 0.6, height - 0.6), (width, height), (width + 9, height + 9)):
        quad = np.array([[x, y], [x + 0.5, y], [x + 0.5, y + 0.5], [x, y + 0.5]], np.float32)
        assert touches(made.core, quad)
        assert touches(made.core, np.repeat(quad[:1], 4, axis=0)), "a point"
    corner = zones([(0, 0), (0.02, 0), (0.02, 0.02), (0, 0.02)])
    assert touches(corner.core, np.full((4, 2), -7.0, np.float32))


@pytest.mark.parametrize("far", [30_000.0, -30_000.0])
def test_coordinates_that_are_nonsense_touch_everything(far: float) -> None:
    made = zones([(0, 0), (0.1, 0), (0, 0.1)])
    quad = np.array([[40, 20], [41, 20], [41, 21], [40, 21]], np.float32)
    assert not touches(made.core, quad)
    quad[0, 0] = far
    assert touches(made.core, quad)


def test_a_line_that_is_crossed_at_its_very_end_is_crossed() -> None:
    """Of two parts; each counts, and either end with it."""
    points = ((0.2, 0.5), (0.5, 0.5), (0.8, 0.5))
    gate = GateLine("g", points, Taints.LEFT_TO_RIGHT)
    line = pixels(ZoneSet(gates=(gate,))).one_way[0]
    for x in (22, 35, 55, 75):
        up = np.array([[x, 30], [x + 1, 30], [x + 1, 31], [x, 31]], np.float32)
        down = up + np.array([0, 40], np.float32)
        assert crosses(line, up, down)
        assert not crosses(line, down, up)
    for x in (5, 90):
        up = np.array([[x, 30], [x + 1, 30], [x + 1, 31], [x, 31]], np.float32)
        assert not crosses(line, up, up + np.array([0, 40], np.float32))


def test_a_leaning_line_is_crossed_where_it_is() -> None:
    gate = GateLine("g", ((0.2, 0.2), (0.8, 0.8)), Taints.BOTH)
    lines = ZoneSet(gates=(replace(gate, taints=Taints.LEFT_TO_RIGHT),))
    line = pixels(lines).one_way[0]
    # Seen from its start the upper right is on the left.
    left = np.array([[60, 40], [62, 40], [62, 41], [60, 41]], np.float32)
    right = np.array([[40, 60], [42, 60], [42, 61], [40, 61]], np.float32)
    assert crosses(line, left, right)
    assert not crosses(line, right, left)
    assert not crosses(line, left, left + 3)
    assert not crosses(line, right, right + 3)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("end", [0, 1])
def test_what_is_partly_beyond_the_frame_is_never_far(axis: int, end: int) -> None:
    """The glance looks up a pixel; beyond the edge it would be another one's."""
    made = make_zones(
        [[(0.45, 0.45), (0.55, 0.45), (0.5, 0.55)]], size_px=(900, 900), band_px=3, digest="d"
    )
    quad = np.array([[300, 100], [340, 100], [340, 120], [300, 120]], np.float32)
    assert is_far(made, (quad,))
    quad[:, axis] += (900 - quad[:, axis].max()) if end else -quad[:, axis].min()
    at_edge = is_far(made, (quad,))
    assert at_edge is (end == 0), "0 lies in the frame, its width does not"
    quad[0, axis] += 1 if end else -1
    assert not is_far(made, (quad,))


def square(x: float, y: float, width: float, height: float) -> np.ndarray:
    w, h = width / 2, height / 2
    return np.array([[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]], np.float32)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((100, 50), (116, 58)),
        ((4, 4), (6, 6)),
        ((6, 2), (8.6833, 2.8944)),
        ((0.2, 0.2), (2.2, 2.2)),
        ((0, 0), (0, 0)),
    ],
)
def test_a_quad_grows_by_its_share_or_by_a_pixel(
    before: tuple[float, float], after: tuple[float, float]
) -> None:
    grown = grow(square(300, 200, *before))
    np.testing.assert_allclose(grown, square(300, 200, *after), atol=1e-3)


def test_what_grows_into_a_zone_is_not_far_wherever_in_the_frame_it_is() -> None:
    """A long hull that touches a zone with its end only; the zone is nowhere else."""
    for x, y in ((600, 700), (300, 800), (250, 250)):
        end = [((x + 226) / 1000, (y - 5) / 1000), ((x + 236) / 1000, (y - 5) / 1000)]
        polygon = [*end, ((x + 236) / 1000, (y + 5) / 1000), ((x + 226) / 1000, (y + 5) / 1000)]
        made = make_zones([polygon], size_px=(1000, 1000), band_px=0, digest="d")
        for quad in (square(x, y, 400, 20), square(x + 208, y, 40, 20)):
            assert touches(made.band, grow(quad))
            assert not is_far(made, (quad,))
        assert is_far(made, (square(x - 100, y, 40, 20),))


@pytest.mark.parametrize(("margin_px", "band_px"), [(0, 0), (3, 4), (1, 0), (0, 1)])
def test_rounding_is_outwards_by_a_pixel_and_widths_are_exact(margin_px: int, band_px: int) -> None:
    """A box from 20 to 80 touches pixels 20 to 80; one more is taken before and after it."""
    made = make_zones([BOX], size_px=(100, 50), band_px=band_px, margin_px=margin_px, digest="d")
    for raster, wide in ((made.core, margin_px), (made.band, margin_px + band_px)):
        across, down = np.flatnonzero(raster[25]), np.flatnonzero(raster[:, 50])
        assert across[[0, -1]].tolist() == [19 - wide, 81 + wide]
        assert down[[0, -1]].tolist() == [9 - wide, 41 + wide]


def test_the_first_pixel_alone_can_be_touched() -> None:
    raster = np.zeros((20, 30), np.uint8)
    raster[0, 0] = 255
    assert touches(raster, square(1, 1, 1, 1))
    assert not touches(raster, square(20, 10, 1, 1))


def test_the_hull_of_two_places_counts_and_not_the_order_of_their_corners() -> None:
    """Beside the diagonals from one quad to the other, at the upper edge between them."""
    raster = np.zeros((20, 60), np.uint8)
    raster[1, 28] = 255
    assert touches(raster, np.concatenate([square(8, 6, 10, 10), square(48, 6, 10, 10)]))


def test_who_stops_on_a_line_has_not_left_it_the_free_way() -> None:
    gate = GateLine("g", ((0.0, 0.5), (1.0, 0.5)), Taints.LEFT_TO_RIGHT)
    line = pixels(ZoneSet(gates=(gate,))).one_way[0]
    onto = UP + np.array([0, 20], np.float32)
    assert not crosses(line, DOWN, UP)
    assert crosses(line, DOWN, onto)


def test_a_bent_line_is_crossed_along_its_parts_and_not_from_end_to_end() -> None:
    points = ((0.2, 0.5), (0.5, 0.5), (0.8, 0.2))
    gate = GateLine("g", points, Taints.LEFT_TO_RIGHT)
    line = pixels(ZoneSet(gates=(gate,))).one_way[0]
    # At x = 70 its second part lies at y = 30, and the straight way between its ends at 25.
    assert crosses(line, square(70, 28, 0.5, 0.5), square(70, 33, 0.5, 0.5))
    assert not crosses(line, square(70, 22, 0.5, 0.5), square(70, 28, 0.5, 0.5))
