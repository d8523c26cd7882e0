"""Edge: what a unit showed, in a file, without what must not lie in one.

Rules:
- Only its owner may read the file; it is added to, never replaced.
- Kept out: secrets that the unit shows once (first-boot secret, first passwords, second factor and
  recovery codes), and plates of `show reads`: they were shown for a reason that is on the unit's
  ledger, and a copy in a file would be another reason.
- A line is kept when it has ended, so that what is kept out is never cut in two.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Final

from alpr_edge.errors import ConsoleError

_SECRETS: Final = re.compile(rb"((?:First-boot secret of this unit|for the first login): )\S+")
_PLATES: Final = (
    re.compile(rb"(\d{4}-\d\d-\d\dT\S+ +)\S+( +[01]\.\d\d)"),
    re.compile(rb'("plate": ?")[^"]*(")'),
)
_BEGIN, _END = b"Second factor: scan this", (b"code that the app shows now", b"login: ")
"""Between them are the second factor, as a drawing and as text, and the recovery codes."""
NOT_KEPT: Final = b"[not kept]"
_MOST: Final = 1 << 16


class Transcript:
    """See the module's docstring.

    Raises:
        ConsoleError: `host.file.unwritable`.
    """

    def __init__(self, path: Path, about: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._file = open(os.open(path, flags, 0o600), "wb")  # noqa: SIM115 - `close`
            os.fchmod(self._file.fileno(), 0o600)
        except OSError as err:
            raise ConsoleError(
                f"{path} cannot be written: {err.strerror}",
                code="host.file.unwritable",
                hint="check the folder and the space on the disk",
            ) from err
        self._line = bytearray()
        self._hides = False
        self.trouble = ""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._put(f"--- {about}, {now} (this laptop's clock)\n".encode())

    def write(self, data: bytes) -> None:
        """What the unit showed, or the laptop. Never raises: `trouble` says why nothing is kept."""
        self._line += data
        while (end := self._line.find(b"\n")) >= 0 or len(self._line) > _MOST:
            end = end + 1 if end >= 0 else len(self._line)
            line = bytes(self._line[:end])
            del self._line[:end]
            self._keep(line)

    def close(self) -> None:
        """Keep the last line, and end."""
        if self._line:
            self._keep(bytes(self._line) + b"\n")
        try:
            self._file.close()
        except OSError as err:
            self.trouble = str(err.strerror)

    def _keep(self, line: bytes) -> None:
        if self._hides:
            if not any(end in line for end in _END):
                return
            self._hides = False
        elif _BEGIN in line:
            self._hides = True
            line = b"Second factor and recovery codes: " + NOT_KEPT + b"\r\n"
        line = _SECRETS.sub(rb"\1" + NOT_KEPT, line)
        for pattern in _PLATES:
            line = pattern.sub(rb"\1" + NOT_KEPT + rb"\2", line)
        self._put(line)

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as err:
            self.trouble = self.trouble or str(err.strerror)
