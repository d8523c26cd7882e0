"""The ledger's folder: tiles, entry bundles, the journal of the newest entries, checkpoints.

It knows files, not entries (`entry`) or trust (`note`). An export has the same layout, with partial
tiles in the journal's place, so one reader serves both.

    checkpoint                  the newest signed head
    checkpoints                 earlier ones, one after the other: locates a rewriting
    tile/entries/000 …          256 entries each, written once
    tile/0/000 …                their leaf hashes; tile/1/… the roots of 256 tiles, and so on
    journal                     entries that do not fill a bundle yet, one checked line each

Rules:
- A file is 0600 and appears whole: written beside, synced, renamed, the folder synced.
- The journal's lines carry a CRC-32, so that a torn end is told from a wrong entry.

Source: C2SP tlog-tiles for the layout; the journal is our own (docs/adr).
"""

from __future__ import annotations

import os
import re
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alpr_edge.errors import AuditError
from alpr_edge.ledger.merkle import leaf_hash, perfect_root
from alpr_edge.ledger.note import MAX_NOTE_BYTES
from alpr_edge.ledger.tiles import (
    LEVELS_PER_TILE,
    MAX_ENTRY_BYTES,
    WIDTH,
    decode_bundle,
    decode_tile,
    tile_path,
)

CHECKPOINT = "checkpoint"
CHECKPOINTS = "checkpoints"
COSIGNED = "cosigned"
"""The newest checkpoint that a witness cosigned and the device verified."""
JOURNAL = "journal"
_HEAD = re.compile(rb"alpr-edge-journal 1 (0|[1-9]\d{0,18})")
_NOTE = re.compile(
    rb"[^\n]+\n(?:0|[1-9]\d*)\n[A-Za-z0-9+/=]+\n\n(?:\xe2\x80\x94 [^\n]+\n)+", re.MULTILINE
)
_MOST_HISTORY_BYTES = 1 << 28
_MOST_TILE_BYTES = WIDTH * (MAX_ENTRY_BYTES + 2)
_TILES_KEPT = 64


@dataclass(frozen=True, slots=True)
class Journal:
    """What the journal holds: entries from `first` on, and how much of its end is torn."""

    first: int
    entries: tuple[bytes, ...]
    good_bytes: int
    torn_bytes: int


def journal_line(data: bytes) -> bytes:
    """A line of the journal."""
    return b"%08x %b\n" % (zlib.crc32(data), data)


def journal_head(first: int) -> bytes:
    """The journal's first line: the place of its first entry."""
    return journal_line(b"alpr-edge-journal 1 %d" % first)


def parse_journal(raw: bytes) -> Journal | None:
    """The journal's whole lines up to the first that is not whole; None without a head."""
    lines: list[bytes] = []
    at = 0
    while at < len(raw):
        end = raw.find(b"\n", at)
        line = raw[at : end + 1]
        if end < 0 or len(line) < 11 or line != journal_line(line[9:-1]):
            break
        lines.append(line[9:-1])
        at = end + 1
    head = _HEAD.fullmatch(lines[0]) if lines else None
    if head is None:
        return None
    return Journal(int(head.group(1)), tuple(lines[1:]), at, len(raw) - at)


def split_notes(raw: bytes) -> tuple[list[bytes], int]:
    """The notes of a file of checkpoints, and how many bytes belong to none."""
    notes = [note for note in _NOTE.findall(raw) if len(note) <= MAX_NOTE_BYTES]
    whole = b"".join(note + b"\n" for note in notes)
    # Also a separator that is another byte belongs to none.
    return notes, 0 if whole == raw else max(1, len(raw) - len(whole))


class LedgerFolder:
    """Reads and writes the files of one log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str, most: int = _MOST_TILE_BYTES) -> bytes | None:
        """A file's bytes, None where there is none.

        Raises:
            AuditError: it cannot be read (`ledger.file.unreadable`).
        """
        try:
            with (self.path / name).open("rb") as file:
                return file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as err:
            raise translate(err, self.path / name) from err

    def write(self, name: str, data: bytes) -> None:
        """Put a whole file in place, durably.

        Raises:
            AuditError: it cannot be written (`ledger.file.*`).
        """
        path = self.path / name
        beside = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(
                beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            beside.replace(path)
            sync_folder(path.parent)
        except OSError as err:
            raise translate(err, path) from err

    def append(self, name: str, data: bytes) -> None:
        """Add to the end of a file, durably.

        Raises:
            AuditError: it cannot be written (`ledger.file.*`).
        """
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(self.path / name, flags, 0o600)
            try:
                write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as err:
            raise translate(err, self.path / name) from err

    def cosigned(self) -> bytes | None:
        """See `verify.LogReader`."""
        return self.read(COSIGNED, MAX_NOTE_BYTES)

    def full_bundles(self) -> int:
        """How many level 0 tiles there are from the first on without a gap."""
        count = 0
        while (self.path / tile_path(0, count)).is_file():
            count += 1
        return count

    def bundle(self, index: int) -> bytes | None:
        """A full entry bundle's bytes."""
        return self.read(tile_path("entries", index))

    def tail(self, index: int) -> tuple[bytes, ...]:
        """The entries after the last full bundle: of the journal, or of an export's partial bundle.

        Raises:
            AuditError: neither is whole (`ledger.journal.damaged`, `ledger.bundle.invalid`).
        """
        raw = self.read(JOURNAL)
        if raw is not None:
            journal = parse_journal(raw)
            if journal is not None and journal.first <= index * WIDTH:
                return journal.entries[index * WIDTH - journal.first :]
            # The live log has sealed some of them since the caller counted.
            sealed = [] if journal is None else self._between(index, journal.first)
            if journal is None or not sealed:
                raise AuditError(
                    f"the journal {self.path / JOURNAL} does not follow the tiles",
                    code="ledger.journal.damaged",
                    hint="start the device; it sets a damaged log aside and says so",
                )
            return (*sealed, *journal.entries)
        folder = self.path / (tile_path("entries", index) + ".p")
        widths = [int(p.name) for p in folder.glob("*") if p.name.isdecimal()]
        if not widths:
            return ()
        raw = self.read(tile_path("entries", index, max(widths)))
        return tuple(decode_bundle(raw or b""))

    def _between(self, index: int, first: int) -> list[bytes]:
        """The entries of the full bundles from `index` up to entry `first`; none if one lacks."""
        found: list[bytes] = []
        for one in range(index, first // WIDTH):
            entries = decode_bundle(self.bundle(one) or b"")
            if len(entries) != WIDTH:
                return []
            found += entries
        return found if not first % WIDTH else []

    def tile(self, level: int, index: int, width: int = WIDTH) -> bytes | None:
        """A hash tile's bytes."""
        return self.read(tile_path(level, index, width))

    def head(self) -> bytes | None:
        """The newest checkpoint's note."""
        return self.read(CHECKPOINT, MAX_NOTE_BYTES)

    def tail_torn(self) -> int:
        """Bytes at the journal's end that are no entry."""
        raw = self.read(JOURNAL)
        journal = parse_journal(raw) if raw is not None else None
        return journal.torn_bytes if journal is not None else 0

    def history(self) -> tuple[list[bytes], int]:
        """Earlier checkpoints, oldest first, and how many bytes of their file are none."""
        return split_notes(self.read(CHECKPOINTS, _MOST_HISTORY_BYTES) or b"")

    def bundles(self) -> int:
        """One more than the highest index of a full entry bundle or leaf tile."""
        return max(_highest(self.path / "tile" / "entries"), _highest(self.path / "tile" / "0")) + 1


class TileHashes:
    """The `merkle.HashSource` of a folder: full tiles from disk, the rest from the tail."""

    def __init__(self, folder: LedgerFolder, full: int, tail: Sequence[bytes]) -> None:
        self._folder = folder
        self._full = full
        self._tail = [leaf_hash(entry) for entry in tail]
        self._kept: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def node(self, level: int, index: int) -> bytes:
        """See `merkle.HashSource`."""
        tile_level, within = divmod(level, LEVELS_PER_TILE)
        first = index << within
        return perfect_root([self._hash(tile_level, first + i) for i in range(1 << within)])

    def _hash(self, level: int, index: int) -> bytes:
        tile, place = divmod(index, WIDTH)
        if (tile + 1) * WIDTH ** (level + 1) <= self._full * WIDTH:
            return self._tile(level, tile)[place]
        if level:
            return perfect_root(self._tile(level - 1, index))
        try:
            return self._tail[index - self._full * WIDTH]
        except IndexError as err:
            raise AuditError(
                f"entry {index} is not in the log", code="ledger.entry.missing"
            ) from err

    def _tile(self, level: int, tile: int) -> list[bytes]:
        known = self._kept.pop((level, tile), None)
        if known is None:
            known = self._read(level, tile)
            if len(known) != WIDTH and level:
                known = [
                    perfect_root(self._tile(level - 1, tile * WIDTH + i)) for i in range(WIDTH)
                ]
            if len(known) != WIDTH:
                raise AuditError(
                    f"the hash tile {tile_path(level, tile)} is missing or damaged",
                    code="ledger.tile.missing",
                    hint="run `alpr-edge ledger verify`",
                )
        self._kept[level, tile] = known
        if len(self._kept) > _TILES_KEPT:
            self._kept.popitem(last=False)
        return known

    def _read(self, level: int, tile: int) -> list[bytes]:
        if level == 0 and tile >= self._full:
            # Full, but not sealed yet: a process that was killed in between has it in the journal.
            first = (tile - self._full) * WIDTH
            return self._tail[first : first + WIDTH]
        return decode_tile(self._folder.read(tile_path(level, tile)) or b"")


def write_all(handle: int, data: bytes) -> None:
    """Write all of it or raise `OSError`."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def sync_folder(path: Path) -> None:
    """Make a rename in it durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_CODES = {
    27: ("full_disk", "raise the service's limit on file sizes"),
    28: ("full_disk", "free space where the ledger lies; entries wait in memory"),
    30: ("read_only", "mount the ledger's file system writable"),
    13: ("denied", "let the service's user read and write the ledger's folder"),
    2: ("missing", "check that the folder exists"),
}


def translate(err: OSError, path: Path) -> AuditError:
    """The error with a stable code `ledger.file.*`."""
    name, hint = _CODES.get(err.errno or 0, ("unreadable", "check the disk"))
    return AuditError(f"{path}: {err.strerror}", code=f"ledger.file.{name}", hint=hint)


def _highest(folder: Path) -> int:
    """The highest index of a full tile under `folder`, -1 without any."""
    names = [p.name for p in folder.glob("[x0-9]*") if re.fullmatch(r"x?\d{3}", p.name)]
    ends = [int(name) for name in names if name.isdecimal()]
    for name in sorted((n for n in names if n.startswith("x")), reverse=True):
        below = _highest(folder / name)
        if below >= 0:
            return int(name[1:]) * 1000 + below
    return max(ends, default=-1)
