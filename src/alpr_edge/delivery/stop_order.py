"""The city's order to stop reading, kept on disk: a restart does not undo it.

Only somebody at the device lifts it, by deleting the file.
"""

from __future__ import annotations

import json
from pathlib import Path

from alpr_edge.errors import ExclusionError, PublishError
from alpr_edge.trust.durable_file import write_durably


class StopOrder:
    """The file that keeps the order."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def give(self, reason: str) -> None:
        """Keep the order.

        Raises:
            PublishError: it is not stored (`delivery.command.not_recorded`); reading must stop
                all the same.
        """
        try:
            write_durably(self._path, json.dumps({"reason": reason}).encode(), mode=0o600)
        except OSError as err:
            raise PublishError(
                f"the order to stop reading cannot be kept in {self._path}: {err.strerror}",
                code="delivery.command.not_recorded",
                hint="reading has stopped; a restart would begin again",
            ) from err

    def check(self) -> None:
        """Refuse to begin where there is one, be it damaged.

        Raises:
            ExclusionError: reading was stopped (`exclusion.stopped_by_the_city`).
        """
        if self._path.exists():
            raise ExclusionError(
                "the city has ordered this device to stop reading",
                code="exclusion.stopped_by_the_city",
                hint=f"ask the city; then delete {self._path} at the device",
            )
