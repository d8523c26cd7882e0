"""Everything that can be said of a folder of models: listed, unchanged, plate models, and they run.

`verify` goes through all models and reports every finding; `models.load_model` stops at the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alpr_edge.errors import AlprEdgeError
from alpr_edge.vision.audit import KINDS, Audit, wrong_shapes
from alpr_edge.vision.models import audited, checked_bytes, load_manifest, load_model

_BESIDE = {".md", ".json", ".sig"}
"""Endings of what lies beside models without being one: cards, manifest and signature."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One file of the folder.

    Attributes:
        digest: SHA-256, if the file is listed and unchanged.
        found: the graph's audit, as far as it came.
        problems: why it does not start; empty if it does.
        exit_status: 0, or the worst problem's.
    """

    name: str
    digest: str
    found: Audit | None
    problems: tuple[str, ...]
    exit_status: int


def verify(folder: Path) -> Iterator[Finding]:
    """Every listed model, then every file that lies there and is not listed.

    Raises:
        InferenceError: there is no manifest, or it cannot be read.
    """
    listed = load_manifest(folder)
    for name in sorted(listed):
        yield _verify_one(name, folder)
    for path in sorted(folder.iterdir()):
        if path.name not in listed and (path.suffix.lower() not in _BESIDE or path.is_dir()):
            problem = "not in the manifest: never loaded, whatever it is"
            yield Finding(path.name, "", None, (problem,), 3)


def _verify_one(name: str, folder: Path) -> Finding:
    digest, found = "", None
    try:
        data, digest = checked_bytes(name, folder)
        found = audited(name, data)
        if found.problems:
            return Finding(name, digest, found, found.problems, 3)
        problems = _try(name, folder, found.kind)
    except AlprEdgeError as err:
        return Finding(name, digest, found, (str(err),), err.exit_status)
    return Finding(name, digest, found, problems, 3 if problems else 0)


def _try(name: str, folder: Path, kind: str) -> tuple[str, ...]:
    """Run it on grey: what comes out must have the declared shapes too."""
    model = load_model(name, folder=folder)
    sides = {"n": 2, "px": 64}
    given = model.session.get_inputs()[0].shape
    promised = KINDS[kind].inputs[0].shape
    shape = [
        side if isinstance(side, int) else sides[str(wanted)]
        for side, wanted in zip(given, promised, strict=True)
    ]
    outputs = model.run(np.full(shape, 114, np.uint8))
    return tuple(wrong_shapes(kind, model.about, [o.shape for o in outputs]))
