"""Edge: which of the city's keys came and went since the start before.

Beside the ledger lies `LEDGER.city-keys`, the digests of the keys of that start: a help for the
ledger's reader. Who may sign is decided by the list itself, oldest to newest (`trust.key_files`).
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from alpr_edge.ledger.telling import Tells
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.keys import PublicKey

_log = logging.getLogger(__name__)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES: Final = 1 << 16


def tell_city_keys(keys: Sequence[PublicKey], ledger: Path, tells: Tells) -> None:
    """Put on record what was added to the list, and what was taken out, which revokes it."""
    path = ledger.with_name(ledger.name + ".city-keys")
    now = [hashlib.sha256(key.raw).hexdigest() for key in keys]
    try:
        text = path.read_bytes()[:_MOST_BYTES].decode("ascii", "replace") if path.exists() else ""
    except OSError:
        text = ""
    before = _DIGEST.findall(text)
    if now == before:
        return
    for digest in now:
        if digest not in before:
            tells.key_changed("city", "added", digest)
    for digest in before:
        if digest not in now:
            tells.key_changed("city", "revoked", digest)
    try:
        write_durably(path, "".join(f"{one}\n" for one in now).encode(), mode=0o600)
    except OSError as err:
        _log.warning("the city's keys cannot be noted", extra={"why": str(err.strerror)})
