"""The outbox: events wait here, on disk and sealed, until they were delivered or have expired.

It is the only queue: the link holds nothing of its own, so a read is in one place.
It does not send (`courier`) and holds no keys (`vault`).

Rules:
- A `put` that returned has reached the disk: kill -9 and a power cut do not undo it.
- What lies on disk is sealed, and bound to its row and schema. A row that does not open is deleted
  and counted; it is never sent.
- It is bounded by rows and bytes; beyond that the oldest goes first, counted.
- No event outlives its retention, whatever the wall clock does (`retention`).
- A damaged file is set aside, a new one begun; the loss is counted and reported, never silent.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from alpr_edge.delivery.clocks import Clocks, Moment, SystemClocks
from alpr_edge.delivery.event import Event
from alpr_edge.delivery.fresh import Fresh
from alpr_edge.delivery.ids import made_at_s
from alpr_edge.delivery.key_store import FileKeyStore
from alpr_edge.delivery.outbox_file import is_damage, open_database, set_aside, translate
from alpr_edge.delivery.outbox_values import OutboxCounts, OutboxLimits, Parcel, Row
from alpr_edge.delivery.retention import Deadline, deadline, left_s
from alpr_edge.delivery.sealing import Unsealable, key_number
from alpr_edge.delivery.vault import Vault
from alpr_edge.delivery.wear import WearBudget
from alpr_edge.errors import PublishError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Stored = tuple[int, str, str, float, int, int, bytes]
_Sealed = tuple[str, str, float, int, int, bytes]
_INSERT = (
    "INSERT OR IGNORE INTO events (event_id, schema, deadline_s, expires_at, size, sealed)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_DROP_BATCH = 64
_SETTLE_BATCH = 500
_BEAT_S = 300.0
"""How often the time since boot is written while events wait: what a power cut can hide of it."""


class Outbox:
    """One SQLite file; safe to use from several threads, by one process at a time."""

    def __init__(
        self,
        path: Path,
        limits: OutboxLimits | None = None,
        *,
        vault: Vault | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        """Open or create `path`.

        Args:
            path: the file.
            limits: see `OutboxLimits`.
            vault: seals and opens; without it, keys lie in a file beside the outbox.
            clocks: the kernel's outside tests.

        Raises:
            PublishError: file or keys cannot be opened or made (`delivery.outbox.*`, `.key.*`).
        """
        self._path = path
        self._limits = limits or OutboxLimits()
        self.clocks = clocks or SystemClocks()
        self._lock = threading.RLock()
        self._dropped = self._expired = self._damaged = self._unreadable = 0
        self._dirty = True
        self._durable: bool | None = None
        self._rows = self._size = 0
        self._fresh = Fresh()
        self._wal = path.with_name(path.name + "-wal")
        self._wear = WearBudget(self._limits.max_written_a_day, self.clocks.boot_s())
        self._beat_s = self._aside_s = self.clocks.boot_s()
        self._db = self._open()
        self.vault = vault or self._vault_beside()
        self._run(self._recount)
        self._run(self._carry_over)

    def parcels(self, events: Iterable[Event]) -> list[Parcel]:
        """Fix the ends of the events' retention now; for those that are stored later."""
        now = Moment.of(self.clocks)
        return [
            Parcel(
                event,
                deadline(
                    event.released.track.last_seen.timestamp(),
                    event.usage.retention.total_seconds(),
                    now,
                ),
            )
            for event in events
        ]

    def left_s(self, parcel: Parcel) -> float:
        """Seconds that an event which is not stored yet may still be kept."""
        return left_s(parcel.end, False, self.clocks)

    def put(self, event: Event) -> None:
        """Store one event; one already there is not stored twice.

        Raises:
            PublishError: it is not stored; the code says why (`delivery.outbox.*`).
        """
        self.put_parcels(self.parcels((event,)))

    def put_all(self, events: Iterable[Event]) -> None:
        """Store several events in one transaction: all or none.

        Raises:
            PublishError: none is stored.
        """
        self.put_parcels(self.parcels(events))

    def put_parcels(self, parcels: Iterable[Parcel]) -> None:
        """As `put_all`, for events that were handed over before.

        Raises:
            PublishError: none is stored.
        """
        made = [self._row_of(parcel) for parcel in parcels]
        taken: list[tuple[int, str, Deadline, bytes]] = []

        def work(db: sqlite3.Connection) -> int:
            taken.clear()
            for row, end, payload in made:
                done = db.execute(_INSERT, row)
                if done.rowcount == 1:
                    self._rows += 1
                    self._size += row[4]
                    taken.append((done.lastrowid or 0, row[0], end, payload))
            return self._drop_oldest(db)

        with self._lock:
            dropped = self._run(work)
            # Only now, committed and synced, may they be seen by those who send.
            self._fresh.add(taken)
            if dropped:
                # Some of these may have had to go at once: the file tells which.
                self._fresh.begin(self._fresh.last)
        self._dropped += dropped
        if dropped:
            _log.warning(
                "outbox full, oldest events dropped",
                extra={"code": "delivery.outbox.overflow", "dropped": dropped},
            )

    def pending(self, limit: int, after: int = 0) -> list[Row]:
        """Up to `limit` waiting events, oldest first, with a `seq` above `after`.

        Those whose retention has ended are left out; so are those that do not open, which go.

        Raises:
            PublishError: the file cannot be read.
        """
        while True:
            fresh = self._fresh.after(after, limit)
            if fresh is not None:
                now = Moment.of(self.clocks) if fresh else self.clocks
                left = ((one, left_s(one[2], False, now)) for one in fresh)
                found = [
                    Row(one[0], one[1], left_s_, one[3]) for one, left_s_ in left if left_s_ > 0
                ]
                if found or len(fresh) < limit:
                    return found
                after = fresh[-1][0]
                continue
            read = self._read(limit, after)
            found = self._opened(read)
            if found or len(read) < limit:
                return found
            after = read[-1][0]

    @property
    def busy(self) -> bool:
        """Whether another thread is writing now, so that `settle` would wait for the disk."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return False
        return True

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

        return self._run(work, durable=False) if ids else 0

    def discard(self, ids: Sequence[str]) -> int:
        """Delete events that can never be sent, counted as `unreadable`. Returns how many went.

        Raises:
            PublishError: nothing was deleted.
        """
        gone = self.settle(ids)
        self._unreadable += gone
        return gone

    def purge_expired(self) -> int:
        """Delete what may not be kept any longer. Returns how many events went.

        Raises:
            PublishError: nothing was deleted.
        """
        boot_s = self.clocks.boot_s()
        where, values = "deadline_s <= ?", [boot_s]
        if self.clocks.believed():
            where += " OR (carried AND expires_at > 0 AND expires_at <= ?)"
            values.append(self.clocks.wall_s())
        gone = self._run(lambda db: self._delete(db, where, values)) if self._rows else 0
        self._expired += gone
        aside = self._path.with_name(self._path.name + ".damaged")
        with contextlib.suppress(OSError):
            old_s = boot_s - self._aside_s
            if self.clocks.believed():
                old_s = max(old_s, self.clocks.wall_s() - aside.stat().st_mtime)
            if old_s > self._limits.keep_damaged_s:
                aside.unlink()
        return gone

    def tidy(self) -> None:
        """Empty the write-ahead log, which still holds deleted rows, and note the time since boot.

        Cheap when nothing changed.

        Raises:
            PublishError: the file cannot be written.
        """
        boot_s = self.clocks.boot_s()
        with self._lock:
            if self._rows and boot_s - self._beat_s >= _BEAT_S:
                self._run(self._beat)
            if not self._dirty:
                return
            copied = self._wal_bytes()
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as err:
                raise translate(err, self._path) from err
            self._wear.spend(copied, boot_s)
            self._dirty = False

    def renew_keys(self, *, now: bool = False) -> None:
        """Rotate the key when it is due, or `now`; forget keys that no row needs.

        Raises:
            PublishError: file or keys cannot be written.
        """
        if now:
            self.vault.rotate(self.clocks.wall_s())
        elif self.clocks.believed():
            self.vault.rotate_if_due(self.clocks.wall_s())
        if len(self.vault.numbers) > 1:
            heads = self._run(
                lambda db: db.execute("SELECT DISTINCT substr(sealed, 1, 5) FROM events").fetchall()
            )
            self.vault.keep_only({key_number(head) for (head,) in heads})

    def oldest_s(self) -> float:
        """How long the oldest event has been waiting, by the wall clock; 0 when none is."""
        if not self._rows:
            return 0.0
        try:
            found = self._run(
                lambda db: db.execute("SELECT event_id FROM events ORDER BY seq LIMIT 1").fetchone()
            )
        except PublishError:
            return 0.0
        return max(0.0, self.clocks.wall_s() - made_at_s(found[0])) if found else 0.0

    @property
    def worn(self) -> bool:
        """Whether the day's budget of flash writes is used up."""
        return self._wear.used_up(self.clocks.boot_s())

    @property
    def counts(self) -> OutboxCounts:
        """Numbers for health."""
        return OutboxCounts(
            self._rows,
            self._size,
            self._dropped,
            self._expired,
            self._damaged,
            self._unreadable,
            self._wear.written,
        )

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        with self._lock, contextlib.suppress(sqlite3.Error, PublishError):
            if self._is_open():
                if self._rows:
                    self._run(self._beat)
                self.tidy()
        with self._lock:
            self._db.close()

    def __enter__(self) -> Outbox:
        """Itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self.close()

    def _vault_beside(self) -> Vault:
        try:
            return Vault(
                FileKeyStore(self._path.with_name(self._path.name + ".key")), self.clocks.wall_s()
            )
        except PublishError:
            self._db.close()
            raise

    def _row_of(self, parcel: Parcel) -> tuple[_Sealed, Deadline, bytes]:
        event = parcel.event
        payload = event.to_json()
        sealed = self.vault.seal(event.event_id, event.schema, payload)
        if len(sealed) > self._limits.max_bytes:
            raise PublishError(
                f"event {event.event_id} is larger than the outbox",
                code="delivery.outbox.too_large",
                hint="raise outbox.max_bytes",
            )
        end = parcel.end
        row = event.event_id, event.schema, end.boot_s, end.wall_s, len(sealed), sealed
        return row, end, payload

    def _read(self, limit: int, after: int) -> list[_Stored]:
        return self._run(
            lambda db: db.execute(
                "SELECT seq, event_id, schema, deadline_s, expires_at, carried, sealed"
                " FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        )

    def _opened(self, read: list[_Stored]) -> list[Row]:
        rows, bad = [], []
        for seq, event_id, schema, boot_s, wall_s, carried, sealed in read:
            left = left_s(Deadline(boot_s, wall_s), bool(carried), self.clocks)
            if left <= 0:
                continue
            try:
                rows.append(Row(seq, event_id, left, self.vault.open(event_id, schema, sealed)))
            except Unsealable:
                bad.append(seq)
        if bad:
            marks = ",".join("?" * len(bad))
            self._unreadable += self._run(lambda db: self._delete(db, f"seq IN ({marks})", bad))
            _log.error(
                "outbox rows that no key opens were deleted",
                extra={"code": "delivery.outbox.unreadable", "rows": len(bad)},
            )
        return rows

    def _carry_over(self, db: sqlite3.Connection) -> None:
        """Count rows of an earlier boot as carried: what is known of its length has passed."""
        before = db.execute("SELECT boot_id, boot_s FROM boot").fetchone()
        if before is None or before[0] != self.clocks.boot_id():
            if before is not None:
                db.execute(
                    "UPDATE events SET deadline_s = deadline_s - ?, carried = 1", (before[1],)
                )
            self._beat(db)

    def _beat(self, db: sqlite3.Connection) -> None:
        self._beat_s = self.clocks.boot_s()
        db.execute(
            "INSERT INTO boot VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE"
            " SET boot_id = excluded.boot_id, boot_s = excluded.boot_s",
            (self.clocks.boot_id(), self._beat_s),
        )

    def _run(self, work: Callable[[sqlite3.Connection], _T], *, durable: bool = True) -> _T:
        """Do `work` in a transaction; once more on a new file if this one proves damaged."""
        with self._lock:
            try:
                return self._transact(work, durable)
            except sqlite3.Error as err:
                if not is_damage(err):
                    raise translate(err, self._path) from err
                self._report_damage()
            try:
                self._db.close()
                self._set_aside()
                self._db = self._open()
                self._rows = self._size = 0
                self._transact(self._begin_again, True)
                return self._transact(work, durable)
            except (sqlite3.Error, OSError) as err:
                if isinstance(err, sqlite3.Error):
                    raise translate(err, self._path) from err
                raise PublishError(
                    f"outbox {self._path}: cannot be set aside: {err.strerror}",
                    code="delivery.outbox.damaged",
                    hint="move the file away by hand and check the disk",
                ) from err

    def _transact(self, work: Callable[[sqlite3.Connection], _T], durable: bool) -> _T:
        before = self._rows, self._size
        changes = self._db.total_changes if self._is_open() else 0
        logged = self._wal_bytes()
        try:
            if durable is not self._durable:
                self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            self._db.execute("BEGIN IMMEDIATE")
            result = work(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            self._rows, self._size = before
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        if self._db.total_changes != changes:
            self._dirty = True
            now = self._wal_bytes()
            grown = now - logged if now >= logged else now
            self._wear.spend(grown, self.clocks.boot_s())
        return result

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _is_open(self) -> bool:
        with contextlib.suppress(sqlite3.ProgrammingError):
            return self._db.total_changes >= 0
        return False

    def _delete(self, db: sqlite3.Connection, where: str, values: Sequence[object]) -> int:
        sizes = db.execute(
            f"DELETE FROM events WHERE {where} RETURNING size, seq", list(values)
        ).fetchall()
        self._rows -= len(sizes)
        self._size -= sum(size for size, _ in sizes)
        # Before the commit: what may be gone is read from the file.
        self._fresh.remove(seq for _, seq in sizes)
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
        used = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        self._fresh.begin(used[0] if used else 0)

    def _begin_again(self, db: sqlite3.Connection) -> None:
        """A new file goes on counting where the damaged one ended: readers keep their cursors."""
        last = self._fresh.last
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", (last,))
        self._fresh.begin(last)
        self._beat(db)

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return open_database(self._path)
            except sqlite3.Error as err:
                if not is_damage(err):
                    raise
                self._report_damage()
                self._set_aside()
                return open_database(self._path)
        except sqlite3.Error as err:
            raise translate(err, self._path) from err

    def _set_aside(self) -> None:
        set_aside(self._path)
        self._aside_s = self.clocks.boot_s()

    def _report_damage(self) -> None:
        self._damaged += 1
        _log.error(
            "outbox damaged: set aside, a new one begun; the events in it are lost",
            extra={"code": "delivery.outbox.damaged", "rows": self._rows},
        )
