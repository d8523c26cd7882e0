"""The witness's memory: one SQLite file with every head it has cosigned and every alarm.

Rules:
- `synchronous=FULL`: a cosignature leaves only after its head is on disk (C2SP tlog-witness).
- A head is never forgotten, so that an old one that comes back differently is recognised.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alpr_edge.errors import AuditError
from alpr_edge.ledger.note import Checkpoint

_SCHEMA = """
CREATE TABLE IF NOT EXISTS logs (
    origin TEXT PRIMARY KEY, device TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
    cosignature TEXT NOT NULL, heard_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS heads (
    origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (origin, size)
) STRICT;
CREATE TABLE IF NOT EXISTS alarms (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, device TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, evidence BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS devices (
    device TEXT PRIMARY KEY, heard_at INTEGER NOT NULL, silent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS by_device ON logs (device);
"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must look at; `evidence` is what was received."""

    at: int
    device: str
    kind: str
    text: str
    evidence: bytes = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one device."""

    device: str
    heard_at: int
    silent: bool
    origin: str
    size: int


class WitnessBook:
    """Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            AuditError: it cannot be opened (`ledger.witness.book`).
        """
        self._path = path
        with self._translated():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk at the end.

        Raises:
            AuditError: the disk does not take it.
        """
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def recorded(self, origin: str) -> Checkpoint | None:
        """The largest head of a log."""
        row = self._db.execute("SELECT size, root FROM logs WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else Checkpoint(origin, row[0], row[1])

    def root_at(self, origin: str, size: int) -> bytes | None:
        """The root once cosigned for a size."""
        row = self._db.execute(
            "SELECT root FROM heads WHERE origin = ? AND size = ?", (origin, size)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def latest_origin(self, device: str) -> str | None:
        """The log that a device had last."""
        row = self._db.execute(
            "SELECT origin FROM logs WHERE device = ? ORDER BY heard_at DESC, rowid DESC", (device,)
        ).fetchone()
        return None if row is None else str(row[0])

    def cosigned(self, device: str, head: Checkpoint, note: str, line: str, at: int) -> None:
        """Remember a head that is about to be cosigned."""
        self._db.execute(
            "INSERT OR IGNORE INTO heads VALUES (?, ?, ?, ?, ?)",
            (head.origin, head.size, head.root, note, at),
        )
        self._db.execute(
            "INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, cosignature = excluded.cosignature,"
            " heard_at = excluded.heard_at",
            (head.origin, device, head.size, head.root, line, at),
        )

    def heard(self, device: str, at: int) -> bool:
        """Note a sign of life. Returns whether the device had been silent."""
        row = self._db.execute("SELECT silent FROM devices WHERE device = ?", (device,)).fetchone()
        self._db.execute(
            "INSERT INTO devices VALUES (?, ?, 0) ON CONFLICT (device) DO UPDATE SET"
            " heard_at = excluded.heard_at, silent = 0",
            (device, at),
        )
        return bool(row and row[0])

    def expect(self, device: str, at: int) -> None:
        """A device that should be heard from now on."""
        self._db.execute("INSERT OR IGNORE INTO devices VALUES (?, ?, 0)", (device, at))

    def fall_silent(self, before: int) -> list[tuple[str, int]]:
        """Devices not heard since `before` that were not silent yet; now they are."""
        rows = self._db.execute(
            "UPDATE devices SET silent = 1 WHERE heard_at < ? AND silent = 0"
            " RETURNING device, heard_at",
            (before,),
        ).fetchall()
        return [(str(device), int(at)) for device, at in rows]

    def raise_alarm(self, alarm: Alarm) -> None:
        """Keep an alarm."""
        self._db.execute(
            "INSERT INTO alarms (at, device, kind, text, evidence) VALUES (?, ?, ?, ?, ?)",
            (alarm.at, alarm.device, alarm.kind, alarm.text, alarm.evidence),
        )

    def alarms(self, since: int = 0) -> list[Alarm]:
        """Alarms, oldest first."""
        rows = self._db.execute(
            "SELECT at, device, kind, text, evidence FROM alarms WHERE at >= ? ORDER BY number",
            (since,),
        )
        return [Alarm(*row) for row in rows]

    def standings(self) -> list[Standing]:
        """Every device, with its newest log."""
        rows = self._db.execute(
            "SELECT d.device, d.heard_at, d.silent, coalesce(l.origin, ''), coalesce(l.size, 0)"
            " FROM devices d LEFT JOIN logs l ON l.origin = (SELECT origin FROM logs"
            " WHERE device = d.device ORDER BY heard_at DESC, rowid DESC LIMIT 1) ORDER BY d.device"
        )
        return [Standing(d, h, bool(s), o, n) for d, h, s, o, n in rows]

    def head_note(self, device: str) -> str | None:
        """The newest cosigned checkpoint of a device, with the witness's line."""
        row = self._db.execute(
            "SELECT h.note, l.cosignature FROM logs l JOIN heads h USING (origin, size)"
            " WHERE l.device = ? ORDER BY l.heard_at DESC, l.rowid DESC",
            (device,),
        ).fetchone()
        return None if row is None else f"{row[0]}{row[1]}\n"

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as err:
            raise AuditError(
                f"the witness's book {self._path}: {err}",
                code="ledger.witness.book",
                hint="check the folder, the disk, and that no other witness uses it",
            ) from err
