"""N7: a moved camera stops, light does not, sabotage is told apart, doubt lets nothing out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.exclusion import view_samples as samples
from tests.exclusion.view_samples import SIZE, STEP_NS, day, masked, noon, show, watch

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.drift import Comparison
from alpr_edge.exclusion.interlock import SceneState
from alpr_edge.exclusion.view_reference import make_reference
from alpr_edge.exclusion.view_watch import (
    VIEW_SENTENCES,
    ViewReport,
    ViewState,
    ViewWatch,
    WatchLimits,
    judge,
)
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.simulator.view_faults import covered, defocused, dirt, glare

NIGHT = 23.0
DETECT_LOOKS = 10
"""Five seconds."""


def states(reports: list[ViewReport]) -> list[ViewState]:
    return [report.state for report in reports]


def still(image: np.ndarray, count: int) -> list[np.ndarray]:
    return [image.copy() for _ in range(count)]


def shifted(image: np.ndarray, share: float) -> np.ndarray:
    """The picture as a camera sees it that has turned by a share of its width."""
    matrix = np.array([[1, 0, share * image.shape[1]], [0, 1, 0]], np.float64)
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(moved, np.uint8)


def test_without_the_reference_that_is_asked_for_nothing_is_read_or_proven() -> None:
    one = ViewWatch(None, samples.zones(), required=True)
    after = show(one, (noon(n).copy() for n in range(6)), first=0)
    assert set(states(after)) == {ViewState.REFERENCE_MISSING}
    assert not any(report.may_read for report in after)
    assert {report.proven_ns for report in after} == {None}
    assert after[-1].scene is SceneState.UNKNOWN
    assert show(ViewWatch(None, samples.zones()), [noon(0).copy()])[0].may_read


# --- moved -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hour", "how"),
    [
        (11.0, {"tilt": -0.5}),
        (11.0, {"roll": 3.0}),
        (11.0, {"zoom": 1.05}),
        (11.0, {"pan": 4.0}),
        (NIGHT, {"pan": 0.5}),
        (NIGHT, {"roll": 3.0}),
    ],
)
def test_a_shift_beyond_the_margin_stops_within_five_seconds(hour: float, how: dict) -> None:
    one = ViewWatch(samples.reference(), samples.zones())
    before = show(one, (day().frame(hour, n) for n in range(6)), first=0)
    assert before[-1].state is ViewState.CONFIRMED
    elsewhere = samples.moved_day(**how)
    after = show(one, (elsewhere.frame(hour, 6 + n) for n in range(DETECT_LOOKS)))
    assert after[-1].state is ViewState.MOVED
    assert not after[-1].may_read
    assert after[-1].scene is SceneState.MOVED
    # Nothing that was read after the move was ever proven.
    assert max(r.proven_ns for r in after) < 6 * STEP_NS


def test_a_camera_that_moved_stays_so_though_the_view_comes_back() -> None:
    one = watch()
    assert show(one, [shifted(noon(n), 0.03) for n in range(6)])[-1].state is ViewState.MOVED
    assert set(states(show(one, [noon(n).copy() for n in range(6)], first=12))) == {ViewState.MOVED}


@pytest.mark.parametrize("share", [0.002, 0.005, -0.005])
def test_a_shift_well_within_the_margin_does_not_stop(share: float) -> None:
    reports = show(watch(), [shifted(noon(n), share) for n in range(12)])
    assert {r.state for r in reports} == {ViewState.CONFIRMED}
    assert reports[-1].shift == pytest.approx(abs(share), abs=0.002)


def test_slow_creep_is_found_when_it_passes_the_margin() -> None:
    """A mount that sinks by a twentieth of a percent a glance: no glance shows a step."""
    one = watch()
    shares = [0.0005 * n for n in range(40)]
    reports = show(one, [shifted(noon(n % 20), share) for n, share in enumerate(shares)])
    first = next(i for i, r in enumerate(reports) if r.state is ViewState.MOVED)
    assert 0.008 <= shares[first] <= 0.0155
    # The band, 0.02, still covers what was read before.
    assert shares[first] < 0.02


# --- changing light --------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_no_false_stop_on_a_day_with_rain_fog_traffic_and_night() -> None:
    """Every eighth minute of 24 hours, half a second apart: light changes 960 times too fast."""
    one = ViewWatch(samples.reference(), samples.zones())
    reports = show(one, (day().frame(n * 2 / 15, n) for n in range(180)), first=0)
    assert all(r.may_read for r in reports[2:]), [
        (n * 2 / 15, r.state) for n, r in enumerate(reports[2:], 2) if not r.may_read
    ]
    doubtful = sum(r.state is ViewState.DOUBTFUL for r in reports)
    assert doubtful <= 9
    assert max(r.shift for r in reports if r.shift is not None) < 0.01


@pytest.mark.parametrize("hour", [11.0, NIGHT])
def test_a_dirty_lens_and_passing_high_beams_do_not_stop(hour: float) -> None:
    one = ViewWatch(samples.reference(), samples.zones())
    show(one, (day().frame(hour, n) for n in range(6)), first=0)
    dirty = samples.through(lambda image: dirt(image, 0.5), hour, range(6, 16))
    blinded = samples.through(lambda image: glare(image, (0.45, 0.4), 0.8), hour, range(16, 20))
    after = samples.through(lambda image: image, hour, range(20, 25))
    reports = show(one, [*dirty, *blinded, *after])
    assert all(r.may_read for r in reports), states(reports)
    assert reports[-1].state is ViewState.CONFIRMED


# --- sabotage --------------------------------------------------------------------------------


@pytest.mark.parametrize("hour", [11.0, NIGHT])
@pytest.mark.parametrize("bright", [False, True])
def test_a_bag_over_the_lens_is_told_as_covered(hour: float, bright: bool) -> None:
    one = ViewWatch(samples.reference(), samples.zones())
    show(one, (day().frame(hour, n) for n in range(6)), first=0)
    bag = samples.through(lambda image: covered(image, bright=bright), hour, range(6, 16))
    reports = show(one, bag)
    assert reports[-1].state is ViewState.COVERED
    assert not reports[-1].may_read
    again = show(one, [day().frame(hour, 16 + n) for n in range(4)], first=16)
    assert again[-1].state is ViewState.CONFIRMED


def test_a_defocused_lens_is_told_and_reading_depends_on_the_view() -> None:
    soft = samples.through(lambda image: defocused(image, 0.012), 11.0, range(6, 18))
    reports = show(watch(), soft)
    assert reports[-1].state is ViewState.DEFOCUSED
    # Blurred beyond recognition: no reading either.
    blind = samples.through(lambda image: defocused(image, 0.05), 11.0, range(6, 18))
    reports = show(watch(), blind)
    assert reports[-1].state in (ViewState.DEFOCUSED, ViewState.COVERED)
    assert not reports[-1].may_read


def test_another_view_is_told_as_turned() -> None:
    rng = np.random.default_rng(2)
    bricks = rng.integers(0, 256, (18, 32, 3), dtype=np.uint8)
    wall = cv2.resize(bricks, SIZE, interpolation=cv2.INTER_NEAREST)
    grain = [cv2.add(wall, np.full_like(wall, n % 3)) for n in range(DETECT_LOOKS)]
    reports = show(watch(), [np.asarray(g, np.uint8) for g in grain])
    assert reports[-1].state is ViewState.TURNED
    assert reports[-1].scene is SceneState.TURNED


def test_a_frozen_picture_is_told_and_a_moving_one_is_checked_again() -> None:
    one = watch()
    reports = show(one, still(noon(30), 24))
    assert reports[-1].state is ViewState.FROZEN
    assert not reports[-1].may_read
    again = show(one, [noon(n).copy() for n in range(3)], first=30)
    assert again[-1].state is ViewState.CONFIRMED


def test_every_state_has_a_sentence_and_each_fault_its_own_scene_state() -> None:
    assert set(VIEW_SENTENCES) == set(ViewState)
    scenes = [ViewReport(s, may_read=False).scene for s in ViewState]
    assert scenes.count(SceneState.SAME) == 0
    assert {*scenes} == {*SceneState} - {SceneState.SAME}


# --- doubt -----------------------------------------------------------------------------------


def test_in_doubt_for_too_long_reading_stops_and_comes_back() -> None:
    # A lorry before the lens: most of the view hidden, a strip still there.
    limits = WatchLimits(doubt_ns=6_000_000_000, turned_ns=60_000_000_000)
    one = watch(limits)
    lorry = []
    for n in range(20):
        image = noon(n).copy()
        image[:, : SIZE[0] * 9 // 10] = (90, 110, 120)
        lorry.append(image)
    reports = show(one, lorry)
    assert states(reports)[-1] is ViewState.UNCONFIRMED
    doubtful = [r for r in reports if r.state is ViewState.DOUBTFUL]
    assert doubtful
    assert all(r.may_read for r in doubtful)
    assert max(r.proven_ns for r in reports) < 8 * STEP_NS
    assert show(one, [noon(n).copy() for n in range(3)], first=26)[-1].state is ViewState.CONFIRMED


def test_a_start_is_unchecked_until_two_glances_agree() -> None:
    one = ViewWatch(samples.reference(), samples.zones())
    reports = show(one, [noon(n).copy() for n in range(4)], first=0)
    assert [r.may_read for r in reports] == [False, True, True, True]


@pytest.mark.parametrize("jump", [-4, 20])
def test_after_a_gap_or_a_step_back_the_view_is_checked_anew(jump: int) -> None:
    one = watch()
    reports = show(one, [noon(n).copy() for n in range(3)], first=6 + jump)
    assert reports[0].state is ViewState.UNCHECKED
    assert reports[-1].state is ViewState.CONFIRMED


def test_between_glances_frames_cost_nothing_and_change_nothing() -> None:
    one = watch()
    proven = one.report
    for n in range(6):
        frame = masked(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 5)
        object.__setattr__(frame, "taken_ns", 5 * STEP_NS + n * 66_000_000)
        assert one.step(frame) == proven


def test_what_is_under_the_mask_changes_no_report() -> None:
    plain = [noon(n).copy() for n in range(12)]
    noisy = [samples.noise_in_mask(image, n) for n, image in enumerate(plain)]
    assert show(watch(before=0), plain, first=0) == show(watch(before=0), noisy, first=0)


def test_without_a_reference_everything_passes() -> None:
    one = ViewWatch(None, samples.zones())
    report = one.step(masked(noon(0).copy(), 0))
    assert report == ViewReport(ViewState.NO_REFERENCE, may_read=True, proven_ns=0)
    assert report.scene is SceneState.UNKNOWN


# --- refusals --------------------------------------------------------------------------------


def test_a_reference_of_another_size_is_refused() -> None:
    other = make_zones([], size_px=(640, 360), band_px=0, digest="m1")
    with pytest.raises(ExclusionError) as caught:
        ViewWatch(samples.reference(), other)
    assert caught.value.code == "exclusion.reference.size"
    assert "384x216" in str(caught.value)


def test_a_plain_view_and_one_that_is_masked_away_are_refused() -> None:
    free = make_zones([], size_px=SIZE, band_px=0, digest="m1")
    wall = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    plain = make_reference([masked(wall, 0, at=free)], free)
    everything = make_zones(
        [[(0, 0), (1, 0), (1, 1), (0, 1)]], size_px=SIZE, band_px=0, digest="m2"
    )
    for reference, zones in ((plain, free), (samples.reference(), everything)):
        with pytest.raises(ExclusionError) as caught:
            ViewWatch(reference, zones)
        assert caught.value.code == "exclusion.reference.too_plain"


def test_a_wider_mask_needs_no_new_reference() -> None:
    more = [[(0.0, 0.6), (0.3, 0.6), (0.3, 1.0), (0.0, 1.0)]]
    wider = make_zones(more, size_px=SIZE, band_px=8, digest="m2")
    one = ViewWatch(samples.reference(), wider)
    reports = [one.step(masked(noon(n).copy(), n, at=wider)) for n in range(4)]
    assert reports[-1].state is ViewState.CONFIRMED


# --- the verdict on one comparison -----------------------------------------------------------


def comparison(**changes: float) -> Comparison:
    values = {
        "patches": 40, "found": 36, "agreeing": 34, "in_place": 34, "shift": 0.001, "rival": 0,
        "detail": 1.0, "contrast": 90.0, "sharpness": 1.0,
    }  # fmt: skip
    return Comparison(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "agrees"),
        ({"agreeing": 6, "found": 6}, "agrees"),
        ({"agreeing": 5, "found": 5}, "unknown"),
        ({"shift": 0.0101}, "shifted"),
        ({"shift": 0.0101, "agreeing": 9, "found": 9}, "unknown"),
        ({"shift": 0.03, "agreeing": 12, "found": 30}, "unknown"),
        # Half of what was found says the view moved: burned-in text stays where it is.
        ({"agreeing": 20, "rival": 10}, "unknown"),
        ({"agreeing": 20, "rival": 9}, "agrees"),
    ],
)
def test_the_verdict(changes: dict, verdict: str) -> None:
    assert judge(comparison(**changes), 0.01) == verdict


def test_burned_in_text_does_not_confirm_a_view_that_moved() -> None:
    one = watch()
    images = []
    for n in range(8):
        image = shifted(noon(n), 0.04)
        # A third of the picture is drawn by the camera and stays.
        image[: SIZE[1] // 3] = noon(n)[: SIZE[1] // 3]
        images.append(image)
    reports = show(one, images)
    assert reports[-1].state is not ViewState.CONFIRMED
    assert max(r.proven_ns for r in reports) < 8 * STEP_NS
