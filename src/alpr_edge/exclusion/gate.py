"""The release gate: the last judge of a track, and the only source of a `ReleasedRead`.

Guarantee N2: a track that touches, starts beside or ends beside a protected zone yields nothing,
neither for the time before nor after. A read waits here, in RAM, until its track has closed and
the hold has passed untainted; then it is released once. Everything else is a `Drop` with a reason.

Rules, where a zone is in view (without one, a closed track is released at once):

1. Touch is any overlap of the grown plate quad with core mask or taint band, or of the hull swept
   between two sightings: a fast vehicle cannot jump over the band. Where a plate was not seen for a
   while, everything that its vehicle could have reached meanwhile (`reach`) counts as touched. A
   one-way gate line taints what crosses it in its direction.
2. A pass begins and ends where its own motion carries it across the frame's border within a few
   frames, and nothing protected was in reach on the way. A track that begins or ends anywhere else
   is suspect, also one that stands on the border: it may have come from the premises, or be on its
   way there behind a truck. It is believed only where its other half is known: a track with the
   same text ended, or began, so shortly before, or after, that the vehicle cannot have reached a
   zone in between.
3. Tracks that may be one vehicle are kin: one begins within reach of where the other was last seen;
   they come close to each other; or their texts, as far as read, are alike. Kin of kin are kin. If
   one is tainted, all are; none leaves before all have closed and their holds have passed.
4. A gap in the frames, a clock step, a lost or overflowing tracker and a shutdown suppress what is
   open or held. A car that parks stays open until the tracker's limit ends its track in the view.
5. Any doubt suppresses. Nothing here ever clears a taint.

The states of a track and all ways between them: `states`. What is kept of one: `passes`; its text:
`held`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from alpr_edge.exclusion import kin, reach
from alpr_edge.exclusion.held import HeldTexts
from alpr_edge.exclusion.passes import Pass
from alpr_edge.exclusion.reach import Sight
from alpr_edge.exclusion.states import Event, State, advance
from alpr_edge.exclusion.zones import Zones, crosses, grow, is_far, touches
from alpr_edge.types import ClosedTrack, Drop, DropReason, Quad, TrackStep

_SEAL = object()
_STILL = np.zeros(2)
_BORDER_LOOK_S = 0.5
"""A plate's motion is followed to the border for at least so long, whatever the frame rate."""
_LEAST_TEXT = 4
"""Shorter texts are no proof that two tracks are one vehicle."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """When a read may leave.

    Attributes:
        hold_ns: how long a closed track waits for kin.
        max_hold_ns: a read that has waited longer for its kin to close is destroyed.
        remember_ns: how long the text of a suppressed track is kept, in RAM, to know the vehicle
            again should it be seen under another track.
        max_gap_ns: longest pause between frames across which tracks are believed.
        unseen_frames: how many frames a plate may go unseen while it crosses the border.
        max_unseen_ns: and how long at the most, however slow the camera.
        blind_ns: after a longer time in which frames came but no sighting, a track's way is judged
            by reach.
        sweep_ns: and after a longer time in any case; two frames at 2 a second are so far apart.
        reach_widths: how many plate widths a vehicle may move unseen, plus as many a second.
        near_widths: two plates seen at once nearer than so many plate widths are kin.
        max_size_ratio: how much larger or smaller, in width and height both, a plate may look from
            one sighting to the next and still be the same.
        max_held: tracks kept at the most; beyond it everything held is suppressed.
    """

    hold_ns: int = 4_000_000_000
    max_hold_ns: int = 120_000_000_000
    remember_ns: int = 30_000_000_000
    max_gap_ns: int = 1_500_000_000
    unseen_frames: float = 3.0
    max_unseen_ns: int = 1_500_000_000
    blind_ns: int = 150_000_000
    sweep_ns: int = 520_000_000
    reach_widths: float = 3.0
    near_widths: float = 1.5
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


class Gate:
    """Follows the tracks of one camera and decides what is released.

    Pure: time comes in with each step, nothing goes out but the result.
    """

    def __init__(self, zones: Zones, limits: GateLimits, *, ground: bool = False) -> None:
        """Judges tracks under `zones`; with `ground`, points may tell of protected ground too."""
        self._zones = zones
        self._limits = limits
        self._protected = zones.protected or ground
        self._passes: dict[int, Pass] = {}
        self._texts = HeldTexts(4 * limits.max_held)
        self._drops: list[Drop] = []
        self._last_ns: int | None = None
        self._began_ns = 0
        self._tick_ns = 0

    @property
    def memory(self) -> memoryview:
        """The block that holds all texts of the gate, for locking it into RAM."""
        return self._texts.memory

    @property
    def held(self) -> int:
        """Number of closed reads that wait for release."""
        return sum(1 for p in self._passes.values() if p.state is State.CLOSING)

    def step(self, tracks: TrackStep, taken_ns: int) -> GateStep:
        """Take in what one frame did to the tracks; `taken_ns` is the frame's monotonic time."""
        if not self._protected:
            return self._open_view(tracks)
        self._drops = []
        self._check_time(taken_ns)
        # Known tracks first: only those not seen in this frame can be a new one's earlier self.
        for point in sorted(tracks.points, key=lambda p: p.track_id not in self._passes):
            self._see(point.track_id, point.quad, taken_ns)
            self._hear(self._passes[point.track_id], point.text)
            if point.on_protected_ground:
                self._taint([self._passes[point.track_id]], DropReason.PROTECTED_GROUND)
        self._link_close_ones(taken_ns)
        if tracks.overflow or len(self._passes) > self._limits.max_held:
            self._taint(self._passes.values(), DropReason.OVERFLOW)
        for closed in tracks.closed:
            self._close(closed.track_id, closed, taken_ns)
        for track_id in tracks.unread:
            self._close(track_id, None, taken_ns)
        released = self._settle(taken_ns)
        self._forget(taken_ns)
        return GateStep(tuple(released), tuple(self._drops))

    def shutdown(self, last: TrackStep) -> GateStep:
        """The source ends: release what needs no hold, destroy all that is open or held."""
        if not self._protected:
            return self._open_view(last)
        self._drops = []
        for closed in last.closed:
            one = self._passes.get(closed.track_id)
            reason = one.taint if one is not None else None
            self._drops.append(Drop(reason or DropReason.SHUTDOWN))
        self._drops += (Drop(DropReason.UNREAD),) * len(last.unread)
        for one in self._passes.values():
            if one.state is State.CLOSING:
                self._drops.append(Drop(DropReason.SHUTDOWN))
            one.state = advance(one.state, Event.SHUTDOWN)
            self._wipe(one)
        self._passes.clear()
        return GateStep(drops=tuple(self._drops))

    def _open_view(self, tracks: TrackStep) -> GateStep:
        """Nothing is protected in this view: a closed track is released at once."""
        unread = (Drop(DropReason.UNREAD),) * len(tracks.unread)
        return GateStep(tuple(self._release(c) for c in tracks.closed), unread)

    def _release(self, closed: ClosedTrack) -> ReleasedRead:
        return ReleasedRead(closed, self._zones.digest, _SEAL)

    # --- what is seen ------------------------------------------------------------------------

    def would_taint(self, quad: Quad) -> DropReason | None:
        """What a plate at `quad` would taint its track with, by its place alone; changes nothing.

        For the self-test: the answer comes from where live tracks are judged.
        """
        return self._touch((quad,))

    def _check_time(self, now_ns: int) -> None:
        last, self._last_ns = self._last_ns, now_ns
        self._tick_ns = now_ns - last if last is not None else 0
        is_fresh = last is None or not 0 <= now_ns - last <= self._limits.max_gap_ns
        if is_fresh:
            self._began_ns = now_ns
            self._taint(self._passes.values(), DropReason.FRAME_GAP)

    def _see(self, track_id: int, quad: Quad, now_ns: int) -> None:
        known = self._passes.get(track_id)
        if known is None:
            sight = Sight(quad, now_ns, _STILL)
            known = Pass(track_id, sight, sight, self._tick_ns)
            self._passes[track_id] = known
            self._find_kin(known, with_gap=False)
            self._judge_touch(known, (quad,))
            return
        elapsed_ns = now_ns - known.last.at_ns
        velocity = reach.velocity(known.last.quad, quad, elapsed_ns / 1e9)
        sight = Sight(quad, now_ns, velocity, elapsed_ns / 1e9)
        known.sightings += 1
        if known.sightings == 2:
            # Where it came from shows with the second sighting.
            known.first = known.last = replace(known.last, velocity=velocity, over_s=sight.over_s)
            self._judge_begin(known)
        self._judge_touch(known, (known.last.quad, quad))
        # Between two frames the swept hull is enough, up to half a second.
        limits = self._limits
        missed = elapsed_ns > max(limits.blind_ns, 1.5 * self._tick_ns)
        is_blind = missed or elapsed_ns > limits.sweep_ns
        if is_blind and reach.may_reach_between(self._zones, known.last, sight):
            self._taint([known], DropReason.TOUCHES_BAND)
        known.last, known.tick_ns = sight, self._tick_ns

    def _judge_touch(self, one: Pass, quads: Sequence[Quad]) -> None:
        """Taint a track whose plate touches a zone, or does on its way from one quad to the next.

        Args:
            quads: in the order of time.
        """
        reason = self._touch(quads)
        if reason is not None:
            self._taint([one], reason)

    def _touch(self, quads: Sequence[Quad]) -> DropReason | None:
        if is_far(self._zones, quads):
            return None
        swept = np.concatenate([grow(q) for q in quads])
        if touches(self._zones.core, swept):
            return DropReason.TOUCHES_MASK
        if touches(self._zones.band, swept):
            return DropReason.TOUCHES_BAND
        if any(crosses(line, quads[0], quads[-1]) for line in self._zones.one_way):
            return DropReason.CROSSES_GATE
        return None

    def _judge_begin(self, one: Pass) -> None:
        is_believed, comes_in = self._at_border(one.first, one.tick_ns, backwards=True)
        # What is there when the gate begins to look may have come from anywhere.
        is_fresh = one.first.at_ns - self._began_ns <= self._limits.max_unseen_ns
        one.begins_in_view = not is_believed or is_fresh
        if not comes_in:
            self._find_kin(one, with_gap=True)

    def _at_border(self, sight: Sight, tick_ns: int, *, backwards: bool) -> tuple[bool, bool]:
        """Whether a pass may begin or end with this sighting.

        Returns:
            Whether that is believed, and whether its own motion carries it across the border.
        """
        limits, size = self._limits, (self._zones.width_px, self._zones.height_px)
        look_s = max(limits.unseen_frames * tick_ns / 1e9, _BORDER_LOOK_S)
        look_s = min(look_s, limits.max_unseen_ns / 1e9)
        sign = -1.0 if backwards else 1.0
        seconds = reach.seconds_to_border(sight, size, backwards=backwards)
        if seconds <= look_s:
            is_free = not reach.may_reach(self._zones, sight, sign * seconds)
            return is_free, True
        # One that stands on the border, or moves along it, has neither come nor left: hidden for a
        # while, it may drive on into the view.
        return False, False

    # --- kin ---------------------------------------------------------------------------------

    def _find_kin(self, new: Pass, *, with_gap: bool) -> None:
        """Link a new track with every other that may be the same vehicle, seen a moment ago.

        Args:
            new: at its first quad.
            with_gap: the vehicle did not come from outside the frame, so it may have moved on
                unseen for as long as the other has not been seen.
        """
        limits, quad, now_ns = self._limits, new.first.quad, new.first.at_ns
        for other in self._passes.values():
            if other is new or other.is_judged or other.last.at_ns >= now_ns:
                continue
            if with_gap and other.has_left:
                continue
            gap_ns, before = now_ns - other.last.at_ns, other.last.quad
            if not with_gap and gap_ns > limits.max_unseen_ns:
                continue
            gap_s = gap_ns / 1e9 if with_gap else 0.0
            if not with_gap and kin.size_ratio(quad, before) > limits.max_size_ratio:
                continue
            if kin.within(quad, before, limits.reach_widths * (1.0 + gap_s)):
                self._link(new, other)
                self._judge_touch(new, (before, quad))

    def _link_close_ones(self, now_ns: int) -> None:
        """Two plates seen at once, very near: one may take over the other's track."""
        seen = [p for p in self._passes.values() if p.is_open and p.last.at_ns == now_ns]
        for i, one in enumerate(seen):
            for other in seen[:i]:
                if kin.within(one.last.quad, other.last.quad, self._limits.near_widths):
                    self._link(one, other)

    def _hear(self, one: Pass, plate: str) -> None:
        """Link a track with all that have a text like its own."""
        text = kin.fold(plate)
        if not text or text == self._text_of(one):
            return
        self._texts.wipe(one.text)
        one.text = self._texts.put(text)
        if one.text is None:
            self._taint(self._passes.values(), DropReason.OVERFLOW)
        for other in self._passes.values():
            if other is one or other.text is None:
                continue
            if kin.alike(self._text_of(other), text):
                self._link(one, other)

    def _text_of(self, one: Pass) -> str:
        return "" if one.text is None else self._texts.get(one.text)

    def _link(self, one: Pass, other: Pass) -> None:
        one.kin.add(other.track_id)
        other.kin.add(one.track_id)
        for source, target in ((one, other), (other, one)):
            if source.taint is not None:
                self._taint([target], DropReason.KIN_TAINTED)

    def _family(self, one: Pass) -> list[Pass]:
        """A track, its kin and theirs, as far as they are known."""
        family, found = {one.track_id}, [one.track_id]
        while found:
            new = {k for k in self._passes[found.pop()].kin if k in self._passes} - family
            family |= new
            found += new
        return [self._passes[i] for i in sorted(family)]

    def _taint(self, passes: Iterable[Pass], reason: DropReason) -> None:
        waiting = [(p, reason) for p in passes]
        while waiting:
            one, why = waiting.pop()
            if one.taint is not None:
                continue
            one.taint = why
            if one.state is State.CLOSING:
                self._drops.append(Drop(why))
            one.state = advance(one.state, Event.TAINT)
            if one.state is State.DESTROYED:
                self._wipe_read(one)
            waiting += [
                (self._passes[k], DropReason.KIN_TAINTED) for k in one.kin if k in self._passes
            ]

    # --- the end of a track ------------------------------------------------------------------

    def _close(self, track_id: int, closed: ClosedTrack | None, now_ns: int) -> None:
        one = self._passes.get(track_id)
        if one is None or not one.is_open:
            # Never seen open: it cannot be judged.
            if closed is not None:
                self._drops.append(Drop(DropReason.STARTED_IN_VIEW))
            return
        one.is_open, one.closed_ns = False, now_ns
        if one.sightings == 1:
            self._judge_begin(one)
        is_believed, one.has_left = self._at_border(one.last, one.tick_ns, backwards=False)
        one.ends_in_view = not is_believed
        if closed is not None:
            self._hear(one, closed.read.plate)
            one.read = self._texts.put(closed.read.plate) if one.taint is None else None
            if one.read is None and one.taint is None:
                self._taint([one], DropReason.OVERFLOW)
        if closed is None or one.taint is not None:
            self._drops.append(Drop(one.taint or DropReason.UNREAD))
        else:
            one.closed = replace(closed, read=replace(closed.read, plate=""))
        one.state = advance(one.state, Event.UNREAD if closed is None else Event.CLOSE)

    def _settle(self, now_ns: int) -> list[ReleasedRead]:
        """Decide every family of tracks that have all closed and whose holds have passed."""
        too_long_ns = now_ns - self._limits.max_hold_ns
        late = [p for p in self._passes.values() if p.closed and p.closed_ns < too_long_ns]
        self._taint(late, DropReason.HELD_TOO_LONG)
        released: list[ReleasedRead] = []
        for one in list(self._passes.values()):
            if one.is_judged or not self._is_due(one, now_ns):
                continue
            if one.taint is not None:
                # Nothing can change for it, and it need not wait for its kin.
                one.is_judged = True
                continue
            family = self._family(one)
            if all(self._is_due(member, now_ns) for member in family):
                released += self._judge(family)
        return released

    def _is_due(self, one: Pass, now_ns: int) -> bool:
        return not one.is_open and now_ns - one.closed_ns > self._limits.hold_ns

    def _judge(self, family: Sequence[Pass]) -> list[ReleasedRead]:
        """The last word on tracks that may be one vehicle: all that are clear are released."""
        self._explain(family)
        for one in family:
            if one.begins_in_view:
                self._taint([one], DropReason.STARTED_IN_VIEW)
            if one.ends_in_view:
                self._taint([one], DropReason.ENDED_IN_VIEW)
            one.is_judged = True
        released = []
        for one in family:
            if one.state is State.CLOSING and one.closed is not None and one.read is not None:
                one.state = advance(one.state, Event.CLEAR)
                read = replace(one.closed.read, plate=self._texts.get(one.read))
                released.append(self._release(replace(one.closed, read=read)))
                self._wipe_read(one)
        return released

    def _explain(self, family: Sequence[Pass]) -> None:
        """Join a begin in the view to the end before it, where nothing was in reach between."""
        ended = sorted((p for p in family if not p.is_open), key=lambda p: -p.last.at_ns)
        for later in sorted(family, key=lambda p: p.first.at_ns):
            if not later.begins_in_view:
                continue
            earlier = next((p for p in ended if self._continues(p, later)), None)
            if earlier is not None:
                # One end explains one begin: a vehicle is in one place at a time.
                ended.remove(earlier)
                earlier.ends_in_view = later.begins_in_view = False

    def _continues(self, earlier: Pass, later: Pass) -> bool:
        text = self._text_of(earlier)
        return (
            earlier.last.at_ns < later.first.at_ns
            and len(text) >= _LEAST_TEXT
            and text == self._text_of(later)
            and not reach.may_reach_between(self._zones, earlier.last, later.first)
        )

    def _forget(self, now_ns: int) -> None:
        for one in list(self._passes.values()):
            is_old = not one.is_open and now_ns - one.closed_ns > self._limits.remember_ns
            if is_old if one.taint is not None else one.is_judged:
                self._wipe(one)
                del self._passes[one.track_id]

    def _wipe(self, one: Pass) -> None:
        self._wipe_read(one)
        self._texts.wipe(one.text)
        one.text = None

    def _wipe_read(self, one: Pass) -> None:
        self._texts.wipe(one.read)
        one.read = one.closed = None
