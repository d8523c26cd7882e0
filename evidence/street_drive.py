"""N2 on the simulated street: thousands of vehicles past the gate, with engines that miss nothing.

Does: drives plate paths with known truth through tracker and gate, with and without exclusion, and
counts leaks and kept reads.
Does not: draw or look at pictures.

Rules: the engine never misreads, so a leak is a released text of a vehicle that touches the
premises at any time of its life. What exclusion costs is counted against the same engine and
tracker without a zone. A vehicle that still stands in the view at the end, or stood there at the
start, is counted apart: the rule for parked cars destroys its read (docs/exclusion.md). So is one
whose plate itself lies over a zone, mostly over the band beside the driveway: N2 demands that it be
suppressed, though its wheels touch nothing. That is looked up thirty times a second whatever the
camera's rate: a plate that crosses a band between two frames has crossed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.zones import Zones, is_far, rasterise, touches
from alpr_edge.simulator.camera import Camera
from alpr_edge.simulator.plate_paths import PlatePath, plate_paths
from alpr_edge.simulator.scene import street_camera, zone_set
from alpr_edge.simulator.traffic import TOUCHING_MIX, populate
from alpr_edge.simulator.vehicles import Vehicle
from alpr_edge.types import Detection, DropReason, Read, Sighting, TrackStep
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.zone_set import ZoneSet

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = (1280, 720)
DRAIN_S = 30.0
"""Street after the last vehicle's moment, so that everything has left and every hold has passed."""

TRUTH_FPS = 30.0
"""How often it is looked up whether a plate lies over a zone."""

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
    return _paths(drive, street_vehicles(drive))


def street_vehicles(drive: Drive) -> tuple[Vehicle, ...]:
    """Who drives on a drive's street, by vehicle id."""
    rng = np.random.default_rng([drive.seed, 1])
    return populate(rng, drive.duration_s, drive.vehicles, TOUCHING_MIX)


def _paths(drive: Drive, vehicles: tuple[Vehicle, ...]) -> tuple[PlatePath, ...]:
    camera, count = CAMERAS[drive.camera], drive.frame_count
    if not drive.engine.through:
        return plate_paths(camera, vehicles, fps=drive.fps, frame_count=count)
    # One by one: who sees through vehicles need not be told what they hide.
    alone = [plate_paths(camera, [one], fps=drive.fps, frame_count=count) for one in vehicles]
    return tuple(path for paths in alone for path in paths)


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


Steps = list[tuple[int, TrackStep]]


def tracked(drive: Drive, seen: Sequence[list[tuple[PlatePath, int]] | None]) -> Steps:
    """What the tracker makes of the sightings, with the frame's time; last of all its end."""
    tracker = Tracker(TrackerLimits(max_unseen_ns=800_000_000))
    steps: Steps = []
    taken_ns = 0
    for number, frame in enumerate(seen):
        if frame is None:
            continue
        taken_ns = round(number / drive.fps * 1e9)
        sightings = [
            Sighting(Detection(path.corners[i], 0.9), _read(path.plate), float(path.width_px[i]))
            for path, i in frame
        ]
        at = START + timedelta(microseconds=taken_ns // 1000)
        steps.append((taken_ns, tracker.step(sightings, captured_at=at, taken_ns=taken_ns)))
    return [*steps, (taken_ns, tracker.finish())]


def run(steps: Steps, gate: Gate) -> tuple[Counter[str], Counter[DropReason]]:
    """Judge. Returns how often each plate was released, and the drops."""
    released: Counter[str] = Counter()
    drops: Counter[DropReason] = Counter()
    *before, (_, last) = steps
    results = [gate.step(tracks, taken_ns) for taken_ns, tracks in before]
    for step in (*results, gate.shutdown(last)):
        released.update(one.track.read.plate for one in step.released)
        drops.update(drop.reason for drop in step.drops)
    return released, drops


def _read(plate: str) -> Read:
    return Read(plate, 0.95, (0.95,) * len(plate), None)


def gate_limits(drive: Drive) -> GateLimits:
    """The gate's defaults; slow cameras allow a pause of three frames."""
    return GateLimits(max_gap_ns=max(1_500_000_000, round(3.5e9 / drive.fps)))


def outcome(drive: Drive) -> Outcome:
    """Drive one clip with and without exclusion and compare both with the truth."""
    vehicles = street_vehicles(drive)
    paths = _paths(drive, vehicles)
    zones = street_zones(drive.camera)
    seen = sightings_of(drive, paths, zones)
    limits = gate_limits(drive)
    # The gate has no say in what the tracker does: it is followed once and judged twice.
    steps = tracked(drive, seen)
    kept, drops = run(steps, Gate(zones, limits))
    free = rasterise(ZoneSet(nothing_protected=True), size_px=SIZE, digest="none")
    without, _ = run(steps, Gate(free, limits))
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
        elif is_read and _lies_over(drive, vehicles[path.vehicle_id], zones):
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


def _lies_over(drive: Drive, vehicle: Vehicle, zones: Zones) -> bool:
    """Whether a vehicle's plate lies over what taints at any moment when it is in the frame."""
    count = round(drive.frame_count / drive.fps * TRUTH_FPS)
    paths = plate_paths(CAMERAS[drive.camera], [vehicle], fps=TRUTH_FPS, frame_count=count)
    return any(
        not is_far(zones, [path.corners[i]]) and touches(zones.band, path.corners[i])
        for path in paths
        for i in np.flatnonzero(path.in_frame > 0)
    )


def row_of(drive: Drive) -> dict[str, Any]:
    """One drive's counts as plain values."""
    found = outcome(drive)
    patterns: dict[str, list[int]] = {}
    for (pattern, touching, is_kept), count in found.by_pattern.items():
        one = patterns.setdefault(f"{pattern}, {'touches' if touching else 'free'}", [0, 0])
        one[0] += count
        one[1] += count * is_kept
    return {
        "seed": drive.seed,
        "engine": drive.engine.name,
        "camera": drive.camera,
        "fps": drive.fps,
        "lost_frames": drive.lost_frames,
        "touching": found.touching,
        "leaked": len(found.leaks),
        "readable": found.readable,
        "kept": found.kept,
        "parked": found.parked,
        "parked_kept": found.parked_kept,
        "beside": found.beside,
        "beside_kept": found.beside_kept,
        "patterns": patterns,
        "drops": {str(reason): count for reason, count in sorted(found.drops.items())},
        "leaks": [{"seed": d.seed, "vehicle": v, "pattern": p} for d, v, p in found.leaks],
    }
