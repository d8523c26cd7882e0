"""Runs the street's drives one after the other, keeps what is done, and sums up.

A drive's counts are stored in a file of lines, under the digest of all code that they depend on: an
interrupted battery goes on where it stopped, and a changed gate starts anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.street_drive import Drive, drives, outcome

LEAST_TOUCHING = 2_000
ROOT = Path(__file__).resolve().parents[1]
CODE = ("src/alpr_edge/exclusion", "src/alpr_edge/vision", "src/alpr_edge/simulator", "evidence")


@dataclass
class Tally:
    """Sums over drives, whole and by a key.

    Attributes:
        touching, leaked: vehicles that touch the premises; those of them that were released.
        readable, kept: untouched vehicles read without exclusion; those of them read with it.
        parked, parked_kept: the same of those that stand in the view at its start or end.
        beside, beside_kept: and of those whose plate lies over a zone.
    """

    drives: int = 0
    touching: int = 0
    leaked: int = 0
    readable: int = 0
    kept: int = 0
    parked: int = 0
    parked_kept: int = 0
    beside: int = 0
    beside_kept: int = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add one drive."""
        self.drives += 1
        for name in self.__dataclass_fields__.keys() - {"drives"}:
            setattr(self, name, getattr(self, name) + row[name])


@dataclass
class Battery:
    """What all drives gave."""

    whole: Tally = field(default_factory=Tally)
    by: dict[str, dict[str, Tally]] = field(default_factory=dict)
    patterns: dict[str, list[int]] = field(default_factory=dict)
    leaks: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        """Add one drive to the whole, to each of its groups, and to its patterns."""
        self.whole.add(row)
        for key in ("engine", "camera", "fps"):
            self.by.setdefault(key, {}).setdefault(str(row[key]), Tally()).add(row)
        group = f"{row['engine']}, {row['camera']}"
        self.by.setdefault("engine and camera", {}).setdefault(group, Tally()).add(row)
        for name, counts in row["patterns"].items():
            one = self.patterns.setdefault(f"{row['engine']}: {name}", [0, 0])
            one[0] += counts[0]
            one[1] += counts[1]
        self.leaks += row["leaks"]


def run_battery(
    store: Path, *, least_touching: int = LEAST_TOUCHING, say: Callable[[str], object] = print
) -> Battery:
    """Drive until so many touching vehicles have passed."""
    digest = code_digest()
    done = _stored(store, digest)
    battery = Battery()
    for drive in drives(10_000):
        row = done.get(drive.seed)
        if row is None:
            row = {"digest": digest, **row_of(drive)}
            store.parent.mkdir(parents=True, exist_ok=True)
            with store.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
        battery.add(row)
        whole = battery.whole
        say(
            f"drive {drive.seed}: {drive.engine.name}, {drive.camera}, {drive.fps:g}/s; so far "
            f"{whole.leaked} leaks of {whole.touching}, kept {whole.kept} of {whole.readable}"
        )
        if whole.touching >= least_touching:
            return battery
    raise AssertionError("the street is not busy enough")


def row_of(drive: Drive) -> dict[str, Any]:
    """One drive's counts as plain values."""
    found = outcome(drive)
    patterns: dict[str, list[int]] = {}
    for (pattern, touching, is_kept), count in found.by_pattern.items():
        one = patterns.setdefault(f"{pattern}, {'touches' if touching else 'free'}", [0, 0])
        one[0] += count
        one[1] += count * is_kept
    return {
        "seed": drive.seed,
        "engine": drive.engine.name,
        "camera": drive.camera,
        "fps": drive.fps,
        "lost_frames": drive.lost_frames,
        "touching": found.touching,
        "leaked": len(found.leaks),
        "readable": found.readable,
        "kept": found.kept,
        "parked": found.parked,
        "parked_kept": found.parked_kept,
        "beside": found.beside,
        "beside_kept": found.beside_kept,
        "patterns": patterns,
        "leaks": [{"seed": d.seed, "vehicle": v, "pattern": p} for d, v, p in found.leaks],
    }


def code_digest() -> str:
    """SHA-256 over all files that a drive's result depends on."""
    digest = hashlib.sha256()
    for path in _files(CODE):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(folders: Iterable[str]) -> list[Path]:
    found = [p for folder in folders for p in (ROOT / folder).rglob("*.py")]
    return sorted(p for p in found if p.parent.name != "evidence" or p.name == "street_drive.py")


def _stored(store: Path, digest: str) -> dict[int, dict[str, Any]]:
    if not store.is_file():
        return {}
    rows = [json.loads(line) for line in store.read_text("utf-8").splitlines() if line.strip()]
    return {row["seed"]: row for row in rows if row["digest"] == digest}
