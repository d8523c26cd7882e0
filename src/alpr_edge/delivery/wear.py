"""How much may be written to flash: a budget that fills evenly over the day. Pure.

Beyond it nothing is lost: the courier then stores in larger batches, so that reads which are
delivered in time are never written at all.
"""

from __future__ import annotations

_DAY_S = 86_400.0
_BURST = 0.25
"""Part of a day's budget that may be spent at once: a backlog of six hours."""


class WearBudget:
    """Counts bytes written.

    Attributes:
        written: bytes since the start.
    """

    def __init__(self, bytes_a_day: int, now_s: float) -> None:
        """Begin with a burst's worth.

        Args:
            bytes_a_day: the budget.
            now_s: seconds of a clock that never goes back.
        """
        self._rate = bytes_a_day / _DAY_S
        self._most = bytes_a_day * _BURST
        self._left = self._most
        self._at_s = now_s
        self.written = 0

    def spend(self, count: int, now_s: float) -> None:
        """Note that bytes were written."""
        self._refill(now_s)
        self.written += count
        self._left = max(self._left - count, -self._most)

    def used_up(self, now_s: float) -> bool:
        """Whether to write less often."""
        self._refill(now_s)
        return self._left <= 0

    def _refill(self, now_s: float) -> None:
        self._left = min(self._most, self._left + self._rate * max(0.0, now_s - self._at_s))
        self._at_s = max(self._at_s, now_s)
