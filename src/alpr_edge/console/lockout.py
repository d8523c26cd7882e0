"""How long a name must wait after failed logins. Pure; `accounts` keeps the counts on disk.

Rules:
- A failure is counted before the password is looked at, and taken back when it was right: who cuts
  the power in between has used an attempt up.
- The delay doubles with every failure; it is counted in time since boot, which no clock step moves.
  A reboot begins the whole delay anew.
- Names are counted in `BUCKETS` buckets, by a hash that only this unit can make, whether anybody
  has them or not: the file does not grow, and no delay tells which names there are.
- All names together have a count of their own, with a delay of a minute at the most: whoever tries
  many names fills neither disk nor ledger, and keeps nobody out for long.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

FREE: Final = 3
"""Failures without a delay: fingers slip."""
FIRST_S: Final = 5.0
MOST_S: Final = 3600.0
MOST_COUNT: Final = 10_000
BUCKETS: Final = 512
ALL: Final = "all"
ALL_FREE: Final = 10
ALL_MOST_S: Final = 60.0


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

    def wait_s(
        self, boot_id: str, now_s: float, *, free: int = FREE, most_s: float = MOST_S
    ) -> float:
        """Seconds until the next attempt counts; 0: now."""
        delay = delay_s(self.count, free=free, most_s=most_s)
        since = now_s - self.at_s if boot_id == self.boot_id else now_s
        return max(0.0, delay - max(0.0, since))


def delay_s(count: int, *, free: int = FREE, most_s: float = MOST_S) -> float:
    """The delay after so many failures in a row."""
    if count < free:
        return 0.0
    return float(min(most_s, FIRST_S * 2.0 ** min(20, count - free)))


def bucket(name: str, salt: str) -> str:
    """Where a name's failures are counted."""
    digest = hashlib.sha256(f"{salt}:{name}".encode()).digest()
    return str(int.from_bytes(digest[:4], "big") % BUCKETS)
