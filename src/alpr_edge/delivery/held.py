"""Events that are not on disk: because it takes none now, or to spare the flash. Bounded.

Safe to use from several threads. What it gives up is for the caller to count.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from alpr_edge.delivery.outbox_values import Parcel


class Held:
    """Parcels by event id, oldest first, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parcels: OrderedDict[str, Parcel] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._parcels)

    def add(self, parcels: Iterable[Parcel]) -> int:
        """Hold these. Returns how many of the oldest had to go for it."""
        with self._lock:
            self._parcels.update((parcel.event.event_id, parcel) for parcel in parcels)
            lost = max(0, len(self._parcels) - self._most)
            for _ in range(lost):
                self._parcels.popitem(last=False)
        return lost

    def all(self) -> tuple[Parcel, ...]:
        """What is held now."""
        with self._lock:
            return tuple(self._parcels.values())

    def remove(self, event_ids: Iterable[str]) -> int:
        """Let these go. Returns how many were held."""
        with self._lock:
            return sum(self._parcels.pop(one, None) is not None for one in event_ids)
