"""Where the outbox's keys lie: sealed by the device's TPM, else in a file for the owner only.

It stores rings of keys; it encrypts no event (`sealing`) and decides no rotation (`vault`).

Rules:
- Files are 0600 from the first byte, replaced as a whole, and refused when others may read them.
- With a TPM, what lies on disk is the ring under a key that only this TPM unseals: a copied disk
  opens nothing. A ring that was sealed by a TPM is never replaced by a plain one in silence.
- How a TPM is asked: `trust.tpm`.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any, Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alpr_edge.delivery.sealing import KEY_BYTES, Key, KeyRing
from alpr_edge.errors import KeyUnusable, PublishError
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.tpm import Tpm, find_tpm

KeepIn = Literal["auto", "tpm", "file"]
_RING_NAME = b"alpr-edge outbox ring"
_MOST_BYTES = 1 << 20


class KeyStore(Protocol):
    """Keeps one ring of keys."""

    def load(self) -> KeyRing | None:
        """The ring, or nothing when there is none yet.

        Raises:
            PublishError: there is one, and it cannot be used (`delivery.key.*`).
        """
        ...

    def save(self, ring: KeyRing) -> None:
        """Replace the ring; after a power cut it is the old one or the new one.

        Raises:
            PublishError: it is not stored.
        """
        ...


class MemoryKeyStore:
    """The shipped fake: forgets everything with the process."""

    def __init__(self, ring: KeyRing | None = None) -> None:
        self.ring = ring

    def load(self) -> KeyRing | None:
        """What was saved."""
        return self.ring

    def save(self, ring: KeyRing) -> None:
        """Keep it in memory."""
        self.ring = ring


class FileKeyStore:
    """A file that only its owner may read; for devices without a TPM."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> KeyRing | None:
        """See `KeyStore.load`."""
        document = _read(self._path)
        if document is None:
            return None
        if "tpm" in document:
            raise PublishError(
                f"the keys in {self._path} are sealed by a TPM that is not here",
                code="delivery.key.tpm_missing",
                hint="start on the device that made them, with tpm2-tools; else delete the file"
                " and with it what waits in the outbox",
            )
        return _ring_of(document, self._path)

    def save(self, ring: KeyRing) -> None:
        """See `KeyStore.save`."""
        _write(self._path, _document_of(ring))


class TpmKeyStore:
    """A file whose ring only this device's TPM opens.

    Args:
        path: the file.
        tcti: how tpm2-tools reach the TPM; without it their own default.
    """

    def __init__(self, path: Path, tcti: str | None = None) -> None:
        self._path, self._chip = path, Tpm(tcti)
        self._wrapping: tuple[bytes, dict[str, str]] | None = None

    def load(self) -> KeyRing | None:
        """See `KeyStore.load`. A plain ring, from before there was a TPM, is taken over."""
        document = _read(self._path)
        if document is None:
            return None
        if "tpm" not in document:
            ring = _ring_of(document, self._path)
            self.save(ring)
            return ring
        try:
            blobs = {name: str(document["tpm"][name]) for name in ("public", "private")}
            sealed = base64.b64decode(document["ring"], validate=True)
        except (KeyError, TypeError, ValueError) as err:
            raise _damaged(self._path) from err
        wrapping = self._unseal(blobs)
        try:
            plain = AESGCM(wrapping).decrypt(sealed[:12], sealed[12:], _RING_NAME)
            inner = json.loads(plain)
        except (InvalidTag, ValueError) as err:
            raise _damaged(self._path) from err
        self._wrapping = wrapping, blobs
        return _ring_of(inner, self._path)

    def save(self, ring: KeyRing) -> None:
        """See `KeyStore.save`."""
        if self._wrapping is None:
            wrapping = os.urandom(KEY_BYTES)
            self._wrapping = wrapping, self._seal(wrapping)
        wrapping, blobs = self._wrapping
        nonce = os.urandom(12)
        plain = json.dumps(_document_of(ring)).encode()
        sealed = nonce + AESGCM(wrapping).encrypt(nonce, plain, _RING_NAME)
        _write(self._path, {"version": 1, "tpm": blobs, "ring": base64.b64encode(sealed).decode()})

    def _seal(self, secret: bytes) -> dict[str, str]:
        try:
            return self._chip.seal(secret)
        except KeyUnusable as err:
            raise _tpm(err.message) from err

    def _unseal(self, blobs: dict[str, str]) -> bytes:
        try:
            secret = self._chip.unseal(blobs)
        except KeyUnusable as err:
            raise _tpm(err.message) from err
        except ValueError as err:
            raise _damaged(self._path) from err
        if len(secret) != KEY_BYTES:
            raise _damaged(self._path)
        return secret


def open_key_store(path: Path, keep_in: KeepIn = "auto", tcti: str | None = None) -> KeyStore:
    """The store for this device.

    Args:
        path: the file.
        keep_in: `auto` takes the TPM where there is one and tpm2-tools are installed.
        tcti: for a TPM elsewhere than in /dev/tpmrm0.
    """
    if keep_in == "tpm" or (keep_in == "auto" and find_tpm(tcti) is not None):
        return TpmKeyStore(path, tcti)
    return FileKeyStore(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise PublishError(
            f"the outbox's key file {path}: {err.strerror}",
            code="delivery.key.unreadable",
            hint="it must be a file of the service's own user, mode 0600",
        ) from err
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if stat.S_IMODE(facts.st_mode) & 0o077 or facts.st_uid != os.geteuid():
            raise PublishError(
                f"others may read the outbox's key file {path}",
                code="delivery.key.exposed",
                hint=f"chmod 600 and chown it to the service's user; if it was read, delete {path}",
            )
        raw = file.read(_MOST_BYTES)
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as err:
        raise _damaged(path) from err
    if not isinstance(document, dict) or document.get("version") != 1:
        raise _damaged(path)
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(path, json.dumps(document).encode(), mode=0o600)
    except OSError as err:
        raise PublishError(
            f"the outbox's key file {path} cannot be written: {err.strerror}",
            code="delivery.key.unwritable",
            hint="check the folder and free space",
        ) from err


def _document_of(ring: KeyRing) -> dict[str, Any]:
    return {
        "version": 1,
        "keys": [
            {
                "number": key.number,
                "made_at": key.made_at,
                "secret": base64.b64encode(key.secret).decode(),
            }
            for key in ring.keys
        ],
    }


def _ring_of(document: object, path: Path) -> KeyRing:
    try:
        if not isinstance(document, dict):
            raise TypeError("not an object")
        return KeyRing(
            tuple(
                Key(
                    int(one["number"]),
                    int(one["made_at"]),
                    base64.b64decode(one["secret"], validate=True),
                )
                for one in document["keys"]
            )
        )
    except (KeyError, TypeError, ValueError) as err:
        raise _damaged(path) from err


def _damaged(path: Path) -> PublishError:
    return PublishError(
        f"the outbox's key file {path} is damaged",
        code="delivery.key.damaged",
        hint="restore it; or delete it, and with it what waits in the outbox",
    )


def _tpm(message: str) -> PublishError:
    return PublishError(
        message,
        code="delivery.key.tpm",
        hint="check tpm2-tools and that the service's user may use /dev/tpmrm0",
    )
