"""Where a vehicle may have been while its plate was not seen.

A plate that was seen at a place, moving, is after `s` seconds within `a s² / 2` of where that
motion would have brought it, if its vehicle accelerates by `a` at the most in any direction. Pixels
become metres by the plate itself: the narrowest plates are 0.305 m wide, so a wider one only makes
the circle larger. A zone that none of these circles touches was not reached.

Rules:
- The circles are drawn round the corners of the grown plate, and wide enough for the time between
  two of them. What lies between the corners is the gate's own test of touch.
- Numbers that are not finite reach everything (fail closed).
- Before and after are the same sum: a negative time runs the motion backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.zones import Zones, grow
from alpr_edge.types import Quad

PLATE_M = 0.305
"""Metres of the narrowest common plate. Source: SAE J686 (12 in × 6 in); EU plates have 0.52 m."""
PLATE_ASPECT = 2.0
"""Its width over its height. A turned plate keeps its height, so the height gives the scale too."""
ACCELERATION = 4.0
"""Metres per second squared, along or across. Source: everyday driving stays below 3 (ITE, Traffic
Engineering Handbook, 6th ed.); 4 is hard braking or a screeching bend."""
_STEPS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A plate at one moment.

    Attributes:
        quad: its corners.
        at_ns: when.
        velocity: `(2,)` float64 pixels a second of its middle.
    """

    quad: Quad
    at_ns: int
    velocity: NDArray[np.float64]


def middle(quad: Quad) -> NDArray[np.float64]:
    """The middle of a quad, `(2,)`."""
    mean: NDArray[np.float64] = quad.astype(np.float64).mean(0)
    return mean


def width_px(quad: Quad) -> float:
    """Pixels that the narrowest plate would be wide there, were it turned to the camera."""
    wide, high = np.ptp(quad, axis=0)
    return max(float(wide), PLATE_ASPECT * float(high), 1.0)


def velocity(before: Quad, after: Quad, seconds: float) -> NDArray[np.float64]:
    """Pixels a second from one quad to the next."""
    return (middle(after) - middle(before)) / max(seconds, 1e-3)


def may_reach(zones: Zones, sight: Sight, seconds: float, *, widest_px: float = 0.0) -> bool:
    """Whether a vehicle seen so may touch what taints within `seconds` of it.

    Args:
        seconds: after the sighting; negative for before it.
        widest_px: the plate's width at its largest meanwhile, if that is known to be more.
    """
    if not (np.isfinite(sight.quad).all() and np.isfinite(sight.velocity).all()):
        return True
    px_per_m = max(width_px(sight.quad), widest_px) / PLATE_M
    times = np.linspace(0.0, seconds, _STEPS + 1)
    ways = grow(sight.quad)[None].astype(np.float64) + (times[:, None] * sight.velocity)[:, None]
    circles = 0.5 * ACCELERATION * px_per_m * times**2
    # Half of the way to the next circle, half of its growth, and a pixel and a half because
    # distances are measured between the middles of pixels.
    between = float(np.hypot(*sight.velocity)) * abs(seconds) / _STEPS / 2
    radii = circles + between + float(circles[-1] - circles[-2]) / 2 + 1.5
    cells = np.clip(ways, 0, (zones.width_px - 1, zones.height_px - 1)).astype(np.intp)
    return bool((zones.away[cells[..., 1], cells[..., 0]] <= radii[:, None]).any())


def may_reach_between(zones: Zones, before: Sight, after: Sight) -> bool:
    """Whether a vehicle seen twice may have touched what taints in the meantime.

    The first half of the way is within reach of the first sighting, the second of the second.
    """
    half_s = (after.at_ns - before.at_ns) / 2e9
    widest = max(width_px(before.quad), width_px(after.quad))
    return may_reach(zones, before, half_s, widest_px=widest) or may_reach(
        zones, after, -half_s, widest_px=widest
    )


def seconds_to_border(sight: Sight, size_px: tuple[int, int], *, backwards: bool) -> float:
    """Seconds until a corner crosses the frame's edge if the motion goes on; 0 if one has, inf."""
    quad = sight.quad.astype(np.float64)
    motion = -sight.velocity if backwards else sight.velocity
    if not (np.isfinite(quad).all() and np.isfinite(motion).all()):
        return float("inf")
    soonest = float("inf")
    for axis in (0, 1):
        low, high = quad[:, axis].min(), quad[:, axis].max()
        if low <= 0 or high >= size_px[axis]:
            return 0.0
        if motion[axis] < 0:
            soonest = min(soonest, low / -motion[axis])
        elif motion[axis] > 0:
            soonest = min(soonest, (size_px[axis] - high) / motion[axis])
    return float(soonest)
