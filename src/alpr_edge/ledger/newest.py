"""Edge: the newest mask record, polygon and commissioning of a ledger, read without opening it.

For whoever must know it while the service has the ledger. It checks no signature: a ledger that was
changed shows in `verify`, and one that was put back shows at the witness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from alpr_edge.authority.store import Newest
from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import decode
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import Body, Boot, Commissioning, MaskChange
from alpr_edge.ledger.tiles import decode_bundle

_MASKS: Final = b'"kind":"mask_change"'
_PLACES: Final = (b'"kind":"commissioning"', b'"kind":"boot"')


def newest_in_force(ledger: Path) -> Newest:
    """Zeros where there is no ledger, or none of its changes came from a record."""
    for body in _newest(ledger, _MASKS):
        if isinstance(body, MaskChange) and body.number:
            return Newest(body.number, body.polygon)
    return Newest()


def commissioned_before(ledger: Path) -> str | None:
    """Digest of the commissioning record that was told last; None without one."""
    for body in _newest(ledger, *_PLACES):
        if isinstance(body, Commissioning) and body.in_force:
            return body.record
        if isinstance(body, Boot):
            return body.commissioning
    return None


def _newest(ledger: Path, *marks: bytes) -> Iterator[Body]:
    """Entries of these kinds, the newest first."""
    folder = LedgerFolder(ledger)
    try:
        index = folder.bundles()
        entries: Sequence[bytes] = folder.tail(folder.full_bundles())
    except AuditError:
        return
    while True:
        for data in reversed(entries):
            if any(mark in data for mark in marks):
                try:
                    yield decode(data).body
                except AuditError:
                    continue
        if not index:
            return
        index -= 1
        try:
            entries = decode_bundle(folder.bundle(index) or b"")
        except AuditError:
            entries = ()
