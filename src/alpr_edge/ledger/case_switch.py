"""How the sentry hears of the case: a port with three adapters, and its shipped fake.

`read` gives every level since the last call, oldest first: a case that was open for a moment
between two looks is heard of as well, where the switch tells edges (a pipe, `gpio.GpioSwitch`; a
file tells only what is now).
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Protocol


class CaseSwitch(Protocol):
    """Port: the switch of the case."""

    def read(self) -> str:
        """Levels since the last call, `0` and `1`; other characters mean nothing.

        Raises:
            OSError: it cannot be read now; the next call tries anew.
        """
        ...

    def close(self) -> None:
        """Let it go. May be called twice."""
        ...


class FileSwitch:
    """A GPIO's `value` in sysfs, or a pipe into which somebody writes every edge."""

    def __init__(self, path: Path) -> None:
        self._path, self._pipe = path, -1

    def read(self) -> str:
        """See `CaseSwitch`."""
        if self._pipe >= 0:
            try:
                return os.read(self._pipe, 4096).decode("ascii", "replace")
            except BlockingIOError:
                return ""
        if stat.S_ISFIFO(os.stat(self._path).st_mode):
            # Open for writing too, so that the pipe has no end between two writers.
            self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            return self.read()
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return os.read(handle, 64).decode("ascii", "replace")
        finally:
            os.close(handle)

    def close(self) -> None:
        """See `CaseSwitch`."""
        if self._pipe >= 0:
            with contextlib.suppress(OSError):
                os.close(self._pipe)
            self._pipe = -1


class HandSwitch:
    """The shipped fake: a switch that is set by hand. `cut` is a wire that was cut."""

    def __init__(self, level: str = "0") -> None:
        self._level, self._edges, self.cut = level, "", False

    def set(self, level: str) -> None:
        """Another level, now."""
        self._level, self._edges = level, self._edges + level

    def read(self) -> str:
        """See `CaseSwitch`."""
        if self.cut:
            raise OSError(19, "the wire is cut")
        edges, self._edges = self._edges, ""
        return edges + self._level

    def close(self) -> None:
        """See `CaseSwitch`."""
