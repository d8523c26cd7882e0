"""How long an event may still be kept, whatever the wall clock does. Pure.

Rules:
- An event that was stored in this boot ages by the time since boot alone: a wall clock that jumps
  ahead expires nothing early, one that stands in 1970 keeps nothing for ever.
- One that was stored before the last boot ages by every boot's time that is known to have passed,
  and, once a time source disciplines the wall clock, by the wall clock too, which also knows the
  time that the device was off.
- The policy's retention is the most in any case.
"""

from __future__ import annotations

from dataclasses import dataclass

from alpr_edge.delivery.clocks import Clocks

MOST_HELD_S = 3_600.0
"""An event reaches the outbox at most so long after its last sighting.
Source: `exclusion.max_hold_s` has no larger value; a longer time is a clock that jumped."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an event's retention ends.

    Attributes:
        boot_s: in seconds since this boot.
        wall_s: in Unix time; 0 when the wall clock was not believed.
    """

    boot_s: float
    wall_s: int


def deadline(last_seen_s: float, retention_s: float, clocks: Clocks) -> Deadline:
    """For an event that is handed over now.

    Args:
        last_seen_s: Unix time of the last sighting.
        retention_s: how long it may be kept from then on.
        clocks: now.
    """
    age_s = min(max(clocks.wall_s() - last_seen_s, 0.0), MOST_HELD_S)
    left_s = max(0.0, retention_s - age_s)
    wall_s = int(last_seen_s + retention_s) if clocks.believed() else 0
    return Deadline(clocks.boot_s() + left_s, wall_s)


def left_s(end: Deadline, carried: bool, clocks: Clocks) -> float:
    """Seconds that it may still be kept; 0 or less means not at all."""
    left = end.boot_s - clocks.boot_s()
    if carried and end.wall_s and clocks.believed():
        left = min(left, end.wall_s - clocks.wall_s())
    return left
