"""Runs the drives of the mix one after the other, in resumable pieces, and sums up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence import mix
from evidence.pieces import Row, code_digest, run_pieces
from evidence.street_drive import row_of


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
        groups = {
            "engine": row["engine"],
            "engine and camera": f"{row['engine']}, {row['camera']}",
            "engine and frames a second": f"{row['engine']}, {row['fps']:>4g}",
            "engine and lost frames": f"{row['engine']}, {row['lost_frames']:.0%} lost",
        }
        for key, group in groups.items():
            self.by.setdefault(key, {}).setdefault(group, Tally()).add(row)
        for name, counts in row["patterns"].items():
            one = self.patterns.setdefault(f"{row['engine']}: {name}", [0, 0])
            one[0] += counts[0]
            one[1] += counts[1]
        self.leaks += row["leaks"]


def run_battery(
    store: Path, say: Callable[[str], object] = print, *, make: bool = True
) -> tuple[Battery, dict[str, Row]]:
    """Drive all of the mix; without `make`, only sum up what has been driven."""
    drives = {str(drive.seed): drive for drive in mix.drives()}
    digest = code_digest(["evidence.mix"])
    work = (lambda key: row_of(drives[key])) if make else None
    rows = run_pieces(store, digest, list(drives), work, say)
    battery = Battery()
    for row in rows.values():
        battery.add(row)
    return battery, rows
