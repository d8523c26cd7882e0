"""Which files a unit gives and takes, what goes with them, and how they are called here.

`STILL` is no file of the unit: it is its masked picture, made when it is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alpr_edge.console.device import REASONED, Parcel
from alpr_edge.errors import ConsoleError

FILES: Final = ("masks", "register", "config", "log")
STILL: Final = "still"
PUSHES: Final = ("masks", "register", "config", "update")
NAMES: Final = {
    "masks": "masks.json",
    "register": "register.json",
    "config": "device.toml",
    "log": "ledger.zip",
    STILL: "still.jpg",
}
"""What a file is called here if nobody says otherwise."""


def needs_reason(act: str, what: str) -> bool:
    """Whether the unit asks why."""
    return what != STILL and (act, Parcel(what)) in REASONED


def signature_of(path: Path) -> bytes:
    """The signature that lies beside a file as FILE.sig; empty where there is none.

    Raises:
        ConsoleError: `host.file.unreadable`.
    """
    beside = path.with_name(path.name + ".sig")
    return read_file(beside) if beside.exists() else b""


def read_file(path: Path) -> bytes:
    """A file of the laptop.

    Raises:
        ConsoleError: `host.file.unreadable`.
    """
    try:
        return path.read_bytes()
    except OSError as err:
        raise ConsoleError(
            f"{path} cannot be read: {err.strerror}",
            code="host.file.unreadable",
            hint="check the name",
        ) from err
