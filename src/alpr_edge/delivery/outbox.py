"""The outbox: events wait here, on disk, until they have been delivered or have expired.

It is the only queue: the link holds nothing of its own, so a read is in one place.
It does not send (`courier`), and it does not encrypt yet (`sealing` is the seam).

Rules:
- A `put` that returned has reached the disk: kill -9 and a power cut do not undo it.
- It is bounded by rows and bytes; beyond that the oldest goes first, counted.
- A damaged file is set aside, a new one begun; the loss is counted and reported, never silent.
- No event outlives its retention: `purge_expired` removes it, and damaged files after `keep_s`.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from alpr_edge.delivery.event import Event
from alpr_edge.delivery.outbox_file import is_damage, open_database, set_aside, translate
from alpr_edge.delivery.sealing import PlainSealer, Sealer
from alpr_edge.errors import PublishError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_DROP_BATCH = 64
_SETTLE_BATCH = 500


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may wait.

    Attributes:
        max_rows, max_bytes: of events; the file is a little larger.
        keep_damaged_s: how long a damaged file is kept for examination.
    """

    max_rows: int = 100_000
    max_bytes: int = 200_000_000
    keep_damaged_s: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Row:
    """A waiting event. `expires_at` is Unix time in seconds; `payload` is what will be sent."""

    seq: int
    event_id: str
    expires_at: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """What waits now, and what was lost since the start: never without a count."""

    rows: int
    size_bytes: int
    dropped: int
    expired: int
    damaged: int


class Outbox:
    """One SQLite file; safe to use from several threads, by one process at a time."""

    def __init__(
        self,
        path: Path,
        limits: OutboxLimits | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        """Open or create `path`.

        Raises:
            PublishError: the file cannot be opened or made (`delivery.outbox.*`).
        """
        self._path = path
        self._limits = limits or OutboxLimits()
        self._sealer = sealer or PlainSealer()
        self._lock = threading.RLock()
        self._dropped = self._expired = self._damaged = 0
        self._dirty = True
        self._rows = self._size = 0
        self._db = self._open()
        self._run(self._recount)

    def put(self, event: Event) -> None:
        """Store one event; one already there is not stored twice.

        Raises:
            PublishError: it is not stored; the code says why (`delivery.outbox.*`).
        """
        self.put_all((event,))

    def put_all(self, events: Iterable[Event]) -> None:
        """Store several events in one transaction: all or none.

        Raises:
            PublishError: none is stored.
        """
        rows = [self._row_of(event) for event in events]

        def work(db: sqlite3.Connection) -> int:
            for row in rows:
                done = db.execute(
                    "INSERT OR IGNORE INTO events (event_id, expires_at, size, sealed)"
                    " VALUES (?, ?, ?, ?)",
                    row,
                )
                self._rows += done.rowcount
                self._size += done.rowcount * row[2]
            return self._drop_oldest(db)

        dropped = self._run(work)
        self._dropped += dropped
        if dropped:
            _log.warning(
                "outbox full, oldest events dropped",
                extra={"code": "delivery.outbox.overflow", "dropped": dropped},
            )

    def pending(self, limit: int, after: int = 0) -> list[Row]:
        """Up to `limit` waiting events, oldest first, with a `seq` above `after`.

        Raises:
            PublishError: the file cannot be read.
        """
        found = self._run(
            lambda db: db.execute(
                "SELECT seq, event_id, expires_at, sealed FROM events"
                " WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        )
        return [Row(s, i, e, self._sealer.open(i, sealed)) for s, i, e, sealed in found]

    def settle(self, ids: Sequence[str]) -> int:
        """Delete delivered events; ids that are not here are ignored. Returns how many went.

        Raises:
            PublishError: nothing was deleted; the events may be sent again.
        """

        def work(db: sqlite3.Connection) -> int:
            gone = 0
            for start in range(0, len(ids), _SETTLE_BATCH):
                batch = list(ids[start : start + _SETTLE_BATCH])
                marks = ",".join("?" * len(batch))
                gone += self._delete(db, f"event_id IN ({marks})", batch)
            return gone

        return self._run(work) if ids else 0

    def purge_expired(self, now_s: float) -> int:
        """Delete what may not be kept at Unix time `now_s`. Returns how many events went.

        Raises:
            PublishError: nothing was deleted.
        """
        gone = self._run(lambda db: self._delete(db, "expires_at <= ?", [int(now_s)]))
        self._expired += gone
        aside = self._path.with_name(self._path.name + ".damaged")
        with contextlib.suppress(OSError):
            if now_s - aside.stat().st_mtime > self._limits.keep_damaged_s:
                aside.unlink()
        return gone

    def tidy(self) -> None:
        """Empty the write-ahead log, which still holds deleted events. Cheap when none were.

        Raises:
            PublishError: the file cannot be written.
        """
        with self._lock:
            if not self._dirty:
                return
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as err:
                raise translate(err, self._path) from err
            self._dirty = False

    @property
    def counts(self) -> OutboxCounts:
        """Numbers for health."""
        return OutboxCounts(self._rows, self._size, self._dropped, self._expired, self._damaged)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock, contextlib.suppress(sqlite3.Error, PublishError):
            self.tidy()
        with self._lock:
            self._db.close()

    def __enter__(self) -> Outbox:
        """Itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self.close()

    def _row_of(self, event: Event) -> tuple[str, int, int, bytes]:
        sealed = self._sealer.seal(event.event_id, event.to_json())
        if len(sealed) > self._limits.max_bytes:
            raise PublishError(
                f"event {event.event_id} is larger than the outbox",
                code="delivery.outbox.too_large",
                hint="raise delivery.max_bytes",
            )
        return event.event_id, int(event.expires_at.timestamp()), len(sealed), sealed

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do `work` in a transaction; once more on a new file if this one proves damaged."""
        with self._lock:
            try:
                return self._transact(work)
            except sqlite3.Error as err:
                if not is_damage(err):
                    raise translate(err, self._path) from err
                self._report_damage()
            try:
                self._db.close()
                set_aside(self._path)
                self._db = self._open()
                self._rows = self._size = 0
                return self._transact(work)
            except (sqlite3.Error, OSError) as err:
                if isinstance(err, sqlite3.Error):
                    raise translate(err, self._path) from err
                raise PublishError(
                    f"outbox {self._path}: cannot be set aside: {err.strerror}",
                    code="delivery.outbox.damaged",
                    hint="move the file away by hand and check the disk",
                ) from err

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        before = self._rows, self._size
        changes = self._db.total_changes if self._is_open() else 0
        try:
            self._db.execute("BEGIN IMMEDIATE")
            result = work(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            self._rows, self._size = before
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._dirty = self._dirty or self._db.total_changes != changes
        return result

    def _is_open(self) -> bool:
        with contextlib.suppress(sqlite3.ProgrammingError):
            return self._db.total_changes >= 0
        return False

    def _delete(self, db: sqlite3.Connection, where: str, values: Sequence[object]) -> int:
        sizes = db.execute(
            f"DELETE FROM events WHERE {where} RETURNING size", list(values)
        ).fetchall()
        self._rows -= len(sizes)
        self._size -= sum(size for (size,) in sizes)
        return len(sizes)

    def _drop_oldest(self, db: sqlite3.Connection) -> int:
        dropped = 0
        while self._rows > self._limits.max_rows or self._size > self._limits.max_bytes:
            oldest = db.execute(
                "SELECT seq, size FROM events ORDER BY seq LIMIT ?", (_DROP_BATCH,)
            ).fetchall()
            last, rows, size = 0, self._rows, self._size
            for seq, length in oldest:
                if rows <= self._limits.max_rows and size <= self._limits.max_bytes:
                    break
                last, rows, size = seq, rows - 1, size - length
            dropped += self._delete(db, "seq <= ?", [last])
        return dropped

    def _recount(self, db: sqlite3.Connection) -> None:
        self._rows, self._size = db.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM events"
        ).fetchone()

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return open_database(self._path)
            except sqlite3.Error as err:
                if not is_damage(err):
                    raise
                self._report_damage()
                set_aside(self._path)
                return open_database(self._path)
        except sqlite3.Error as err:
            raise translate(err, self._path) from err

    def _report_damage(self) -> None:
        self._damaged += 1
        _log.error(
            "outbox damaged: set aside, a new one begun; the events in it are lost",
            extra={"code": "delivery.outbox.damaged", "rows": self._rows},
        )
