"""How long to wait before the next attempt: doubling, bounded, with jitter. Pure.

Jitter keeps the cameras of a city from knocking together when the broker returns.
"""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """Waits of `first_s`, twice that, … up to `most_s`, each shortened by up to a half.

    Args:
        draw: a number in [0, 1), `random.random` outside tests.
    """

    def __init__(self, first_s: float, most_s: float, draw: Callable[[], float]) -> None:
        self._first_s, self._most_s, self._draw = first_s, most_s, draw
        self._attempts = 0

    def next_s(self) -> float:
        """The wait before the next attempt."""
        full = min(self._most_s, self._first_s * 2.0 ** min(self._attempts, 32))
        self._attempts += 1
        return full * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """Begin again with `first_s`: it worked."""
        self._attempts = 0
