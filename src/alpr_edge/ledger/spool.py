"""Edge: how another process of the unit hands an entry to the one that writes the ledger.

    LEDGER.spool/               0700, of the service's user
        20261124T080000123456789-4711-9f3a.json    one notice each, 0600

A notice is written beside, synced and renamed, so that it survives a power cut from the moment
`put` returns. The ledger's owner takes the notices in the order of their names, makes their entries
durable, and deletes them. A kill in between brings a notice twice, never not at all.

Who may write into the folder may tell the ledger something: that is the whole authentication, and
it is the file system's. A notice of another user, or open to others, is refused. Only `MAY_TELL`
may come this way: what leaves, starts and ends is written by the service alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from alpr_edge.errors import AuditError
from alpr_edge.ledger.fields import stamp
from alpr_edge.ledger.files import sync_folder, translate, write_all
from alpr_edge.ledger.kinds import (
    Access,
    AnyBody,
    Body,
    Commissioning,
    ConfigChange,
    Drift,
    FileMoved,
    KeyChange,
    Login,
    MaskChange,
    Reported,
    SelfTest,
    StartFailed,
    StorageFault,
    TimeCorrection,
    Trigger,
    Update,
)

_log = logging.getLogger(__name__)
MAY_TELL: Final[tuple[type[Body], ...]] = (
    *(Access, Commissioning, ConfigChange, Drift, KeyChange, Login, MaskChange, Reported),
    *(FileMoved, SelfTest, StartFailed, StorageFault, TimeCorrection, Trigger, Update),
)
MAX_NOTICE_BYTES: Final = 16 * 1024
MOST_WAITING: Final = 10_000
"""More than this and `put` refuses: nobody takes them."""
_BODY: Final[TypeAdapter[Any]] = TypeAdapter(AnyBody)


@dataclass(frozen=True, slots=True)
class Notice:
    """An entry that waits.

    Attributes:
        name: its file.
        at: when it was put there, as entries write times.
    """

    name: str
    at: str
    body: Body


class Spool:
    """The notices beside one ledger."""

    def __init__(self, ledger: Path) -> None:
        self.path = ledger.with_name(ledger.name + ".spool")

    def put(self, body: Body) -> str:
        """Leave an entry; durable once this returns. Returns its name.

        Raises:
            AuditError: it cannot be written (`ledger.file.*`), or too many wait
                (`ledger.spool.full`).
        """
        if not isinstance(body, MAY_TELL):
            raise TypeError(f"a {type(body).__name__} is written by the service alone")
        now = datetime.now(UTC)
        text = json.dumps({"at": stamp(now), "body": body.model_dump(mode="json")})
        name = f"{now:%Y%m%dT%H%M%S}{time.time_ns() % 1_000_000_000:09d}-{os.getpid()}"
        path = self.path / f"{name}-{secrets.token_hex(4)}.json"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if len(os.listdir(self.path)) > MOST_WAITING:
                raise AuditError(
                    f"{MOST_WAITING} entries wait in {self.path} and nobody takes them",
                    code="ledger.spool.full",
                    hint="start `alpr-edge run`; it takes them into the ledger",
                )
            beside = path.with_suffix(".new")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(beside, flags, 0o600)
            try:
                self._give_to_owner(handle)
                write_all(handle, text.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            beside.replace(path)
            sync_folder(self.path)
        except OSError as err:
            raise translate(err, path) from err
        return path.name

    def waiting(self) -> list[str]:
        """Names of what waits, oldest first; empty also where there is no spool."""
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(".json"))
        except OSError:
            return []

    def look(self, most: int = 1000) -> list[tuple[str, Body]]:
        """Name and entry of what waits, the newest first; it goes on waiting."""
        found: list[tuple[str, Body]] = []
        for name in self.waiting()[: -most - 1 : -1]:
            notice, _ = self._read(name)
            if notice is not None:
                found.append((name, notice.body))
        return found

    def drop(self, name: str) -> None:
        """Forget one that another says as well.

        Raises:
            AuditError: the disk does not do it (`ledger.file.*`).
        """
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as err:
            raise translate(err, self.path / name) from err

    def holds(self, name: str) -> bool:
        """Whether this notice still waits."""
        return (self.path / name).exists()

    def take(self, write: Callable[[Notice], None], durable: Callable[[], None]) -> int:
        """Hand everything that waits to `write`, and forget it once `durable` has returned.

        What cannot be read is set aside as `NAME.refused` and becomes a storage fault.

        Returns:
            How many were taken.

        Raises:
            AuditError: `durable` did; everything stays and is taken again.
        """
        names = self.waiting()
        for name in names:
            notice, why = self._read(name)
            if notice is None:
                _log.error("a notice for the ledger is refused: %s", why, extra={"file": name})
                fault = StorageFault(what="ledger", code="ledger.spool.refused")
                notice = Notice(name, stamp(datetime.now(UTC)), fault)
                with contextlib.suppress(OSError):
                    (self.path / name).rename(self.path / f"{name}.refused")
            write(notice)
        if names:
            durable()
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).unlink()
        return len(names)

    def _give_to_owner(self, handle: int) -> None:
        """Root's notices belong to the service's user, who must be able to delete them."""
        if os.geteuid() == 0:
            owner = os.stat(self.path)
            os.fchown(handle, owner.st_uid, owner.st_gid)

    def _read(self, name: str) -> tuple[Notice | None, str]:
        try:
            handle = os.open(
                self.path / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            )
            with open(handle, "rb") as file:
                about = os.fstat(handle)
                if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077:
                    return None, "not a file of mode 0600"
                if about.st_uid not in (os.stat(self.path).st_uid, 0):
                    return None, "of another user"
                data = file.read(MAX_NOTICE_BYTES + 1)
        except OSError as err:
            return None, str(err.strerror)
        return parse_notice(name, data)


def parse_notice(name: str, data: bytes) -> tuple[Notice | None, str]:
    """The notice that these bytes are, or why they are none."""
    if len(data) > MAX_NOTICE_BYTES:
        return None, "too long"
    try:
        document = json.loads(data)
        body = _BODY.validate_json(json.dumps(document["body"]))
        at = document["at"]
        if set(document) != {"at", "body"} or at != stamp(datetime.fromisoformat(at)):
            return None, "not a notice"
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, ValidationError) as err:
        return None, f"not a notice: {type(err).__name__}"
    if not isinstance(body, MAY_TELL):
        return None, "an entry that only the service writes"
    return Notice(name, at, body), ""
