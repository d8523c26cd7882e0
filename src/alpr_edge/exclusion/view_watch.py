"""Guarantee N7: nothing leaves unless the view was the commissioned one when it was read.

`ViewWatch` takes a glance every half second, compares it (`drift`) and keeps a state. Behind the
gate `release_hold` lets a released read go only once the view has been confirmed *after* that: when
the camera moves, what was read meanwhile has not left yet and is destroyed.

    unchecked ──two glances agree──▶ confirmed ◀──agrees── doubtful
        ▲                             │  │  ▲                │
        │ gap in the frames           │  │  └─ defocused ◀───┤ (agrees, but edges are soft)
        └─────────────────────────────┘  │                   │
    three glances agree on a shift ──▶ moved (stays)         │
    nothing agrees: covered, turned, frozen, defocused, or, after `doubt_ns`, unconfirmed

Rules:

1. Reading goes on only while confirmed, or doubtful for a short time. In doubt nothing leaves:
   reads wait until the view is confirmed again, or are destroyed.
2. `moved` is never left but by a new start, where the view must be confirmed before a read.
3. What agrees is the mean of the last three glances, so it proves the view at the oldest of them
   only: a view that went and stayed away is in none of them any more.
4. All that is looked at is masked: what lies in the core mask changes no state (N1).

It does no I/O and reads no clock: time comes with the frames.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.drift import MIN_PATCHES, Comparer, Comparison
from alpr_edge.exclusion.interlock import SceneState
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.exclusion.view_field import GLANCES, Glance, Sampler, free_cells
from alpr_edge.exclusion.view_reference import Reference
from alpr_edge.exclusion.zones import Zones


class ViewState(StrEnum):
    """What is known of the view. The values are stable: health and interlock show them."""

    NO_REFERENCE = "no_reference"
    REFERENCE_MISSING = "reference_missing"
    UNCHECKED = "unchecked"
    CONFIRMED = "confirmed"
    DOUBTFUL = "doubtful"
    UNCONFIRMED = "unconfirmed"
    MOVED = "moved"
    TURNED = "turned"
    COVERED = "covered"
    DEFOCUSED = "defocused"
    FROZEN = "frozen"


VIEW_SENTENCES = {
    ViewState.NO_REFERENCE: "no reference view is configured; a moved camera is not noticed",
    ViewState.REFERENCE_MISSING: "the configured reference view is missing or does not fit",
    ViewState.UNCHECKED: "the view has not been compared with the reference yet",
    ViewState.CONFIRMED: "the view is the commissioned one",
    ViewState.DOUBTFUL: "the view cannot be made out just now; what is read waits",
    ViewState.UNCONFIRMED: "cannot confirm the view: it could not be made out for too long",
    ViewState.MOVED: "the camera has moved against its reference; commission it again",
    ViewState.TURNED: "the camera shows another view than the commissioned one",
    ViewState.COVERED: "the lens is covered, or has no sight at all",
    ViewState.DEFOCUSED: "the picture is out of focus",
    ViewState.FROZEN: "the camera repeats the same picture",
}
"""One sentence a state, for people."""


_SCENE = {
    ViewState.MOVED: SceneState.MOVED,
    ViewState.TURNED: SceneState.TURNED,
    ViewState.COVERED: SceneState.COVERED,
    ViewState.DEFOCUSED: SceneState.DEFOCUSED,
    ViewState.FROZEN: SceneState.FROZEN,
}


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """When a view is believed.

    Attributes:
        margin: shift, as a share of the frame's width, beyond which the camera counts as moved.
            The taint band must be wider.
        doubt_ns: how long a view may stay unconfirmed before reading stops (ADR 0013).
        look_ns: time between two glances.
        moved_looks: glances in a row that must agree on a shift.
        turned_ns, covered_ns, defocused_ns, frozen_ns: how long each must last to be believed.
        gap_ns: after a longer pause between frames the view is checked anew.
    """

    margin: float = 0.01
    doubt_ns: int = 120_000_000_000
    look_ns: int = 480_000_000
    moved_looks: int = 3
    turned_ns: int = 3_400_000_000
    covered_ns: int = 1_900_000_000
    defocused_ns: int = 2_900_000_000
    frozen_ns: int = 10_000_000_000
    gap_ns: int = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ViewReport:
    """The view now.

    Attributes:
        may_read: frames may be looked at for plates.
        shift: the last shift that was found, as a share of the frame's width.
        proven_ns: reads released no later than this may leave; None if none may.
    """

    state: ViewState
    may_read: bool
    shift: float | None = None
    proven_ns: int | None = None

    @property
    def scene(self) -> SceneState:
        """The view as the interlock asks for it."""
        if self.may_read and self.state is not ViewState.NO_REFERENCE:
            return SceneState.SAME
        return _SCENE.get(self.state, SceneState.UNKNOWN)


SHARP = 0.3
"""Sharpness, as a share of the reference's, below which a picture is out of focus. Source: the
simulated day. Fog of 60 m visibility leaves 0.41, a dirty lens at night 0.42; a blur with a radius
of 0.6 % of the width leaves 0.10, and no plate can be read then."""

_BLIND_DETAIL, _BLIND_CONTRAST = 0.25, 25.0
_OTHER_DETAIL, _OTHER_IN_PLACE = 0.5, 0.1


class _Verdict(StrEnum):
    AGREES = "agrees"
    SHIFTED = "shifted"
    UNKNOWN = "unknown"


def judge(comparison: Comparison, margin: float) -> _Verdict:
    """What one comparison says of the view.

    A shift needs more witnesses than the place itself: a few patches agree on some shift by chance,
    on no shift hardly ever.
    """
    one = comparison
    if one.shift is None or one.agreeing < max(6, ceil(0.15 * one.patches)):
        return _Verdict.UNKNOWN
    if one.shift <= margin:
        return _Verdict.AGREES if 2 * one.rival < one.agreeing else _Verdict.UNKNOWN
    enough = one.agreeing >= max(10, ceil(0.25 * one.patches))
    return _Verdict.SHIFTED if enough and one.agreeing >= 0.55 * one.found else _Verdict.UNKNOWN


class ViewWatch:
    """Watches the view of one camera.

    Args:
        required: without a reference nothing is read; the frames are masked, and may be looked at
            for a new one.

    Raises:
        ExclusionError: the reference is of another frame size (`exclusion.reference.size`), or so
            plain under this mask that it cannot be known again (`exclusion.reference.too_plain`).
    """

    def __init__(
        self,
        reference: Reference | None,
        zones: Zones,
        limits: WatchLimits | None = None,
        *,
        required: bool = False,
    ) -> None:
        self._limits = limits or WatchLimits()
        self._sampler = Sampler(zones)
        self._comparer = None if reference is None else comparer_for(reference, zones)
        self._state = ViewState.UNCHECKED
        if reference is None:
            self._state = ViewState.REFERENCE_MISSING if required else ViewState.NO_REFERENCE
        self._shift: float | None = None
        self._proven_ns: int | None = None
        self._frame_ns: int | None = None
        self._looks: deque[int] = deque(maxlen=GLANCES)
        self._agreed = self._shifted = 0
        self._detail = 1.0
        self._since: dict[str, int] = {}
        self._agrees_now = False

    @property
    def report(self) -> ViewReport:
        """The view as of the last frame."""
        reading = self._state in (ViewState.CONFIRMED, ViewState.DOUBTFUL, ViewState.NO_REFERENCE)
        soft = self._state is ViewState.DEFOCUSED and self._agrees_now
        return ViewReport(self._state, reading or soft, self._shift, self._proven_ns)

    def step(self, frame: MaskedFrame) -> ViewReport:
        """Take in a frame; most only pass the time."""
        now_ns = frame.taken_ns
        if self._comparer is None:
            if self._state is ViewState.NO_REFERENCE:
                self._proven_ns = now_ns
            return self.report
        self._mind_the_gap(now_ns)
        if not self._looks or now_ns - self._looks[-1] >= self._limits.look_ns:
            self._looks.append(now_ns)
            self._look(self._sampler.take(frame.image), now_ns)
        return self.report

    def _mind_the_gap(self, now_ns: int) -> None:
        last, self._frame_ns = self._frame_ns, now_ns
        if last is None or 0 <= now_ns - last <= self._limits.gap_ns:
            return
        self._sampler.forget()
        self._looks.clear()
        self._agreed = self._shifted = 0
        # Marks of the time before a step back would never pass.
        self._since = {k: min(v, now_ns) for k, v in self._since.items() if k == "doubt"}
        if self.report.may_read:
            self._state = ViewState.UNCHECKED

    def _look(self, glance: Glance, now_ns: int) -> None:
        assert self._comparer is not None
        limits = self._limits
        if self._state is ViewState.MOVED:
            return
        if self._lasts("still", glance.unchanged, now_ns, limits.frozen_ns):
            self._agreed, self._agrees_now = 0, False
            self._state = ViewState.FROZEN
            return
        seen = self._comparer.compare(glance)
        verdict = judge(seen, limits.margin)
        self._agrees_now = verdict is _Verdict.AGREES
        self._agreed = self._agreed + 1 if self._agrees_now else 0
        is_soft = seen.sharpness is not None and seen.sharpness < SHARP
        # Patches of a blurred picture do not lie where their sharp ones did.
        is_shifted = verdict is _Verdict.SHIFTED and not is_soft
        self._shifted = self._shifted + 1 if is_shifted else 0
        if self._agrees_now or is_shifted:
            self._shift = seen.shift
        if self._shifted >= limits.moved_looks:
            self._state = ViewState.MOVED
            return
        is_soft = self._lasts("soft", is_soft, now_ns, limits.defocused_ns)
        if self._agrees_now:
            self._agree(seen, is_soft)
        else:
            self._doubt(seen, is_soft, now_ns)

    def _agree(self, seen: Comparison, is_soft: bool) -> None:
        self._detail = seen.detail
        for mark in ("doubt", "blind", "other"):
            self._since.pop(mark, None)
        if len(self._looks) == GLANCES:
            self._proven_ns = self._looks[0]
        if self._agreed >= 2 or self._state is ViewState.DOUBTFUL:
            self._state = ViewState.DEFOCUSED if is_soft else ViewState.CONFIRMED

    def _doubt(self, seen: Comparison, is_soft: bool, now_ns: int) -> None:
        limits = self._limits
        is_blind = seen.detail < _BLIND_DETAIL * self._detail and seen.contrast < _BLIND_CONTRAST
        is_other = (
            seen.in_place <= _OTHER_IN_PLACE * seen.patches
            and seen.detail >= _OTHER_DETAIL * self._detail
        )
        blind = self._lasts("blind", is_blind, now_ns, limits.covered_ns)
        other = self._lasts("other", is_other, now_ns, limits.turned_ns)
        too_long = self._lasts("doubt", True, now_ns, limits.doubt_ns)
        if blind:
            self._state = ViewState.COVERED
        elif is_soft:
            self._state = ViewState.DEFOCUSED
        elif other:
            self._state = ViewState.TURNED
        elif too_long:
            self._state = ViewState.UNCONFIRMED
        elif self._state in (ViewState.CONFIRMED, ViewState.DEFOCUSED):
            self._state = ViewState.DOUBTFUL

    def _lasts(self, what: str, is_so: bool, now_ns: int, long_ns: int) -> bool:
        """Whether something has been so at every glance for `long_ns`."""
        if not is_so:
            self._since.pop(what, None)
            return False
        return now_ns - self._since.setdefault(what, now_ns) >= long_ns


def comparer_for(reference: Reference, zones: Zones) -> Comparer:
    """A comparer for a view, or the reason why there can be none.

    Raises:
        ExclusionError: see `ViewWatch`.
    """
    if (reference.width_px, reference.height_px) != (zones.width_px, zones.height_px):
        raise ExclusionError(
            f"the reference view is of {reference.width_px}x{reference.height_px} pixels, "
            f"the frames are {zones.width_px}x{zones.height_px}",
            code="exclusion.reference.size",
            hint="set the camera's resolution back or take the reference again",
        )
    comparer = Comparer(reference, free_cells(zones))
    if comparer.patches < MIN_PATCHES:
        raise ExclusionError(
            f"the reference view is too plain: {comparer.patches} places outside the mask can be "
            f"known again, {MIN_PATCHES} are needed",
            code="exclusion.reference.too_plain",
            hint="take it by day, and with more of the street's edges and markings in view",
        )
    return comparer
