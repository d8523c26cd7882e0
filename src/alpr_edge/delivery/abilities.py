"""What this device can do for the city now: health, and to stop reading.

The ledger's checkpoint and the mask record are other rooms' business: `wiring` gives them here as
functions. What is not given answers "not available", with a stable code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alpr_edge.delivery import wire
from alpr_edge.delivery.desk import NotAvailable
from alpr_edge.delivery.stop_order import StopOrder

Polygon = tuple[tuple[float, float], ...]


class DeviceAbilities:
    """Implements `desk.Abilities`.

    Args:
        stop_order: keeps the order to stop.
        self_test: runs one now and gives its result; without it, the latest result is told.
        checkpoint: gives the ledger's latest signed checkpoint; may raise `NotAvailable`.
        add_mask: `(name, polygon, digest of the command)` → the new mask record's digest.
    """

    def __init__(
        self,
        stop_order: StopOrder,
        *,
        self_test: Callable[[], dict[str, Any]] | None = None,
        checkpoint: Callable[[], dict[str, Any]] | None = None,
        add_mask: Callable[[str, Polygon, str], str] | None = None,
    ) -> None:
        self._stop_order = stop_order
        self._self_test, self._checkpoint, self._add_mask = self_test, checkpoint, add_mask
        self._health: Callable[[], wire.State] | None = None
        self._stop: Callable[[], None] | None = None

    def use(self, health: Callable[[], wire.State], stop: Callable[[], None]) -> None:
        """Complete it, once there is a service to ask and to stop."""
        self._health, self._stop = health, stop

    def status(self) -> dict[str, Any]:
        """The health document."""
        if self._health is None:
            raise NotAvailable
        return dict(self._health())

    def self_test(self) -> dict[str, Any]:
        """The result of the latest self-test; the device runs it by itself, and often."""
        if self._self_test is not None:
            return self._self_test()
        if self._health is None:
            raise NotAvailable
        return dict(self._health()["self_test"])

    def checkpoint(self) -> dict[str, Any]:
        """The ledger's latest checkpoint."""
        if self._checkpoint is None:
            raise NotAvailable
        return self._checkpoint()

    def add_mask(self, name: str, polygon: Polygon, digest: str) -> str:
        """Add a mask; the function given can only widen."""
        if self._add_mask is None:
            raise NotAvailable
        return self._add_mask(name, polygon, digest)

    def stop_reading(self, reason: str) -> None:
        """Stop first, then keep the order."""
        if self._stop is None:
            raise NotAvailable
        self._stop()
        self._stop_order.give(reason)
