"""Port: a file transfer that has the wire for itself for a while (`xmodem`)."""

from __future__ import annotations

from typing import Protocol


class Transfer(Protocol):
    """A transfer under way."""

    @property
    def is_over(self) -> bool:
        """Whether it is done, well or not; the wire goes back to the text."""
        ...

    @property
    def failed(self) -> str:
        """Why nothing arrived; empty after the end: it did."""
        ...

    @property
    def moved(self) -> int:
        """Grows with its begin and each block that arrived: somebody is there."""
        ...

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes: what goes out, and what comes after its end."""
        ...

    def tick(self) -> bytes:
        """Ten times a second: what goes out unasked."""
        ...
