"""Edge: a start that does not come as far as its entry in the ledger is told all the same.

Beside the ledger lies `LEDGER.starting` from before it is opened until `boot` is on record. Whoever
finds it there knows that a start before broke off. What failed earlier, a configuration that does
not parse among it, goes into the spool, and is taken by the next start that succeeds.

Rules:
- Where the configuration cannot say where the ledger lies, only a ledger that is already at the
  usual place beside it is told.
- It stops no start and hides no error: what it cannot write is logged.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tomllib
from pathlib import Path
from typing import Final, Literal

from alpr_edge.errors import AuditError
from alpr_edge.ledger.kinds import StartFailed
from alpr_edge.ledger.spool import Spool
from alpr_edge.trust.durable_file import write_durably

_log = logging.getLogger(__name__)
_USUAL: Final = "ledger"
_MOST_BYTES: Final = 1 << 20
BROKE_OFF: Final = "ledger.start.broke_off"


class Starting:
    """The mark of one ledger's start, and what is told of starts that failed.

    Args:
        ledger: the ledger's folder.
        config: SHA-256 of the configuration's file.
    """

    def __init__(self, ledger: Path, config: str | None = None) -> None:
        self._spool, self._config = Spool(ledger), config
        self._mark = ledger.with_name(ledger.name + ".starting")

    def begin(self) -> None:
        """A start begins. If the mark of one is still there, that one broke off."""
        if self._mark.exists():
            self._tell("broke_off", BROKE_OFF)
        try:
            self._mark.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._mark, f"{os.getpid()}\n".encode(), mode=0o600)
        except OSError as err:
            _log.warning("the start cannot be marked", extra={"why": str(err.strerror)})

    def done(self) -> None:
        """It is on record."""
        try:
            self._mark.unlink(missing_ok=True)
        except OSError as err:
            _log.warning("the start stays marked", extra={"why": str(err.strerror)})

    def failed(self, code: str, stage: Literal["configuration", "device"] = "device") -> None:
        """It failed; told unless it is on record already."""
        if stage == "configuration":
            self._tell(stage, code)  # a mark that lies there is another start's
        elif self._mark.exists():
            self._tell(stage, code)
            self.done()

    def _tell(self, stage: Literal["configuration", "device", "broke_off"], code: str) -> None:
        try:
            self._spool.put(StartFailed(stage=stage, code=code, config=self._config))
        except (AuditError, ValueError) as err:
            _log.error("a start that failed is not on record", extra={"why": str(err)[:200]})


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
