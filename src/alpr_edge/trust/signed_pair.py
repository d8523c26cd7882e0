"""Edge: a file and the signature beside it (`NAME.sig`), replaced so that they always fit.

Two files cannot be renamed as one. So the new signature waits as `NAME.sig.new`, the file comes
next, and only then the signature: whatever a power cut leaves, one of the two signatures fits the
file that is there. `finish` ends what was broken off. It decides nothing: no signature counts here
that would not count in its place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.errors import AlprEdgeError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import sync_folder, write_durably
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, verify_file
from alpr_edge.trust.keys import PublicKey


def put_pair(path: Path, data: bytes, signature: bytes) -> None:
    """Replace a file and its signature.

    Raises:
        OSError: it could not be written; the old ones are still there.
    """
    waiting = _waiting(path)
    try:
        write_durably(waiting, signature)
        write_durably(path, data)
    except OSError:
        with contextlib.suppress(OSError):
            waiting.unlink()
        raise
    _take(path)


def finish(
    path: Path, content: bytes, document_type: DocumentType, keys: Iterable[PublicKey]
) -> None:
    """Put the waiting signature in its place, if it fits these bytes and the one there does not."""
    keys = tuple(keys)
    fits = [
        signed_about(one, content, document_type, keys) is not None
        for one in (_beside(path), _waiting(path))
    ]
    if fits == [False, True]:
        _take(path)


def signed_about(
    signature: Path, content: bytes, document_type: DocumentType, keys: Iterable[PublicKey]
) -> dict[str, Any] | None:
    """What the signature in this file says of these bytes; None: it is not about them."""
    data = read_regular_file(signature, limit_bytes=MAX_ENVELOPE_BYTES)
    if isinstance(data, FileTrouble):
        return None
    try:
        return verify_file(data, content, document_type, keys)
    except AlprEdgeError:
        return None


def _take(path: Path) -> None:
    # Where this fails the signature goes on waiting, and `finish` takes it.
    with contextlib.suppress(OSError):
        os.replace(_waiting(path), _beside(path))
        sync_folder(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _waiting(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig.new")
