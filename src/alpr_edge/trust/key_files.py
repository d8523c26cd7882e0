"""Edge: keys from and to disk.

- A private key is a PKCS #8 PEM file of mode 0600; one that others may read is refused.
- The city's keys are a text file: one public key a line, oldest first; `#` begins a comment.
- The persons' list is a signed document (`keyring`).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from alpr_edge.config.files import FileTrouble, display_name, read_regular_file
from alpr_edge.errors import KeyUnusable
from alpr_edge.trust.durable_file import create_durably
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES
from alpr_edge.trust.keyring import Keyring, open_persons
from alpr_edge.trust.keys import PrivateKey, PublicKey
from alpr_edge.trust.model_signature import parse_model_keys

MAX_KEY_BYTES: Final = 64 * 1024
MAX_CITY_KEYS: Final = 64
PathLike = str | os.PathLike[str]


def load_private_key(path: PathLike, passphrase: bytes | None = None) -> PrivateKey:
    """A private key.

    Raises:
        KeyUnusable: missing, open to others, wrong passphrase, not a key (`trust.key.*`).
    """
    data = _read(path, "private key")
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        raise KeyUnusable(
            f"the private key {display_name(path)} can be read by others (mode {mode:04o})",
            code="trust.key.open",
            hint="chmod 600 it; if others may have read it, make a new one",
        )
    return PrivateKey.from_pem(data, passphrase)


def save_private_key(path: PathLike, key: PrivateKey, passphrase: bytes | None = None) -> None:
    """Write a new private key, readable by its owner only. Never replaces a file.

    Raises:
        KeyUnusable: there is one already, or it cannot be written (`trust.key.*`).
    """
    try:
        create_durably(Path(path), key.to_pem(passphrase), mode=0o600)
    except FileExistsError as err:
        raise KeyUnusable(
            f"{display_name(path)} exists already",
            code="trust.key.exists",
            hint="a key is never overwritten: choose another name",
        ) from err
    except OSError as err:
        raise KeyUnusable(
            f"the key {display_name(path)} cannot be written: {err.strerror}",
            code="trust.key.unwritable",
            hint="check the folder, its permissions and the space on the disk",
        ) from err


def load_public_keys(path: PathLike) -> tuple[PublicKey, ...]:
    """Public keys, one a line, oldest first.

    Raises:
        KeyUnusable: missing, unreadable, none in it, or a line that is no key (`trust.key.*`).
    """
    text = _read(path, "list of keys").decode("utf-8", "replace")
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    keys = tuple(PublicKey.parse(line) for line in lines if line)
    if not keys or len(keys) > MAX_CITY_KEYS or len(set(keys)) != len(keys):
        raise KeyUnusable(
            f"{display_name(path)} must hold 1 to {MAX_CITY_KEYS} different keys",
            code="trust.key.invalid",
            hint="one public key a line, oldest first",
        )
    return keys


def load_keyring(city: PathLike, persons: PathLike | None) -> Keyring:
    """The city's keys and, where there is one, the persons' list that they signed.

    Raises:
        KeyUnusable: as `load_public_keys`.
        TrustError: the list is missing or invalid.
        BadSignature: the city did not sign the list.
    """
    keys = load_public_keys(city)
    if persons is None:
        return Keyring(keys)
    return open_persons(_read(persons, "list of persons", MAX_ENVELOPE_BYTES), keys)


def load_model_keys(path: PathLike) -> tuple[EllipticCurvePublicKey, ...]:
    """The public keys that may have signed models, in PEM, oldest first.

    Raises:
        KeyUnusable: missing, unreadable, or not such a list (`trust.key.*`).
    """
    return parse_model_keys(_read(path, "list of models' keys").decode("utf-8", "replace"))


def _read(path: PathLike, what: str, limit_bytes: int = MAX_KEY_BYTES) -> bytes:
    data = read_regular_file(path, limit_bytes=limit_bytes)
    if isinstance(data, FileTrouble):
        raise KeyUnusable(
            f"the {what} {display_name(path)} {data.detail}",
            code=f"trust.key.{data.kind.value}",
            hint=data.hint,
        )
    return data
