"""Edge: the unit's own key, made on its first boot, never leaving it.

With a TPM, `device.key` holds the private half under a key that only this TPM unseals: a copied
disk signs nothing. Without one it is a file of mode 0600 in a folder of mode 0700 of the service's
user, and health warns of it: whoever owns the disk owns the key; encrypt the disk. The key signs
what the device says (checkpoints, attestation, its mask store); it gives no authority over masks.

Rules:
- A key that is there is never replaced by another. A plain one, from before there was a TPM, is
  sealed where it lies.
- A key that a TPM sealed is never taken from elsewhere, nor made anew, when that TPM is gone.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alpr_edge.errors import KeyUnusable
from alpr_edge.trust.durable_file import create_durably, write_durably
from alpr_edge.trust.key_files import load_private_key
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.trust.tpm import Tpm, find_tpm

KEY_FILE: Final = "device.key"
KeepIn = Literal["auto", "tpm", "tpm_as_started", "file"]
_NAME: Final = b"alpr-edge device key"
_MOST_BYTES: Final = 64 * 1024
_opened: dict[tuple[str, int, int], PrivateKey] = {}
"""Unsealing takes most of a second; the service and its commands ask often."""


def device_key(folder: str | os.PathLike[str], keep_in: KeepIn = "auto") -> PrivateKey:
    """The unit's key; made if there is none.

    Args:
        keep_in: `auto` takes a TPM where there is one and tpm2-tools are installed;
            `tpm_as_started` seals it to how the machine was started as well (PCRs).

    Raises:
        KeyUnusable: it cannot be made, or the one that is there cannot be used (`trust.key.*`,
            `trust.tpm`).
    """
    path = Path(folder) / KEY_FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise KeyUnusable(
            f"the folder {path.parent} cannot be made: {err.strerror}",
            code="trust.key.unwritable",
            hint="check the folder, its permissions and the space on the disk",
        ) from err
    if not path.exists():
        _make(path, keep_in)
    sealed = _sealed_document(path)
    if sealed is not None:
        key = _open(path, sealed)
        if keep_in in ("tpm", "tpm_as_started"):
            bound = isinstance(sealed["tpm"], dict) and "pcrs" in sealed["tpm"]
            if bound is not (keep_in == "tpm_as_started"):
                _write(path, _seal(_tpm(keep_in), key, keep_in))
        return key
    key = load_private_key(path)
    tpm = _tpm(keep_in)
    if tpm is not None:
        _write(path, _seal(tpm, key, keep_in))
    return key


def is_sealed(folder: str | os.PathLike[str]) -> bool:
    """Whether a TPM keeps the key."""
    return _sealed_document(Path(folder) / KEY_FILE) is not None


def _tpm(keep_in: KeepIn) -> Tpm | None:
    if keep_in == "file":
        return None
    found = find_tpm()
    if found is None and keep_in in ("tpm", "tpm_as_started"):
        raise KeyUnusable(
            "the configuration wants the device's key in a TPM, and there is none",
            code="trust.tpm.missing",
            hint="install tpm2-tools and let the service's user use /dev/tpmrm0",
        )
    return found


def _make(path: Path, keep_in: KeepIn) -> None:
    key, tpm = PrivateKey.generate(), _tpm(keep_in)
    data = key.to_pem() if tpm is None else _seal(tpm, key, keep_in)
    try:
        create_durably(path, data, mode=0o600)
    except FileExistsError:
        pass  # another process was faster: its key is the one
    except OSError as err:
        raise _unwritable(path, err) from err


def _write(path: Path, data: bytes) -> None:
    try:
        write_durably(path, data, mode=0o600)
    except OSError as err:
        raise _unwritable(path, err) from err


def _seal(tpm: Tpm | None, key: PrivateKey, keep_in: KeepIn) -> bytes:
    assert tpm is not None  # `_tpm` raises where one is asked for and missing
    wrapping, nonce = os.urandom(32), os.urandom(12)
    document = {
        "version": 1,
        "public": str(key.public),
        "tpm": tpm.seal(wrapping, as_started=keep_in == "tpm_as_started"),
        "sealed": base64.b64encode(
            nonce + AESGCM(wrapping).encrypt(nonce, key.to_pem(), _NAME)
        ).decode(),
    }
    return json.dumps(document).encode()


def _sealed_document(path: Path) -> dict[str, Any] | None:
    """What the file holds if a TPM sealed it; all trouble of plain files is `key_files`'."""
    try:
        data = path.read_bytes()[:_MOST_BYTES]
        document = json.loads(data) if data.startswith(b"{") else None
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and "tpm" in document else None


def _open(path: Path, document: dict[str, Any]) -> PrivateKey:
    about = os.stat(path)
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise KeyUnusable(
            f"the device's key {path} can be read by others",
            code="trust.key.open",
            hint="chmod 600 it",
        )
    name = (str(path.resolve()), about.st_ino, about.st_mtime_ns)
    if name not in _opened:
        tpm = find_tpm()
        if tpm is None:
            raise KeyUnusable(
                f"the device's key in {path} is sealed by a TPM that is not here",
                code="trust.tpm.missing",
                hint="start on the device that made it, with tpm2-tools; a new key needs new "
                "commissioning",
            )
        try:
            wrapping = tpm.unseal(document["tpm"])
            sealed = base64.b64decode(document["sealed"], validate=True)
            plain = AESGCM(wrapping).decrypt(sealed[:12], sealed[12:], _NAME)
        except (InvalidTag, ValueError, KeyError, TypeError) as err:
            raise KeyUnusable(
                f"the device's key {path} is damaged",
                code="trust.key.invalid",
                hint="restore it; a new key needs new commissioning",
            ) from err
        _opened[name] = PrivateKey.from_pem(plain)
    return _opened[name]


def _unwritable(path: Path, err: OSError) -> KeyUnusable:
    return KeyUnusable(
        f"the key {path} cannot be written: {err.strerror}",
        code="trust.key.unwritable",
        hint="check the folder, its permissions and the space on the disk",
    )
