"""Edge: watches the unit itself for signs that someone is at it: case, files, listening ports.

It tells `Trigger`s, each once a change, and decides nothing. The case switch is a port
(`case_switch`): a line of a GPIO chip, a file or a pipe.

Rules:
- A switch that cannot be read is a storage fault, told once: a cut wire must not look closed.
- Files are compared by what the file system says of them, and read again when that changes or an
  hour has passed: whoever can set a file's times back cannot set back its change time as well.
- Ports that this machine alone can reach do not count.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from alpr_edge.ledger.case_switch import CaseSwitch
from alpr_edge.ledger.kinds import Body, StorageFault, Trigger
from alpr_edge.ledger.listeners import listening, outside

_log = logging.getLogger(__name__)
Part = Literal["config", "masks", "models", "software", "keys", "certificates"]
HASH_AGAIN_S: Final = 3600.0
_TCP: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_CHUNK: Final = 1 << 20
_MISSING: Final = "0" * 64
_Facts = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Watched:
    """What a sentry looks at.

    Attributes:
        files: by part; a folder stands for every file in it.
        case_switch: tells whether the case is open; None: there is none.
        case_open: the character that means open.
        ports: that may listen to the outside; None: those that did at the first look.
    """

    files: Mapping[Part, Sequence[Path]]
    case_switch: CaseSwitch | None = None
    case_open: str = "1"
    ports: frozenset[int] | None = None


class Sentry:
    """Looks when it is told to, one look at a time.

    Args:
        tell: gets what was found.
        monotonic: seconds.
        tcp: the kernel's tables of sockets.
    """

    def __init__(
        self,
        watched: Watched,
        tell: Callable[[Body], None],
        monotonic: Callable[[], float],
        *,
        tcp: Sequence[Path] = _TCP,
    ) -> None:
        self._watched, self._tell, self._monotonic, self._tcp = watched, tell, monotonic, tcp
        self._known: dict[Path, tuple[_Facts, str]] = {}
        self._hashed_s = self._monotonic()
        self._ports = watched.ports
        self._strange: frozenset[int] = frozenset()
        self._is_open = self._is_blind = False
        for _, path in self._files():
            self._known[path] = _facts(path), _digest(path)

    def look(self) -> None:
        """Look at everything once, and tell what is new."""
        self._look_at_case()
        self._look_at_files()
        self._look_at_ports()

    def close(self) -> None:
        """Let the switch go."""
        if self._watched.case_switch is not None:
            self._watched.case_switch.close()

    # --- the case ----------------------------------------------------------------------------

    def _look_at_case(self) -> None:
        if self._watched.case_switch is None:
            return
        try:
            text = self._watched.case_switch.read()
        except OSError as err:
            if not self._is_blind:
                _log.error("the case switch cannot be read", extra={"why": str(err.strerror)})
                self._tell(StorageFault(what="config", code="ledger.sentry.case_switch"))
            self._is_blind = True
            return
        self._is_blind = False
        levels = [one for one in text if one in "01"]
        for level in levels:
            opened = level == self._watched.case_open
            if opened and not self._is_open:
                self._tell(Trigger(what="case_opened"))
            self._is_open = opened

    # --- files -------------------------------------------------------------------------------

    def _files(self) -> list[tuple[Part, Path]]:
        return [
            (part, path)
            for part, paths in self._watched.files.items()
            for one in paths
            for path in (_within(one) if one.is_dir() else [one])
        ]

    def _look_at_files(self) -> None:
        again = self._monotonic() - self._hashed_s >= HASH_AGAIN_S
        if again:
            self._hashed_s = self._monotonic()
        there = {path: part for part, path in self._files()}
        for path in [*there, *(one for one in self._known if one not in there)]:
            facts, before = self._known.get(path, ((0, 0, 0, 0), _MISSING))
            now = _facts(path)
            if now == facts and not again:
                continue
            digest = _digest(path)
            if digest != before:
                part: Part = there.get(path) or self._part_of(path)
                self._tell(Trigger(what="file_changed", file=part, old=before, new=digest))
                _log.warning("a file changed", extra={"part": part})
            if digest == _MISSING:
                self._known.pop(path, None)
            else:
                self._known[path] = now, digest

    def _part_of(self, path: Path) -> Part:
        """Of a file that is gone."""
        for part, paths in self._watched.files.items():
            if any(path == one or one in path.parents for one in paths):
                return part
        return "software"

    # --- ports -------------------------------------------------------------------------------

    def _look_at_ports(self) -> None:
        found: frozenset[int] = frozenset()
        for table in self._tcp:
            try:
                found |= outside(listening(table.read_text("ascii", "replace")))
            except OSError:
                continue  # a kernel without IPv6
        if self._ports is None:
            self._ports = found
        strange = found - self._ports
        for port in sorted(strange - self._strange):
            self._tell(Trigger(what="listener_unexpected", port=port))
        self._strange = strange


def _within(folder: Path) -> list[Path]:
    """The files of a folder that software is made of, sorted; caches are left out."""
    found: list[Path] = []
    for where, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if one != "__pycache__"]
        found += [Path(where, name) for name in names if not name.endswith(".pyc")]
    return sorted(found)


def _facts(path: Path) -> _Facts:
    try:
        about = os.stat(path)
    except OSError:
        return (0, 0, 0, 0)
    return (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def _digest(path: Path) -> str:
    """SHA-256 of a regular file; zeros where there is none that can be read."""
    digest = hashlib.sha256()
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return _MISSING
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return _MISSING
    return digest.hexdigest()
