"""The self-test: what it must find, what it must forgive, and that it leaves live tracks alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.interlock import SelfTest
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.self_test import (
    NEEDED,
    TRIES,
    Finding,
    Schedule,
    SelfTester,
    Stations,
    _alike,
)
from alpr_edge.exclusion.trial_plates import Place, choose_plates, paint_plates
from alpr_edge.exclusion.zones import Zones, grow, make_zones, touches
from alpr_edge.pipeline import Pipeline
from alpr_edge.simulator.plate_art import edit_distance
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Detection, DropReason, Frame, Quad, Read, Sighting
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.vision.tracker import Tracker

SIZE = (640, 360)
START = datetime(2026, 1, 1, tzinfo=UTC)
CORNER = [(0.0, 0.0), (0.45, 0.0), (0.45, 0.5), (0.0, 0.5)]
ZONES = make_zones([CORNER], size_px=SIZE, band_px=40, digest="m")


def live(number: int, size: tuple[int, int] = SIZE) -> Frame:
    rng = np.random.default_rng(number)
    image = rng.integers(60, 120, (size[1], size[0], 3), dtype=np.uint8)
    at = START + timedelta(seconds=number)
    return Frame(image, "s", number, at, number * 1_000_000_000)


class Eyes:
    """Stations that know what was painted: an engine as good, or as bad, as a test wants it."""

    def __init__(self, zones: Zones = ZONES) -> None:
        self.zones = zones
        self.sees = {Place.OUTSIDE: 9, Place.INSIDE: 0, Place.BAND: 9}
        self.mask: Callable[[Frame], MaskedFrame] = Masker(zones).apply
        self.gate: Callable[[Quad], DropReason | None] = Gate(zones, GateLimits()).would_taint
        self.tests = 0
        self._seen: list[Sighting] = []

    def stations(self) -> Stations:
        return Stations(self.mask, self.find, self.read, lambda quad: self.gate(quad))

    def find(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        self.tests += 1
        left = dict(self.sees)
        self._seen = []
        for plate in choose_plates(self.zones, self.tests):
            if left[plate.place] > 0:
                left[plate.place] -= 1
                read = Read(plate.text, 0.9, (0.9,) * 7, None)
                self._seen.append(Sighting(Detection(plate.quad, 0.9), read, 1.0))
        return tuple(s.detection for s in self._seen)

    def read(self, frame: MaskedFrame, found: Sequence[Detection]) -> tuple[Sighting, ...]:
        return tuple(s for s in self._seen if s.detection in found)


def run(eyes: Eyes, seconds: int, schedule: Schedule | None = None) -> SelfTester:
    tester = SelfTester(eyes.zones, eyes.stations(), schedule)
    masker = Masker(eyes.zones)
    for number in range(seconds):
        tester.advance(masker.apply(live(number)))
    return tester


def test_a_sound_engine_passes_in_three_frames() -> None:
    eyes = Eyes()
    assert run(eyes, 2).report.state is SelfTest.PENDING
    report = run(Eyes(), 3).report
    assert report.state is SelfTest.PASSED
    assert (report.read, report.painted) == (6, 6)
    assert report.hidden >= 2
    assert report.at == START
    assert report.finding is None


def test_a_blind_engine_fails_after_its_tries_and_is_asked_again() -> None:
    eyes = Eyes()
    eyes.sees[Place.OUTSIDE] = NEEDED - 1
    tester = run(eyes, 3 * TRIES)
    assert tester.report.state is SelfTest.FAILED
    assert tester.report.finding is Finding.OUTSIDE
    assert eyes.tests == TRIES
    eyes.sees[Place.OUTSIDE] = NEEDED
    masker = Masker(ZONES)
    for number in range(9, 9 + 64):
        tester.advance(masker.apply(live(number)))
    assert tester.report.state is SelfTest.PASSED


def test_one_bad_try_is_forgiven() -> None:
    eyes = Eyes()
    eyes.sees[Place.OUTSIDE] = 0
    tester = SelfTester(ZONES, eyes.stations())
    masker = Masker(ZONES)
    for number in range(6):
        if number == 3:
            eyes.sees[Place.OUTSIDE] = 9
        tester.advance(masker.apply(live(number)))
    assert tester.report.state is SelfTest.PASSED


def test_one_read_behind_the_mask_fails_at_once_and_for_good() -> None:
    eyes = Eyes()
    eyes.sees[Place.INSIDE] = 1
    tester = run(eyes, 3)
    assert tester.report.finding is Finding.INSIDE
    eyes.sees[Place.INSIDE] = 0
    masker = Masker(ZONES)
    for number in range(3, 200):
        tester.advance(masker.apply(live(number)))
    assert eyes.tests == 2
    assert (tester.report.state, tester.report.finding) == (SelfTest.FAILED, Finding.INSIDE)


def test_a_mask_that_leaves_a_pixel_fails() -> None:
    eyes = Eyes()
    less = make_zones([CORNER[:3]], size_px=SIZE, band_px=40, digest="m")
    eyes.mask = Masker(less).apply
    report = run(eyes, 1).report
    assert (report.state, report.finding) == (SelfTest.FAILED, Finding.MASK)


def test_a_gate_that_lets_the_band_pass_fails() -> None:
    eyes = Eyes()

    def core_only(quad: Quad) -> DropReason | None:
        return DropReason.TOUCHES_MASK if touches(ZONES.core, grow(quad)) else None

    eyes.gate = core_only
    report = run(eyes, 3).report
    assert report.finding is Finding.BAND


def test_a_gate_that_keeps_everything_back_fails() -> None:
    eyes = Eyes()
    eyes.gate = lambda quad: DropReason.TOUCHES_BAND
    assert run(eyes, 3 * TRIES).report.finding is Finding.OUTSIDE


def test_it_runs_again_on_schedule() -> None:
    eyes = Eyes()
    run(eyes, 130, Schedule(every_ns=60_000_000_000))
    # At 0, 62 and 124 seconds: a minute after each verdict.
    assert eyes.tests == 3


def test_one_that_is_asked_for_runs_at_once_and_only_once() -> None:
    eyes = Eyes()
    tester, masker = run(eyes, 3), Masker(eyes.zones)
    assert eyes.tests == 1
    tester.ask()
    eyes.sees[Place.INSIDE] = 1
    for number in range(3, 12):
        tester.advance(masker.apply(live(number)))
    assert eyes.tests == 2
    assert tester.report.finding is Finding.INSIDE


@pytest.mark.parametrize(
    ("polygons", "places"),
    [
        ([], {Place.OUTSIDE}),
        ([[(0, 0), (1, 0), (1, 1), (0, 1)]], {Place.INSIDE}),
        ([[(0.5, 0.5), (0.52, 0.5), (0.52, 0.53), (0.5, 0.53)]], {Place.OUTSIDE, Place.BAND}),
    ],
)
def test_views_with_no_mask_all_mask_and_a_tiny_one_pass(polygons: list, places: set) -> None:
    eyes = Eyes(make_zones(polygons, size_px=SIZE, band_px=20, digest="m"))
    assert run(eyes, 3).report.state is SelfTest.PASSED
    assert {p.place for p in choose_plates(eyes.zones, 1)} <= places | {Place.INSIDE}


points = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(st.lists(st.lists(points, min_size=3, max_size=5), max_size=3), st.integers(0, 999))
def test_plates_lie_where_they_should(polygons: list, seed: int) -> None:
    zones = make_zones(polygons, size_px=SIZE, band_px=12, digest="m")
    plates = choose_plates(zones, seed)
    seen = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    for plate in plates:
        rows, columns = plate.box
        assert 0 <= rows.start < rows.stop <= SIZE[1]
        assert 0 <= columns.start < columns.stop <= SIZE[0]
        assert not seen[plate.box].any(), "two plates overlap"
        seen[plate.box] = 1
        tainted = touches(zones.band, grow(plate.quad))
        assert tainted is (plate.place is not Place.OUTSIDE) or plate.place is Place.INSIDE
    # What is painted inside is gone once the frame is masked: the bytes are those without it.
    rest = tuple(p for p in plates if p.place is not Place.INSIDE)
    images = []
    for some in (plates, rest):
        frame = live(1)
        paint_plates(frame.image, zones, some)
        images.append(Masker(zones).apply(frame).image.tobytes())
    assert images[0] == images[1]


@given(st.text("ABC12", max_size=8), st.text("ABC12", min_size=1, max_size=8), st.integers(0, 3))
def test_likeness_is_edit_distance(text: str, serial: str, most: int) -> None:
    assert _alike(text, serial, most) is (edit_distance(text, serial) <= most)


# --- through the real models and a real pipeline ---------------------------------------------


@pytest.fixture(scope="module")
def engines() -> tuple[Detector, Recogniser]:
    detector = Detector(load_model("detector.onnx"), size_px=(640, 384), min_score=0.4)
    return detector, Recogniser(load_model("recogniser.onnx"))


def test_live_tracks_are_the_same_with_and_without_it_and_no_test_plate_leaves(engines) -> None:
    street = Street(StreetConfig(seed=5, fps=5.0, duration_s=14.0))
    zones = make_zones(street.mask_polygons(), size_px=(1280, 720), band_px=25, digest="m")
    shots = [street.frame(number).image for number in range(20, 54)]

    def outputs(schedule: Schedule | None) -> tuple[list, SelfTest | None]:
        pipeline = Pipeline(
            masker=Masker(zones),
            detector=engines[0],
            recogniser=engines[1],
            tracker=Tracker(),
            gate=Gate(zones, GateLimits(hold_ns=1_000_000_000)),
            zones=None if schedule is None else zones,
            schedule=schedule,
        )
        out = []
        black = [np.zeros_like(shots[0]) for _ in range(3)]
        for number, image in enumerate([*black, *(shot.copy() for shot in shots)]):
            at = START + timedelta(seconds=number / 5)
            result = pipeline.step(Frame(image, "s", number, at, number * 200_000_000))
            out.append(
                (
                    [(s.detection.quad.tobytes(), s.read) for s in result.sightings],
                    [(p.track_id, p.quad.tobytes()) for p in result.tracks.points],
                    [r.track.read for r in result.gate.released],
                    result.gate.drops,
                )
            )
        test = pipeline.guards.self_test
        return [*out[3:], pipeline.finish().drops], None if test is None else test.state

    # A test begins with every frame in which none runs.
    with_test, state = outputs(Schedule(every_ns=1))
    without, none = outputs(None)
    assert state is SelfTest.PASSED
    assert none is None
    assert with_test == without
    assert any(reads for reads, *_ in without), "nothing was seen at all"


def test_a_frame_is_not_changed_and_nothing_is_kept(engines) -> None:
    frame = Masker(ZONES).apply(live(1))
    before = frame.image.tobytes()
    eyes = Eyes()
    tester = SelfTester(ZONES, eyes.stations())
    for number in range(3):
        tester.advance(replace_time(frame, number))
    assert frame.image.tobytes() == before
    assert tester.report.state is SelfTest.PASSED


def replace_time(frame: MaskedFrame, number: int) -> MaskedFrame:
    return replace(frame, taken_ns=number * 1_000_000_000)
