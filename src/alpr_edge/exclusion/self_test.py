"""The built-in self-test: plates drawn into a copy of a live frame must be read beside the masks
and never behind them.

It goes through the very objects that live frames go through (masker, detector, recogniser, gate)
and changes none: the gate is only asked, no track begins, nothing is released. The picture, the
serials and the sightings are dropped with the verdict; what stays is the verdict.

Rules:

1. Runs before the first read of every pipeline (a start, a change of masks) and then every hour.
   Until the first one has passed nothing is read.
2. Behind the mask nothing may be seen: one pixel that is not black, one text like a serial there,
   or one sighting on the band that the gate would let pass, fails. That failure is not forgiven:
   no later test of the same pipeline clears it.
3. Beside the masks at least `NEEDED` of the plates must be read. This shows that the engine is
   alive: a blind one would pass rule 2. It gets `TRIES` tries with other plates in other places,
   and again after `Schedule.again_ns`, because it hides nothing.
4. One station a frame (paint and mask, detect, read), so that no frame waits for a whole test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alpr_edge.exclusion.interlock import SelfTest
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.exclusion.trial_plates import Place, TrialPlate, choose_plates, paint_plates
from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import Detection, DropReason, Frame, Image, Quad, Sighting

NEEDED = 3
"""Plates of at most six that must be read. Measured with the first models on 19 frames (street in
four lights, photos, night video): 111 of 114 are. A sound engine then fails one try in 150,000, and
three in a row never; one that reads seven of ten fails a test three times a year and should be
looked at (ADR 0014)."""
TRIES = 3


class Finding(StrEnum):
    """What a self-test found wrong. The values are stable codes."""

    MASK = "a_masked_pixel_shows"
    INSIDE = "read_behind_the_mask"
    BAND = "passed_on_the_band"
    OUTSIDE = "not_read_beside_the_mask"


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """What the self-test says. Holds no text, place or picture.

    Attributes:
        finding: what is wrong; None unless it failed.
        at: capture time of the frame that the last verdict was made on.
        read, painted: plates beside the masks in the last verdict.
        hidden: plates behind and on the edge of the masks in the last verdict.
    """

    state: SelfTest = SelfTest.PENDING
    finding: Finding | None = None
    at: datetime | None = None
    read: int = 0
    painted: int = 0
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the test runs again, in nanoseconds after a pass or after a failure."""

    every_ns: int = 3_600_000_000_000
    again_ns: int = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Stations:
    """What live frames go through.

    Attributes:
        mask: blanks and seals a frame.
        find: the detector.
        read: straightens and reads.
        gate: what a plate at a quad alone would taint its track with; changes nothing.
    """

    mask: Callable[[Frame], MaskedFrame]
    find: Callable[[MaskedFrame], tuple[Detection, ...]]
    read: Callable[[MaskedFrame, Sequence[Detection]], tuple[Sighting, ...]]
    gate: Callable[[Quad], DropReason | None]


@dataclass(slots=True, eq=False)
class _Run:
    plates: tuple[TrialPlate, ...]
    masked: MaskedFrame
    found: tuple[Detection, ...] | None = None


class SelfTester:
    """Runs self-tests between the frames of one pipeline."""

    def __init__(self, zones: Zones, stations: Stations, schedule: Schedule | None = None) -> None:
        self._zones = zones
        self._stations = stations
        self._schedule = schedule or Schedule()
        self._run: _Run | None = None
        self._due_ns: int | None = None
        self._tries = 0
        self._seed = 0
        self._asked = False
        self.report = SelfTestReport()

    def ask(self) -> None:
        """Have a test begin with the next frame, due or not. Safe from another thread."""
        self._asked = True

    def advance(self, live: MaskedFrame) -> SelfTestReport:
        """Do the next station, if a test is running or due. Leaves `live` as it is.

        Raises:
            InferenceError: a model does not run; the test begins anew with the next frame.
        """
        run, self._run = self._run, None
        if run is None:
            if self._asked or self._due_ns is None or live.taken_ns >= self._due_ns:
                self._run = self._begin(live)
        elif run.found is None:
            run.found = self._stations.find(run.masked)
            self._run = run
        else:
            sightings = self._stations.read(run.masked, _on_plates(run.found, run.plates))
            self._conclude(run, sightings, live.taken_ns)
        return self.report

    def _begin(self, live: MaskedFrame) -> _Run | None:
        # The place of plates must not depend on anything but how many tests there were.
        self._seed += 1
        plates = choose_plates(self._zones, self._seed)
        image = live.image.copy()
        paint_plates(image, self._zones, plates)
        masked = self._stations.mask(
            Frame(image, "self-test", live.sequence, live.captured_at, live.taken_ns)
        )
        if not masked_is_black(masked.image, self._zones):
            self._fail(Finding.MASK, live, _Count(0, 0, 0))
            return None
        return _Run(plates, masked)

    def _conclude(self, run: _Run, sightings: tuple[Sighting, ...], now_ns: int) -> None:
        finding, count = judge(run.plates, sightings, self._stations.gate)
        if finding is Finding.OUTSIDE:
            self._tries += 1
            if self._tries < TRIES:
                return
        self._tries = 0
        if finding is not None:
            self._fail(finding, run.masked, count, now_ns)
            return
        self._asked = False
        self._due_ns = now_ns + self._schedule.every_ns
        if self.report.finding in (None, Finding.OUTSIDE):
            self._tell(SelfTest.PASSED, None, run.masked, count)

    def _fail(
        self, finding: Finding, frame: MaskedFrame, count: _Count, now_ns: int | None = None
    ) -> None:
        self._asked = False
        self._due_ns = (frame.taken_ns if now_ns is None else now_ns) + self._schedule.again_ns
        # What showed something behind a mask outweighs a plate that was not read.
        if finding is Finding.OUTSIDE and self.report.finding not in (None, Finding.OUTSIDE):
            return
        self._tell(SelfTest.FAILED, finding, frame, count)

    def _tell(
        self, state: SelfTest, finding: Finding | None, frame: MaskedFrame, count: _Count
    ) -> None:
        self.report = SelfTestReport(
            state, finding, frame.captured_at, count.read, count.painted, count.hidden
        )


@dataclass(frozen=True, slots=True)
class _Count:
    read: int
    painted: int
    hidden: int


def judge(
    plates: Sequence[TrialPlate],
    sightings: Sequence[Sighting],
    gate: Callable[[Quad], DropReason | None],
) -> tuple[Finding | None, _Count]:
    """What the sightings of a painted frame show, worst first."""
    hidden = [p for p in plates if p.place is Place.INSIDE]
    on_band = [p for p in plates if p.place is Place.BAND]
    beside = [p for p in plates if p.place is Place.OUTSIDE]
    passed = [s for s in sightings if gate(s.detection.quad) is None]
    read = sum(any(_near(s, p) and _alike(_text(s), p.text, 1) for s in passed) for p in beside)
    count = _Count(read, len(beside), len(hidden) + len(on_band))
    if any(_alike(_text(s), p.text, 2) for s in sightings for p in hidden):
        return Finding.INSIDE, count
    if any(_near(s, p) for s in passed for p in on_band):
        return Finding.BAND, count
    if read < min(NEEDED, len(beside)):
        return Finding.OUTSIDE, count
    return None, count


def masked_is_black(image: Image, zones: Zones) -> bool:
    """Whether not one pixel of the core mask shows anything."""
    return not bool(image[zones.core > 0].any())


def _on_plates(found: Sequence[Detection], plates: Sequence[TrialPlate]) -> tuple[Detection, ...]:
    """Detections at test plates: the live ones are not read a second time."""
    return tuple(d for d in found if any(_centre_in(d.quad, p) for p in plates))


def _near(sighting: Sighting, plate: TrialPlate) -> bool:
    return _centre_in(sighting.detection.quad, plate)


def _centre_in(quad: Quad, plate: TrialPlate) -> bool:
    x, y = (float(v) for v in quad.mean(0))
    rows, columns = plate.box
    return bool(columns.start <= x < columns.stop and rows.start <= y < rows.stop)


def _text(sighting: Sighting) -> str:
    return "" if sighting.read is None else sighting.read.plate


def _alike(text: str, serial: str, most: int) -> bool:
    """Whether a text is within so many edits of a serial."""
    if abs(len(text) - len(serial)) > most:
        return False
    row = list(range(len(serial) + 1))
    for i, a in enumerate(text, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(serial, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1] <= most
