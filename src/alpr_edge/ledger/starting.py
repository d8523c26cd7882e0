"""Edge: a start that does not come as far as its entry in the ledger is told all the same.

Beside the ledger lies `LEDGER.starting` from before it is opened until `boot` is on record. It
holds the digest of the configuration and is locked by the start that made it: the kernel lets go of
the lock when that ends, however it ends. Whoever finds the mark and can lock it knows that a start
before broke off. What failed earlier, a configuration that does not parse among it, goes into the
spool, and is taken by the next start that succeeds.

Rules:
- A start beside another one, that still starts, touches nothing of the other's mark.
- Starts that fail alike (stage, code, configuration), as a service manager makes them, wait in the
  spool as one notice with a count, of the last one's time; and there are never more than
  `MOST_TOLD` of them: the spool has its room for what people do.
- What a configuration says of its ledger is believed before anybody looks at its signature: one
  that puts `ledger.enabled` to false, or names another place, keeps its own failed start off.
- Where the configuration cannot say where the ledger lies, only a ledger that is already at the
  usual place beside it is told.
- It stops no start and hides no error: what it cannot write is logged.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import tomllib
from pathlib import Path
from typing import Final, Literal

from alpr_edge.errors import AuditError
from alpr_edge.ledger.files import sync_folder
from alpr_edge.ledger.kinds import StartFailed
from alpr_edge.ledger.spool import Spool

_log = logging.getLogger(__name__)
Stage = Literal["configuration", "device", "broke_off"]
_USUAL: Final = "ledger"
_MOST_BYTES: Final = 1 << 20
BROKE_OFF: Final = "ledger.start.broke_off"
MOST_TOLD: Final = 100
"""Failed starts that may wait in the spool."""
_MOST_MARK: Final = 200


class Starting:
    """The mark of one ledger's start, and what is told of starts that failed.

    Args:
        ledger: the ledger's folder.
        config: SHA-256 of the configuration's file.
    """

    def __init__(self, ledger: Path, config: str | None = None) -> None:
        self._spool, self._config = Spool(ledger), config
        self._mark = ledger.with_name(ledger.name + ".starting")
        self._handle: int | None = None
        self._is_beside = False

    def begin(self) -> None:
        """A start begins. If the mark of one is still there and nobody's, that one broke off."""
        try:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            self._handle, found = self._lock_mark()
            if found is not None:
                self._tell("broke_off", BROKE_OFF, _config_of(found))
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()} {self._config or '-'}\n".encode(), 0)
            os.fsync(self._handle)
            sync_folder(self._mark.parent)
        except BlockingIOError:
            self._is_beside = True
            _log.warning("another start is under way", extra={"file": self._mark.name})
        except OSError as err:
            _log.warning("the start cannot be marked", extra={"why": str(err.strerror)})

    def done(self) -> None:
        """It is on record. Nothing happens where the mark is another process's."""
        try:
            if self._is_mine():
                self._mark.unlink(missing_ok=True)
        except OSError as err:
            _log.warning("the start stays marked", extra={"why": str(err.strerror)})
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def failed(self, code: str, stage: Literal["configuration", "device"] = "device") -> None:
        """It failed; told unless it is on record already."""
        if stage == "configuration":
            self._tell(stage, code, self._config)  # a mark that lies there is another start's
        elif self._is_beside or self._is_mine():
            self._tell(stage, code, self._config)
            self.done()

    def _lock_mark(self) -> tuple[int, bytes | None]:
        """The mark, locked, and what one left behind held; None: this start made it.

        Raises:
            BlockingIOError: another start has it. OSError: it cannot be made or locked.
        """
        while True:
            was_there = self._mark.exists()
            handle = os.open(
                self._mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have removed it since it was opened.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(handle), os.stat(self._mark)):
                        return handle, os.read(handle, _MOST_MARK) if was_there else None
            except OSError:
                os.close(handle)
                raise
            os.close(handle)

    def _is_mine(self) -> bool:
        try:
            with self._mark.open("rb") as file:
                return file.read(_MOST_MARK).split()[:1] == [str(os.getpid()).encode()]
        except OSError:
            return False

    def _tell(self, stage: Stage, code: str, config: str | None) -> None:
        try:
            body = StartFailed(stage=stage, code=code, config=config)
            waiting = [(n, one) for n, one in self._spool.look() if isinstance(one, StartFailed)]
            for name, one in waiting:
                if one.model_copy(update={"count": 1}) == body:
                    self._spool.put(body.model_copy(update={"count": one.count + 1}))
                    self._spool.drop(name)
                    return
            if len(waiting) < MOST_TOLD:
                self._spool.put(body)
        except (AuditError, ValueError) as err:
            _log.error("a start that failed is not on record", extra={"why": str(err)[:200]})


def _config_of(mark: bytes) -> str | None:
    """The digest that a mark holds; None in one that is none, or of an earlier version."""
    digest = mark.decode("ascii", "replace").strip().rpartition(" ")[2]
    return digest if re.fullmatch("[0-9a-f]{64}", digest) else None


def find_starting(config_file: str | os.PathLike[str]) -> Starting | None:
    """The mark of the ledger that a configuration names, whatever else is wrong with it.

    None where it has no ledger, or nobody can know where that lies.
    """
    path = Path(config_file)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError:
        data = b""
    digest = hashlib.sha256(data).hexdigest() if data else None
    try:
        section = tomllib.loads(data.decode("utf-8")).get("ledger", {}) if data else None
    except (ValueError, RecursionError):
        section = None
    if isinstance(section, dict) and section.get("enabled") is False:
        return None
    named = section.get("path", _USUAL) if isinstance(section, dict) else None
    known = isinstance(named, str) and "\0" not in named and bool(Path(named).name)
    folder = path.parent / (str(named) if known else _USUAL)
    # Nothing is made at a place that only a guess names.
    if not known and not folder.is_dir():
        return None
    return Starting(folder, digest)
