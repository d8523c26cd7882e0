"""How long to wait before a lost camera is tried again. Pure: the chance comes from the caller."""

from __future__ import annotations


def backoff_s(attempt: int, *, least_s: float, most_s: float, chance: float) -> float:
    """Seconds to wait after the failed attempt number `attempt`, from 0.

    Doubles from `least_s` up to `most_s`; `chance`, 0..1, takes up to half of it off, so that many
    units do not return to one switch in the same moment.
    """
    full = min(most_s, least_s * 2.0 ** min(attempt, 32))
    return full * (1 - chance / 2)
