"""Port: a number that only grows, kept where the disk cannot be put back (`trust.tpm.Tpm`)."""

from __future__ import annotations

from typing import Protocol


class Counter(Protocol):
    """Counts the changes of a mask store."""

    def count(self) -> int:
        """The value; 0 where it was never raised.

        Raises:
            KeyUnusable: it cannot be asked now.
        """
        ...

    def raise_count(self) -> int:
        """Add one, which nobody can take back. Returns the value, which may begin anywhere.

        Raises:
            KeyUnusable: it cannot be raised now.
        """
        ...


class MemoryCounter:
    """The shipped fake: forgets with the process."""

    def __init__(self) -> None:
        self._value = 0

    def count(self) -> int:
        """See `Counter`."""
        return self._value

    def raise_count(self) -> int:
        """See `Counter`."""
        self._value += 1
        return self._value
