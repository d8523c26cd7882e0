"""A GPIO chip of the kernel's own making (`gpio-sim`), for tests and benches. Needs root.

Source: kernel Documentation/admin-guide/gpio/gpio-sim.rst.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final

CONFIGFS: Final = Path("/sys/kernel/config/gpio-sim")
_LINES: Final = 8


def can_simulate() -> bool:
    """Whether this kernel makes such chips for this user."""
    return CONFIGFS.is_dir() and os.access(CONFIGFS, os.W_OK)


class SimulatedChip:
    """A chip of eight lines, from `with` to its end."""

    def __init__(self) -> None:
        self._folder = CONFIGFS / f"alpr-edge-{os.getpid()}-{id(self)}"

    def __enter__(self) -> SimulatedChip:
        (self._folder / "bank0").mkdir(parents=True)
        (self._folder / "bank0/num_lines").write_text(str(_LINES))
        (self._folder / "live").write_text("1")
        name = (self._folder / "bank0/chip_name").read_text().strip()
        device = (self._folder / "dev_name").read_text().strip()
        self.device = Path("/dev") / name
        self._pulls = Path("/sys/devices/platform") / device / name
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.unplug()
        (self._folder / "bank0").rmdir()
        self._folder.rmdir()

    def pull(self, line: int, level: str) -> None:
        """Set a line from outside: `0` or `1`."""
        word = "pull-up" if level == "1" else "pull-down"
        (self._pulls / f"sim_gpio{line}/pull").write_text(word)

    def unplug(self) -> None:
        """Take the chip away; what was opened of it stays a dead handle."""
        (self._folder / "live").write_text("0")
