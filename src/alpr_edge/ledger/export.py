"""A copy of a log to take away: a folder, or one zip file, in the layout of C2SP tlog-tiles.

Reading an export makes no difference to verification: `verify` gets the same bytes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from alpr_edge.errors import AuditError
from alpr_edge.ledger.files import (
    CHECKPOINT,
    CHECKPOINTS,
    COSIGNED,
    LedgerFolder,
    TileHashes,
    translate,
)
from alpr_edge.ledger.merkle import leaf_hash
from alpr_edge.ledger.note import parse_checkpoint, parse_note
from alpr_edge.ledger.tiles import WIDTH, decode_bundle, encode_bundle, partial_tiles, tile_path

_NAME = re.compile(
    r"checkpoints?|cosigned|tile/(entries|\d{1,2})(/x\d{3})*/\d{3}(\.p/([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]))?"
)
_MOST_FILES = 200_000
_MOST_BYTES = 8 << 30


def export_log(source: Path, destination: Path) -> int:
    """Copy a log as its newest checkpoint signs it. Returns its size.

    Raises:
        AuditError: there is no checkpoint, the log is damaged, or the copy cannot be written.
    """
    if destination.exists():
        raise AuditError(
            f"{destination} exists already",
            code="ledger.export.exists",
            hint="choose another name; nothing is overwritten",
        )
    if destination.suffix == ".zip":
        with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
            size = _copy(source, Path(folder) / "log")
            _pack(Path(folder) / "log", destination)
        return size
    return _copy(source, destination)


@contextlib.contextmanager
def opened_log(path: Path) -> Iterator[LedgerFolder]:
    """A log's folder: the live one, an exported one, or a zip file unpacked for a while.

    Raises:
        AuditError: there is no log (`ledger.missing`), or the zip file is not one of ours.
    """
    if path.is_dir():
        if not (path / CHECKPOINT).exists() and not (path / "journal").exists():
            raise _missing(path)
        yield LedgerFolder(path)
        return
    if not path.is_file():
        raise _missing(path)
    with tempfile.TemporaryDirectory(prefix="alpr-edge-ledger-") as folder:
        _unpack(path, Path(folder))
        yield LedgerFolder(Path(folder))


def _copy(source: Path, destination: Path) -> int:
    old, new = LedgerFolder(source), LedgerFolder(destination)
    note = old.head()
    if note is None:
        raise _missing(source)
    head = parse_checkpoint(parse_note(note).text)
    full = head.size // WIDTH
    try:
        destination.mkdir(parents=True, mode=0o700)
        if (source / "tile").is_dir():
            shutil.copytree(source / "tile", destination / "tile")
    except OSError as err:
        raise translate(err, destination) from err
    _seal_rest(old, new, full)
    # The log may have grown meanwhile: what the checkpoint does not sign is left out.
    rest = head.size - full * WIDTH
    grown = old.bundle(full)
    entries = decode_bundle(grown)[:rest] if grown is not None else list(old.tail(full)[:rest])
    if rest:
        new.write(tile_path("entries", full, rest), encode_bundle(entries))
    hashes = TileHashes(new, full, entries)
    for level, index, width in partial_tiles(head.size):
        nodes = [hashes.node(8 * level, index * WIDTH + at) for at in range(width)]
        new.write(tile_path(level, index, width), b"".join(nodes))
    for index in range(full, new.bundles()):
        for name in (tile_path("entries", index), tile_path(0, index)):
            (destination / name).unlink(missing_ok=True)
    kept = [n for n in old.history()[0] if parse_checkpoint(parse_note(n).text).size <= head.size]
    new.write(CHECKPOINTS, b"".join(one + b"\n" for one in kept))
    new.write(CHECKPOINT, note)
    seen = old.cosigned()
    if seen is not None and parse_checkpoint(parse_note(seen).text).size <= head.size:
        new.write(COSIGNED, seen)
    return head.size


def _seal_rest(old: LedgerFolder, new: LedgerFolder, full: int) -> None:
    """Make the bundles that a killed process had signed but not sealed."""
    sealed = new.full_bundles()
    if sealed >= full:
        return
    tail = old.tail(sealed)
    for index in range(sealed, full):
        entries = tail[(index - sealed) * WIDTH :][:WIDTH]
        if len(entries) < WIDTH:
            return
        new.write(tile_path("entries", index), encode_bundle(entries))
        new.write(tile_path(0, index), b"".join(leaf_hash(one) for one in entries))


def _pack(folder: Path, destination: Path) -> None:
    try:
        with zipfile.ZipFile(destination, "x", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder).as_posix())
    except OSError as err:
        raise translate(err, destination) from err


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            found = [one for one in archive.infolist() if not one.is_dir()]
            if len(found) > _MOST_FILES or sum(one.file_size for one in found) > _MOST_BYTES:
                raise _strange(path, "it is too large")
            for one in found:
                if not _NAME.fullmatch(one.filename):
                    raise _strange(path, f"it holds {one.filename[:80]!r}")
                target = folder / one.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(one) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
    except (
        *(OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError),
        ValueError,
    ) as err:
        raise _strange(path, str(err)[:100]) from err


def _strange(path: Path, why: str) -> AuditError:
    return AuditError(
        f"{path} is no exported ledger: {why}",
        code="ledger.export.invalid",
        hint="make one with `alpr-edge ledger export`",
    )


def _missing(path: Path) -> AuditError:
    return AuditError(
        f"there is no ledger at {path}",
        code="ledger.missing",
        hint="give the ledger's folder ([ledger] path of the configuration) or an export",
    )
