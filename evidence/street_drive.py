"""N2 on the simulated street: thousands of vehicles past the gate, with engines that miss nothing.

Does: drives plate paths with known truth through tracker and gate, with and without exclusion, and
counts leaks and kept reads.
Does not: draw or look at pictures; `evidence.rendered` does that for a sample.

Rules: the engine never misreads, so a leak is a released text of a vehicle that touches the
premises at any time of its life. What exclusion costs is counted against the same engine and
tracker without a zone. A vehicle that still stands in the view at the end, or stood there at the
start, is counted apart: the rule for parked cars destroys its read (docs/exclusion.md). So is one
whose plate itself lies over a zone, mostly over the band beside the driveway: N2 demands that it be
suppressed, though its wheels touch nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.zones import Zones, rasterise, touches
from alpr_edge.simulator.camera import Camera
from alpr_edge.simulator.plate_paths import PlatePath, plate_paths
from alpr_edge.simulator.scene import street_camera, zone_set
from alpr_edge.simulator.traffic import TOUCHING_MIX, populate
from alpr_edge.types import Detection, DropReason, Read, Sighting
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.zone_set import ZoneSet

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = (1280, 720)
DRAIN_S = 30.0
"""Street after the last vehicle's moment, so that everything has left and every hold has passed."""

CAMERAS: dict[str, Camera] = {
    "usual": street_camera(*SIZE),
    "gate at the left edge": replace(street_camera(*SIZE), pan_deg=1.5),
    "gate at the upper edge": replace(street_camera(*SIZE), tilt_deg=-15.2),
}


@dataclass(frozen=True)
class Engine:
    """What an engine sees. It reads without error whatever it sees.

    Attributes:
        through: sees plates through masks and through other vehicles.
        least_px: narrowest plate.
        most_deg: plates turned away further are not seen.
        blinks: share of sightings that it misses at random.
    """

    name: str
    through: bool
    least_px: float
    most_deg: float
    blinks: float = 0.0


ALL_SEEING = Engine("all-seeing", through=True, least_px=12.0, most_deg=80.0)
HONEST = Engine("perfect but honest", through=False, least_px=20.0, most_deg=65.0)
BLINKING = replace(HONEST, name="honest, blinking", blinks=0.25)


@dataclass(frozen=True)
class Drive:
    """One clip: street, camera, frame rate, engine, and frames lost on the way."""

    seed: int
    camera: str = "usual"
    fps: float = 15.0
    engine: Engine = ALL_SEEING
    lost_frames: float = 0.0
    duration_s: float = 240.0
    vehicles: int = 100

    @property
    def frame_count(self) -> int:
        return round((self.duration_s + DRAIN_S) * self.fps)


@dataclass
class Outcome:
    """Counts of one or more drives.

    Attributes:
        touching: vehicles that touch the premises and that the engine sees at all.
        leaks: released reads of them, (drive, vehicle, pattern).
        readable: untouched vehicles that are read without exclusion.
        kept: those of them that are read with it.
        parked: untouched vehicles that stand in the view at its start or end, read without
            exclusion; not among `readable`.
        beside: untouched vehicles whose plate lies over a zone; not among `readable`.
        by_pattern: (pattern, touching, released) of all that are read without exclusion.
        drops: reasons.
    """

    touching: int = 0
    leaks: list[tuple[Drive, int, str]] = field(default_factory=list)
    readable: int = 0
    kept: int = 0
    parked: int = 0
    parked_kept: int = 0
    beside: int = 0
    beside_kept: int = 0
    by_pattern: Counter[tuple[str, bool, bool]] = field(default_factory=Counter)
    drops: Counter[DropReason] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)

    def __iadd__(self, other: Outcome) -> Outcome:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def street_paths(drive: Drive) -> tuple[PlatePath, ...]:
    """The plates of a drive's street as its camera has them."""
    rng = np.random.default_rng([drive.seed, 1])
    vehicles = populate(rng, drive.duration_s, drive.vehicles, TOUCHING_MIX)
    camera = CAMERAS[drive.camera]
    return plate_paths(camera, vehicles, fps=drive.fps, frame_count=drive.frame_count)


def street_zones(camera: str) -> Zones:
    """What is commissioned in a camera's view."""
    return rasterise(zone_set(CAMERAS[camera]), size_px=SIZE, digest="street")


def sightings_of(
    drive: Drive, paths: Sequence[PlatePath], zones: Zones
) -> list[list[tuple[PlatePath, int]] | None]:
    """What the engine sees in each frame, None where the frame is lost."""
    rng = np.random.default_rng([drive.seed, 9])
    engine = drive.engine
    seen: list[list[tuple[PlatePath, int]] | None] = [[] for _ in range(drive.frame_count)]
    for path in paths:
        good = (path.width_px >= engine.least_px) & (path.facing_deg < engine.most_deg)
        good &= path.in_frame > (0.0 if engine.through else 0.6)
        good &= rng.random(len(good)) >= engine.blinks
        if not engine.through:
            good &= path.unhidden > 0.6
        for index in np.flatnonzero(good):
            if not engine.through and touches(zones.core, path.corners[index]):
                continue
            frame = seen[path.frames[index]]
            if frame is not None:
                frame.append((path, int(index)))
    for number in np.flatnonzero(rng.random(drive.frame_count) < drive.lost_frames):
        seen[number] = None
    return seen


def run(
    drive: Drive, seen: Sequence[list[tuple[PlatePath, int]] | None], gate: Gate
) -> tuple[Counter[str], Counter[DropReason]]:
    """Track and judge. Returns how often each plate was released, and the drops."""
    tracker = Tracker(TrackerLimits(max_unseen_ns=800_000_000))
    released: Counter[str] = Counter()
    drops: Counter[DropReason] = Counter()
    for number, frame in enumerate(seen):
        if frame is None:
            continue
        taken_ns = round(number / drive.fps * 1e9)
        sightings = [
            Sighting(Detection(path.corners[i], 0.9), _read(path.plate), float(path.width_px[i]))
            for path, i in frame
        ]
        at = START + timedelta(microseconds=taken_ns // 1000)
        tracks = tracker.step(sightings, captured_at=at, taken_ns=taken_ns)
        step = gate.step(tracks, taken_ns)
        released.update(one.track.read.plate for one in step.released)
        drops.update(drop.reason for drop in step.drops)
    last = gate.shutdown(tracker.finish())
    released.update(one.track.read.plate for one in last.released)
    drops.update(drop.reason for drop in last.drops)
    return released, drops


def _read(plate: str) -> Read:
    return Read(plate, 0.95, (0.95,) * len(plate), None)


def gate_limits(drive: Drive) -> GateLimits:
    """The gate's defaults; slow cameras allow a pause of three frames."""
    return GateLimits(max_gap_ns=max(1_500_000_000, round(3.5e9 / drive.fps)))


def outcome(drive: Drive) -> Outcome:
    """Drive one clip with and without exclusion and compare both with the truth."""
    paths = street_paths(drive)
    zones = street_zones(drive.camera)
    seen = sightings_of(drive, paths, zones)
    limits = gate_limits(drive)
    kept, drops = run(drive, seen, Gate(zones, limits))
    free = rasterise(ZoneSet(nothing_protected=True), size_px=SIZE, digest="none")
    without, _ = run(drive, seen, Gate(free, limits))
    result = Outcome(drops=drops)
    last = drive.frame_count - 1
    for path in paths:
        is_read, is_kept = without[path.plate] > 0, kept[path.plate] > 0
        if path.protected:
            result.touching += is_read
            if is_kept:
                result.leaks.append((drive, path.vehicle_id, path.pattern.value))
        elif is_read and (path.frames[0] == 0 or path.frames[-1] == last):
            result.parked += 1
            result.parked_kept += is_kept
        elif is_read and _lies_over(path, zones):
            result.beside += 1
            result.beside_kept += is_kept
        elif is_read:
            result.readable += 1
            result.kept += is_kept
            if not is_kept:
                result.lost.append(path.vehicle_id)
        if is_read:
            result.by_pattern[path.pattern.value, path.protected, is_kept] += 1
    return result


def _lies_over(path: PlatePath, zones: Zones) -> bool:
    """Whether a plate lies over what taints in any frame in which it is in the frame at all."""
    inside = np.flatnonzero(path.in_frame > 0)
    return any(touches(zones.band, path.corners[i]) for i in inside)


def drives(count: int, *, first_seed: int = 1) -> Iterator[Drive]:
    """A mix of rates, engines, cameras and stutter; any run of 24 holds every kind."""
    rates = (15.0, 5.0, 30.0, 2.0, 10.0, 25.0, 3.0, 8.0)
    engines = (HONEST, ALL_SEEING, BLINKING)
    left, upper = "gate at the left edge", "gate at the upper edge"
    cameras = ("usual", "usual", left, "usual", "usual", "usual", upper, "usual", left, "usual")
    for i in range(count):
        yield Drive(
            seed=first_seed + i,
            camera=cameras[i % len(cameras)],
            fps=rates[i % len(rates)],
            engine=engines[i % len(engines)],
            lost_frames=0.1 if i % 4 == 3 else 0.0,
        )
