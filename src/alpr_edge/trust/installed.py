"""Edge: what is installed in this Python, and the scan of it. Reads, changes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

from alpr_edge.trust.biometric_rules import file_finding, package_finding
from alpr_edge.trust.bom import Component, Finding


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found, sorted by name."""

    components: tuple[Component, ...]
    findings: tuple[Finding, ...]


def scan() -> Scan:
    """Every installed package, and what of it is on the list of face and biometric software."""
    components: dict[str, Component] = {}
    findings: list[Finding] = []
    for one in distributions():
        name = one.metadata["Name"] or ""
        if not name or name.lower() in components:
            continue
        record = one.read_text("RECORD") or ""
        components[name.lower()] = Component(
            name, one.version, _licence(one), hashlib.sha256(record.encode()).hexdigest()
        )
        about = package_finding(name)
        if about is not None:
            findings.append(Finding(name, about))
        for line in record.splitlines():
            path = line.split(",", 1)[0]
            about = file_finding(path)
            if about is not None:
                findings.append(Finding(path, about))
    ordered = tuple(components[key] for key in sorted(components))
    return Scan(ordered, tuple(sorted(findings, key=lambda found: found.where)))


def _licence(one: Distribution) -> str:
    about = one.metadata
    text = next((about[n] for n in ("License-Expression", "License") if n in about), "")
    return text.splitlines()[0][:80] if text else ""
