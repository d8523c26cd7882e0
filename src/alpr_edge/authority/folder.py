"""Edge: the files of a mask store, as they are. What they mean is judged in `store`.

    FOLDER/records/000003-1a2b3c4d5e6f.json    every record that was ever committed, as it came
    FOLDER/additions/1764000000000-….json      every polygon that the city added, as it came
    FOLDER/state.json                          what is in force; signed by the unit's own key
    FOLDER/highest                             the highest number of a record, again
    FOLDER/added                               the same of a polygon, and its digest; then a line
                                               for each other polygon that is in force
    FOLDER/lock                                one writer at a time

A file's name holds its digest, so that what is left of it can be named when it cannot be read.
Nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from alpr_edge.authority.addition import Addition, parse_addition
from alpr_edge.authority.record import SignedRecord, parse_record
from alpr_edge.authority.rules import MAX_ADDITIONS, Lost, State
from alpr_edge.config.files import FileTrouble, Trouble, read_regular_file
from alpr_edge.errors import AlprEdgeError, TrustError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, read_unverified

Write = Callable[[Path, bytes], None]
_RECORD: Final = re.compile(r"(\d{6,16})-[0-9a-f]{12}\.json")
_ADDITION: Final = re.compile(r"(\d{13,16})-([0-9a-f]{12}|[0-9a-f]{64})\.json")
"""Twelve digits: as they were named at first."""
_COUNT: Final = re.compile(rb"(\d{1,16})(?: ([0-9a-f]{64}))?")
_MOST_COUNT_BYTES: Final = 100 * (MAX_ADDITIONS + 1)
_HIGHEST: Final = "highest"
_ADDED: Final = "added"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the two small files say beside the state.

    Attributes:
        added_digest: of the newest polygon; empty where an earlier version wrote its number only.
        named: number and digest of the newest polygon and of all that were in force.
        trouble: empty, or which of them holds something that was never written.
    """

    highest: int = 0
    added: int = 0
    added_digest: str = ""
    named: tuple[tuple[int, str], ...] = ()
    trouble: str = ""


class StoreFolder:
    """Reads and writes the files of one store."""

    def __init__(self, folder: str | os.PathLike[str], write: Write) -> None:
        self.path = Path(folder)
        self._write = write

    @property
    def state_file(self) -> Path:
        """Where the signed state is."""
        return self.path / "state.json"

    def read_state(self) -> bytes | FileTrouble:
        """The state's bytes, or why there are none."""
        return read_regular_file(self.state_file, limit_bytes=MAX_ENVELOPE_BYTES)

    def write_state(self, data: bytes) -> None:
        """Replace the state. Raises OSError."""
        self._write(self.state_file, data)

    def counts(self) -> Counts:
        """The counts beside the state."""
        highest, bad = self._count(_HIGHEST)
        added, worse = self._count(_ADDED)
        (number, _), *more = highest or [(0, "")]
        if more:
            bad = f"{_HIGHEST} is damaged"
        newest = added[0] if added else (0, "")
        return Counts(number, *newest, tuple(added), bad or worse)

    def _count(self, name: str) -> tuple[list[tuple[int, str]], str]:
        data = read_regular_file(self.path / name, limit_bytes=_MOST_COUNT_BYTES)
        if isinstance(data, FileTrouble):
            missing = data.kind is Trouble.MISSING
            return [], "" if missing else f"{name} {data.detail}"
        matches = [_COUNT.fullmatch(line) for line in data.splitlines()]
        found = [(int(m[1]), (m[2] or b"").decode()) for m in matches if m is not None]
        numbers = [number for number, _ in found]
        falls = all(a > b for a, b in pairwise(numbers))
        if len(found) < len(matches) or not found or not falls:
            return [], f"{name} is damaged"
        return found, ""

    def write_counts(self, state: State) -> None:
        """Raises OSError."""
        self._write(self.path / _HIGHEST, b"%d\n" % state.highest)
        if state.added:
            others = {one.number: one.digest for one in state.additions}
            named = others | {state.added: state.added_digest}
            lines = [f"{number} {named[number]}".strip() for number in sorted(named, reverse=True)]
            self._write(self.path / _ADDED, "".join(f"{line}\n" for line in lines).encode())

    # --- records ---------------------------------------------------------------------------------

    @property
    def _records(self) -> Path:
        return self.path / "records"

    def write_record(self, new: SignedRecord) -> None:
        """Raises OSError."""
        self._records.mkdir(exist_ok=True)
        self._write(self._record_file(new.record.number, new.digest), new.data)

    def record(self, number: int, digest: str) -> SignedRecord:
        """A record, checked against its digest.

        Raises:
            TrustError: `authority.store.damaged`.
        """
        path = self._record_file(number, digest)
        data = read_regular_file(path, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            raise damaged(f"the record {path.name} {data.detail}")
        found = read_unverified(data, DocumentType.MASK_RECORD)
        if found.digest != digest:
            raise damaged(f"the record {path.name} is not the one that was committed")
        return SignedRecord(parse_record(found.payload), digest, (), data)

    def _record_file(self, number: int, digest: str) -> Path:
        return self._records / f"{number:06d}-{digest[:12]}.json"

    def history(self) -> tuple[tuple[int, Path], ...]:
        """Number and file of every record that was ever committed, oldest first."""
        found = []
        with contextlib.suppress(OSError):
            for name in os.listdir(self._records):
                match = _RECORD.fullmatch(name)
                if match:
                    found.append((int(match[1]), self._records / name))
        return tuple(sorted(found))

    def newest_digest(self) -> str | None:
        """Digest of the newest record that can still be read."""
        for _, path in reversed(self.history()):
            data = read_regular_file(path, limit_bytes=MAX_ENVELOPE_BYTES)
            if isinstance(data, FileTrouble):
                continue
            with contextlib.suppress(AlprEdgeError):
                found = read_unverified(data, DocumentType.MASK_RECORD).digest
                if path.stem.endswith(found[:12]):
                    return found
        return None

    # --- polygons of the city --------------------------------------------------------------------

    @property
    def _additions(self) -> Path:
        return self.path / "additions"

    def write_addition(self, new: Addition) -> None:
        """Raises OSError."""
        self._additions.mkdir(exist_ok=True)
        self._write(self._additions / f"{new.number:013d}-{new.digest}.json", new.data)

    def addition(self, number: int, digest: str, after: int) -> Addition:
        """A polygon, checked against its digest.

        Raises:
            TrustError: `authority.store.damaged` or as `parse_addition`.
        """
        path = self._additions / f"{number:013d}-{digest}.json"
        if not path.exists():
            path = self._additions / f"{number:013d}-{digest[:12]}.json"
        found = self._read_addition(path, digest, after)
        if isinstance(found, str):
            raise damaged(f"the addition {path.name} {found}")
        return found

    def _read_addition(self, path: Path, digest: str, after: int = 0) -> Addition | str:
        data = read_regular_file(path, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            return data.detail
        found = read_unverified(data, DocumentType.COMMAND)
        if not found.digest.startswith(digest):
            return "is not the one that was ordered"
        return parse_addition(found.payload, found.digest, data, after)

    def salvage(self) -> tuple[tuple[Addition, ...], tuple[Lost, ...]]:
        """Every polygon that the city ever added, read without the state; and what is left of
        those that cannot be read.
        """
        return self.additions_after(0)

    def additions_after(self, newest: int) -> tuple[tuple[Addition, ...], tuple[Lost, ...]]:
        """The same of polygons with a higher number, by number."""
        found: list[Addition] = []
        lost: list[Lost] = []
        try:
            names = sorted(os.listdir(self._additions))
        except FileNotFoundError:
            names = []
        except OSError:
            return (), (Lost(0, ""),)
        for name in names:
            match = _ADDITION.fullmatch(name)
            if match is None or int(match[1]) <= newest:
                continue
            one: Addition | str = "cannot be read"
            with contextlib.suppress(AlprEdgeError):
                one = self._read_addition(self._additions / name, match[2])
            if isinstance(one, str) or one.number != int(match[1]):
                lost.append(Lost(int(match[1]), match[2]))
            else:
                found.append(one)
        return tuple(sorted(found, key=lambda one: one.number)), tuple(lost)

    # --- writing ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time."""
        self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever the state on disk does; cheap."""
        try:
            status = os.stat(self.state_file)
        except OSError:
            return ()
        return (status.st_mtime_ns, status.st_ino, status.st_size)


def damaged(reason: str) -> TrustError:
    """What is on the disk is not what was written there."""
    return TrustError(
        reason,
        code="authority.store.damaged",
        hint="commit the masks again: two people or the city",
    )
