"""Where the outbox's keys lie: sealed by the device's TPM, else in a file for the owner only.

It stores rings of keys; it encrypts no event (`sealing`) and decides no rotation (`vault`).

Rules:
- Files are 0600 from the first byte, replaced as a whole, and refused when others may read them.
- With a TPM, what lies on disk is the ring under a key that only this TPM unseals: a copied disk
  opens nothing. A ring that was sealed by a TPM is never replaced by a plain one in silence.
- Secrets go to and from tpm2-tools through pipes, never through files or arguments.

Source: tpm2-tools 5.4, tpm2_create(1) and tpm2_unseal(1).
"""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alpr_edge.delivery.sealing import KEY_BYTES, Key, KeyRing
from alpr_edge.errors import PublishError
from alpr_edge.trust.durable_file import write_durably

KeepIn = Literal["auto", "tpm", "file"]
_TPM_DEVICE = Path("/dev/tpmrm0")
_TPM_TOOL = "tpm2_unseal"
_TPM_WAIT_S = 30.0
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
        self._path = path
        self._environment = {**os.environ, **({"TPM2TOOLS_TCTI": tcti} if tcti else {})}
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
        with tempfile.TemporaryDirectory(prefix="alpr-edge-tpm-") as name:
            folder = Path(name)
            self._primary(folder)
            self._tool(
                folder, "tpm2_create", "-C", "primary.ctx", "-i", "-", "-u", "public", "-r",
                "private", given=secret,
            )  # fmt: skip
            self._tool(folder, "tpm2_flushcontext", "-t")
            blobs = {part: (folder / part).read_bytes() for part in ("public", "private")}
        return {part: base64.b64encode(blob).decode() for part, blob in blobs.items()}

    def _unseal(self, blobs: dict[str, str]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="alpr-edge-tpm-") as name:
            folder = Path(name)
            for part, blob in blobs.items():
                (folder / part).write_bytes(base64.b64decode(blob))
            self._primary(folder)
            self._tool(
                folder, "tpm2_load", "-C", "primary.ctx", "-u", "public", "-r", "private", "-c",
                "key.ctx",
            )  # fmt: skip
            self._tool(folder, "tpm2_flushcontext", "-t")
            secret = self._tool(folder, "tpm2_unseal", "-c", "key.ctx")
            self._tool(folder, "tpm2_flushcontext", "-t")
        if len(secret) != KEY_BYTES:
            raise _damaged(self._path)
        return secret

    def _primary(self, folder: Path) -> None:
        # The same owner seed gives the same primary key each time: it need not be stored.
        self._tool(
            folder, "tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "ecc", "-c",
            "primary.ctx",
        )  # fmt: skip
        self._tool(folder, "tpm2_flushcontext", "-t")

    def _tool(self, folder: Path, name: str, *arguments: str, given: bytes = b"") -> bytes:
        quiet = () if name == _TPM_TOOL else ("-Q",)
        try:
            done = subprocess.run(
                [name, *quiet, *arguments],
                cwd=folder,
                input=given,
                capture_output=True,
                env=self._environment,
                timeout=_TPM_WAIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as err:
            raise _tpm(f"{name} does not run") from err
        if done.returncode:
            raise _tpm(f"{name} failed with {done.returncode}")
        return done.stdout


def open_key_store(path: Path, keep_in: KeepIn = "auto", tcti: str | None = None) -> KeyStore:
    """The store for this device.

    Args:
        path: the file.
        keep_in: `auto` takes the TPM where there is one and tpm2-tools are installed.
        tcti: for a TPM elsewhere than in /dev/tpmrm0.
    """
    found = tcti is not None or _TPM_DEVICE.exists()
    if keep_in == "tpm" or (keep_in == "auto" and found and _installed(_TPM_TOOL)):
        return TpmKeyStore(path, tcti)
    return FileKeyStore(path)


def _installed(program: str) -> bool:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return any(os.access(Path(folder) / program, os.X_OK) for folder in folders)


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
