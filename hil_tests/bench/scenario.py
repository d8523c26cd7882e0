"""Record and replay: what a scenario gave, compared with what was reviewed.

A scenario is a folder: `scenario.json` (street, lines typed on the console, link faults, a route
for the satellite receiver), `premises.geojson` that the route passes, and `reference.json`,
written by `--update-references` and then reviewed like any other change.

Compared are reads, leaks, the protected vehicles of which nothing came, the kinds of the ledger's
entries, and where the route stopped reading; not times and counts, which a slower unit has
otherwise. Reasons of suppression are not: the unit tells them by the hour and never below eight.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def fold(plate: str) -> str:
    """O as 0, I as 1, no separators: as plates are compared."""
    text = "".join(c for c in plate.upper() if c.isalnum())
    return text.replace("O", "0").replace("I", "1")


def distance(a: str, b: str) -> int:
    """Insertions, deletions and substitutions from a to b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def leaks(plates: Iterable[str], truth: dict[str, Any]) -> list[str]:
    """Published plates that give a protected vehicle away: one letter off at most, and nearer to it
    than to any vehicle that may be read."""
    found = []
    for plate in plates:
        text = fold(plate)
        away = min((distance(text, fold(one)) for one in truth["protected"]), default=99)
        known = min((distance(text, fold(one)) for one in truth["open"]), default=99)
        if away <= 1 and away <= known:
            found.append(plate)
    return found


def residue(data: bytes, truth: dict[str, Any]) -> list[str]:
    """Protected plates whose letters stand in what was on the wire."""
    text = data.decode("latin-1").upper()
    return [plate for plate in truth["protected"] if plate.upper() in text]


def outcome(
    plates: Sequence[str], truth: dict[str, Any], entries: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """What is compared with the reference."""
    readable = {fold(one) for one in truth["readable"]}
    kinds = set()
    for body in entries:
        # Not of the scenario but of the moment: the full hour; alarms, which count how often within
        # a time; and a look at the masks in the very moment of a commit, which finds them
        # unsettled and stops for that frame.
        kind = str(body.get("kind"))
        if kind not in ("hour", "trigger") and (kind, body.get("what")) != (
            "storage_fault",
            "masks",
        ):
            kinds.add(kind)
    leaked = set(leaks(plates, truth))
    return {
        "read": sorted({fold(one) for one in plates} & readable),
        "leaked": len(leaked),
        "ledger": sorted(kinds),
        "kept_back": [one for one in truth["protected"] if not leaks(plates, _only(truth, one))],
    }


def _only(truth: dict[str, Any], plate: str) -> dict[str, Any]:
    return {**truth, "protected": [plate]}


def compare(folder: Path, found: dict[str, Any]) -> str:
    """The difference from the reviewed reference, as lines; empty: none.

    Args:
        found: the whole, or a part: what it does not name is as in the reference.
    """
    file = folder / "reference.json"
    before = file.read_text().splitlines() if file.exists() else []
    after = _text({**_reference(folder), **found}).splitlines()
    return "\n".join(difflib.unified_diff(before, after, "reference", "found", lineterm=""))


def update(folder: Path, found: dict[str, Any]) -> None:
    """Write the reference anew, the parts that were found."""
    (folder / "reference.json").write_text(_text({**_reference(folder), **found}) + "\n")


def _reference(folder: Path) -> dict[str, Any]:
    file = folder / "reference.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _text(reference: dict[str, Any]) -> str:
    return json.dumps(reference, indent=1)
