"""Port: the machine channel on the same wire, as `session` sees it.

`session.Session` gives every byte that comes to the text, until `starts` says that a frame begins;
from there on bytes go to `feed`, until the channel is not busy any more. So a technician's terminal
and `alpr-edge-tech` share one cable, one login (`seat.Seat`) and one table of roles (`access`).
"""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """What speaks frames on the wire."""

    @property
    def busy(self) -> bool:
        """Whether a frame has begun that takes the next bytes, too."""
        ...

    def starts(self, byte: int) -> bool:
        """Whether this byte, outside a frame, begins one. Cheap."""
        ...

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes.

        Returns:
            What goes out on the wire, and what of `data` is not the channel's: it goes to the text.
        """
        ...

    def tick(self) -> bytes:
        """Called ten times a second: what goes out without being asked (a repeat, an end)."""
        ...

    def reset(self) -> None:
        """The cable was unplugged: forget what had begun; a transfer may be resumed later."""
        ...


class NoChannel:
    """The shipped fake: text only."""

    @property
    def busy(self) -> bool:
        """Never."""
        return False

    def starts(self, byte: int) -> bool:
        """Never."""
        return False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Takes nothing."""
        return b"", data

    def tick(self) -> bytes:
        """Nothing."""
        return b""

    def reset(self) -> None:
        """Nothing."""
