"""The outbox's SQLite file: opening it safely, naming what is wrong, setting a damaged one aside.

It knows files and SQLite, not events (`outbox`).

Rules:
- The file is 0600 from its first byte; SQLite gives its WAL the same mode.
- `synchronous=FULL`: a committed row survives a power cut. `outbox` deletes with NORMAL: a deletion
  that a power cut undoes costs a repeat, not a loss. `secure_delete=ON`: a deleted row is
  overwritten. One process at a time (`locking_mode=EXCLUSIVE`), so no shared-memory file.
- `AUTOINCREMENT`: a sequence number is never used twice, so readers may keep a cursor.

Source: sqlite.org/pragma.html and sqlite.org/rescode.html.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from alpr_edge.errors import PublishError

SCHEMA_VERSION = 2
_SCHEMA = """
DROP TABLE IF EXISTS events;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    schema TEXT NOT NULL,
    deadline_s REAL NOT NULL,
    expires_at INTEGER NOT NULL,
    carried INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX by_deadline ON events (deadline_s);
CREATE TABLE IF NOT EXISTS boot (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot_id TEXT NOT NULL,
    boot_s REAL NOT NULL
) STRICT;
"""
"""`deadline_s`: seconds since this boot at which the retention ends. `expires_at`: the same as Unix
time, 0 when the wall clock was not believed at storing. `carried`: stored before the last boot.
`boot`: which boot `deadline_s` is in, and how long it had lasted when that was last written.
Version 1, which was never released, held plain text: its rows are dropped, overwritten."""
_LOCK_WAIT_S = 1.0
_CHECKPOINT_PAGES = 4_000
"""16 MB of log before SQLite copies it into the file by itself: pages that are written again and
again are copied once, which spares flash and syncs. `tidy` empties it long before, as a rule."""
_SIDE_FILES = ("-wal", "-shm", "-journal")

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CODES = {
    sqlite3.SQLITE_FULL: ("full_disk", "free space where the outbox lies; reads wait in memory"),
    sqlite3.SQLITE_READONLY: ("read_only", "mount the outbox's file system writable"),
    sqlite3.SQLITE_CANTOPEN: ("unopenable", "check that the folder exists and may be written"),
    sqlite3.SQLITE_PERM: ("unopenable", "check that the folder exists and may be written"),
    sqlite3.SQLITE_BUSY: ("in_use", "another alpr-edge holds this outbox; stop it or use another"),
    sqlite3.SQLITE_LOCKED: (
        "in_use",
        "another alpr-edge holds this outbox; stop it or use another",
    ),
    sqlite3.SQLITE_IOERR: ("io", "the disk does not answer as it should; check or replace it"),
    sqlite3.SQLITE_CORRUPT: ("damaged", "it is set aside as *.damaged; check the disk"),
    sqlite3.SQLITE_NOTADB: ("damaged", "it is set aside as *.damaged; check the disk"),
}


def is_damage(err: sqlite3.Error) -> bool:
    """Whether the file itself is broken, so that only a new one helps."""
    return _primary(err) in _DAMAGE


def translate(err: sqlite3.Error, path: Path) -> PublishError:
    """The error with a stable code `delivery.outbox.*`; its text names no event."""
    name, hint = _CODES.get(_primary(err), ("failed", "see the message"))
    return PublishError(f"outbox {path}: {err}", code=f"delivery.outbox.{name}", hint=hint)


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the file, check it, and bring its schema up.

    Raises:
        sqlite3.Error: for `translate`; `is_damage` tells whether to `set_aside`.
        PublishError: the folder or file cannot be made, or a newer alpr-edge wrote the file.
    """
    _create_private(path)
    db = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def set_aside(path: Path) -> Path:
    """Rename a damaged file and drop its WAL; an older damaged one is replaced."""
    aside = path.with_name(path.name + ".damaged")
    for side in _SIDE_FILES:
        path.with_name(path.name + side).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.replace(aside)
        os.utime(aside)
    return aside


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")
    db.execute("PRAGMA temp_store=MEMORY")
    db.execute("PRAGMA journal_size_limit=0")
    db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        damage = sqlite3.DatabaseError("quick_check failed")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise PublishError(
            f"outbox {path} has schema {version}, this software knows {SCHEMA_VERSION}",
            code="delivery.outbox.newer",
            hint="start the newer alpr-edge once so that it can deliver what is left",
        )
    if version < SCHEMA_VERSION:
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _create_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(handle, 0o600)
        finally:
            os.close(handle)
    except OSError as err:
        name = "read_only" if err.errno == 30 else "unopenable"
        raise PublishError(
            f"outbox {path}: {err.strerror}",
            code=f"delivery.outbox.{name}",
            hint="check that the folder exists, is no link and may be written",
        ) from err


def _primary(err: sqlite3.Error) -> int:
    """The primary result code; extended codes hold it in their low byte."""
    return getattr(err, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
