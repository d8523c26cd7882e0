"""Edge: which keys of the configuration differ from those of the start before.

Beside the ledger lies `LEDGER.settings`: a digest for each key, no value. It is a help for the
reader of the ledger and proves nothing; the digests of whole configurations are what counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from alpr_edge.trust.durable_file import write_durably

_log = logging.getLogger(__name__)
_SETTING: Final = re.compile(r"[a-z_]{2,32}(\.[a-z_]{2,40}){0,3}")
_MOST_BYTES: Final = 1 << 20


def changed_settings(document: Mapping[str, Any], ledger: Path) -> tuple[str, ...]:
    """Keys, as `mqtt.host`, whose values are others than at the call before; none at the first.

    Args:
        document: the configuration, as JSON.
    """
    path = ledger.with_name(ledger.name + ".settings")
    now = {key: _digest(value) for key, value in _leaves(document)}
    before = _read(path)
    if before != now:
        try:
            write_durably(path, json.dumps(now, sort_keys=True).encode(), mode=0o600)
        except OSError as err:
            _log.warning("the settings' digests cannot be kept", extra={"why": str(err.strerror)})
    if not before:
        return ()
    return _other(before, now)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys whose values differ between two configurations, as JSON."""
    return _other(dict(_leaves(before)), dict(_leaves(after)))


def _other(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(k for k in {*before, *after} if before.get(k) != after.get(k)))[:64]


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        key = f"{prefix}{name}"
        if not _SETTING.fullmatch(key):
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_bytes()[:_MOST_BYTES])
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        key: value
        for key, value in document.items()
        if _SETTING.fullmatch(key) and isinstance(value, str)
    }
