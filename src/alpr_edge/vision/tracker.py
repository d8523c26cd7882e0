"""The tracker: sightings of one frame after the other become passes of vehicles.

Constant-velocity prediction of the quad, greedy assignment by distance in plate widths, and the
text as a second witness: a far jump is believed only where the texts are alike. Sightings that are
ambiguous start a new track; a wrong split costs a read, a wrong join could mix two plates.

It does not judge zones: `exclusion.gate` does, on what `step` returns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from alpr_edge.types import ClosedTrack, Quad, Read, Sighting, TrackPoint, TrackStep
from alpr_edge.vision.voting import vote

MAX_VOTES = 64
"""Reads kept of one track; beyond it the weakest goes. Bounds memory for parked cars."""


@dataclass(frozen=True, slots=True)
class TrackerLimits:
    """How sightings are joined.

    Attributes:
        max_unseen_ns: a track not seen for longer has ended.
        max_track_ns: a track open for longer (a parked car) is closed; its vehicle stays silent.
        min_sightings: tracks with fewer reads yield nothing.
        near_widths: how far from its prediction a known track may be seen, in plate widths.
        jump_widths_per_s: how fast a vehicle without known speed may move.
        max_tracks: open at once; beyond it new sightings are refused and `overflow` is set.
    """

    max_unseen_ns: int = 1_000_000_000
    max_track_ns: int = 120_000_000_000
    min_sightings: int = 2
    near_widths: float = 1.5
    jump_widths_per_s: float = 25.0
    max_tracks: int = 128


@dataclass(slots=True, eq=False)
class _Open:
    track_id: int
    quad: Quad
    seen_ns: int
    first_quad: Quad
    first_ns: int
    first_seen: datetime
    last_seen: datetime
    velocity: Quad | None = None
    sightings: int = 0
    votes: list[tuple[Read, float]] = field(default_factory=list)
    best_quad: Quad | None = None
    best_weight: float = -1.0
    best_text: str = ""
    spent: bool = False


class Tracker:
    """Follows plates through the frames of one camera."""

    def __init__(self, limits: TrackerLimits | None = None) -> None:
        self._limits = limits or TrackerLimits()
        self._open: list[_Open] = []
        self._next_id = 1

    def step(
        self, sightings: Sequence[Sighting], *, captured_at: datetime, taken_ns: int
    ) -> TrackStep:
        """Join one frame's sightings to the tracks and close those that have ended."""
        overflow = False
        pairs = self._assign(sightings, taken_ns)
        points: list[TrackPoint] = []
        for index, sighting in enumerate(sightings):
            track = pairs.get(index)
            if track is None:
                if len(self._open) >= self._limits.max_tracks:
                    overflow = True
                    continue
                track = self._begin(sighting, captured_at, taken_ns)
            self._extend(track, sighting, captured_at, taken_ns)
            points.append(TrackPoint(track.track_id, track.quad, track.best_text))
        closed, unread = self._end_old(taken_ns)
        return TrackStep(tuple(points), closed, unread, overflow)

    def finish(self) -> TrackStep:
        """The source has ended: close every track."""
        ended, self._open = self._open, []
        closed, unread = self._close(ended)
        return TrackStep((), closed, unread)

    def _assign(self, sightings: Sequence[Sighting], now_ns: int) -> dict[int, _Open]:
        offers = []
        for track in self._open:
            for index, sighting in enumerate(sightings):
                cost = self._cost(track, sighting, now_ns)
                if cost is not None:
                    offers.append((cost, track.track_id, index, track))
        offers.sort(key=lambda o: o[:3])
        pairs: dict[int, _Open] = {}
        taken: set[int] = set()
        for _, track_id, index, track in offers:
            if index not in pairs and track_id not in taken:
                pairs[index] = track
                taken.add(track_id)
        return pairs

    def _cost(self, track: _Open, sighting: Sighting, now_ns: int) -> float | None:
        """Distance in plate widths, or None where it cannot be the same vehicle."""
        gap_s = (now_ns - track.seen_ns) / 1e9
        quad = sighting.detection.quad
        predicted = track.quad
        if track.velocity is not None:
            predicted = track.quad + track.velocity * min(gap_s, 0.5)
        width = max(float(np.ptp(track.quad[:, 0])), float(np.ptp(quad[:, 0])), 4.0)
        distance = float(np.hypot(*(quad.mean(0) - predicted.mean(0)))) / width
        was = max(float(np.ptp(predicted[:, 0])), 1.0)
        growth = abs(math.log(max(float(np.ptp(quad[:, 0])), 1.0) / was))
        if not growth < 0.7 or not np.isfinite(distance):
            return None
        near = self._limits.near_widths * (1.0 + gap_s)
        alike = _same_text(track, sighting)
        if alike is False:
            return None
        if distance <= near:
            return distance + growth - (0.5 if alike else 0.0)
        far = self._limits.jump_widths_per_s * gap_s + near
        return distance + growth if alike and distance <= far else None

    def _begin(self, sighting: Sighting, captured_at: datetime, now_ns: int) -> _Open:
        quad = sighting.detection.quad
        track = _Open(self._next_id, quad, now_ns, quad, now_ns, captured_at, captured_at)
        self._next_id += 1
        self._open.append(track)
        return track

    def _extend(self, track: _Open, sighting: Sighting, captured_at: datetime, now_ns: int) -> None:
        quad = sighting.detection.quad
        gap_s = (now_ns - track.seen_ns) / 1e9
        if gap_s > 0:
            speed = (quad - track.quad) / np.float32(gap_s)
            if track.velocity is not None:
                speed = np.float32(0.5) * (track.velocity + speed)
            track.velocity = np.asarray(speed, np.float32)
        track.quad, track.seen_ns, track.last_seen = quad, now_ns, captured_at
        track.sightings += 1
        read = sighting.read
        if read is None or track.spent:
            return
        weight = read.confidence * float(np.log1p(sighting.sharpness))
        track.votes.append((read, weight + 1e-6))
        if len(track.votes) > MAX_VOTES:
            track.votes.remove(min(track.votes, key=lambda v: v[1]))
        if weight > track.best_weight:
            track.best_quad, track.best_weight, track.best_text = quad, weight, read.plate

    def _end_old(self, now_ns: int) -> tuple[tuple[ClosedTrack, ...], tuple[int, ...]]:
        limits = self._limits
        ended = [t for t in self._open if now_ns - t.seen_ns > limits.max_unseen_ns]
        self._open = [t for t in self._open if now_ns - t.seen_ns <= limits.max_unseen_ns]
        parked = [
            t for t in self._open if not t.spent and now_ns - t.first_ns > limits.max_track_ns
        ]
        closed, unread = self._close(ended + parked)
        for track in parked:
            # The gate has seen this id end; the vehicle goes on under a new one, without a voice.
            track.track_id, track.spent, track.votes = self._next_id, True, []
            self._next_id += 1
        return closed, unread

    def _close(self, ended: list[_Open]) -> tuple[tuple[ClosedTrack, ...], tuple[int, ...]]:
        closed, unread = [], []
        for track in ended:
            if track.spent or len(track.votes) < self._limits.min_sightings:
                unread.append(track.track_id)
                continue
            read, agreeing = vote(track.votes)
            closed.append(
                ClosedTrack(
                    track_id=track.track_id,
                    read=read,
                    quad=track.quad if track.best_quad is None else track.best_quad,
                    first_quad=track.first_quad,
                    last_quad=track.quad,
                    first_seen=track.first_seen,
                    last_seen=track.last_seen,
                    frames=track.sightings,
                    agreeing=agreeing,
                )
            )
        return tuple(closed), tuple(unread)


def _same_text(track: _Open, sighting: Sighting) -> bool | None:
    """True: texts are alike. False: both are sure and differ. None: cannot be said."""
    if sighting.read is None or not track.votes:
        return None
    best = max(track.votes, key=lambda v: v[0].confidence)[0]
    new = sighting.read
    same = sum(a == b for a, b in zip(best.plate, new.plate, strict=False))
    longest = max(len(best.plate), len(new.plate))
    if longest - same <= max(1, longest // 3):
        return True
    return False if min(best.confidence, new.confidence) > 0.6 else None
