"""The live ledger: appends entries, makes them durable in batches, signs checkpoints.

`append` is quick and never raises for a disk: the line goes to the journal at once (a kill -9 does
not undo it), and a thread syncs it within `flush_s` (a power cut may undo as much). A checkpoint is
signed only over what is synced, so it never speaks of what a power cut can take away.

Rules:
- A disk that takes nothing stops nothing: entries wait in memory (bounded); what does not fit is
  counted, and the count is an entry as soon as there is room.
- 256 entries are sealed into tiles, each with a checkpoint of its own kept in `checkpoints`.
- A damaged log is set aside, never changed, and the new one's first entry says where it broke.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import decode, make_entry
from alpr_edge.ledger.files import (
    CHECKPOINT,
    CHECKPOINTS,
    COSIGNED,
    JOURNAL,
    LedgerFolder,
    TileHashes,
    journal_head,
    journal_line,
    sync_folder,
    translate,
    write_all,
)
from alpr_edge.ledger.kinds import Body, Boot, Lost, Recovered, Restarted, Stop, StorageFault
from alpr_edge.ledger.merkle import Frontier, consistency_proof, leaf_hash, perfect_root, root_of
from alpr_edge.ledger.note import (
    Checkpoint,
    Note,
    Signer,
    Submission,
    VerifierKey,
    parse_checkpoint,
    parse_note,
    sign,
)
from alpr_edge.ledger.opening import Damage, Opened, open_log
from alpr_edge.ledger.spool import Notice
from alpr_edge.ledger.tiles import (
    LEVELS_PER_TILE,
    WIDTH,
    decode_bundle,
    encode_bundle,
    tile_path,
)

_log = logging.getLogger(__name__)
_LATE_S = 2.0
"""A notice of another process that is older when it is written has both times."""


@dataclass(frozen=True, slots=True)
class LedgerTimes:
    """Seconds.

    Attributes:
        flush: longest that an entry waits for the disk.
        checkpoint: longest that a synced entry waits for a signature.
        scrub: pause between two bundles that are read again and compared with their hashes.
    """

    flush: float = 1.0
    checkpoint: float = 10.0
    scrub: float = 60.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Where times come from."""

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose log it is.

    Attributes:
        device: the device's id.
        signers: the device's keys, oldest to newest; all sign, so that a rotation leaves no gap.
        known: keys of earlier days whose signatures still count.
    """

    device: str
    signers: tuple[Signer, ...]
    known: tuple[VerifierKey, ...] = ()

    @property
    def name(self) -> str:
        """The key's name in notes."""
        return f"alpr-edge/{self.device}"

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Whose signatures count."""
        own = tuple(VerifierKey(self.name, one.public_key) for one in self.signers)
        return (*self.known, *own)


class Ledger:
    """One device's log; safe to use from several threads, by one process at a time."""

    def __init__(
        self,
        path: Path,
        identity: Identity,
        *,
        times: LedgerTimes | None = None,
        clock: Clock | None = None,
        most_waiting: int = 10_000,
    ) -> None:
        """Open or begin the log in the folder `path`.

        Raises:
            AuditError: the folder cannot be read or made (`ledger.file.*`).
        """
        self._folder = LedgerFolder(path)
        self._identity = identity
        self._times, self._clock = times or LedgerTimes(), clock or Clock()
        self._most_waiting = most_waiting
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._began_s = self._clock.monotonic()
        self._unwritten: list[bytes] = []
        self._lost, self._lost_code, self._fault = 0, "", ""
        self._known_damage: set[int] = set()
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._checkpoint_at_s = 0.0
        self._scrub_at_s, self._scrubbed = self._began_s + self._times.scrub, 0
        self._latest: Note | None = None
        self._journal = -1
        self._written = 0
        self._one_process = _lock_out_others(path)
        try:
            self._open(path)
        except BaseException:
            os.close(self._one_process)
            raise

    # --- writing -----------------------------------------------------------------------------

    def append(self, body: Body, *, told: str | None = None) -> int:
        """Add an entry. Returns its place, -1 if it had to be dropped (counted, and told later).

        Args:
            told: when another process told it, where that is another time than now.
        """
        with self._lock:
            if len(self._unwritten) >= self._most_waiting:
                self._lost, self._lost_code = self._lost + 1, self._fault or "ledger.failed"
                return -1
            if self._lost and not self._unwritten:
                lost, self._lost = self._lost, 0
                self._append(Lost(count=lost, code=self._lost_code))
            place = self._append(body, told)
            self._write()
        self._wake.set()
        return place

    def take(self, notice: Notice) -> None:
        """Add what another process told."""
        late_s = self._clock.now().timestamp() - datetime.fromisoformat(notice.at).timestamp()
        self.append(notice.body, told=notice.at if abs(late_s) > _LATE_S else None)

    def sync(self) -> bool:
        """Make everything durable and sign it now. Returns whether that went well."""
        return self._flush(checkpoint=True)

    def make_durable(self) -> None:
        """Have everything so far survive a power cut, before something irrevocable is done.

        Raises:
            AuditError: the disk does not take it now (`ledger.file.*`).
        """
        if not self._flush(checkpoint=False):
            raise AuditError(
                "the ledger cannot be written",
                code=self._fault or "ledger.failed",
                hint="what must be on record waits until it can be; see the ledger's fault",
            )

    def start(self) -> None:
        """Start the thread that syncs and signs."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
            self._thread.start()

    def close(self, stop: Stop | None = None) -> None:
        """Sync, sign and close. Safe to call twice.

        Args:
            stop: the last entry, for an orderly end.
        """
        if self._stopping.is_set():
            return
        if stop is not None:
            self.append(stop)
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._flush(checkpoint=True, keep=True)
        with self._flushing, self._lock:
            if self._journal >= 0:
                os.close(self._journal)
                self._journal = -1
            os.close(self._one_process)

    # --- reading -----------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder.path

    @property
    def boot(self) -> int:
        """Which run this is, from 1 on."""
        return self._boot

    @property
    def ended_in_order(self) -> bool:
        """Whether the run before had said that it stops."""
        return self._clean

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._size

    @property
    def fault(self) -> str:
        """The code of the present trouble with the disk, empty without any."""
        return self._fault

    def last_boot(self) -> Boot | None:
        """What the newest start in the log said."""
        found = self.newest(Boot)
        return found if isinstance(found, Boot) else None

    def newest(
        self, *kinds: type[Body], such: Callable[[Body], bool] = lambda _: True
    ) -> Body | None:
        """The newest entry of one of these kinds, such as is wanted."""
        with self._flushing:
            tail, bundle = list(self._tail), self._sealed.size // WIDTH
        marks = [b'"kind":"%b"' % one.model_fields["kind"].default.encode() for one in kinds]
        while True:
            for data in reversed(tail):
                # Decoding is slow, and the newest start may be a year back.
                if any(mark in data for mark in marks):
                    body = decode(data).body
                    if isinstance(body, kinds) and such(body):
                        return body
            if not bundle:
                return None
            bundle -= 1
            try:
                tail = decode_bundle(self._folder.bundle(bundle) or b"")
            except AuditError:
                tail = []

    @property
    def latest(self) -> Note | None:
        """The newest checkpoint."""
        return self._latest

    @property
    def head(self) -> Checkpoint | None:
        """What the newest checkpoint says."""
        return self._head

    def checkpoint_at(self, size: int) -> Checkpoint | None:
        """What a checkpoint of the first `size` entries says; None: it was never signed."""
        with self._flushing:
            if self._head is None or not 0 <= size <= self._head.size:
                return None
            tail = self._tail[self._sealed.size - self._tail_first :]
            hashes = TileHashes(self._folder, self._sealed.size // WIDTH, tail)
            try:
                return Checkpoint(self._origin_now, size, root_of(hashes, 0, size))
            except AuditError:
                return None

    def keep_cosigned(self, head: Checkpoint, line: str) -> None:
        """Keep a checkpoint with a witness's line, beside the tiles. Trouble is only logged."""
        note = sign(head, self._identity.name, self._identity.signers)
        try:
            self._folder.write(COSIGNED, f"{note}{line}\n".encode())
        except AuditError as err:
            _log.warning("the cosigned checkpoint is not kept", extra={"code": err.code})

    def cosigned_size(self) -> int:
        """How many entries the checkpoint that was kept last speaks of; 0 without one."""
        try:
            raw = self._folder.cosigned()
            return 0 if raw is None else parse_checkpoint(parse_note(raw).text).size
        except AuditError:
            return 0

    def submission(self, old: int) -> Submission | None:
        """The newest checkpoint and the proof that it continues `old` entries; None without."""
        with self._flushing:
            if self._latest is None or self._head is None or old > self._head.size:
                return None
            tail = self._tail[self._sealed.size - self._tail_first :]
            hashes = TileHashes(self._folder, self._sealed.size // WIDTH, tail)
            proof = consistency_proof(hashes, old, self._head.size)
            return Submission(old, tuple(proof), self._latest)

    # --- inside ------------------------------------------------------------------------------

    def _open(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as err:
            raise translate(err, path) from err
        origin = self._origin(path)
        found = open_log(self._folder, origin, self._identity.keys)
        damage: Damage | None = None
        if isinstance(found, Damage):
            damage = found
            _set_aside(path)
            origin = self._origin(path)
            found = Opened(Frontier(), (), None, None, 0, None)
        elif not found.sealed.size and not found.tail and found.head is None:
            damage = self._left_behind(path)
        self._origin_now = origin
        self._sealed, self._tail = found.sealed, list(found.tail)
        self._tail_first = found.sealed.size
        self._tree = found.sealed.copy()
        for data in found.tail:
            self._tree.append(leaf_hash(data))
        self._size = self._tree.size
        self._head = found.head
        self._kept_size = max(
            (parse_checkpoint(parse_note(n).text).size for n in self._folder.history()[0][-1:]),
            default=-1,
        )
        raw = self._folder.read(CHECKPOINT)
        self._latest = parse_note(raw) if raw is not None and found.head is not None else None
        before = damage.last_boot if damage else (found.last.boot if found.last else 0)
        self._boot = before + 1
        self._clean = isinstance(self.newest(Boot, Stop), Stop)
        self._open_journal(found)
        if damage is not None:
            self.append(_restarted(damage))
            _log.error("the ledger was damaged: set aside", extra={"code": damage.code})
        for index in found.healed:
            first, code = index * WIDTH, "ledger.tile.missing"
            self.append(StorageFault(what="ledger", code=code, first=first, end=first + WIDTH))
        if found.torn_bytes:
            self.append(Recovered(size=self._size, torn_bytes=found.torn_bytes))
            _log.warning("the ledger's end was torn", extra={"code": "ledger.torn"})

    def _left_behind(self, path: Path) -> Damage | None:
        """The damage of a log that was set aside by a process that was killed before it said so."""
        number = len(list(path.parent.glob(f"{path.name}.damaged-*")))
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not number or not aside.is_dir():
            return None
        origin = f"{self._identity.name}/ledger/{number}"
        found = open_log(LedgerFolder(aside), origin, self._identity.keys, heal=False)
        return found if isinstance(found, Damage) else None

    def _origin(self, path: Path) -> str:
        generation = 1 + len(list(path.parent.glob(f"{path.name}.damaged-*")))
        return f"{self._identity.name}/ledger/{generation}"

    def _open_journal(self, found: Opened) -> None:
        if found.good_bytes is None:
            self._new_journal(list(found.tail))
            return
        try:
            self._journal = os.open(
                self._folder.path / JOURNAL, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            )
            os.ftruncate(self._journal, found.good_bytes)
            os.lseek(self._journal, 0, os.SEEK_END)
        except OSError as err:
            raise translate(err, self._folder.path / JOURNAL) from err
        self._written = found.good_bytes

    def _new_journal(self, tail: Sequence[bytes]) -> None:
        data = journal_head(self._sealed.size) + b"".join(journal_line(one) for one in tail)
        self._folder.write(JOURNAL, data)
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1
        try:
            self._journal = os.open(
                self._folder.path / JOURNAL, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            )
            self._written = os.lseek(self._journal, 0, os.SEEK_END)
        except OSError as err:
            raise translate(err, self._folder.path / JOURNAL) from err

    def _append(self, body: Body, told: str | None = None) -> int:
        place = self._size
        up_ms = max(0, int(1000 * (self._clock.monotonic() - self._began_s)))
        at, boot = self._clock.now(), self._boot
        entry = make_entry(body, seq=place, at=at, boot=boot, up_ms=up_ms, told=told)
        data = entry.encode()
        self._tree.append(leaf_hash(data))
        self._tail.append(data)
        self._unwritten.append(journal_line(data))
        self._size += 1
        return place

    def _write(self) -> None:
        """Hand what waits to the system; a failure leaves the journal as it was."""
        if not self._unwritten or self._journal < 0:
            return
        data = b"".join(self._unwritten)
        try:
            write_all(self._journal, data)
        except OSError as err:
            self._trouble(translate(err, self._folder.path / JOURNAL))
            try:
                os.ftruncate(self._journal, self._written)
                os.lseek(self._journal, self._written, os.SEEK_SET)
            except OSError:
                # What was half written is torn: the next start cuts it off. Begin a new journal.
                os.close(self._journal)
                self._journal = -1
            return
        self._written += len(data)
        self._unwritten.clear()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._wake.wait(self._times.flush):
                # What comes within the next moment shares the sync.
                self._wake.clear()
                self._stopping.wait(self._times.flush)
            due = self._clock.monotonic() >= self._checkpoint_at_s
            self._flush(checkpoint=due)
            if self._clock.monotonic() >= self._scrub_at_s:
                self._scrub_at_s = self._clock.monotonic() + self._times.scrub
                self.scrub()

    def scrub(self) -> bool:
        """Read one old bundle again, the next at each call. Damage becomes an entry.

        Returns whether the bundle was as it should be.
        """
        bundles = self._sealed.size // WIDTH
        if not bundles:
            return True
        index, self._scrubbed = self._scrubbed % bundles, self._scrubbed + 1
        try:
            tile = self._folder.read(tile_path(0, index)) or b""
            entries = decode_bundle(self._folder.bundle(index) or b"")
            code = "ledger.bundle.changed"
        except AuditError as err:
            tile, entries, code = b"", [], err.code
        if tile and b"".join(leaf_hash(one) for one in entries) == tile:
            return True
        if index not in self._known_damage:
            self._known_damage.add(index)
            first = index * WIDTH
            self.append(StorageFault(what="ledger", code=code, first=first, end=first + WIDTH))
        return False

    def _flush(self, *, checkpoint: bool, keep: bool = False) -> bool:
        with self._flushing:
            try:
                with self._lock:
                    if self._journal < 0:
                        self._new_journal(self._tail[self._sealed.size - self._tail_first :])
                        self._unwritten.clear()
                    self._write()
                    if self._unwritten:
                        return False
                    size, root = self._size, self._tree.root()
                os.fdatasync(self._journal)
                head = Checkpoint(self._origin_now, size, root)
                if self._head is None:
                    # Tiles without a checkpoint would look like a log whose checkpoint was taken.
                    self._sign(head, keep=False)
                self._seal()
                if checkpoint and (self._head is None or self._head.size != size or keep):
                    self._sign(head, keep=keep)
            except AuditError as err:
                self._trouble(err)
                return False
            except OSError as err:
                self._trouble(translate(err, self._folder.path))
                return False
            self._fault = ""
            return True

    def _seal(self) -> None:
        """Move full bundles from the journal to tiles. Only whole ones, oldest first.

        A crash or a full disk between two steps leaves nothing wrong: the next try, or the next
        start, finds the journal to begin before the end of the tiles, and passes over that part.
        """
        while self._tail_first + len(self._tail) - self._sealed.size >= WIDTH:
            at = self._sealed.size - self._tail_first
            entries = self._tail[at : at + WIDTH]
            index = self._sealed.size // WIDTH
            hashes = [leaf_hash(one) for one in entries]
            self._folder.write(tile_path("entries", index), encode_bundle(entries))
            self._folder.write(tile_path(0, index), b"".join(hashes))
            self._sealed.append_perfect(perfect_root(hashes), LEVELS_PER_TILE)
            head = Checkpoint(self._origin_now, self._sealed.size, self._sealed.root())
            self._sign(head, keep=True)
            self._seal_above(index)
        if self._tail_first < self._sealed.size:
            with self._lock:
                rest = self._tail[self._sealed.size - self._tail_first :]
                self._new_journal(rest)
                self._unwritten.clear()
                self._tail, self._tail_first = rest, self._sealed.size

    def _seal_above(self, index: int) -> None:
        level = 1
        while (index + 1) % WIDTH == 0:
            index //= WIDTH
            hashes = TileHashes(self._folder, self._sealed.size // WIDTH, ())
            roots = [hashes.node(LEVELS_PER_TILE * level, index * WIDTH + i) for i in range(WIDTH)]
            self._folder.write(tile_path(level, index), b"".join(roots))
            level += 1

    def _sign(self, head: Checkpoint, *, keep: bool) -> None:
        note = sign(head, self._identity.name, self._identity.signers)
        data = str(note).encode()
        if self._head is None or head.size > self._head.size:
            self._folder.write(CHECKPOINT, data)
            self._latest, self._head = note, head
            self._checkpoint_at_s = self._clock.monotonic() + self._times.checkpoint
        if keep and head.size > self._kept_size:
            self._folder.append(CHECKPOINTS, data + b"\n")
            self._kept_size = head.size

    def _trouble(self, err: AuditError) -> None:
        if self._fault != err.code:
            _log.error("ledger trouble", extra={"code": err.code, "hint": err.hint})
        self._fault = err.code


def _restarted(damage: Damage) -> Restarted:
    return Restarted(
        code=damage.code,
        size_signed=damage.head.size if damage.head else 0,
        good_size=damage.good.size if damage.good else 0,
        good_root=(damage.good.root if damage.good else bytes(32)).hex(),
        damaged_from=damage.damaged_from,
        damaged_to=damage.damaged_to,
    )


def _set_aside(path: Path) -> None:
    number = 1 + len(list(path.parent.glob(f"{path.name}.damaged-*")))
    try:
        path.rename(path.with_name(f"{path.name}.damaged-{number}"))
        path.mkdir(mode=0o700)
        sync_folder(path.parent)
    except OSError as err:
        raise translate(err, path) from err


def _lock_out_others(path: Path) -> int:
    """Hold `path.lock` for this process.

    Raises:
        AuditError: another process holds it (`ledger.in_use`), or it cannot be made.
    """
    name = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as err:
        raise translate(err, name) from err
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        os.close(handle)
        raise AuditError(
            f"another process writes the ledger {path}",
            code="ledger.in_use",
            hint="stop the other alpr-edge, or give this one a ledger of its own",
        ) from err
    return handle
