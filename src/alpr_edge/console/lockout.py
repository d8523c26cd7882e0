"""How long a name must wait after failed logins. Pure; `accounts` keeps the counts on disk.

Rules:
- A failure is counted before the password is looked at, and taken back when it was right: who cuts
  the power in between has used an attempt up.
- The delay doubles with every failure; it is counted in time since boot, which no clock step moves.
  A reboot begins the whole delay anew.
- Names that nobody has share one count: the file does not grow, and nothing tells which names are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FREE: Final = 3
"""Failures without a delay: fingers slip."""
FIRST_S: Final = 5.0
MOST_S: Final = 3600.0
MOST_COUNT: Final = 10_000
NOBODY: Final = "?"


@dataclass(frozen=True, slots=True)
class Failures:
    """Of one name.

    Attributes:
        boot_id, at_s: when the last one was, in seconds since that boot.
    """

    count: int = 0
    boot_id: str = ""
    at_s: float = 0.0

    def one_more(self, boot_id: str, now_s: float) -> Failures:
        """After another failure."""
        return Failures(min(self.count + 1, MOST_COUNT), boot_id, now_s)

    def wait_s(self, boot_id: str, now_s: float) -> float:
        """Seconds until the next attempt counts; 0: now."""
        delay = delay_s(self.count)
        since = now_s - self.at_s if boot_id == self.boot_id else now_s
        return max(0.0, delay - max(0.0, since))


def delay_s(count: int) -> float:
    """The delay after so many failures in a row."""
    if count < FREE:
        return 0.0
    return float(min(MOST_S, FIRST_S * 2.0 ** min(20, count - FREE)))
