"""Edge: the number of the newest mask record that a ledger speaks of, read without opening it.

For whoever must know it while the service has the ledger. It checks no signature: a ledger that was
changed shows in `verify`, and one that was put back shows at the witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import decode
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import MaskChange
from alpr_edge.ledger.tiles import decode_bundle

_MARK: Final = b'"kind":"mask_change"'


def newest_mask_number(ledger: Path) -> int:
    """0 where there is no ledger, or none of its changes came from a record."""
    folder = LedgerFolder(ledger)
    try:
        index = folder.bundles()
        found = _newest(folder.tail(folder.full_bundles()))
    except AuditError:
        return 0
    while not found and index:
        index -= 1
        try:
            found = _newest(decode_bundle(folder.bundle(index) or b""))
        except AuditError:
            continue
    return found


def _newest(entries: Sequence[bytes]) -> int:
    for data in reversed(entries):
        if _MARK in data:
            try:
                body = decode(data).body
            except AuditError:
                continue
            if isinstance(body, MaskChange) and body.number:
                return body.number
    return 0
