"""Bills of materials as CycloneDX 1.6 JSON: installed packages, models, and a declaration. Pure.

Written as plain JSON: the document is small, the device needs no library for it, and the tests hold
it against the official schema. The declaration says what was looked for and found, not more.

Source: CycloneDX 1.6, JSON schema (components, modelCard, declarations).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Component:
    """An installed package. `record` is the SHA-256 of its file list with their hashes.

    Attributes:
        system: it is Debian's, not Python's.
    """

    name: str
    version: str
    licence: str
    record: str
    system: bool = False


@dataclass(frozen=True, slots=True)
class ModelPart:
    """A model file. `about` is its task in a sentence."""

    name: str
    digest: str
    about: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is on the list of face and biometric software."""

    where: str
    about: str


def bill(
    product: str,
    version: str,
    components: Sequence[Component],
    models: Sequence[ModelPart],
    findings: Sequence[Finding],
    rules: str,
) -> dict[str, Any]:
    """SBOM and ML-BOM in one document, with the declaration about the scan."""
    root = f"{product}@{version}"
    parts = [_package(one) for one in components] + [_model(one) for one in models]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": product,
                "version": version,
            }
        },
        "components": parts,
        "dependencies": [{"ref": root, "dependsOn": sorted(str(p["bom-ref"]) for p in parts)}],
        "declarations": _declaration(root, len(parts), findings, rules),
    }


def encode(document: dict[str, Any]) -> bytes:
    """Canonical bytes: the same machine gives the same digest."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def bill_digest(document: dict[str, Any]) -> str:
    """SHA-256 of the canonical bytes."""
    return hashlib.sha256(encode(document)).hexdigest()


def _package(one: Component) -> dict[str, Any]:
    version = quote(one.version, safe="")
    purl = f"pkg:{'deb/debian' if one.system else 'pypi'}/{one.name.lower()}@{version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": one.name,
        "version": one.version,
        "purl": purl,
    }
    if one.licence:
        found["licenses"] = [{"license": {"name": one.licence}}]
    if one.record:
        found["properties"] = [{"name": "alpr-edge:record-sha256", "value": one.record}]
    return found


def _model(one: ModelPart) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{one.name}",
        "name": one.name,
        "version": one.digest[:16],
        "hashes": [{"alg": "SHA-256", "content": one.digest}],
        "modelCard": {"modelParameters": {"task": one.about}},
    }


def _declaration(root: str, count: int, findings: Sequence[Finding], rules: str) -> dict[str, Any]:
    shown = "; ".join(f"{one.where}: {one.about}" for one in findings) or "nothing"
    claim = (
        f"{count} installed packages and models, and the files where Python looks for modules, "
        f"were compared with a maintained list of face and biometric software (SHA-256 {rules}), "
        f"by names and by what packages say of themselves. Found: {shown}. Software that is not "
        "on the list and carries another name, or that lies elsewhere, would not be found."
    )
    return {
        "assessors": [
            {"bom-ref": "assessor:self", "thirdParty": False, "organization": {"name": "alpr-edge"}}
        ],
        "claims": [
            {
                "bom-ref": "claim:scan",
                "target": root,
                "predicate": claim,
                "evidence": ["evidence:scan"],
            }
        ],
        "evidence": [
            {
                "bom-ref": "evidence:scan",
                "description": "Names and summaries of Python's and Debian's packages, names of "
                "modules and of model-like files, and every network that no manifest names.",
            }
        ],
    }
