"""How a log lies in files: tile paths and entry bundles. Pure.

Source: C2SP tlog-tiles. A full tile holds 256 hashes; a tile of level L + 1 holds the roots of 256
full tiles of level L.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alpr_edge.errors import AuditError
from alpr_edge.ledger.merkle import HASH_BYTES

WIDTH = 256
LEVELS_PER_TILE = 8
MAX_ENTRY_BYTES = 65_535


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """`tile/0/x001/x234/067`, with `.p/17` for a partial tile; level `entries` for bundles."""
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(parts))}{partial}"


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one after the other, each with its length in two bytes before it."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        AuditError: a length leads past the end (`ledger.bundle.invalid`).
    """
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if len(entry) != length or at + 2 > len(data):
            raise AuditError(
                f"an entry bundle is damaged at byte {at}",
                code="ledger.bundle.invalid",
                hint="compare with an export or another copy",
            )
        entries.append(entry)
        at += 2 + length
    return entries


def decode_tile(data: bytes) -> list[bytes]:
    """The hashes of a tile.

    Raises:
        AuditError: it is not a whole number of hashes (`ledger.tile.invalid`).
    """
    if len(data) % HASH_BYTES or len(data) > WIDTH * HASH_BYTES:
        raise AuditError(
            f"a hash tile of {len(data)} bytes is damaged",
            code="ledger.tile.invalid",
            hint="run `alpr-edge ledger verify`; tiles can be made again from the entries",
        )
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def partial_tiles(size: int) -> Sequence[tuple[int, int, int]]:
    """`(level, index, width)` of the partial hash tiles of a tree of `size` entries."""
    found, level = [], 0
    while size:
        if size % WIDTH:
            found.append((level, size // WIDTH, size % WIDTH))
        size //= WIDTH
        level += 1
    return found
