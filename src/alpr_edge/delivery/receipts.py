"""Receipts: the receiving application's word that it has stored events, so that rows may go.

Format: JSON `{"ids": ["<uuid>", …]}` on `alpr-edge/<device>/receipts`, at most `MAX_BYTES` long.
Pure. The parser never raises: what it cannot read is no receipt, and the events are sent again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

MAX_BYTES = 65_536
"""Source: about 1,600 ids; a receipt for one window needs twenty."""


def make_receipt(event_ids: Iterable[str]) -> bytes:
    """What a consumer publishes once it has stored these events."""
    return json.dumps({"ids": list(event_ids)}, separators=(",", ":")).encode()


def parse_receipt(payload: bytes) -> tuple[str, ...]:
    """The event ids in a receipt; those that are no UUIDs are left out."""
    if len(payload) > MAX_BYTES:
        return ()
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return ()
    ids = document.get("ids") if isinstance(document, dict) else None
    if not isinstance(ids, list):
        return ()
    return tuple(dict.fromkeys(one for one in ids if isinstance(one, str) and _is_id(one)))


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
