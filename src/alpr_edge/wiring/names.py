"""Who signed what this unit goes by, for the ledger. A name that cannot be told is left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from alpr_edge.errors import AlprEdgeError
from alpr_edge.ledger.signed_by import signed_by
from alpr_edge.ledger.telling import By
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, examine
from alpr_edge.trust.key_files import load_keyring
from alpr_edge.wiring.signed_config import CITY_KEYS

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.trust.keyring import Keyring
    from alpr_edge.wiring.signed_config import SignatureCheck


def configured_by(config: DeviceConfig, check: SignatureCheck) -> By:
    """Who signed the configuration; nobody where its signature does not count."""
    if not check.is_signed:
        return By()
    return _signer(f"{check.file}.sig", DocumentType.CONFIG, config, check)


def commissioned_by(config: DeviceConfig, check: SignatureCheck) -> Callable[[], By]:
    """Asks who signed the commissioning record that lies there now."""
    site = config.site

    def ask() -> By:
        if site is None or site.commissioning is None:
            return By()
        return _signer(site.commissioning, DocumentType.COMMISSIONING, config, check, by="made_by")

    return ask


def _signer(
    path: str | os.PathLike[str],
    kind: DocumentType,
    config: DeviceConfig,
    check: SignatureCheck,
    *,
    by: str = "by",
) -> By:
    try:
        ring = _keyring(config, check)
        with Path(path).open("rb") as file:
            data = file.read(MAX_ENVELOPE_BYTES + 1)
        keys = (*ring.city, *(key for person in ring.persons for key in person.keys))
        signed = examine(data, kind, keys)
    except (AlprEdgeError, OSError):
        return By()
    return signed_by(signed.signers, ring, signed.payload, by=by)


def _keyring(config: DeviceConfig, check: SignatureCheck) -> Keyring:
    where = CITY_KEYS if check.anchored else config.trust.city_keys
    return load_keyring("" if where is None else where, config.trust.persons)
