"""One frame's way, from masked pixels to released reads. Pure: no clock, no file, no network.

    masked → (view, self-test) → detect → crop → read → track → gate → (until the view is proven)

Every port is given: tests run it with an engine that "reads" everything. Without a view watch and a
self-test, as for photos and in tests, those stations pass everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from alpr_edge.exclusion.gate import Gate, GateStep
from alpr_edge.exclusion.interlock import SelfTest
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.release_hold import ReleaseHold
from alpr_edge.exclusion.self_test import Schedule, SelfTester, SelfTestReport, Stations
from alpr_edge.exclusion.view_watch import ViewReport, ViewState, ViewWatch
from alpr_edge.exclusion.zones import Zones
from alpr_edge.sight import FindsPlates, ReadsPlates, look, read_plates
from alpr_edge.types import Detection, Frame, Quad, Sighting, TrackStep
from alpr_edge.vision.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Guards:
    """What stands beside the way of a frame and can close it.

    Attributes:
        self_test: None where the pipeline has none.
    """

    view: ViewReport
    self_test: SelfTestReport | None

    @property
    def may_read(self) -> bool:
        """Neither forbids it."""
        tested = self.self_test is None or self.self_test.state is SelfTest.PASSED
        return self.view.may_read and tested


class KnowsGround(Protocol):
    """Port: whether a plate's vehicle may stand on ground that taints (`ground.GroundZones`)."""

    def touches(self, quad: Quad) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
    """What one frame gave.

    Attributes:
        masked: the frame without its protected pixels, for the annotated picture of the demo.
        sightings: what was seen in it; stays on the device.
        tracks: what it did to the tracks; stays on the device.
        gate: what may leave, and what was suppressed.
        guards: what view watch and self-test say; nobody looked at the frame unless both allow it.
    """

    masked: MaskedFrame
    sightings: tuple[Sighting, ...]
    tracks: TrackStep
    gate: GateStep
    guards: Guards


_UNWATCHED = ViewReport(ViewState.NO_REFERENCE, may_read=True)
_NOTHING = TrackStep((), (), ())


class Pipeline:
    """The way of a frame for one camera.

    Args:
        watch: compares the view with the commissioned one (N7).
        zones: what masker and gate were made of; asks for the self-test.
        schedule: when the self-test runs again.
    """

    def __init__(
        self,
        *,
        masker: Masker,
        detector: FindsPlates,
        recogniser: ReadsPlates,
        tracker: Tracker,
        gate: Gate,
        watch: ViewWatch | None = None,
        zones: Zones | None = None,
        schedule: Schedule | None = None,
        ground: KnowsGround | None = None,
    ) -> None:
        self._masker = masker
        self._detector = detector
        self._recogniser = recogniser
        self._tracker = tracker
        self._gate = gate
        self._watch = watch
        self._hold = ReleaseHold()
        self._tester = None if zones is None else SelfTester(zones, self._stations(), schedule)
        self._ground = ground

    @property
    def guards(self) -> Guards:
        """View and self-test as of the last frame."""
        view = _UNWATCHED if self._watch is None else self._watch.report
        return Guards(view, None if self._tester is None else self._tester.report)

    def step(self, frame: Frame, *, may_read: bool = True) -> StepResult:
        """Take one frame through every station.

        Args:
            may_read: False goes on watching and testing, but looks at nothing and destroys what is
                open or held: the interlock has another reason against reading.
        """
        masked = self._masker.apply(frame)
        if self._watch is not None:
            self._watch.step(masked)
        if self._tester is not None:
            self._tester.advance(masked)
        guards = self.guards
        if not (may_read and guards.may_read):
            return StepResult(masked, (), _NOTHING, self.suspend(), guards)
        sightings = look(masked, self._detector, self._recogniser)
        tracks = self._tracker.step(
            sightings, captured_at=masked.captured_at, taken_ns=masked.taken_ns
        )
        if self._ground is not None:
            tracks = on_ground(tracks, self._ground)
        judged = self._gate.step(tracks, masked.taken_ns)
        if self._watch is not None:
            judged = self._hold.step(judged, guards.view, masked.taken_ns)
        return StepResult(masked, sightings, tracks, judged, guards)

    def suspend(self) -> GateStep:
        """Destroy all that is open or held, whatever the gate would say of it."""
        last = self._gate.shutdown(self._tracker.finish())
        return self._hold.destroy(last)

    def test_now(self) -> bool:
        """Have a self-test run with the next frames; False where the pipeline has none."""
        if self._tester is None:
            return False
        self._tester.ask()
        return True

    @property
    def memories(self) -> tuple[memoryview, ...]:
        """The blocks that hold the texts of reads that have not left, for locking them into RAM."""
        return self._gate.memory, self._hold.memory

    @property
    def mask_digest(self) -> str:
        """The mask record that it applies."""
        return self._masker.mask_digest

    def finish(self) -> GateStep:
        """The source has ended: nothing stays open or held."""
        last = self._gate.shutdown(self._tracker.finish())
        return last if self._watch is None else self._hold.shutdown(last, self.guards.view)

    def _stations(self) -> Stations:
        def read(masked: MaskedFrame, found: Sequence[Detection]) -> tuple[Sighting, ...]:
            return read_plates(masked, found, self._recogniser)

        return Stations(self._masker.apply, self._detector.detect, read, self._gate.would_taint)


def on_ground(tracks: TrackStep, ground: KnowsGround) -> TrackStep:
    """The same step, its points told whether their vehicles may stand on protected ground."""
    points = tuple(
        replace(point, on_protected_ground=ground.touches(point.quad)) for point in tracks.points
    )
    return replace(tracks, points=points)
