"""The newest rows of the outbox, kept in memory too, so that they need not be read back. Bounded.

It is a view of what lies on disk, never a place of its own: a row comes in once its transaction is
committed and synced, and goes before its deletion is. Safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from alpr_edge.delivery.retention import Deadline

_Fresh = tuple[int, str, Deadline, bytes]
"""Sequence number, event id, end of retention, payload."""
MAX_ROWS = 4_096
MAX_BYTES = 4 * 2**20
_MAX_SPAN = 2 * MAX_ROWS


class Fresh:
    """Every row above a certain sequence number.

    Attributes:
        last: the largest sequence number that was ever seen.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: OrderedDict[int, _Fresh] = OrderedDict()
        self._size = 0
        self._above = self.last = 0

    def begin(self, last: int) -> None:
        """Forget all; rows up to `last` are on disk only."""
        with self._lock:
            self._rows.clear()
            self._size = 0
            self._above = self.last = last

    def add(self, rows: Iterable[_Fresh]) -> None:
        """These are on disk now, with growing numbers; the oldest make room where needed."""
        with self._lock:
            for row in rows:
                self._rows[row[0]] = row
                self._size += len(row[3])
                self.last = row[0]
            while self._rows and (
                len(self._rows) > MAX_ROWS
                or self._size > MAX_BYTES
                or self.last - next(iter(self._rows)) > _MAX_SPAN
            ):
                self._above, oldest = self._rows.popitem(last=False)
                self._size -= len(oldest[3])

    def remove(self, seqs: Iterable[int]) -> None:
        """These are about to be deleted."""
        with self._lock:
            for seq in seqs:
                row = self._rows.pop(seq, None)
                if row is not None:
                    self._size -= len(row[3])

    def after(self, after: int, limit: int) -> Sequence[_Fresh] | None:
        """Up to `limit` rows above `after`, in order; None where the file must be read."""
        with self._lock:
            if after < self._above:
                return None
            if not self._rows:
                return ()
            found: list[_Fresh] = []
            first = max(after + 1, next(iter(self._rows)))
            for seq in range(first, self.last + 1):
                row = self._rows.get(seq)
                if row is not None:
                    found.append(row)
                    if len(found) == limit:
                        break
            return found
