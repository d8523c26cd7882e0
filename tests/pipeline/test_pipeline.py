"""N1 through the real models: what lies under the mask changes nothing that comes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import Zones, make_zones
from alpr_edge.pipeline import Pipeline
from alpr_edge.sight import SURE_PLATE, read_still
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import DropReason, Frame
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.vision.tracker import Tracker

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engines():
    return Detector(load_model("detector.onnx")), Recogniser(load_model("recogniser.onnx"))


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(StreetConfig(seed=5, fps=6.0, duration_s=12.0))


def zones_of(street: Street, size=(1280, 720)) -> Zones:
    return make_zones(street.mask_polygons(), size_px=size, band_px=25, digest="m")


def run(street, engines, change) -> list:
    zones = zones_of(street)
    pipeline = Pipeline(
        masker=Masker(zones),
        detector=engines[0],
        recogniser=engines[1],
        tracker=Tracker(),
        gate=Gate(zones, GateLimits(hold_ns=1_000_000_000)),
    )
    out = []
    for shot in street.frames():
        image = change(shot.image, zones.core > 0)
        at = START + timedelta(seconds=shot.time_s)
        result = pipeline.step(Frame(image, "s", shot.number, at, int(shot.time_s * 1e9)))
        out.append(
            (
                [(s.detection.quad.tobytes(), s.read) for s in result.sightings],
                [(r.track.read, r.track.quad.tobytes()) for r in result.gate.released],
                result.gate.drops,
            )
        )
    return [*out, pipeline.finish().drops]


def noise(image, hidden):
    rng = np.random.default_rng(3)
    image[hidden] = rng.integers(0, 256, (int(hidden.sum()), 3), dtype=np.uint8)
    return image


def white(image, hidden):
    image[hidden] = 255
    return image


@pytest.mark.parametrize("change", [noise, white])
def test_what_is_under_the_mask_changes_nothing(street, engines, change):
    assert run(street, engines, lambda image, hidden: image) == run(street, engines, change)


def test_a_weak_read_is_shown_only_where_a_plate_is_certain(street, engines):
    shots = [shot for shot in street.frames() if any(t.readable for t in shot.truth)]
    view = make_zones([], size_px=(1280, 720), band_px=0, digest="")

    def look(shot, **least):
        frame = Frame(shot.image.copy(), "s", 0, START, 0)
        return read_still(frame, view, *engines, **least)[0]

    for shot in shots[:40]:
        everything = look(shot, min_confidence=0.0)
        # No read is as sure as 1: only the rule for certain plates can show one.
        shown = look(shot, min_confidence=1.0, on_sure_plate=0.0)
        certain = [s for s in everything if s.detection.score >= SURE_PLATE]
        assert [s.read for s in shown] == [s.read for s in certain]
        assert look(shot, min_confidence=1.0) == ()
        if certain and len(certain) < len(everything):
            return
    pytest.fail("the street showed no certain plate beside another find")


def test_a_still_suppresses_what_touches_the_mask(street, engines):
    shot, plate = next(
        (shot, truth) for shot in street.frames() for truth in shot.truth if truth.readable
    )
    open_view = make_zones([], size_px=(1280, 720), band_px=0, digest="")

    def look(zones):
        frame = Frame(shot.image.copy(), "s", 0, START, 0)
        return read_still(frame, zones, *engines, min_confidence=0.0)

    seen, _ = look(open_view)
    near = [s for s in seen if np.abs(s.detection.quad - plate.corners).max() < 40]
    assert near, "the plate is not found at all"
    # A mask that covers only the plate's left edge: the rest could still be read.
    low, high = (
        near[0].detection.quad.min(0) / (1280, 720),
        near[0].detection.quad.max(0)
        / (
            1280,
            720,
        ),
    )
    edge = low[0] + 0.1 * (high[0] - low[0])
    mask = [(low[0] - 0.05, low[1]), (edge, low[1]), (edge, high[1]), (low[0] - 0.05, high[1])]
    shown, drops = look(make_zones([mask], size_px=(1280, 720), band_px=0, digest=""))
    assert not [s for s in shown if np.abs(s.detection.quad - plate.corners).max() < 40]
    assert DropReason.TOUCHES_MASK in {d.reason for d in drops}
