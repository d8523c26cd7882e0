"""Keeps what the gate has released until the view is proven (N7); in RAM only, and bounded.

Rules: a read leaves once the view was confirmed after it was released, or is destroyed. While it
waits its text lies in `HeldTexts`, a block that can be locked and is overwritten after use, and
nowhere else in this room: neither the read that waits nor the one that came keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from alpr_edge.exclusion.gate import GateStep, ReleasedRead
from alpr_edge.exclusion.held import HeldTexts
from alpr_edge.exclusion.view_watch import ViewReport, ViewState
from alpr_edge.types import Drop, DropReason

MOST = 512
"""Reads that wait at the most. Source: two seconds of the busiest street need fewer than 20."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A read without its text, the time of its release, and the text's place."""

    at_ns: int
    read: ReleasedRead
    place: int


class ReleaseHold:
    """Reads between the gate's release and the view's proof.

    Args:
        most: reads that wait at the most; beyond it all that wait are destroyed.
    """

    def __init__(self, most: int = MOST) -> None:
        self._texts = HeldTexts(most)
        self._waiting: list[_Waiting] = []

    @property
    def memory(self) -> memoryview:
        """The block that holds all texts that wait, for locking it into RAM."""
        return self._texts.memory

    @property
    def waiting(self) -> int:
        """Reads that wait."""
        return len(self._waiting)

    def step(self, gate: GateStep, view: ViewReport, now_ns: int) -> GateStep:
        """What may leave now of what the gate let go, with a drop for all that is destroyed."""
        if not view.may_read:
            return self.destroy(gate)
        for number, read in enumerate(gate.released):
            place = self._texts.put(read.track.read.plate)
            if place is None:
                lost = (Drop(DropReason.OVERFLOW),) * (len(gate.released) - number)
                return GateStep((), gate.drops + lost + self._emptied(DropReason.OVERFLOW))
            self._waiting.append(_Waiting(now_ns, _with_text(read, ""), place))
        proven = view.proven_ns
        free = [] if proven is None else [one for one in self._waiting if one.at_ns <= proven]
        self._waiting = [one for one in self._waiting if one not in free]
        return GateStep(tuple(self._given_back(one) for one in free), gate.drops)

    def shutdown(self, gate: GateStep, view: ViewReport) -> GateStep:
        """The end: without a reference all may go, else what is not proven is destroyed."""
        return gate if view.state is ViewState.NO_REFERENCE else self.destroy(gate)

    def destroy(self, gate: GateStep) -> GateStep:
        """Nothing may leave: neither what waits nor what the gate let go."""
        lost = (Drop(DropReason.VIEW_UNPROVEN),) * len(gate.released)
        return GateStep((), gate.drops + lost + self._emptied(DropReason.VIEW_UNPROVEN))

    def _given_back(self, one: _Waiting) -> ReleasedRead:
        text = self._texts.get(one.place)
        self._texts.wipe(one.place)
        return _with_text(one.read, text)

    def _emptied(self, reason: DropReason) -> tuple[Drop, ...]:
        count = len(self._waiting)
        for one in self._waiting:
            self._texts.wipe(one.place)
        self._waiting.clear()
        return (Drop(reason),) * count


def _with_text(read: ReleasedRead, plate: str) -> ReleasedRead:
    return replace(read, track=replace(read.track, read=replace(read.track.read, plate=plate)))
