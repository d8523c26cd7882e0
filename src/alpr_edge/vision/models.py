"""Model files: found beside the package, checked against the manifest, loaded from checked bytes.

A model whose SHA-256 the manifest does not list never loads, whatever it is; the bytes that were
hashed are those that were audited and those that ONNX Runtime gets: the file is opened once,
and a model that refers to other files is refused. There is no download and no other model format.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# Newer builds report to their maker unless told not to; ours is pinned below them (ADR 0005), but a
# unit may run its vendor's. It must be set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort
from numpy.typing import NDArray

from alpr_edge.errors import BadSignature, DigestMismatch, InferenceError, TrustError
from alpr_edge.vision.audit import Audit, audit
from alpr_edge.vision.onnx_file import read_graph
from alpr_edge.vision.protobuf import Forbidden, Malformed

# Who reads photos without signatures does not wait for cryptography to load.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from alpr_edge.trust.model_signature import SignedModels

MAX_MODEL_BYTES = 64 << 20
"""Far above our models (a few MB): a larger file is refused before it is read."""
MAX_MANIFEST_BYTES = 1 << 20
MAX_TENSOR_BYTES = 512 << 20
"""What all tensors of all models may take together while they run: thirty times what ours need. A
file of a few bytes may ask for any amount ("a million by a million zeros"); it fails there."""
MAX_LISTED = 256
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[0-9a-f]{64}")

_PACKAGED = Path(__file__).resolve().parents[1] / "models"
_CHECKOUT = Path(__file__).resolve().parents[3] / "models"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A loaded model.

    Attributes:
        session: runs it.
        digest: SHA-256 of the file, hex.
        about: the metadata that the model file carries (alphabet, regions, temperature, …).
    """

    session: ort.InferenceSession
    digest: str
    about: dict[str, str]

    def run(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The model's outputs for its one input.

        Raises:
            InferenceError: ONNX Runtime refused or failed (`vision.run`).
        """
        try:
            outputs = self.session.run(None, {self.session.get_inputs()[0].name: batch})
        except Exception as err:
            raise InferenceError(
                f"the model failed on an input of {batch.shape}: {str(err).splitlines()[0][:200]}",
                code="vision.run",
                hint="check the model with `alpr-edge models verify`",
            ) from err
        return [np.asarray(o, np.float32) for o in outputs]


def models_folder() -> Path:
    """Where the shipped models lie: inside the installed package, or in the checkout."""
    return _PACKAGED if (_PACKAGED / "manifest.json").exists() else _CHECKOUT


def manifest_digest(folder: Path | None = None) -> str:
    """SHA-256 of the manifest; zeros where it cannot be read."""
    try:
        data = _bytes_of((folder or models_folder()) / "manifest.json", MAX_MANIFEST_BYTES)
    except (OSError, _TooLarge):
        return "0" * 64
    return hashlib.sha256(data).hexdigest()


def load_manifest(folder: Path) -> dict[str, str]:
    """The manifest's `{file name: SHA-256}`.

    Raises:
        InferenceError: missing or damaged (`vision.manifest.*`).
    """
    path = folder / "manifest.json"
    try:
        entries: Any = json.loads(_bytes_of(path, MAX_MANIFEST_BYTES).decode("utf-8"))["models"]
        listed = {_plain(m["file"], _PLAIN_NAME): _plain(m["sha256"], _DIGEST) for m in entries}
        if len(listed) != len(entries) or len(listed) > MAX_LISTED:
            raise ValueError("it lists a file twice, or too many")
    except FileNotFoundError as err:
        raise InferenceError(
            f"there is no model manifest at {path}",
            code="vision.manifest.missing",
            hint="install the wheel, or run from a complete checkout",
        ) from err
    except (OSError, ValueError, KeyError, TypeError, RecursionError, _TooLarge) as err:
        raise InferenceError(
            f"the model manifest {path} cannot be read: {err}",
            code="vision.manifest.broken",
            hint="install alpr-edge again",
        ) from err
    return listed


def signed_models(folder: Path, keys: Sequence[EllipticCurvePublicKey]) -> SignedModels:
    """What the signature beside the models covers.

    Raises:
        BadSignature: there is none, or it does not hold (`trust.model.signature`).
    """
    from alpr_edge.trust.model_signature import MAX_SIGNATURE_BYTES, SIGNATURE_FILE, verify_models

    path = folder / SIGNATURE_FILE
    try:
        data = _bytes_of(path, MAX_SIGNATURE_BYTES)
    except (OSError, _TooLarge) as err:
        raise BadSignature(
            f"the models' signature {path} cannot be read: {err}",
            code="trust.model.signature",
            hint="sign the folder with `alpr-edge models sign`",
        ) from err
    return verify_models(data, keys)


def sign_folder(folder: Path, private_pem: bytes) -> bytes:
    """A signature over every file of the folder, as it is now.

    Raises:
        InferenceError: a file cannot be read (`vision.model.*`).
        KeyUnusable: the key is none for models.
        TrustError: something that is no regular file lies there (`trust.model.signature`).
    """
    from alpr_edge.trust.model_signature import SIGNATURE_FILE, sign_models

    files: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name == SIGNATURE_FILE or name.split("/")[0].startswith(".git"):
            continue
        if path.is_symlink():
            raise TrustError(
                f"{path} is a symbolic link",
                code="trust.model.signature",
                hint="put the file there",
            )
        files[name] = hashlib.sha256(_read(path)).hexdigest()
    return sign_models(files, folder.resolve().name, private_pem)


def load_model(
    name: str,
    *,
    folder: Path | None = None,
    threads: int = 1,
    providers: tuple[str, ...] = ("CPUExecutionProvider",),
    kind: str | None = None,
    signed: SignedModels | None = None,
) -> Model:
    """Load `name` (a file name listed in the folder's manifest).

    Args:
        kind: what it must be, a key of `audit.KINDS`; None takes any of them.
        signed: what the folder's signature covers, where one is asked for.

    Raises:
        InferenceError: missing, unreadable, too large or not loadable (`vision.model.*`).
        DigestMismatch: not listed, or not the bytes that the manifest lists.
        TrustError: no plate model by its graph (`trust.model.refused`), or of another kind.
    """
    data, digest = checked_bytes(name, folder or models_folder())
    if signed is not None and signed.digests.get(name) != digest:
        raise DigestMismatch(
            f"the model {name} is not the one that was signed",
            code="trust.model.unsigned",
            hint="sign the folder again with `alpr-edge models sign`, or put the signed file back",
        )
    found = audited(name, data)
    if not found.problems and kind not in (None, found.kind):
        raise TrustError(
            f"the model {name} is a {found.kind}, not a {kind}",
            code="trust.model.kind",
            hint="detector.model and recogniser.model name each other's file",
        )
    if found.problems:
        raise TrustError(
            f"the model {name} is no plate model: {'; '.join(found.problems)[:500]}",
            code="trust.model.refused",
            hint="`alpr-edge models verify` lists everything that was found",
        )
    session = _session(name, data, threads, providers)
    about = dict(session.get_modelmeta().custom_metadata_map)
    return Model(session, digest, about)


def checked_bytes(name: str, folder: Path) -> tuple[bytes, str]:
    """A listed model's bytes and their SHA-256, which is the listed one.

    Raises:
        InferenceError: missing, unreadable or too large.
        DigestMismatch: not listed, or not the bytes that the manifest lists.
    """
    listed = load_manifest(folder)
    if name not in listed:
        raise DigestMismatch(
            f"the model {name} is not in the manifest",
            code="trust.model.unlisted",
            hint=f"listed are: {', '.join(sorted(listed)) or 'none'}",
        )
    data = _read(folder / name)
    digest = hashlib.sha256(data).hexdigest()
    if digest != listed[name]:
        raise DigestMismatch(
            f"the model {name} has SHA-256 {digest[:16]}…, the manifest lists {listed[name][:16]}…",
            code="trust.model.digest",
            hint="the file is damaged or was exchanged; install alpr-edge again",
        )
    return data, digest


def audited(name: str, data: bytes) -> Audit:
    """What the audit finds in a model's bytes.

    Raises:
        InferenceError: they are no ONNX model that can be read (`vision.model.broken`).
    """
    try:
        return audit(read_graph(data))
    except Forbidden as err:
        return Audit("", (str(err),), {}, 0)
    except Malformed as err:
        raise InferenceError(
            f"the model {name} cannot be taken: {err}",
            code="vision.model.broken",
            hint="install alpr-edge again",
        ) from err


def _plain(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"it holds {str(value)[:40]!r} where a plain name or digest belongs")
    return value


class _TooLarge(Exception):
    """A file holds more than it may."""


def _bytes_of(path: Path, most: int) -> bytes:
    """A regular file's bytes, from one opening, never more than `most` of them.

    Raises:
        OSError: missing, unreadable, or not a regular file (a pipe would wait for ever).
        _TooLarge: it holds more.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(0, "not a regular file")
        # The size first, so that nothing large is read; then the bytes, which may have grown.
        data = file.read(most + 1) if about.st_size <= most else b""
        if about.st_size > most or len(data) > most:
            raise _TooLarge(f"more than {most} bytes")
        return data


def _read(path: Path) -> bytes:
    try:
        return _bytes_of(path, MAX_MODEL_BYTES)
    except _TooLarge as err:
        raise InferenceError(
            f"{path} has {err}, which no model of ours can have",
            code="vision.model.too_large",
            hint="install alpr-edge again",
        ) from err
    except FileNotFoundError as err:
        raise InferenceError(
            f"there is no model at {path}",
            code="vision.model.missing",
            hint="install the wheel, or run from a complete checkout",
        ) from err
    except OSError as err:
        raise InferenceError(
            f"the model {path} cannot be read: {err.strerror}", code="vision.model.unreadable"
        ) from err


@cache
def _bound_memory() -> None:
    """One store of memory for the tensors of all models, of at most `MAX_TENSOR_BYTES`.

    Shared, it also takes less than one for each model: they run one after the other.
    """
    ort.create_and_register_allocator(
        ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        ),
        ort.OrtArenaCfg({"max_mem": MAX_TENSOR_BYTES}),
    )


def _session(
    name: str, data: bytes, threads: int, providers: tuple[str, ...]
) -> ort.InferenceSession:
    missing = set(providers) - set(ort.get_available_providers())
    if missing:
        raise InferenceError(
            f"execution providers not available here: {', '.join(sorted(missing))}",
            code="vision.provider.missing",
            hint=f"available: {', '.join(ort.get_available_providers())}",
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning doubles the CPU time on a busy machine and gains nothing on nets this small.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # One plan of memory is kept for each input shape; photos and windows come in many. Source:
    # 2026-11, five shapes: 16 MiB less without, and no slower.
    options.enable_mem_pattern = False
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        # Folding constants would compute, while loading, what the bound forbids. It gains nothing
        # on our graphs.
        return ort.InferenceSession(
            data, options, providers=list(providers), disabled_optimizers=["ConstantFolding"]
        )
    except Exception as err:
        raise InferenceError(
            f"the model {name} does not load: {str(err).splitlines()[0][:200]}",
            code="vision.model.broken",
            hint="install alpr-edge again",
        ) from err
