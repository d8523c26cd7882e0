"""The clocks that delivery reads, as a port: the wall clock, and the time since boot.

Adapters: `SystemClocks`, and `SetClocks`, the shipped fake. The wall clock can stand in 1970 or
jump by years; the time since boot cannot, so retention is counted on it where it is known.

Source: Linux clock_gettime(2), CLOCK_BOOTTIME (counts suspension too); adjtimex(2), TIME_ERROR.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5
_TIMEX_BYTES = 512
"""More than any `struct timex` has (208 bytes on 64-bit Linux); all zero asks and sets nothing."""


class Clocks(Protocol):
    """What delivery may ask about time."""

    def wall_s(self) -> float:
        """Unix time in seconds; may be wrong and may jump."""
        ...

    def boot_s(self) -> float:
        """Seconds since the device was switched on; never goes back, counts suspension."""
        ...

    def boot_id(self) -> str:
        """A name that changes with each boot."""
        ...

    def believed(self) -> bool:
        """Whether the wall clock is disciplined by a time source now."""
        ...


class SystemClocks:
    """The kernel's clocks."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._boot_id = _BOOT_ID.read_text("ascii").strip()
        except OSError:
            # Without /proc every start counts as a boot: events are then kept shorter, not longer.
            self._boot_id = f"start-{time.time_ns()}"

    def wall_s(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def boot_s(self) -> float:
        """Seconds since boot."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """The kernel's random name of this boot."""
        return self._boot_id

    def believed(self) -> bool:
        """What the kernel says of its synchronisation (NTP, PTP or GNSS set it)."""
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        return 0 <= int(self._libc.adjtimex(timex)) != _TIME_ERROR


@dataclass(frozen=True, slots=True)
class Moment:
    """What the clocks showed at one moment, for many events of that moment."""

    wall: float
    boot: float
    name: str
    trusted: bool

    @classmethod
    def of(cls, clocks: Clocks) -> Moment:
        """Now."""
        return cls(clocks.wall_s(), clocks.boot_s(), clocks.boot_id(), clocks.believed())

    def wall_s(self) -> float:
        """Unix time in seconds."""
        return self.wall

    def boot_s(self) -> float:
        """Seconds since boot."""
        return self.boot

    def boot_id(self) -> str:
        """Of the boot."""
        return self.name

    def believed(self) -> bool:
        """Whether the wall clock was disciplined."""
        return self.trusted


class SetClocks:
    """The shipped fake: stands still until it is told otherwise.

    Attributes:
        wall, boot: what the clocks show, in seconds.
        name: of this boot.
        trusted: whether the wall clock is disciplined.
    """

    def __init__(self, wall: float = 1_767_225_600.0, boot: float = 100.0) -> None:
        self.wall, self.boot = wall, boot
        self.name = "boot-1"
        self.trusted = True

    def wall_s(self) -> float:
        """What `wall` says."""
        return self.wall

    def boot_s(self) -> float:
        """What `boot` says."""
        return self.boot

    def boot_id(self) -> str:
        """What `name` says."""
        return self.name

    def believed(self) -> bool:
        """What `trusted` says."""
        return self.trusted

    def pass_s(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.wall += seconds
        self.boot += seconds

    def reboot(self, off_s: float = 0.0, boot: float = 5.0) -> None:
        """Switch off for `off_s` and on again; the wall clock went on."""
        self.wall += off_s
        self.boot = boot
        self.name += "+"
