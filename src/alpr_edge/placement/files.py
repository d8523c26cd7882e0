"""Edge: registers, cameras and records from disk, and their signatures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alpr_edge.config.files import FileTrouble, display_name, read_regular_file
from alpr_edge.errors import BadSignature, ConfigError
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.premises import Register
from alpr_edge.exclusion.register_file import MAX_BYTES, parse_register, register_values
from alpr_edge.placement.camera_file import parse_camera
from alpr_edge.placement.commissioning import Record, read_record, record_payload
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.envelope import canonical, examine, sign
from alpr_edge.trust.keys import PrivateKey, PublicKey

PathLike = str | os.PathLike[str]
_SMALL: Final = 1 << 20
_RECORD: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class LoadedRegister:
    """A register from disk.

    Attributes:
        signers: key ids of those who signed it; empty: nobody did.
    """

    register: Register
    signers: tuple[str, ...]


def load_register(path: PathLike, keys: Sequence[PublicKey] | None = None) -> LoadedRegister:
    """A register, signed or plain GeoJSON.

    Args:
        keys: one of them must have signed it; None, on a bench: no signature is asked for.

    Raises:
        ConfigError: missing, unreadable or not a register.
        BadSignature: `placement.register.unsigned` or another: nobody of `keys` signed it.
    """
    return open_register(read(path, limit_bytes=MAX_BYTES), keys, source=display_name(path))


def open_register(
    data: bytes, keys: Sequence[PublicKey] | None = None, *, source: str
) -> LoadedRegister:
    """As `load_register`, of bytes that are here.

    Args:
        source: what messages call it.

    Raises:
        ConfigError, BadSignature: as `load_register`.
    """
    if not _is_envelope(data):
        if keys is not None:
            raise BadSignature(
                f"{source} is not signed",
                code="placement.register.unsigned",
                hint="sign it with `alpr-edge premises sign`",
            )
        return LoadedRegister(parse_register(data, source=source), ())
    if keys is None:
        raise BadSignature(
            f"{source} is signed; by whom cannot be checked without keys",
            code="placement.register.keys",
            hint="name the city's keys with --keys FILE",
        )
    signed = examine(data, DocumentType.REGISTER, keys)
    register = parse_register(canonical(signed.payload), source=source)
    return LoadedRegister(register, tuple(key.key_id for key in signed.signers))


def sign_register(register: Register, path: PathLike, key: PrivateKey) -> None:
    """Write a register signed.

    Raises:
        ConfigError: it cannot be written.
    """
    write(path, sign(DocumentType.REGISTER, register_values(register), key))


def load_camera(path: PathLike) -> PlacedCamera:
    """A camera.

    Raises:
        ConfigError: missing, unreadable or not a camera.
    """
    return parse_camera(read(path, limit_bytes=_SMALL), source=display_name(path))


def load_record(path: PathLike, keys: Sequence[PublicKey]) -> Record:
    """A commissioning record that one of `keys` signed.

    Raises:
        ConfigError: missing or unreadable.
        TrustError: nobody of `keys` signed it, or it is none.
    """
    data = read(path, limit_bytes=_RECORD)
    return read_record(examine(data, DocumentType.COMMISSIONING, keys).payload)


def save_record(record: Record, path: PathLike, key: PrivateKey) -> None:
    """Write a commissioning record signed.

    Raises:
        ConfigError: it cannot be written.
    """
    write(path, sign(DocumentType.COMMISSIONING, record_payload(record), key))


def read(path: PathLike, *, limit_bytes: int) -> bytes:
    """A file's bytes.

    Raises:
        ConfigError: `placement.file.missing`, `.unreadable`, `.not_a_file` or `.too_large`.
    """
    data = read_regular_file(path, limit_bytes=limit_bytes)
    if isinstance(data, FileTrouble):
        raise ConfigError(
            f"{display_name(path)} {data.detail}",
            code=f"placement.file.{data.kind.value}",
            hint=data.hint,
        )
    return data


def write(path: PathLike, data: bytes) -> None:
    """Write a file so that a power cut leaves the old one or the new one.

    Raises:
        ConfigError: `placement.file.unwritable`.
    """
    try:
        write_durably(Path(path), data)
    except OSError as err:
        raise ConfigError(
            f"{display_name(path)} cannot be written: {err.strerror}",
            code="placement.file.unwritable",
            hint="check the folder, its permissions and the space on the disk",
        ) from err


def _is_envelope(data: bytes) -> bool:
    """Whether it looks like a signed document; what it is, verification decides."""
    return b'"payloadType"' in data[-4096:] or b'"payloadType"' in data[:4096]
