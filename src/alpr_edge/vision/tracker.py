"""The tracker: sightings of one frame after the other become passes of vehicles. Pure.

A Kalman filter on the corners says where a plate will be (`motion`), the cheapest pairing says
which sighting continues which track (`assignment`), and the text is a second witness: a far jump is
believed only where the texts are alike, and no pair is made of texts that are surely different.

Every doubt splits rather than mixes: a wrong split costs a read, a wrong join could mix two plates.

- Where one sighting fits two tracks nearly as well (or one track two sightings) and no text
  decides, it begins a new track, and the tracks in question go on only with a text like their own.
- A track whose reads still tell of two vehicles ends without a read.
- A plate that is found twice in one frame, with like texts, has a voice once.
- A vehicle that stays where a track has ended, with a like text, goes on without a voice: a parked
  car is one read, however often something passes before it.

It does not judge zones: `exclusion.gate` does, on what `step` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import ClosedTrack, Quad, Read, Sighting, TrackPoint, TrackStep
from alpr_edge.vision.assignment import assign
from alpr_edge.vision.motion import Motion, width_of
from alpr_edge.vision.voting import SURE, alike, is_torn, vote

MAX_VOTES = 64
"""Reads kept of one track; beyond it the weakest goes. Bounds memory for parked cars."""

DOUBT = 0.35
"""Two pairings whose costs differ by less, in plate widths, cannot be told apart."""

MAX_COST = 60.0
"""Dearest pairing, in plate widths: a jump of `jump_widths_per_s` over the longest gap."""

NEW_TEXT = 0.5
"""What a pairing costs more whose texts say nothing, or are missing."""

DOUBLE_WIDTHS = 0.6
"""Two plates cannot be nearer to each other than so many plate widths."""

STILL_WIDTHS_PER_S = 0.5
"""A vehicle slower than this when it was last seen is parked."""

PARKED_NS = 600_000_000_000
"""How long a parked vehicle is known again after it was last seen (ten minutes, in RAM)."""


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
    motion: Motion
    quad: Quad
    seen_ns: int
    first_quad: Quad
    first_ns: int
    first_seen: datetime
    last_seen: datetime
    sightings: int = 0
    votes: list[tuple[Read, float]] = field(default_factory=list)
    best_quad: Quad | None = None
    best_weight: float = -1.0
    best_text: str = ""
    best_sure: float = 0.0
    spent: bool = False
    doubtful: bool = False
    double: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Parked:
    """Where a parked vehicle was last seen, and what it was read as."""

    quad: Quad
    text: str = field(repr=False)
    seen_ns: int


class Tracker:
    """Follows plates through the frames of one camera."""

    def __init__(self, limits: TrackerLimits | None = None) -> None:
        self._limits = limits or TrackerLimits()
        self._open: list[_Open] = []
        self._parked: list[_Parked] = []
        self._next_id = 1

    def step(
        self, sightings: Sequence[Sighting], *, captured_at: datetime, taken_ns: int
    ) -> TrackStep:
        """Join one frame's sightings to the tracks and close those that have ended."""
        pairs = self._pair(sightings, taken_ns)
        for index, track in pairs.items():
            self._extend(track, sightings[index], captured_at, taken_ns)
        for index, sighting in enumerate(sightings):
            if index not in pairs and len(self._open) < self._limits.max_tracks:
                track = self._begin(sighting, captured_at, taken_ns)
                self._extend(track, sighting, captured_at, taken_ns)
                pairs[index] = track
        points = tuple(
            TrackPoint(pairs[i].track_id, pairs[i].quad, pairs[i].best_text) for i in sorted(pairs)
        )
        closed, unread = self._end_old(taken_ns)
        return TrackStep(points, closed, unread, overflow=len(pairs) < len(sightings))

    def finish(self) -> TrackStep:
        """The source has ended: close every track."""
        ended, self._open = self._open, []
        self._parked.clear()
        closed, unread = self._close(ended)
        return TrackStep((), closed, unread)

    def _pair(self, sightings: Sequence[Sighting], now_ns: int) -> dict[int, _Open]:
        """Sighting → the track that it continues; sightings in doubt are left out."""
        pairs: dict[int, _Open] = {}
        if not self._open or not sightings:
            return pairs
        costs, sure = self._costs(sightings, now_ns)
        for row, column in assign(costs, MAX_COST):
            rivals = _rivals(costs, sure, row, column)
            if rivals:
                for rival in rivals:
                    self._open[rival].doubtful = True
            else:
                pairs[column] = self._open[row]
        return pairs

    def _costs(
        self, sightings: Sequence[Sighting], now_ns: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Distances in plate widths, track by sighting, infinite where it cannot be the same
        vehicle; and whether the texts say that it is."""
        gaps_s = np.array([max(now_ns - t.seen_ns, 0) / 1e9 for t in self._open])
        # After half a second the speed is no longer believed, only the uncertainty grows.
        ahead = [
            t.motion.ahead(min(float(gap), 0.5)) for t, gap in zip(self._open, gaps_s, strict=True)
        ]
        predicted = np.stack([quad for quad, _ in ahead])
        seen = np.stack([s.detection.quad for s in sightings])
        was, now = _widths(predicted), _widths(seen)
        last = _widths(np.stack([t.quad for t in self._open]))
        width = np.maximum(last[:, None], now[None])
        away = (seen.mean(1)[None] - predicted.mean(1)[:, None]).astype(np.float64)
        distance = np.hypot(away[..., 0], away[..., 1]) / width
        growth = np.abs(np.log(now[None] / was[:, None]))
        near = self._limits.near_widths * (1.0 + gaps_s)[:, None]
        spread = np.array([deviation for _, deviation in ahead])[:, None] / width
        close = distance <= np.minimum(near, 0.5 + 3.0 * spread)
        far = distance <= near + self._limits.jump_widths_per_s * gaps_s[:, None]
        costs, sure = np.full(distance.shape, np.inf), np.zeros(distance.shape, bool)
        for row, column in np.argwhere((growth < 0.7) & far):
            track = self._open[row]
            known = _same_text(track, sightings[column])
            if known is False or (not known and (track.doubtful or not close[row, column])):
                continue
            cost = distance[row, column] + growth[row, column]
            costs[row, column] = cost + (0.0 if known else NEW_TEXT)
            sure[row, column] = bool(known)
        return costs, sure

    def _begin(self, sighting: Sighting, captured_at: datetime, now_ns: int) -> _Open:
        quad = sighting.detection.quad
        track = _Open(
            self._next_id, Motion(quad), quad, now_ns, quad, now_ns, captured_at, captured_at
        )
        self._next_id += 1
        # The detector found one plate twice: its second track goes along without a voice.
        track.double = any(_is_double(sighting, t) for t in self._open if t.seen_ns == now_ns)
        track.spent = track.double
        self._open.append(track)
        return track

    def _extend(self, track: _Open, sighting: Sighting, captured_at: datetime, now_ns: int) -> None:
        quad = sighting.detection.quad
        if track.sightings and np.isfinite(quad).all():
            track.motion.correct(quad, max(now_ns - track.seen_ns, 0) / 1e9)
        track.quad, track.seen_ns, track.last_seen = quad, now_ns, captured_at
        track.sightings += 1
        read = sighting.read
        if read is None:
            return
        if read.confidence > track.best_sure:
            track.best_text, track.best_sure = read.plate, read.confidence
        if not track.votes:
            track.spent = track.spent or self._is_parked(quad, read.plate)
        if track.spent:
            return
        sharpness = float(np.log1p(max(sighting.sharpness, 0.0)))
        track.votes.append((read, sharpness))
        if len(track.votes) > MAX_VOTES:
            track.votes.remove(min(track.votes, key=lambda v: v[1] * v[0].confidence))
        if read.confidence * sharpness > track.best_weight:
            track.best_quad, track.best_weight = quad, read.confidence * sharpness

    def _is_parked(self, quad: Quad, text: str) -> bool:
        return any(
            float(np.hypot(*(quad.mean(0) - p.quad.mean(0)))) <= width_of(p.quad)
            and alike(text, p.text)
            for p in self._parked
        )

    def _end_old(self, now_ns: int) -> tuple[tuple[ClosedTrack, ...], tuple[int, ...]]:
        limits = self._limits
        ended = [t for t in self._open if now_ns - t.seen_ns > limits.max_unseen_ns]
        self._open = [t for t in self._open if now_ns - t.seen_ns <= limits.max_unseen_ns]
        too_long = [
            t for t in self._open if not t.spent and now_ns - t.first_ns > limits.max_track_ns
        ]
        closed, unread = self._close(ended + too_long)
        for track in too_long:
            # The gate has seen this id end; the vehicle goes on under a new one, without a voice.
            track.track_id, track.spent, track.votes = self._next_id, True, []
            self._next_id += 1
        self._remember(ended, {c.track_id for c in closed}, now_ns)
        return closed, unread

    def _remember(self, ended: Sequence[_Open], told: set[int], now_ns: int) -> None:
        """Know parked vehicles again that have had their read."""
        for track in ended:
            speed = float(np.abs(track.motion.speed).max()) / width_of(track.quad)
            has_had_its_read = track.track_id in told or (track.spent and not track.double)
            if has_had_its_read and speed <= STILL_WIDTHS_PER_S:
                self._parked.append(_Parked(track.quad, track.best_text, track.seen_ns))
        kept = [p for p in self._parked if now_ns - p.seen_ns <= PARKED_NS]
        self._parked = kept[-self._limits.max_tracks :]

    def _close(self, ended: list[_Open]) -> tuple[tuple[ClosedTrack, ...], tuple[int, ...]]:
        closed, unread = [], []
        for track in ended:
            if track.spent or len(track.votes) < self._limits.min_sightings:
                unread.append(track.track_id)
                continue
            read, agreeing = vote(track.votes)
            if is_torn(track.votes, read.plate):
                unread.append(track.track_id)
                continue
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


def _is_double(sighting: Sighting, track: _Open) -> bool:
    """Whether a sighting lies on a track's place in the same frame, and reads alike."""
    if sighting.read is None or not track.best_text:
        return False
    quad = sighting.detection.quad
    distance = float(np.hypot(*(quad.mean(0) - track.quad.mean(0))))
    near = distance <= DOUBLE_WIDTHS * max(width_of(quad), width_of(track.quad))
    return near and alike(sighting.read.plate, track.best_text)


def _widths(quads: NDArray[np.float32]) -> NDArray[np.float64]:
    extents = quads[..., 0].max(1) - quads[..., 0].min(1)
    return np.asarray(np.maximum(extents, 4.0), np.float64)


def _rivals(costs: NDArray[np.float64], sure: NDArray[np.bool_], row: int, column: int) -> set[int]:
    """The tracks that are in doubt if `row` takes `column`; none where it is clear.

    A like text settles it: other tracks with a like text are kin for the gate, and their votes give
    one of the texts, never both.
    """
    if sure[row, column]:
        return set()
    most = costs[row, column] + DOUBT
    tracks = {int(r) for r in np.flatnonzero(costs[:, column] < most)} - {row}
    others = {int(c) for c in np.flatnonzero(costs[row] < most)} - {column}
    return tracks | {row} if tracks or others else set()


def _same_text(track: _Open, sighting: Sighting) -> bool | None:
    """True: texts are alike. False: both are sure and differ. None: cannot be said."""
    new = sighting.read
    if new is None or not track.best_text:
        return None
    if alike(track.best_text, new.plate):
        return True
    return False if min(track.best_sure, new.confidence) >= SURE else None
