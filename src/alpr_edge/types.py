"""The frozen values that flow, in the order of a frame's way.

    Frame → MaskedFrame → Detection → PlateCrop → Read → Track → (held) → ReleasedRead → Event

`MaskedFrame` is defined in `exclusion.mask`, `ReleasedRead` in `exclusion.gate`: only those modules
can build them. Nothing here does I/O, reads a clock or imports another room.

Units live in names: `_px` pixels of the frame, `_ns` nanoseconds of the monotonic clock, `_s`
seconds; `captured_at` and its like are aware UTC times. A quad is four corners clockwise from the
plate's own top left, `(4, 2)` float32, x then y, in pixels of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Quad = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture as the camera gave it. Nothing may look at it before the mask.

    Attributes:
        image: `(H, W, 3)` uint8 BGR, C-contiguous, writable: the mask blanks it in place.
        source: name of the camera or file, for people.
        sequence: number of the frame within its source, from 0.
        captured_at: aware UTC time of capture.
        taken_ns: monotonic time of capture, for rates and holds. Never goes back.
    """

    image: Image
    source: str
    sequence: int
    captured_at: datetime
    taken_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A plate found in a masked frame.

    Attributes:
        quad: its corners, see the module's docstring.
        score: 0..1.
    """

    quad: Quad
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class PlateCrop:
    """A plate straightened for the recogniser.

    Attributes:
        image: `(64, 160)` uint8 grey.
        detection: where it was.
        sharpness: variance of the Laplacian of the crop, for weighing votes.
    """

    image: Image
    detection: Detection
    sharpness: float


@dataclass(frozen=True, slots=True)
class Region:
    """Issuer of a plate: `us-ca`, `mx`, `de`, … with the recogniser's confidence 0..1."""

    code: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Read:
    """Text of one plate: upper-case A-Z0-9 without separators, one confidence per character.

    Attributes:
        ambiguous: places of O, 0, I or 1 where neither shape nor serial pattern decided.
    """

    plate: str
    confidence: float
    char_confidences: tuple[float, ...]
    region: Region | None
    ambiguous: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One detection with its read in one frame, before it has a track."""

    detection: Detection
    read: Read | None
    sharpness: float


@dataclass(frozen=True, slots=True, eq=False)
class TrackPoint:
    """Where a track was seen in the current frame.

    Attributes:
        text: the track's most confident text so far, for the gate alone: it tells it that two
            tracks may be one vehicle. Never shown.
        on_protected_ground: the vehicle may stand on ground that taints (`exclusion.ground`).
    """

    track_id: int
    quad: Quad
    text: str = field(default="", repr=False)
    on_protected_ground: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ClosedTrack:
    """A vehicle's pass, complete: the voted read and where it was seen.

    Attributes:
        quad: corners in the frame of the best sighting.
        frames: sightings in the track.
        agreeing: sightings whose text equals the voted one.
        first_quad, last_quad: where it appeared and vanished.
    """

    track_id: int
    read: Read
    quad: Quad
    first_quad: Quad
    last_quad: Quad
    first_seen: datetime
    last_seen: datetime
    frames: int
    agreeing: int


@dataclass(frozen=True, slots=True, eq=False)
class TrackStep:
    """What one frame did to the tracks.

    Attributes:
        points: every track seen in this frame.
        closed: tracks that ended with a read.
        unread: ids of tracks that ended without one (too few or too weak sightings).
        overflow: the tracker had to give up tracks; the gate suppresses what it cannot follow.
    """

    points: tuple[TrackPoint, ...]
    closed: tuple[ClosedTrack, ...]
    unread: tuple[int, ...]
    overflow: bool = False


@dataclass(frozen=True, slots=True)
class GnssFix:
    """Where a satellite receiver says that it is.

    Attributes:
        place: longitude, latitude in degrees, WGS 84.
        taken_ns: monotonic time at which the fix arrived.
        is_valid: whether the receiver itself calls it a fix.
        accuracy_m: radius that holds the true place in 95 of 100 cases; infinite where not known.
        satellites: used.
        speed_mps, course_deg: over ground; None where not stated.
        heading_deg, heading_error_deg: of the vehicle, from two antennas or a compass.
        gnss_time: UTC by the satellites.
    """

    place: tuple[float, float]
    taken_ns: int
    is_valid: bool
    accuracy_m: float
    satellites: int
    speed_mps: float | None = None
    course_deg: float | None = None
    heading_deg: float | None = None
    heading_error_deg: float | None = None
    gnss_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeadPosition:
    """Where a pan-tilt head points: clockwise from its zero, up from the horizon, degrees."""

    pan_deg: float
    tilt_deg: float
    error_deg: float


class DropReason(StrEnum):
    """Why something was not published. Nothing vanishes without one of these."""

    TOUCHES_MASK = "touches_mask"
    TOUCHES_BAND = "touches_band"
    PROTECTED_GROUND = "protected_ground"
    CROSSES_GATE = "crosses_gate"
    STARTED_IN_VIEW = "started_in_view"
    ENDED_IN_VIEW = "ended_in_view"
    KIN_TAINTED = "kin_tainted"
    OVERFLOW = "overflow"
    SHUTDOWN = "shutdown"
    VIEW_UNPROVEN = "view_unproven"
    STOPPED = "stopped"
    FRAME_GAP = "frame_gap"
    HELD_TOO_LONG = "held_too_long"
    WEAK_READ = "weak_read"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Drop:
    """One suppressed or discarded track. Says why, never what."""

    reason: DropReason
