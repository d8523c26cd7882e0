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


class DeviceAbilities:
    """Implements `desk.Abilities`.

    Args:
        stop_order: keeps the order to stop.
        checkpoint: gives the ledger's latest signed checkpoint; may raise `NotAvailable`.
        add_mask: commits a signed mask record that only widens; gives its digest.
        add_polygon: joins the polygon of a signed command to the masks; gives their digest.
    """

    def __init__(
        self,
        stop_order: StopOrder,
        *,
        checkpoint: Callable[[], dict[str, Any]] | None = None,
        add_mask: Callable[[bytes], str] | None = None,
        add_polygon: Callable[[bytes], str] | None = None,
    ) -> None:
        self._stop_order = stop_order
        self._checkpoint, self._add_mask, self._add_polygon = checkpoint, add_mask, add_polygon
        self._health: Callable[[], wire.State] | None = None
        self._stop: Callable[[], None] | None = None
        self._test: Callable[[], bool] | None = None

    def use(
        self,
        health: Callable[[], wire.State],
        stop: Callable[[], None],
        test: Callable[[], bool] | None = None,
    ) -> None:
        """Complete it, once there is a service to ask, to stop and to let test itself.

        Args:
            test: asks for a self-test; False where there is no pipeline to test.
        """
        self._health, self._stop, self._test = health, stop, test

    def status(self) -> dict[str, Any]:
        """The health document."""
        if self._health is None:
            raise NotAvailable
        return dict(self._health())

    def self_test(self) -> dict[str, Any]:
        """Have one run with the next frames; the latest result, and whether one was started.

        What comes of it is told by health.
        """
        if self._health is None:
            raise NotAvailable
        started = self._test is not None and self._test()
        return {"started": started, "latest": dict(self._health()["self_test"])}

    def checkpoint(self) -> dict[str, Any]:
        """The ledger's latest checkpoint."""
        if self._checkpoint is None:
            raise NotAvailable
        return self._checkpoint()

    def add_mask(self, record: bytes) -> str:
        """Put a mask record in force; the function given can only widen."""
        if self._add_mask is None:
            raise NotAvailable
        return self._add_mask(record)

    def add_polygon(self, command: bytes) -> str:
        """Join a polygon to the masks; the function given can only widen."""
        if self._add_polygon is None:
            raise NotAvailable
        return self._add_polygon(command)

    def stop_reading(self, reason: str) -> None:
        """Stop first, then keep the order."""
        if self._stop is None:
            raise NotAvailable
        self._stop()
        self._stop_order.give(reason)
