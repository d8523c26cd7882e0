"""Edge: writes a small file so that a power cut leaves the old one or the new one, never a part.

Source: POSIX rename(2) replaces atomically; without fsync of the file its data, and without fsync
of the folder its name, may still be lost (Pillai et al., "All File Systems Are Not Created Equal",
OSDI 2014).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by these bytes. Its folder must exist.

    Raises:
        OSError: it could not be written; the old file, if any, is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        # A crash may have left one behind; O_EXCL then follows nobody's link.
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def create_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Make a file that must not exist yet, all at once.

    Raises:
        FileExistsError: it does, and is untouched.
        OSError: it could not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write_durably(temporary, data, mode=mode)
        # link, unlike rename, never replaces.
        os.link(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
