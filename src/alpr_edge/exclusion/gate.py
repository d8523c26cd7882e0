"""The release gate: the last judge of a track, and the only source of a `ReleasedRead`.

Guarantee N2: a track that touches, starts beside or ends beside a protected zone yields nothing,
neither for the time before nor after. A read waits here, in RAM, until its track has closed and
the hold has passed untainted; then it is released once. Everything else is a `Drop` with a reason.

Rules, where a zone is in view (without one, a closed track is released at once):

1. Touch is any overlap of the grown plate quad with core mask or taint band, or of the hull swept
   between two sightings: a fast vehicle cannot jump over the band.
2. A pass begins and ends at the frame's border, or so near that its own motion of the last frames
   carries it there. A track that appears or vanishes anywhere else is suppressed: it may have come
   from the premises, or may be on its way there behind a tree. A small plate is no exception: it
   may be far away, or near and turning. The way to the border may not touch the band.
3. Tracks that may be one vehicle are kin: one begins within reach of where the other was last seen;
   they come close to each other; or their texts, as far as read, are alike. Kin of kin are kin. If
   one is tainted, all are; none leaves before all have closed and their holds have passed.
4. A gap in the frames, a clock step, a lost or overflowing tracker and a shutdown suppress what is
   open or held.
5. Any doubt suppresses. Nothing here ever clears a taint.

States of a track: open → (tainted) → closing (closed, on hold) → released | destroyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from alpr_edge.exclusion.zones import Zones, crosses, grow, touches
from alpr_edge.types import ClosedTrack, Drop, DropReason, Quad, Sighting, TrackStep

_SEAL = object()
_FOLD = str.maketrans("OQDIZSBG", "00012586")
"""Characters that are mistaken for each other count as the same when texts are compared."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """When a read may leave.

    Attributes:
        hold_ns: how long a closed track waits for kin.
        max_gap_ns: longest pause between frames across which tracks are believed.
        border: share of the frame's width and height that counts as its border.
        unseen_frames: how many frames a plate may go unseen while it crosses the border.
        unseen_widths: how far it may get meanwhile at the most, in plate widths.
        reach_widths: how many plate widths a vehicle may move unseen, plus as many a second.
        near_widths: two plates seen at once nearer than so many plate widths are kin.
        max_size_ratio: how much larger or smaller, in width and height both, a plate may look from
            one sighting to the next and still be the same.
        max_held: tracks kept at the most; beyond it everything held is suppressed.
        max_hold_ns: a read that has waited longer for its kin to close is destroyed.
        remember_ns: how long the text of a suppressed track is kept, in RAM, to know the vehicle
            again should it be seen under another track.
    """

    hold_ns: int = 4_000_000_000
    max_hold_ns: int = 120_000_000_000
    remember_ns: int = 30_000_000_000
    max_gap_ns: int = 1_500_000_000
    border: float = 0.04
    unseen_frames: float = 3.0
    unseen_widths: float = 2.0
    reach_widths: float = 3.0
    near_widths: float = 1.0
    max_size_ratio: float = 2.5
    max_held: int = 512


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReleasedRead:
    """A read that may leave the device. Built by this module only.

    Attributes:
        track: the vehicle's pass with its voted read.
        mask_digest: the mask record under which it was judged.
    """

    track: ClosedTrack
    mask_digest: str
    _seal: object

    def __post_init__(self) -> None:
        if self._seal is not _SEAL:
            raise TypeError("only alpr_edge.exclusion.gate builds a ReleasedRead")


@dataclass(frozen=True, slots=True)
class GateStep:
    """What one frame let go: releases, and drops with their reasons."""

    released: tuple[ReleasedRead, ...] = ()
    drops: tuple[Drop, ...] = ()


@dataclass(slots=True, eq=False)
class _Pass:
    """What the gate knows of one track."""

    track_id: int
    quad: Quad
    seen_ns: int
    motion: Quad
    has_begun: bool = False
    taint: DropReason | None = None
    is_open: bool = True
    has_left: bool = False
    closed: ClosedTrack | None = None
    closed_ns: int = 0
    is_settled: bool = False
    text: str = ""
    kin: set[int] = field(default_factory=set)


class Gate:
    """Follows the tracks of one camera and decides what is released.

    Pure: time comes in with each step, nothing goes out but the result.
    """

    def __init__(self, zones: Zones, limits: GateLimits) -> None:
        self._zones = zones
        self._limits = limits
        self._protected = zones.protected
        self._passes: dict[int, _Pass] = {}
        self._last_ns: int | None = None
        self._tick_ns = 0

    def step(self, tracks: TrackStep, taken_ns: int) -> GateStep:
        """Take in what one frame did to the tracks; `taken_ns` is the frame's monotonic time."""
        drops: list[Drop] = []
        released: list[ReleasedRead] = []
        if not self._protected:
            unread = (Drop(DropReason.UNREAD),) * len(tracks.unread)
            return GateStep(tuple(self._release(c) for c in tracks.closed), unread)
        self._check_time(taken_ns)
        # Known tracks first: only those not seen in this frame can be a new one's earlier self.
        for point in sorted(tracks.points, key=lambda p: p.track_id not in self._passes):
            self._see(point.track_id, point.quad, taken_ns)
            self._hear(self._passes[point.track_id], point.text)
        self._link_close_ones(taken_ns)
        if tracks.overflow or len(self._passes) > self._limits.max_held:
            self._taint(self._passes.values(), DropReason.OVERFLOW)
        for closed in tracks.closed:
            self._close(closed.track_id, closed, taken_ns, drops)
        for track_id in tracks.unread:
            self._close(track_id, None, taken_ns, drops)
        self._settle(taken_ns, released, drops)
        return GateStep(tuple(released), tuple(drops))

    def shutdown(self, last: TrackStep) -> GateStep:
        """The source ends: release what needs no hold, destroy all that is open or held."""
        unread = (Drop(DropReason.UNREAD),) * len(last.unread)
        if not self._protected:
            return GateStep(tuple(self._release(c) for c in last.closed), unread)
        held = self.held
        self._passes.clear()
        drops = (Drop(DropReason.SHUTDOWN),) * (held + len(last.closed))
        return GateStep(drops=drops + unread)

    @property
    def held(self) -> int:
        """Number of closed reads that wait for release."""
        return sum(1 for p in self._passes.values() if p.closed is not None)

    def _check_time(self, now_ns: int) -> None:
        last, self._last_ns = self._last_ns, now_ns
        self._tick_ns = now_ns - last if last is not None else 0
        if last is not None and not 0 <= now_ns - last <= self._limits.max_gap_ns:
            self._taint(self._passes.values(), DropReason.FRAME_GAP)

    def _see(self, track_id: int, quad: Quad, now_ns: int) -> None:
        known = self._passes.get(track_id)
        if known is None:
            known = _Pass(track_id, quad, now_ns, np.zeros_like(quad))
            self._passes[track_id] = known
            self._find_kin(known, now_ns, with_gap=False)
            self._judge_touch(known, (quad,))
            return
        # Motion of one frame, also where the plate was not seen for some.
        elapsed_ns = max(now_ns - known.seen_ns, 1)
        motion = (quad - known.quad) * np.float32(min(1.0, self._tick_ns / elapsed_ns))
        if not known.has_begun:
            # Where it came from shows with the second sighting.
            known.has_begun = True
            if not self._judge_end(known, known.quad, -motion, DropReason.STARTED_IN_VIEW):
                self._find_kin(known, known.seen_ns, with_gap=True)
        self._judge_touch(known, (known.quad, quad))
        known.quad, known.motion, known.seen_ns = quad, motion, now_ns

    def _judge_touch(self, one: _Pass, quads: Sequence[Quad]) -> None:
        swept = np.concatenate([grow(q) for q in quads])
        if touches(self._zones.core, swept):
            self._taint([one], DropReason.TOUCHES_MASK)
        elif touches(self._zones.band, swept):
            self._taint([one], DropReason.TOUCHES_BAND)
        elif any(crosses(line, quads[0], quads[-1]) for line in self._zones.one_way):
            self._taint([one], DropReason.CROSSES_GATE)

    def _judge_end(self, one: _Pass, quad: Quad, motion: Quad, reason: DropReason) -> bool:
        """Whether a pass may begin or end at `quad`, moving by `motion` a frame; taints if not.

        Returns:
            Whether its motion carries it out of the frame.
        """
        if not np.isfinite(quad).all():
            self._taint([one], reason)
            return False
        width = float(np.ptp(quad[:, 0]))
        step = motion.mean(0) * self._limits.unseen_frames
        longest = self._limits.unseen_widths * width
        beyond = quad + step * min(1.0, longest / max(float(np.hypot(*step)), 1e-6))
        if self._within_border(beyond, 0.0):
            if self._within_border(quad, self._limits.border):
                self._taint([one], reason)
            return False
        self._judge_touch(one, (quad, beyond))
        return True

    def _within_border(self, quad: Quad, border: float) -> bool:
        """Whether no corner lies in the border strip, or beyond the edge."""
        size = np.array([self._zones.width_px, self._zones.height_px], np.float32)
        edge = border * size
        return not bool((quad.min(0) <= edge).any() or (quad.max(0) >= size - edge).any())

    def _find_kin(self, new: _Pass, now_ns: int, *, with_gap: bool) -> None:
        """Link a new track with every other that may be the same vehicle, seen a moment ago.

        Args:
            new: at its first quad.
            now_ns: when that was.
            with_gap: the vehicle did not come from outside the frame, so it may have moved on
                unseen for as long as the other has not been seen.
        """
        for other in self._passes.values():
            if other is new or other.is_settled or other.seen_ns >= now_ns:
                continue
            if with_gap and other.has_left:
                continue
            gap_s = (now_ns - other.seen_ns) / 1e9 if with_gap else 0.0
            width = max(np.ptp(other.quad[:, 0]), np.ptp(new.quad[:, 0]))
            distance = float(np.hypot(*(new.quad.mean(0) - other.quad.mean(0))))
            if not with_gap and _size_ratio(new.quad, other.quad) > self._limits.max_size_ratio:
                continue
            if not distance > self._limits.reach_widths * (1.0 + gap_s) * float(width):
                self._link(new, other)
                self._judge_touch(new, (other.quad, new.quad))

    def _link_close_ones(self, now_ns: int) -> None:
        """Two plates seen at once, very near: one may take over the other's track."""
        seen = [p for p in self._passes.values() if p.is_open and p.seen_ns == now_ns]
        for i, one in enumerate(seen):
            for other in seen[:i]:
                width = max(np.ptp(one.quad[:, 0]), np.ptp(other.quad[:, 0]))
                distance = float(np.hypot(*(one.quad.mean(0) - other.quad.mean(0))))
                if not distance > self._limits.near_widths * float(width):
                    self._link(one, other)

    def _hear(self, one: _Pass, plate: str) -> None:
        """Link a track with all that have a text like its own."""
        text = plate.translate(_FOLD)
        if not text or text == one.text:
            return
        one.text = text
        for other in self._passes.values():
            if other is not one and other.text and _alike(other.text, text):
                self._link(one, other)

    def _close(
        self, track_id: int, closed: ClosedTrack | None, now_ns: int, drops: list[Drop]
    ) -> None:
        one = self._passes.get(track_id)
        if one is None:
            # Never seen open: it cannot be judged.
            if closed is not None:
                drops.append(Drop(DropReason.STARTED_IN_VIEW))
            return
        one.is_open, one.closed, one.closed_ns = False, closed, now_ns
        if not one.has_begun:
            self._judge_end(one, one.quad, one.motion, DropReason.STARTED_IN_VIEW)
        one.has_left = self._judge_end(one, one.quad, one.motion, DropReason.ENDED_IN_VIEW)
        if closed is None:
            drops.append(Drop(one.taint or DropReason.UNREAD))
        else:
            self._hear(one, closed.read.plate)

    def _link(self, one: _Pass, other: _Pass) -> None:
        one.kin.add(other.track_id)
        other.kin.add(one.track_id)
        for source, target in ((one, other), (other, one)):
            if source.taint is not None:
                self._taint([target], DropReason.KIN_TAINTED)

    def _taint(self, passes: Iterable[_Pass], reason: DropReason) -> None:
        waiting = [(p, reason) for p in passes]
        while waiting:
            one, why = waiting.pop()
            if one.taint is not None:
                continue
            one.taint = why
            waiting += [
                (self._passes[k], DropReason.KIN_TAINTED) for k in one.kin if k in self._passes
            ]

    def _settle(self, now_ns: int, released: list[ReleasedRead], drops: list[Drop]) -> None:
        """Decide every closed track whose hold, and that of all its kin, has passed."""
        due = {
            p.track_id
            for p in self._passes.values()
            if not p.is_open and now_ns - p.closed_ns > self._limits.hold_ns
        }
        too_long_ns = now_ns - self._limits.max_hold_ns
        late = [p for p in self._passes.values() if p.closed and p.closed_ns < too_long_ns]
        self._taint(late, DropReason.HELD_TOO_LONG)
        for one in [self._passes[i] for i in sorted(due)]:
            waiting = one.taint is None and not self._family(one) <= due
            if one.is_settled or waiting:
                continue
            one.is_settled = True
            if one.closed is not None and one.taint is None:
                released.append(self._release(one.closed))
            elif one.closed is not None and one.taint is not None:
                drops.append(Drop(one.taint))
            one.closed = None
        self._forget(now_ns)

    def _family(self, one: _Pass) -> set[int]:
        """The ids of a track, its kin and theirs, as far as they are known."""
        family, found = {one.track_id}, [one.track_id]
        while found:
            new = {k for k in self._passes[found.pop()].kin if k in self._passes} - family
            family |= new
            found += new
        return family

    def _forget(self, now_ns: int) -> None:
        keep_ns = self._limits.remember_ns
        self._passes = {
            p.track_id: p
            for p in self._passes.values()
            if not p.is_settled or (p.taint is not None and now_ns - p.closed_ns <= keep_ns)
        }

    def _release(self, track: ClosedTrack) -> ReleasedRead:
        return ReleasedRead(track, self._zones.digest, _SEAL)


def judge_still(
    zones: Zones, sightings: Sequence[Sighting]
) -> tuple[tuple[Sighting, ...], tuple[Drop, ...]]:
    """Which sightings of a single photo may be shown, and a drop for each that may not.

    A photo has no before and after: what touches the core mask is suppressed.
    """
    shown = tuple(s for s in sightings if not touches(zones.core, grow(s.detection.quad)))
    return shown, (Drop(DropReason.TOUCHES_MASK),) * (len(sightings) - len(shown))


def _size_ratio(one: Quad, other: Quad) -> float:
    """How much larger one quad is in the side that changed least; a turning plate only narrows."""
    a, b = np.maximum(np.ptp(one, axis=0), 1.0), np.maximum(np.ptp(other, axis=0), 1.0)
    return float(np.maximum(a / b, b / a).min())


def _alike(a: str, b: str) -> bool:
    """Whether two folded texts may be of one plate: at most two edits apart, fewer if short."""
    most = min(2, (max(len(a), len(b)) - 1) // 3)
    if abs(len(a) - len(b)) > most:
        return False
    row = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, cb in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (ca != cb))
    return row[-1] <= most
