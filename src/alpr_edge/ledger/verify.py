"""Checks a whole log and says where it does not hold. Pure: the bytes come through `LogReader`.

What is checked: every signature; every entry's bytes against its leaf hash, its form, its place and
its time; every tile against the tree; the tree against the newest checkpoint, the kept ones and
those that the auditor brings along.

How a change is located:
- Where the leaf tiles still lead to the signed root, the entries that differ from them are named.
- Where entries and tiles were changed alike, the signed checkpoints (one for every 256 entries)
  bound the change: it lies after the last that still fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import Entry, decode
from alpr_edge.ledger.kinds import (
    Boot,
    Lost,
    Recovered,
    Restarted,
    StorageFault,
    TimeCorrection,
    Visit,
)
from alpr_edge.ledger.merkle import HASH_BYTES, Frontier, leaf_hash, perfect_root
from alpr_edge.ledger.note import (
    Checkpoint,
    VerifierKey,
    cosigned,
    parse_checkpoint,
    parse_note,
    verified,
)
from alpr_edge.ledger.tiles import WIDTH, decode_bundle, partial_tiles

CLOCK_SLACK_MS = 5_000
"""Wall clock and monotonic clock may differ by this between two entries of one run: slewing NTP
corrects up to 500 ppm, 1.8 s an hour (ntpd's documented limit)."""
GAP_MS = 2 * 3_600_000
"""Within a run an entry is written every hour; twice that without one is a gap."""
MOST_FINDINGS = 1_000


class LogReader(Protocol):
    """Where the bytes come from: `files.LedgerFolder`."""

    def bundles(self) -> int:
        """One more than the highest index of a full bundle."""
        ...

    def bundle(self, index: int) -> bytes | None:
        """A full entry bundle."""
        ...

    def tile(self, level: int, index: int, width: int = WIDTH) -> bytes | None:
        """A hash tile; of fewer than `WIDTH` hashes an export has those at its end."""
        ...

    def tail(self, index: int) -> tuple[bytes, ...]:
        """The entries from bundle `index` on.

        Raises:
            AuditError: they are damaged.
        """
        ...

    def tail_torn(self) -> int:
        """Bytes at the journal's end that are no entry."""
        ...

    def head(self) -> bytes | None:
        """The newest checkpoint."""
        ...

    def cosigned(self) -> bytes | None:
        """The newest checkpoint that the device knows to be cosigned; None without."""
        ...

    def history(self) -> tuple[list[bytes], int]:
        """Earlier checkpoints, and how many bytes of their file are none."""
        ...


class Weight(StrEnum):
    """`broken`: the log is not what was signed. `note`: true, and worth an auditor's look."""

    BROKEN = "broken"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the entries `[first, end)`; `text` is for people."""

    weight: Weight
    code: str
    first: int
    end: int
    text: str


@dataclass(slots=True)
class Verdict:
    """What a check found."""

    origin: str = ""
    size: int = 0
    signed_size: int = 0
    root: str = ""
    boots: int = 0
    first_at: str = ""
    last_at: str = ""
    checkpoints: int = 0
    cosigned: dict[str, int] = field(default_factory=dict)
    cosigned_size: int = 0
    findings: list[Finding] = field(default_factory=list)
    findings_left_out: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is broken."""
        return not any(one.weight is Weight.BROKEN for one in self.findings)

    def add(self, weight: Weight, code: str, first: int, end: int, text: str) -> None:
        """Note a finding; beyond `MOST_FINDINGS` they are only counted."""
        if len(self.findings) >= MOST_FINDINGS:
            self.findings_left_out += 1
        else:
            self.findings.append(Finding(weight, code, first, end, text))


@dataclass(frozen=True, slots=True)
class Question:
    """What to hold the log against.

    Attributes:
        keys: the device's keys, oldest to newest, without the revoked.
        witnesses: keys whose cosignatures are looked for.
        older: checkpoints that the auditor kept, as notes, each with a name for people.
    """

    keys: Sequence[VerifierKey]
    witnesses: Sequence[VerifierKey] = ()
    older: Sequence[tuple[str, bytes]] = ()


def verify(
    log: LogReader,
    question: Question,
    *,
    visit: Callable[[Entry], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verdict:
    """Check everything.

    Args:
        visit: gets every entry that has a valid form, in order.
        progress: told how many of how many entries are done, now and then.
    """
    return _Check(log, question, visit, progress).run()


class _Check:
    """One run over a log; the state that the steps share."""

    def __init__(
        self,
        log: LogReader,
        question: Question,
        visit: Callable[[Entry], None],
        progress: Callable[[int, int], None],
    ) -> None:
        self._log, self._question = log, question
        self._visit, self._progress = visit, progress
        self.verdict = Verdict()
        self._entries, self._tiles = Frontier(), Frontier()
        self._level1: list[bytes] = []
        self._rest: list[bytes] = []
        self._above: dict[int, Sequence[bytes]] = {}
        self._wanted: dict[int, bytes] = {}
        self._by_entries: dict[int, bytes] = {}
        self._by_tiles: dict[int, bytes] = {}
        self._suspects: list[Finding] = []
        self._incomplete: set[int] = set()
        self._clock = _Clock(self.verdict)

    def run(self) -> Verdict:
        verdict = self.verdict
        head = self._read_head()
        kept = self._read_history()
        brought = [self._read_older(name, note) for name, note in self._question.older]
        brought.append(self._read_cosigned())
        for one in [head, *kept, *brought]:
            if one is not None:
                self._wanted.setdefault(one.size, one.root)
        full = self._full(head)
        for index in range(full):
            self._bundle(index)
            if index % 64 == 0:
                self._progress(index * WIDTH, full * WIDTH)
        self._upper_tiles(1, self._level1)
        self._end(full)
        if head is not None:
            self._partial_tiles(head.size)
        verdict.size, verdict.root = self._entries.size, self._entries.root().hex()
        verdict.boots = self._clock.boots
        self._judge(head, kept, [one for one in brought if one is not None])
        if full and [c.size for c in kept if c.size % WIDTH == 0] != [
            WIDTH * (i + 1) for i in range(full)
        ]:
            self._note("ledger.checkpoints.gap", 0, 0, "kept checkpoints are missing or doubled")
        return verdict

    def _full(self, head: Checkpoint | None) -> int:
        """How many bundles there are, or should be.

        What was signed but not sealed when a process was killed is in the tail, whole bundles.
        """
        there, signed = self._log.bundles(), head.size if head else 0
        try:
            reaches = there * WIDTH + len(self._log.tail(there))
        except AuditError:
            reaches = 0
        return there if reaches >= signed else max(there, signed // WIDTH)

    # --- checkpoints -------------------------------------------------------------------------

    def _read_head(self) -> Checkpoint | None:
        raw = self._log.head()
        if raw is None:
            self._broken("ledger.checkpoint.missing", 0, 0, "there is no checkpoint")
            return None
        try:
            note = parse_note(raw)
            verified(note, self._question.keys)
            head = parse_checkpoint(note.text)
            seen = cosigned(note, self._question.witnesses)
        except AuditError as err:
            self._broken(err.code, 0, 0, f"the newest checkpoint: {err.message}")
            return None
        self.verdict.origin, self.verdict.signed_size = head.origin, head.size
        self._saw(head, seen)
        return head

    def _read_cosigned(self) -> Checkpoint | None:
        """What lies beside the log as cosigned: the log must continue it like any older one."""
        raw = self._log.cosigned()
        if raw is None:
            return None
        try:
            note = parse_note(raw)
            verified(note, self._question.keys)
            one = parse_checkpoint(note.text)
            self._saw(one, cosigned(note, self._question.witnesses))
        except AuditError as err:
            self._broken(err.code, 0, 0, f"the cosigned checkpoint: {err.message}")
            return None
        return one

    def _saw(self, head: Checkpoint, seen: dict[VerifierKey, int]) -> None:
        if seen and head.size >= self.verdict.cosigned_size:
            self.verdict.cosigned_size = head.size
            self.verdict.cosigned = {key.name: seconds for key, seconds in seen.items()}

    def _read_history(self) -> list[Checkpoint]:
        notes, stray = self._log.history()
        found: list[Checkpoint] = []
        for raw in notes:
            try:
                note = parse_note(raw)
                verified(note, self._question.keys)
                one = parse_checkpoint(note.text)
            except AuditError as err:
                size = found[-1].size if found else 0
                self._broken(err.code, size, size, f"a kept checkpoint: {err.message}")
                continue
            if found and one.size <= found[-1].size:
                self._broken("ledger.checkpoints.order", one.size, one.size, "kept out of order")
            found.append(one)
        if stray:
            self._broken("ledger.checkpoints.damaged", 0, 0, f"{stray} bytes are no checkpoint")
        self.verdict.checkpoints = len(found)
        return found

    def _read_older(self, name: str, raw: bytes) -> Checkpoint | None:
        try:
            note = parse_note(raw)
            verified(note, self._question.keys)
            return parse_checkpoint(note.text)
        except AuditError as err:
            self._broken(err.code, 0, 0, f"{name}: {err.message}")
            return None

    def _judge(
        self, head: Checkpoint | None, kept: list[Checkpoint], brought: list[Checkpoint]
    ) -> None:
        good, bad = 0, None
        for one in sorted([*kept, *brought, *([head] if head else [])], key=lambda c: c.size):
            if head is not None and one.origin != head.origin:
                self._broken("ledger.origin", 0, 0, f"a checkpoint is of another log, {one.origin}")
            elif self._by_entries.get(one.size) == one.root:
                good = max(good, one.size) if bad is None else good
            else:
                bad = one if bad is None else bad
        tiles_hold = head is not None and self._by_tiles.get(head.size) == head.root
        whole = bad is None
        for found in self._suspects:
            # Whole bundles that lead to the signed root are right: then the tile is wrong.
            tile = whole and found.first // WIDTH not in self._incomplete
            weight = Weight.NOTE if tile else Weight.BROKEN
            code = "ledger.tile.changed" if tile else found.code
            text = "the leaf tile is wrong, the entries are right" if tile else found.text
            self.verdict.add(weight, code, found.first, found.end, text)
        if bad is None:
            return
        if bad.size > self._entries.size:
            self._broken(
                "ledger.truncated",
                self._entries.size,
                bad.size,
                f"a signed checkpoint speaks of {bad.size} entries, there are {self._entries.size}",
            )
        elif not (self._suspects and tiles_hold):
            self._broken(
                "ledger.rewritten",
                good,
                bad.size,
                f"entries {good} to {bad.size - 1} are not those that were signed: the checkpoint "
                f"of {good} entries fits, that of {bad.size} does not",
            )

    # --- entries -----------------------------------------------------------------------------

    def _bundle(self, index: int) -> None:
        first = index * WIDTH
        raw, tile = self._log.bundle(index), self._log.tile(0, index)
        hashes = _hashes(tile)
        try:
            entries = decode_bundle(raw) if raw is not None else []
        except AuditError as err:
            entries = []
            self._suspect(err.code, first, first + WIDTH, err.message)
        if raw is None:
            self._suspect("ledger.bundle.missing", first, first + WIDTH, "the bundle is missing")
        leaves = [leaf_hash(one) for one in entries]
        explained = False
        if hashes is None:
            self._note("ledger.tile.missing", first, first + WIDTH, "the leaf tile is not whole")
        elif leaves != hashes and entries:
            self._suspects += explain(first, leaves, hashes)
            explained = True
        if len(leaves) != WIDTH:
            self._incomplete.add(index)
            leaves = (leaves + (hashes or [bytes(HASH_BYTES)] * WIDTH)[len(leaves) :])[:WIDTH]
        self._grow(leaves, hashes or leaves)
        self._level1.append(perfect_root(hashes or leaves))
        for place, data in enumerate(entries, first):
            self._entry(place, data, explained=explained)

    def _end(self, full: int) -> None:
        first = full * WIDTH
        try:
            tail = self._log.tail(full)
        except AuditError as err:
            self._broken(err.code, first, first, err.message)
            return
        torn = self._log.tail_torn()
        if torn:
            self._broken(
                "ledger.journal.torn",
                first + len(tail),
                first + len(tail) + 1,
                f"{torn} bytes after entry {first + len(tail) - 1} are no entry",
            )
        for place, data in enumerate(tail, first):
            leaf = leaf_hash(data)
            self._rest.append(leaf)
            self._grow([leaf], [leaf])
            self._entry(place, data)
        self._progress(first + len(tail), first + len(tail))

    def _grow(self, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        for leaf, hashed in zip(leaves, hashes, strict=True):
            self._entries.append(leaf)
            self._tiles.append(hashed)
            size = self._entries.size
            if size in self._wanted:
                self._by_entries[size] = self._entries.root()
                self._by_tiles[size] = self._tiles.root()
        self._by_entries.setdefault(0, Frontier().root())

    def _entry(self, place: int, data: bytes, *, explained: bool = False) -> None:
        """One entry; `explained`: that places are wrong here is said once, with the reason."""
        try:
            entry = decode(data)
        except AuditError as err:
            self._broken(err.code, place, place + 1, f"entry {place}: {err.message}")
            return
        if entry.seq != place and not explained:
            self._broken(
                "ledger.entry.misplaced",
                place,
                place + 1,
                f"entry {entry.seq} stands in place {place}",
            )
        self._clock.see(entry)
        self._visit(entry)

    def _upper_tiles(self, level: int, below: Sequence[bytes]) -> None:
        self._above[level] = below
        roots = []
        for index in range(len(below) // WIDTH):
            right = below[index * WIDTH : (index + 1) * WIDTH]
            first, end = index * WIDTH ** (level + 1), (index + 1) * WIDTH ** (level + 1)
            if _hashes(self._log.tile(level, index)) != list(right):
                self._note("ledger.tile.changed", first, end, f"a tile of level {level} is wrong")
            roots.append(perfect_root(right))
        self._above[level + 1] = roots
        if len(roots) >= WIDTH:
            self._upper_tiles(level + 1, roots)

    def _partial_tiles(self, size: int) -> None:
        """The tiles at an export's end; a live log has none."""
        for level, index, width in partial_tiles(size):
            raw = self._log.tile(level, index, width)
            below = self._above.get(level, ()) if level else self._rest
            right = b"".join(below[index * WIDTH if level else 0 :][:width])
            if raw is not None and raw != right:
                first, each = index * WIDTH, WIDTH**level
                text = f"the partial tile of level {level} is wrong, or its entries are"
                end = (first + width) * each
                self._note("ledger.tile.changed", first * each, end, text)

    def _suspect(self, code: str, first: int, end: int, text: str) -> None:
        self._suspects.append(Finding(Weight.BROKEN, code, first, end, text))

    def _broken(self, code: str, first: int, end: int, text: str) -> None:
        self.verdict.add(Weight.BROKEN, code, first, end, text)

    def _note(self, code: str, first: int, end: int, text: str) -> None:
        self.verdict.add(Weight.NOTE, code, first, end, text)


def explain(first: int, found: Sequence[bytes], signed: Sequence[bytes]) -> Iterable[Finding]:
    """How the entries of a bundle that begins at `first` differ from their hashes."""
    places = {one: at for at, one in enumerate(signed)}
    wrong = [at for at in range(len(found)) if at >= len(signed) or found[at] != signed[at]]
    low, high = (wrong[0], wrong[-1] + 1) if wrong else (len(found), len(signed))
    present = set(found)
    gone = [at for at, one in enumerate(signed) if one not in present]
    strange = [at for at, one in enumerate(found) if one not in places]
    if not gone and not strange and len(found) == len(signed):
        yield _finding("reordered", first + low, first + high, "stand in another order")
        return
    order = [places[one] for one in found if one in places]
    if not gone and not strange and len(found) > len(signed):
        # What is there twice was put in.
        seen: set[bytes] = set()
        for at, one in enumerate(found):
            if one in seen:
                yield _finding("inserted", first + at, first + at + 1, "was put in a second time")
            seen.add(one)
        return
    if gone and not strange and order == sorted(order):
        for at in gone:
            yield _finding("removed", first + at, first + at + 1, "was taken out")
    elif strange and not gone and order == sorted(order):
        for at in strange:
            yield _finding("inserted", first + at, first + at + 1, "was put in")
    else:
        for at in strange or range(low, high):
            yield _finding("changed", first + at, first + at + 1, "was changed")


def _finding(name: str, first: int, end: int, text: str) -> Finding:
    which = f"entry {first}" if end - first == 1 else f"entries {first} to {end - 1}"
    return Finding(Weight.BROKEN, f"ledger.entry.{name}", first, end, f"{which} {text}")


def _hashes(tile: bytes | None) -> list[bytes] | None:
    if tile is None or len(tile) != WIDTH * HASH_BYTES:
        return None
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


class _Clock:
    """Runs, order and pauses, as the entries tell them."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._before: Entry | None = None
        self._before_ms = 0
        self.boots = 0

    def see(self, entry: Entry) -> None:
        """Hold an entry against the one before."""
        verdict, before, place = self._verdict, self._before, entry.seq
        now_ms = _ms(entry.at)
        verdict.first_at = verdict.first_at or entry.at
        verdict.last_at = entry.at
        self._tell(entry)
        if before is None or entry.boot != before.boot:
            self.boots += 1
            if before is not None and entry.boot < before.boot:
                verdict.add(
                    Weight.BROKEN,
                    "ledger.clock.boot",
                    place,
                    place + 1,
                    f"run {entry.boot} after run {before.boot}",
                )
            if before is not None and now_ms < self._before_ms:
                verdict.add(
                    Weight.NOTE,
                    "ledger.clock.back",
                    place,
                    place + 1,
                    f"run {entry.boot} begins {(self._before_ms - now_ms) / 1000:.0f} s before the "
                    "run before it ended: the clock was not set yet, or was set back",
                )
            # What comes before the entry `boot` belongs to opening the ledger itself.
            if not isinstance(entry.body, Boot | Visit | Restarted | Recovered | Lost):
                verdict.add(
                    Weight.NOTE, "ledger.clock.boot", place, place + 1, "a run without its start"
                )
        else:
            self._within(entry, before, now_ms)
        self._before, self._before_ms = entry, now_ms

    def _within(self, entry: Entry, before: Entry, now_ms: int) -> None:
        place, passed = entry.seq, entry.up_ms - before.up_ms
        if passed < 0:
            self._verdict.add(
                Weight.BROKEN,
                "ledger.clock.order",
                place,
                place + 1,
                f"entry {place} was written before the one it follows",
            )
        drift = now_ms - self._before_ms - passed
        if abs(drift) > CLOCK_SLACK_MS and not isinstance(entry.body, TimeCorrection):
            self._verdict.add(
                Weight.NOTE,
                "ledger.clock.step",
                place,
                place + 1,
                f"the clock stepped by {drift / 1000:.1f} s without an entry that says so",
            )
        if passed > GAP_MS:
            self._verdict.add(
                Weight.NOTE,
                "ledger.gap",
                place - 1,
                place + 1,
                f"nothing was written for {passed / 3_600_000:.1f} h of a run",
            )

    def _tell(self, entry: Entry) -> None:
        body, place = entry.body, entry.seq
        match body:
            case Restarted():
                text = (
                    f"an earlier ledger was damaged ({body.code}); signed {body.size_signed}, "
                    f"still proven {body.good_size}; kept on the device beside this one"
                )
                self._verdict.add(Weight.NOTE, "ledger.restarted", place, place + 1, text)
            case Lost():
                text = f"{body.count} entries could not be written ({body.code})"
                self._verdict.add(Weight.NOTE, "ledger.lost", place, place + 1, text)
            case Recovered():
                text = f"{body.torn_bytes} torn bytes were cut off after a crash or a power cut"
                self._verdict.add(Weight.NOTE, "ledger.torn", place, place + 1, text)
            case StorageFault() if body.what == "ledger" and body.lost:
                text = f"{body.lost} entries of other processes were not written ({body.code})"
                self._verdict.add(Weight.NOTE, "ledger.lost", place, place + 1, text)
            case StorageFault() if body.what == "ledger" and body.end > body.first:
                text = f"the device itself found entries {body.first} to {body.end - 1} damaged"
                self._verdict.add(Weight.NOTE, "ledger.fault", place, place + 1, text)


def _ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
