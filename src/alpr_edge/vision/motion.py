"""Where a plate will be: a Kalman filter with constant velocity on its four corners. Pure.

The eight coordinates move alike and are measured alike, so they share one 2×2 covariance: eight
filters at the price of one. All lengths scale with the plate's width, so a near plate may move and
jitter more than a far one.
"""

from __future__ import annotations

import math

import numpy as np

from alpr_edge.types import Quad

JITTER_PX, JITTER_WIDTHS = 1.0, 0.04
"""Standard deviation of a measured corner, in pixels and in plate widths.

Source: detector on the simulated street and on pan-and-zoom clips, 2026-11."""

SWERVE_WIDTHS = 8.0
"""Standard deviation of the acceleration, plate widths per s²: a near car in perspective."""

FIRST_SPEED_WIDTHS = 8.0
"""Standard deviation of the speed before anything is known of it, plate widths per s."""


class Motion:
    """A plate's corners and their speed, with the uncertainty of one coordinate.

    Args:
        quad: where it was first seen, px.

    Attributes:
        quad: corners, px.
        speed: of each corner, px/s.
    """

    __slots__ = ("_both", "_place", "_rate", "quad", "speed")

    def __init__(self, quad: Quad) -> None:
        self.quad = quad
        self.speed: Quad = np.zeros_like(quad)
        # The covariance's three numbers: variance of the place, of the speed, and what they share.
        self._place = _jitter(quad) ** 2
        self._rate = (FIRST_SPEED_WIDTHS * width_of(quad)) ** 2
        self._both = 0.0

    def ahead(self, seconds: float) -> tuple[Quad, float]:
        """The corners after `seconds`, and the standard deviation of measuring one there, px."""
        place, _, _ = self._spread(seconds)
        quad = np.asarray(self.quad + self.speed * np.float32(seconds), np.float32)
        return quad, math.sqrt(place + _jitter(self.quad) ** 2)

    def correct(self, measured: Quad, seconds: float) -> None:
        """Take in a sighting, `seconds` after the last one (0 or more)."""
        place, both, rate = self._spread(seconds)
        total = place + _jitter(measured) ** 2
        predicted = self.quad + self.speed * np.float32(seconds)
        error = measured - predicted
        self.quad = np.asarray(predicted + np.float32(place / total) * error, np.float32)
        self.speed = np.asarray(self.speed + np.float32(both / total) * error, np.float32)
        self._place = place - place * place / total
        self._both = both - place * both / total
        self._rate = rate - both * both / total

    def _spread(self, seconds: float) -> tuple[float, float, float]:
        """Variance of place, covariance, variance of speed, after unknown acceleration."""
        push = (SWERVE_WIDTHS * width_of(self.quad)) ** 2
        t = seconds
        return (
            self._place + 2 * t * self._both + t * t * self._rate + push * t**4 / 4,
            self._both + t * self._rate + push * t**3 / 2,
            self._rate + push * t * t,
        )


def width_of(quad: Quad) -> float:
    """Horizontal extent in px, at least 4."""
    return max(float(quad[:, 0].max() - quad[:, 0].min()), 4.0)


def _jitter(quad: Quad) -> float:
    return JITTER_PX + JITTER_WIDTHS * width_of(quad)
