"""What goes into the outbox, comes out of it, bounds it and is counted in it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from alpr_edge.delivery.event import Event
from alpr_edge.delivery.retention import Deadline


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may wait.

    Attributes:
        max_rows, max_bytes: of sealed events; the file is a little larger.
        keep_damaged_s: how long a damaged file is kept for examination.
        max_written_a_day: bytes to flash; beyond, `worn` asks for larger batches.
    """

    max_rows: int = 100_000
    max_bytes: int = 200_000_000
    keep_damaged_s: float = 7 * 86_400.0
    max_written_a_day: int = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Parcel:
    """An event with the time at which its retention ends, fixed when it was handed over."""

    event: Event
    end: Deadline


@dataclass(frozen=True, slots=True)
class Row:
    """A waiting event. `payload` is what will be sent; `left_s` how long it may still be kept."""

    seq: int
    event_id: str
    left_s: float
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """What waits now, and what was lost or written since the start: never without a count.

    Attributes:
        dropped: the oldest, because the outbox was full.
        unreadable: rows that no key opened, or that had been changed.
        damaged: files that were set aside.
        written_bytes: to flash, as far as SQLite's files tell.
    """

    rows: int
    size_bytes: int
    dropped: int
    expired: int
    damaged: int
    unreadable: int = 0
    written_bytes: int = 0
