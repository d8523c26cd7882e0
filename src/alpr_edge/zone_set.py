"""What a person commissioned as protected in one camera's view: the value that is signed.

Everything is in parts of the frame, 0..1, origin top left, so that it holds for any frame size.
`config.mask_file` reads and writes it, `trust` signs it, `exclusion.zones` makes pixels of it.

Rules:
- It says what is protected, never what is free: adding an item, or enlarging `margin` or `band`,
  protects more (N4). A hole belongs to its own polygon and frees nothing of another.
- `nothing_protected` is true exactly where nothing is given: an empty value must never mean
  "all clear" by accident.

It does not judge whether polygons are simple (`config.polygon`) and does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Point = tuple[float, float]
Ring = tuple[Point, ...]
"""A closed ring of three points or more; the first point is not repeated at the end."""


class Taints(StrEnum):
    """Which crossings of a gate line taint, as seen when walking from its first point to its last.

    The picture's y runs down: on a line drawn from left to right, `left` is its upper side.
    """

    BOTH = "both"
    LEFT_TO_RIGHT = "left_to_right"
    RIGHT_TO_LEFT = "right_to_left"


@dataclass(frozen=True, slots=True)
class ZonePolygon:
    """A region. What lies within a hole of it is not part of it.

    Attributes:
        name: for people; unique in its list.
        polygon: the outer ring.
        holes: rings that are left out, outline excluded.
    """

    name: str
    polygon: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class GateLine:
    """A line whose crossing taints a vehicle.

    Attributes:
        line: two points or more, open.
        taints: with `BOTH`, touching the line taints already; with one direction, a plate of which
            any corner crosses it that way, or not clearly the other way.
    """

    name: str
    line: Ring
    taints: Taints = Taints.BOTH


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """Everything that is protected in one view.

    Attributes:
        masks: regions whose pixels are blanked before anything looks at them.
        nothing_protected: the statement that there is nothing; true only without anything else.
        bands: regions that are seen but taint every vehicle that touches them, besides the ring
            of width `band` round every mask.
        gates: lines whose crossing taints.
        margin: by how much the masks are grown before they are blanked, as a part of the frame's
            width.
        band: width of the ring round the grown masks, as a part of the frame's width. The device's
            configuration may ask for more, never for less.
        whole_frame: everything is blanked and nothing is read.
    """

    masks: tuple[ZonePolygon, ...] = ()
    nothing_protected: bool = False
    bands: tuple[ZonePolygon, ...] = ()
    gates: tuple[GateLine, ...] = ()
    margin: float = 0.0
    band: float = 0.0
    whole_frame: bool = False

    def __post_init__(self) -> None:
        if self.is_empty is not self.nothing_protected:
            raise ValueError("nothing_protected must be true exactly where nothing is given")

    @property
    def is_empty(self) -> bool:
        """Whether no region and no line is given."""
        return not (self.masks or self.bands or self.gates or self.whole_frame)
