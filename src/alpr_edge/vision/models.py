"""Model files: found beside the package, checked against the manifest, loaded from checked bytes.

A model whose SHA-256 the manifest does not list never loads, whatever it is; the bytes that were
hashed are the bytes that ONNX Runtime gets. There is no download and no other model format.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# Newer builds report to their maker unless told not to; ours is pinned below them (ADR 0005), but a
# unit may run its vendor's. It must be set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort
from numpy.typing import NDArray

from alpr_edge.errors import DigestMismatch, InferenceError

MAX_MODEL_BYTES = 64 << 20
"""Far above our models (a few MB): a larger file is refused before it is read."""

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


def load_manifest(folder: Path) -> dict[str, str]:
    """The manifest's `{file name: SHA-256}`.

    Raises:
        InferenceError: missing or damaged (`vision.manifest.*`).
    """
    path = folder / "manifest.json"
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        return {str(m["file"]): str(m["sha256"]) for m in data["models"]}
    except FileNotFoundError as err:
        raise InferenceError(
            f"there is no model manifest at {path}",
            code="vision.manifest.missing",
            hint="install the wheel, or run from a complete checkout",
        ) from err
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise InferenceError(
            f"the model manifest {path} cannot be read: {err}",
            code="vision.manifest.broken",
            hint="install alpr-edge again",
        ) from err


def load_model(
    name: str,
    *,
    folder: Path | None = None,
    threads: int = 1,
    providers: tuple[str, ...] = ("CPUExecutionProvider",),
) -> Model:
    """Load `name` (a file name listed in the folder's manifest).

    Raises:
        InferenceError: missing, unreadable, too large or not loadable (`vision.model.*`).
        DigestMismatch: not listed, or not the bytes that the manifest lists.
    """
    folder = folder or models_folder()
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
    session = _session(name, data, threads, providers)
    about = dict(session.get_modelmeta().custom_metadata_map)
    return Model(session, digest, about)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise InferenceError(
                f"{path} has {size} bytes, more than a model of ours can have",
                code="vision.model.too_large",
                hint="install alpr-edge again",
            )
        return path.read_bytes()
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
    try:
        return ort.InferenceSession(data, options, providers=list(providers))
    except Exception as err:
        raise InferenceError(
            f"the model {name} does not load: {str(err).splitlines()[0][:200]}",
            code="vision.model.broken",
            hint="install alpr-edge again",
        ) from err
