"""What the gate keeps of one track. A record only: every rule about it is in `gate`."""

from __future__ import annotations

from dataclasses import dataclass, field

from alpr_edge.exclusion.reach import Sight
from alpr_edge.exclusion.states import State
from alpr_edge.types import ClosedTrack, DropReason


@dataclass(slots=True, eq=False)
class Pass:
    """What the gate knows of one track.

    Attributes:
        tick_ns: time from the frame before the last sighting to it.
        begins_in_view, ends_in_view: suspect, and not (yet) explained by another track.
        closed: the track without its text, while its read is held.
        text, read: places of the folded text and of the held read in `HeldTexts`.
        is_judged: its family has been decided.
    """

    track_id: int
    first: Sight
    last: Sight
    tick_ns: int
    state: State = State.OPEN
    taint: DropReason | None = None
    sightings: int = 1
    begins_in_view: bool = False
    ends_in_view: bool = False
    has_left: bool = False
    is_open: bool = True
    closed: ClosedTrack | None = None
    closed_ns: int = 0
    is_judged: bool = False
    text: int | None = None
    read: int | None = None
    kin: set[int] = field(default_factory=set)
