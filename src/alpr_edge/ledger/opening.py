"""Opening a log after whatever happened to it: an orderly end, kill -9, a power cut, damage.

Rules:
- A torn end of the journal is cut off; what a checkpoint has signed is never cut off silently.
- A log whose signed head cannot be shown any more is damaged: it is left as it is, and the finding
  says up to where a signed checkpoint still proves it, and where it stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import Entry, decode
from alpr_edge.ledger.files import (
    CHECKPOINT,
    JOURNAL,
    Journal,
    LedgerFolder,
    TileHashes,
    parse_journal,
)
from alpr_edge.ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash, root_of
from alpr_edge.ledger.note import Checkpoint, VerifierKey, parse_checkpoint, parse_note, verified
from alpr_edge.ledger.tiles import LEVELS_PER_TILE, WIDTH, decode_bundle, tile_path


@dataclass(frozen=True, slots=True)
class Opened:
    """A log that can go on.

    Attributes:
        sealed: the tree over the full bundles.
        tail: the entries after them.
        last: the newest entry.
        head: what the newest checkpoint says.
        torn_bytes: how much was cut off.
        good_bytes: where the journal's whole lines end; None if it must be written anew.
        healed: bundles whose leaf tile was missing and has been made again from the entries.
    """

    sealed: Frontier
    tail: tuple[bytes, ...]
    last: Entry | None
    head: Checkpoint | None
    torn_bytes: int
    good_bytes: int | None
    healed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """A log that cannot go on, and what is still proven of it."""

    code: str
    head: Checkpoint | None
    good: Checkpoint | None
    damaged_from: int
    damaged_to: int
    last_boot: int


def open_log(
    folder: LedgerFolder, origin: str, keys: Sequence[VerifierKey], *, heal: bool = True
) -> Opened | Damage:
    """Read a log as far as it goes and hold it against its newest checkpoint.

    Args:
        heal: make lost leaf tiles again; without it nothing is written.

    Raises:
        AuditError: the folder cannot be read at all (`ledger.file.*`).
    """
    healed = _heal(folder) if heal else ()
    full = folder.full_bundles()
    raw = folder.read(JOURNAL)
    journal = parse_journal(raw) if raw is not None else Journal(full * WIDTH, (), 0, 0)
    note = folder.read(CHECKPOINT)
    if note is None:
        head: Checkpoint | None = None
        if full or (journal is not None and journal.entries and journal.first):
            return _damage(folder, "ledger.checkpoint.missing", None, full, (), origin, keys)
    else:
        try:
            head = _head(note, origin, keys)
        except AuditError as err:
            return _damage(folder, err.code, None, full, (), origin, keys)
    if journal is None:
        journal = Journal(full * WIDTH, (), 0, len(raw or b""))
    if journal.first > full * WIDTH:
        return _damage(folder, "ledger.tile.missing", head, full, (), origin, keys)
    skip = full * WIDTH - journal.first
    tail, good, wrong_bytes = _whole_entries(journal, skip)
    if head is not None and not _shows(folder, head, full, tail):
        return _damage(folder, "ledger.head.unproven", head, full, tail, origin, keys)
    sealed = _sealed(folder, full)
    anew = skip or raw is None or not journal.good_bytes
    return Opened(
        sealed,
        tail,
        _last(folder, full, tail),
        head,
        journal.torn_bytes + wrong_bytes,
        None if anew else good,
        healed,
    )


def _heal(folder: LedgerFolder) -> tuple[int, ...]:
    """Make missing leaf tiles again from their entries. What they lead to is checked afterwards."""
    healed = []
    for index in range(folder.full_bundles(), folder.bundles()):
        if folder.tile(0, index) is not None:
            continue
        try:
            entries = decode_bundle(folder.bundle(index) or b"")
        except AuditError:
            break
        if len(entries) != WIDTH:
            break
        if folder.tile(0, index + 1) is not None or index + 1 < folder.bundles():
            healed.append(index)
        folder.write(tile_path(0, index), b"".join(leaf_hash(one) for one in entries))
    return tuple(healed)


def _whole_entries(journal: Journal, skip: int) -> tuple[tuple[bytes, ...], int, int]:
    """The entries that are what they should be in their places; where they end; what is left."""
    kept: list[bytes] = []
    cut = 0
    for place, data in enumerate(journal.entries[skip:], journal.first + skip):
        try:
            right = decode(data).seq == place
        except AuditError:
            right = False
        if not right:
            break
        kept.append(data)
    cut = sum(len(data) + 10 for data in journal.entries[skip + len(kept) :])
    return tuple(kept), journal.good_bytes - cut, cut


def _head(note: bytes, origin: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    parsed = parse_note(note)
    verified(parsed, keys)
    head = parse_checkpoint(parsed.text)
    if head.origin != origin:
        raise AuditError(
            f"the checkpoint is of {head.origin}, not of {origin}", code="ledger.origin"
        )
    return head


def _shows(folder: LedgerFolder, head: Checkpoint, full: int, tail: Sequence[bytes]) -> bool:
    if head.size > full * WIDTH + len(tail):
        return False
    try:
        return root_of(TileHashes(folder, full, tail), 0, head.size) == head.root
    except AuditError:
        return False


def _sealed(folder: LedgerFolder, full: int) -> Frontier:
    tree, hashes = Frontier(), TileHashes(folder, full, ())
    while tree.size < full * WIDTH:
        level = LEVELS_PER_TILE
        while (
            tree.size % (1 << level + LEVELS_PER_TILE) == 0
            and tree.size + (1 << level + LEVELS_PER_TILE) <= full * WIDTH
        ):
            level += LEVELS_PER_TILE
        tree.append_perfect(hashes.node(level, tree.size >> level), level)
    return tree


def _last(folder: LedgerFolder, full: int, tail: Sequence[bytes]) -> Entry | None:
    try:
        if tail:
            return decode(tail[-1])
        if full:
            return decode(decode_bundle(folder.bundle(full - 1) or b"")[-1])
    except (AuditError, IndexError):
        return None
    return None


def _damage(
    folder: LedgerFolder,
    code: str,
    head: Checkpoint | None,
    full: int,
    tail: Sequence[bytes],
    origin: str,
    keys: Sequence[VerifierKey],
) -> Damage:
    """Find the newest signed checkpoint that the entries themselves still lead to."""
    entries = _readable(folder, full, tail)
    signed: dict[int, Checkpoint] = {}
    for note in [*folder.history()[0], folder.read(CHECKPOINT) or b""]:
        try:
            one = _head(note, origin, keys)
        except AuditError:
            continue
        signed[one.size] = one
        head = one if head is None or one.size > head.size else head
    tree, good, boot = Frontier(), Checkpoint(origin, 0, EMPTY_ROOT), 0
    for data in entries:
        tree.append(leaf_hash(data))
        there = signed.get(tree.size)
        if there is not None and there.root == tree.root():
            good = there
        try:
            boot = max(boot, decode(data).boot)
        except AuditError:
            continue
    end = max([len(entries), *signed])
    return Damage(code, head, good if good.size else None, good.size, end, boot)


def _readable(folder: LedgerFolder, full: int, tail: Sequence[bytes]) -> list[bytes]:
    """All entries up to the first that cannot be read."""
    found: list[bytes] = []
    bundles = folder.bundles()
    for index in range(bundles):
        try:
            bundle = decode_bundle(folder.bundle(index) or b"")
        except AuditError:
            return found
        found += bundle
        if len(bundle) != WIDTH:
            return found
    if tail and full == bundles:
        return [*found, *tail]
    try:
        return [*found, *folder.tail(bundles)]
    except AuditError:
        return found
