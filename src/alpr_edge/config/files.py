"""Edge: one careful way to read a small file that a person named.

It never blocks (a named pipe or a device is refused before a byte is read), never reads more than
the limit, and never raises for what is wrong with the file: it returns a `FileTrouble`, which the
caller turns into its own error with its own code. It does not write, and it does not parse.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """What can be wrong with a file before anyone looks inside."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not_a_file"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class FileTrouble:
    """Why no bytes came.

    Attributes:
        detail: a phrase that follows the file's name: `is a folder`, `cannot be opened: …`.
    """

    kind: Trouble
    detail: str

    @property
    def hint(self) -> str:
        """What to do about it."""
        return _HINTS[self.kind]


_HINTS = {
    Trouble.MISSING: "check the path",
    Trouble.UNREADABLE: "check the permissions of the file and its folder",
    Trouble.NOT_A_FILE: "name a file",
    Trouble.TOO_LARGE: "is this the right file?",
}

_KINDS = (
    (stat.S_ISDIR, "is a folder, not a file"),
    (stat.S_ISFIFO, "is a named pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)


def read_regular_file(path: str | os.PathLike[str], *, limit_bytes: int) -> bytes | FileTrouble:
    """Bytes of a regular file, or why there are none.

    The kind of file is asked before it is opened, because opening a device can have effects, and
    again after, because the name may have changed hands in between.
    """
    try:
        trouble = _not_a_file(os.stat(path).st_mode)
        if trouble is not None:
            return trouble
        # O_NONBLOCK: a pipe that took the file's place must not hang us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            trouble = _not_a_file(os.fstat(descriptor).st_mode)
            if trouble is not None:
                return trouble
            data = file.read(limit_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return FileTrouble(Trouble.MISSING, "does not exist")
    except ValueError:  # a NUL in the name
        return FileTrouble(Trouble.MISSING, "is not a possible file name")
    except OSError as err:
        return FileTrouble(Trouble.UNREADABLE, f"cannot be read: {err.strerror or err}")
    if len(data) > limit_bytes:
        return FileTrouble(Trouble.TOO_LARGE, f"is larger than {limit_bytes} bytes")
    return data


def regular_file_trouble(path: str | os.PathLike[str]) -> FileTrouble | None:
    """Why a library must not be given this path to open by itself; `None` where it may."""
    found = read_regular_file(path, limit_bytes=0)
    if isinstance(found, FileTrouble) and found.kind is not Trouble.TOO_LARGE:
        return found
    return None


def display_name(path: str | os.PathLike[str]) -> str:
    """The path as text that any terminal, log or JSON can hold (odd bytes as `\\xNN`)."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _not_a_file(mode: int) -> FileTrouble | None:
    for is_kind, detail in _KINDS:
        if is_kind(mode):
            return FileTrouble(Trouble.NOT_A_FILE, detail)
    return None
