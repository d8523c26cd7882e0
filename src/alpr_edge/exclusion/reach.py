"""Where a vehicle may have been while its plate was not seen.

A plate that was seen at a place, moving, is after `s` seconds within `a s² / 2` of where that
motion would have brought it, if its vehicle accelerates by `a` at the most in any direction. Its
motion is known from two sightings `T` apart only, as a mean: a vehicle in a bend moves otherwise at
the end of that time, by up to `a T / 2`, which makes the circle larger by `a T s / 2`. Pixels
become metres by the plate itself: the narrowest plates are 0.305 m wide, so a wider one only makes
the circle larger. A zone that none of these circles touches was not reached.

Rules:
- The circles are drawn round the corners of the grown plate, and wide enough for the time between
  two of them. What lies between the corners is the gate's own test of touch.
- Between two sightings both ends are known, and the circles shrink towards either.
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
_STEP_PX = 2.0
_LEAST_STEPS, _MOST_STEPS = 24, 400
_STRAIGHT_S = 1.0
"""Up to here a way between two sightings is at most half a metre off the straight one, so that its
scale is that of the straight one, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A plate at one moment.

    Attributes:
        quad: its corners.
        at_ns: when.
        velocity: `(2,)` float64 pixels a second of its middle, as a mean.
        over_s: of how many seconds, before or after this moment.
    """

    quad: Quad
    at_ns: int
    velocity: NDArray[np.float64]
    over_s: float = 0.0


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


def may_reach(zones: Zones, sight: Sight, seconds: float) -> bool:
    """Whether a vehicle seen so may touch what taints within `seconds` of it.

    Args:
        seconds: after the sighting; negative for before it.
    """
    if not (np.isfinite(sight.quad).all() and np.isfinite(sight.velocity).all()):
        return True
    quad = grow(sight.quad).astype(np.float64)
    shares = _shares(float(np.hypot(*sight.velocity)) * abs(seconds))
    ways = quad + (shares * seconds)[:, None, None] * sight.velocity
    times = shares * abs(seconds)
    metres = 0.5 * ACCELERATION * times * (times + abs(sight.over_s))
    return _meets(zones, ways, metres * width_px(sight.quad) / PLATE_M)


def may_reach_between(zones: Zones, before: Sight, after: Sight) -> bool:
    """Whether a vehicle seen twice may have touched what taints in the meantime.

    With `|a| <= A` it is, a time `t` after the first of two sightings `T` apart, within
    `A t (T - t) / 2` of the place that lies between them in the same proportion.
    """
    if not (np.isfinite(before.quad).all() and np.isfinite(after.quad).all()):
        return True
    seconds = (after.at_ns - before.at_ns) / 1e9
    start, end = (grow(one.quad).astype(np.float64) for one in (before, after))
    shares = _shares(float(np.hypot(*(end - start).T).max()))
    ways = start + shares[:, None, None] * (end - start)
    first, last = width_px(before.quad), width_px(after.quad)
    width, times = np.full_like(shares, max(first, last)), shares
    if seconds <= _STRAIGHT_S:
        # Along a straight way in the picture the scale grows evenly, and the time does not.
        width = first + shares * (last - first)
        times = shares * last / width
    metres = 0.5 * ACCELERATION * seconds**2 * times * (1 - times)
    return _meets(zones, ways, metres * width / PLATE_M)


def _shares(length_px: float) -> NDArray[np.float64]:
    """Moments of a way, as parts of it, so many that a circle moves a few pixels to the next."""
    steps = int(np.clip(np.ceil(length_px / _STEP_PX), _LEAST_STEPS, _MOST_STEPS))
    return np.linspace(0.0, 1.0, steps + 1)


def _meets(zones: Zones, ways: NDArray[np.float64], radii: NDArray[np.float64]) -> bool:
    """Whether a circle that grows and shrinks on its way touches what taints.

    Args:
        ways: `(T, 4, 2)` corners at moments that follow each other.
        radii: `(T,)` pixels.
    """
    # From one moment to the next a corner moves by so much and the circle grows by so much; half
    # of both reaches the middle. A pixel and a half: `away` is measured between pixels' middles.
    between = np.hypot(*np.moveaxis(np.diff(ways, axis=0), -1, 0)).max(initial=0.0)
    growth = np.abs(np.diff(radii)).max(initial=0.0)
    wide = radii + (between + growth) / 2 + 1.5
    cells = np.clip(ways, 0, (zones.width_px - 1, zones.height_px - 1)).astype(np.intp)
    return bool((zones.away[cells[..., 1], cells[..., 0]] <= wide[:, None]).any())


def seconds_to_border(sight: Sight, size_px: tuple[int, int], *, backwards: bool) -> float:
    """Seconds until its motion carries a plate's middle across the frame's edge; inf if never.

    A plate that is partly across is on its way out only as fast as it moves outwards: one that
    moves inwards, or along the edge, comes from elsewhere in the view.
    """
    quad = sight.quad.astype(np.float64)
    motion = -sight.velocity if backwards else sight.velocity
    if not (np.isfinite(quad).all() and np.isfinite(motion).all()):
        return float("inf")
    soonest = float("inf")
    for axis in (0, 1):
        at = (quad[:, axis].min() + quad[:, axis].max()) / 2
        if motion[axis] < 0:
            soonest = min(soonest, max(at, 0.0) / -motion[axis])
        elif motion[axis] > 0:
            soonest = min(soonest, max(size_px[axis] - at, 0.0) / motion[axis])
    return float(soonest)
