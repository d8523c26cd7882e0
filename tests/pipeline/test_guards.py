"""View watch and self-test in the pipeline: when they forbid it, nobody looks, nothing leaves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from tests.exclusion import view_samples as samples
from tests.exclusion.view_samples import SIZE, START, STEP_NS, noon

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.view_reference import make_reference
from alpr_edge.exclusion.view_watch import ViewState, ViewWatch
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.pipeline import Pipeline, StepResult
from alpr_edge.types import Detection, DropReason, Frame, PlateCrop, Read
from alpr_edge.vision.tracker import Tracker, TrackerLimits

ZONES = make_zones([], size_px=SIZE, band_px=0, digest="m")
QUAD = np.array([(100, 100), (160, 100), (160, 130), (100, 130)], np.float32)


class Engine:
    """Sees one plate in the frames whose numbers it is told, and counts how often it looks."""

    def __init__(self, shown: Iterable[int]) -> None:
        self.shown = set(shown)
        self.looked: list[int] = []

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        self.looked.append(frame.sequence)
        return (Detection(QUAD, 0.9),) if frame.sequence in self.shown else ()

    def read(self, crops: list[PlateCrop]) -> list[Read | None]:
        return [Read("7ABC123", 0.95, (0.95,) * 7, None) for _ in crops]


def pipeline(engine: Engine, *, watched: bool = True, tested: bool = False) -> Pipeline:
    masked = (samples.masked(noon(7 * i).copy(), i, at=ZONES) for i in range(8))
    watch = ViewWatch(make_reference(masked, ZONES), ZONES) if watched else None
    return Pipeline(
        masker=Masker(ZONES),
        detector=engine,
        recogniser=engine,
        tracker=Tracker(TrackerLimits(max_unseen_ns=600_000_000)),
        gate=Gate(ZONES, GateLimits()),
        watch=watch,
        zones=ZONES if tested else None,
    )


def drive(one: Pipeline, images: list[np.ndarray], *, may_read: bool = True) -> list[StepResult]:
    return [
        one.step(Frame(image.copy(), "s", n, START, n * STEP_NS), may_read=may_read)
        for n, image in enumerate(images)
    ]


def texts(results: list[StepResult]) -> list[str]:
    return [r.track.read.plate for result in results for r in result.gate.released]


def test_a_read_leaves_once_the_view_is_confirmed_after_it() -> None:
    results = drive(pipeline(Engine({3, 4, 5})), [noon(n) for n in range(12)])
    assert texts(results) == ["7ABC123"]
    left = next(n for n, result in enumerate(results) if result.gate.released)
    closed = next(n for n, result in enumerate(results) if result.tracks.closed)
    # Three glances that agree, of which the oldest is not before the gate let it go.
    assert left == closed + 2


def test_what_was_read_as_the_camera_moved_never_leaves() -> None:
    """Moved at every frame round the one in which the gate lets the read go."""
    elsewhere = samples.moved_day(pan=1.0)
    away = [elsewhere.frame(11.0, n) for n in range(6, 18)]
    for moved_at in (6, 7, 8):
        images = [*(noon(n) for n in range(moved_at)), *away]
        engine = Engine({3, 4, 5})
        results = drive(pipeline(engine), images)
        assert texts(results) == []
        assert results[-1].guards.view.state is ViewState.MOVED
        drops = [d.reason for result in results for d in result.gate.drops]
        assert drops.count(DropReason.VIEW_UNPROVEN) == 1
        # And from then on nobody looks.
        stopped = next(n for n, r in enumerate(results) if r.guards.view.state is ViewState.MOVED)
        assert stopped - moved_at < 10
        assert max(engine.looked) < stopped


def test_nobody_looks_before_the_view_is_confirmed() -> None:
    engine = Engine(())
    elsewhere = samples.moved_day(pan=1.0)
    drive(pipeline(engine), [elsewhere.frame(11.0, n) for n in range(4)])
    assert engine.looked == []


def test_nobody_looks_without_the_reference_that_is_asked_for() -> None:
    """The frames are masked all the same: a new reference can be taken of them."""
    engine = Engine(range(12))
    one = pipeline(engine, watched=False, tested=True)
    one._watch = ViewWatch(None, ZONES, required=True)
    results = drive(one, [noon(n % 4) for n in range(12)])
    assert texts(results) == []
    assert {r.guards.view.state for r in results} == {ViewState.REFERENCE_MISSING}
    assert not any(r.guards.may_read or r.sightings for r in results)
    assert {r.masked.mask_digest for r in results} == {"m"}


def test_another_reason_of_the_interlock_stops_it_and_the_watch_goes_on() -> None:
    engine = Engine({3, 4, 5})
    one = pipeline(engine)
    results = drive(one, [noon(n) for n in range(6)], may_read=False)
    assert engine.looked == []
    assert results[-1].guards.view.state is ViewState.CONFIRMED


def test_suspending_destroys_what_the_gate_would_release() -> None:
    one = pipeline(Engine({3, 4, 5}), watched=False)
    drive(one, [noon(n) for n in range(6)])
    step = one.suspend()
    assert step.released == ()
    assert [d.reason for d in step.drops] == [DropReason.VIEW_UNPROVEN]


def test_a_blind_engine_is_never_believed() -> None:
    """It sees nothing, test plates included: reading never begins."""
    engine = Engine(())
    results = drive(pipeline(engine, watched=False, tested=True), [noon(n) for n in range(12)])
    assert not any(result.guards.may_read for result in results)
    # Only the self-test looked: three tries.
    assert len(engine.looked) == 3
