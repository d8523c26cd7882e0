"""Edge: what is installed for this Python and in this system, and the scan of it. Changes nothing.

Looked at: packages by their metadata; everything that lies where Python looks for modules, be it a
package or merely put there, zip archives too; the folders with models; Debian's packages. What lies
elsewhere on the disk is not looked at.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from alpr_edge.trust.biometric_rules import (
    file_finding,
    is_network,
    package_finding,
    system_package_finding,
)
from alpr_edge.trust.bom import Component, Finding

_DPKG: Final = Path("/var/lib/dpkg/status")
_MOST_BYTES: Final = 64 << 20
_MOST_FILES: Final = 200_000
_METADATA: Final = (".dist-info", ".egg-info", ".data", "__pycache__")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found, sorted by name.

    Attributes:
        findings: what is on the list.
        unlisted: networks that the models' manifest does not name: what they compute nobody knows.
        whole: False where it was stopped, or something was not looked at.
        missed: how many places were not looked at: folders and archives that cannot be read, links
            to folders elsewhere, what lies beyond 200,000 files, a list of Debian's that is long.
    """

    components: tuple[Component, ...]
    findings: tuple[Finding, ...]
    unlisted: tuple[str, ...] = ()
    whole: bool = True
    missed: int = 0


def scan(
    models: Iterable[Path] = (),
    *,
    listed: Iterable[Path] = (),
    dpkg: Path = _DPKG,
    stop: Callable[[], bool] = lambda: False,
) -> Scan:
    """Everything installed, and what of it is on the list of face and biometric software.

    Args:
        models: folders with models.
        listed: files that the models' manifest names.
        dpkg: Debian's list of packages; there may be none.
        stop: asked now and then; True ends it early.
    """
    components: dict[str, Component] = {}
    findings: dict[str, str] = {}
    for one in distributions():
        name = one.metadata["Name"] or ""
        if not name or name.lower() in components:
            continue
        record = one.read_text("RECORD") or ""
        components[name.lower()] = Component(
            name, one.version, _licence(one), hashlib.sha256(record.encode()).hexdigest()
        )
        _find(findings, name, package_finding(name, _summary(one)))
        for line in record.splitlines():
            path = line.split(",", 1)[0]
            _find(findings, path, file_finding(path))
    missed: list[str] = []
    for name, version, summary in _debian(dpkg, missed):
        key = f"deb/{name}"
        components[key] = Component(name, version, "", "", system=True)
        _find(findings, f"{name} (Debian)", system_package_finding(name, summary))
    unlisted: set[str] = set()
    known = {os.path.realpath(path) for path in listed}
    places = [Path(one) for one in sys.path if one]
    whole = True
    for count, (path, top) in enumerate(_files([*places, *models], missed)):
        if count % 256 == 0 and stop():
            whole = False
            break
        _find(findings, top, package_finding(top) if top else None)
        _find(findings, _short(path, places), file_finding(path))
        if is_network(path) and os.path.realpath(path) not in known:
            unlisted.add(_short(path, places))
    return Scan(
        tuple(components[key] for key in sorted(components)),
        tuple(Finding(where, findings[where]) for where in sorted(findings)),
        tuple(sorted(unlisted)),
        whole and not missed,
        len(missed),
    )


def _find(findings: dict[str, str], where: str, about: str | None) -> None:
    if about is not None:
        findings.setdefault(where, about)


def _files(places: Iterable[Path], missed: list[str]) -> Iterator[tuple[str, str]]:
    """Every file once, and for the first of a module the name that one would import.

    Args:
        missed: gets what cannot be looked at.
    """
    roots = list(dict.fromkeys(os.path.realpath(place) for place in places))
    left = _MOST_FILES
    for root in roots:
        # Where somebody stood when he began, with all the rest below it: its own modules only.
        shallow = any(one.startswith(root.rstrip("/") + "/") for one in roots)
        tops: set[str] = set()
        for name in _names(root, missed, shallow=shallow):
            left -= 1
            if left < 0:
                missed.append(root)
                return
            first = name.split("/", 1)[0]
            top = "" if first.endswith(_METADATA) else first.split(".", 1)[0]
            yield f"{root}/{name}", "" if top in tops else top
            tops.add(top)


def _names(root: str, missed: list[str], *, shallow: bool) -> Iterator[str]:
    """Paths of all files below a folder, or in a zip archive; or only what lies directly there."""
    if shallow:
        try:
            yield from sorted(os.listdir(root))
        except FileNotFoundError:
            pass
        except OSError:
            missed.append(root)
        return
    if os.path.isfile(root):
        try:
            with zipfile.ZipFile(root) as archive:
                yield from archive.namelist()
        except (OSError, zipfile.BadZipFile, NotImplementedError):
            missed.append(root)
        return

    def not_entered(err: OSError) -> None:
        if not isinstance(err, FileNotFoundError):
            missed.append(str(err.filename))

    for where, folders, names in os.walk(root, onerror=not_entered):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        for one in folders:
            target = os.path.realpath(f"{where}/{one}")
            if os.path.islink(f"{where}/{one}") and not f"{target}/".startswith(f"{root}/"):
                missed.append(f"{where}/{one}")
        inner = os.path.relpath(where, root)
        for name in sorted(names):
            yield name if inner == "." else f"{inner}/{name}"


def _short(path: str, places: Iterable[Path]) -> str:
    for place in places:
        root = os.path.realpath(place) + "/"
        if path.startswith(root):
            return path[len(root) :]
    return path


def _debian(status: Path, missed: list[str]) -> Iterator[tuple[str, str, str]]:
    """Name, version and summary of every package that is installed."""
    try:
        with status.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
            if file.read(1):
                missed.append(str(status))
    except FileNotFoundError:
        return
    except OSError:
        missed.append(str(status))
        return
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " "
        )
        if fields.get("Status", "").endswith(" installed") and fields.get("Package"):
            yield fields["Package"], fields.get("Version", ""), fields.get("Description", "")


def _summary(one: Distribution) -> str:
    about = one.metadata
    return " ".join(about[name] for name in ("Summary", "Keywords") if name in about)


def _licence(one: Distribution) -> str:
    about = one.metadata
    text = next((about[n] for n in ("License-Expression", "License") if n in about), "")
    return text.splitlines()[0][:80] if text else ""
