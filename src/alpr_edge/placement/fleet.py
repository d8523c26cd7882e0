"""Many cameras at once: a table in, one verdict a row out. Pure; `fleet_runner` shares the work.

Columns (a header line, comma or semicolon): `id, longitude, latitude, height_m, heading_deg,
tilt_deg, hfov_deg, width_px, height_px`; may be there: `roll_deg, position_error_m,
height_error_m, heading_error_deg, tilt_error_deg, roll_error_deg, hfov_error_deg`.

Rules: a row that cannot be judged is a row of the result, ahead of all others, never left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.local_plane import degrees_round
from alpr_edge.exclusion.premises import Site, middle_of
from alpr_edge.placement.camera_file import LOOSE, camera_from
from alpr_edge.placement.check import Placement, Policy, Verdict, check_placement

NEEDED: Final = (
    "id", "longitude", "latitude", "height_m", "heading_deg", "tilt_deg", "hfov_deg", "width_px",
    "height_px",
)  # fmt: skip
_ERRORS: Final = {f"{key.rsplit('_', 1)[0]}_error_{key.rsplit('_', 1)[1]}": key for key in LOOSE}
OPTIONAL: Final = ("roll_deg", *_ERRORS)
MOST_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One camera's line of the summary.

    Attributes:
        verdict: None where it could not be judged.
        sites: ids of the sites in view, nearest first.
        nearest_m: distance to the nearest of them; None without any.
        note: the reason, or what would be better.
    """

    number: int
    id: str
    place: tuple[float, float] | None
    verdict: Verdict | None
    lost: float
    masked: float
    far_m: float
    nearest_m: float | None
    sites: tuple[str, ...]
    note: str

    @property
    def rank(self) -> tuple[int, float, int]:
        """Sorts the worst first."""
        order = [None, Verdict.MUST_NOT_STAND, Verdict.FITS_WITH_MASK, Verdict.FITS]
        return order.index(self.verdict), -self.lost, self.number


class SiteIndex:
    """Which sites may matter to a camera, found in microseconds."""

    def __init__(self, sites: Sequence[Site], reach_m: float) -> None:
        self._sites = sites
        boxes, owners = [], []
        for number, site in enumerate(sites):
            middle = middle_of(site)
            off = np.array(list(site.places())) - middle
            off[:, 0] = (off[:, 0] + 180.0) % 360.0 - 180.0
            wide, high = degrees_round(middle, reach_m + site.reach_m)
            for turn in (-360.0, 0.0, 360.0):
                x, y = middle[0] + turn, middle[1]
                boxes.append(
                    (
                        x + off[:, 0].min() - wide, y + off[:, 1].min() - high,
                        x + off[:, 0].max() + wide, y + off[:, 1].max() + high,
                    )
                )  # fmt: skip
                owners.append(number)
        self._owners = owners
        areas: Any = shapely.box(*np.array(boxes).reshape(-1, 4).T)
        self._tree = shapely.STRtree(areas)

    def near(self, place: tuple[float, float], loose_m: float) -> list[Site]:
        """Sites within reach of a place that may be `loose_m` off."""
        wide, high = degrees_round(place, min(loose_m, 20_000.0))
        x, y = place
        found = self._tree.query(shapely.box(x - wide, y - high, x + wide, y + high))
        return [self._sites[n] for n in sorted({self._owners[i] for i in found})]


def read_table(lines: Iterable[str], *, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table of cameras with their line numbers.

    Raises:
        ConfigError: `placement.fleet.invalid`: no such table.
    """
    rows = iter(lines)
    head = next(rows, "").removeprefix("\ufeff")
    mark = ";" if head.count(";") > head.count(",") else ","
    names = [name.strip() for name in next(csv.reader([head], delimiter=mark), [])]
    missing = [name for name in NEEDED if name not in names]
    unknown = [name for name in names if name not in (*NEEDED, *OPTIONAL)]
    problems = [f"column {name} is missing" for name in missing]
    problems += [f"column {name!r:.60} is not known" for name in unknown]
    if len(set(names)) < len(names):
        problems.append("a column is there twice")
    if problems:
        raise ConfigError(
            f"{source} is not a table of cameras",
            code="placement.fleet.invalid",
            hint=f"its first line is: {','.join(NEEDED)}",
            problems=tuple(problems[:50]),
        )
    reader = csv.reader(rows, delimiter=mark)
    try:
        for number, row in enumerate(reader, start=2):
            if number > MOST_ROWS:
                raise csv.Error(f"more than {MOST_ROWS} rows")
            if any(cell.strip() for cell in row):
                padded = [*row, *[""] * (len(names) - len(row))]
                yield number, dict(zip(names, (c.strip() for c in padded), strict=False))
    except csv.Error as err:
        raise ConfigError(
            f"{source} is not a table of cameras: {err}",
            code="placement.fleet.invalid",
            hint="save it as CSV in UTF-8",
        ) from err


def check_row(
    number: int, row: dict[str, str], index: SiteIndex, policy: Policy, *, suggest: bool = True
) -> FleetRow:
    """The verdict on one row."""
    try:
        values = _values(row)
        camera = camera_from(values, source=f"line {number}")
    except ConfigError as err:
        problems = "; ".join(err.problems)
        return FleetRow(
            number, row.get("id", "")[:64], None, None, 1.0, 0.0, 0.0, None, (), problems
        )
    near = index.near(camera.pose.place, camera.position_error_m)
    placement = check_placement(camera, near, policy, suggest=suggest)
    return summary(number, placement)


def summary(number: int, placement: Placement) -> FleetRow:
    """One line about a check."""
    in_view = [site for site in placement.sites if site.in_view]
    note = "; ".join([*placement.reasons, *(s.text for s in placement.suggestions[:2])])
    return FleetRow(
        number, placement.camera.id, placement.camera.pose.place, placement.verdict,
        placement.lost, placement.masked, placement.far_m,
        min((site.distance_m for site in in_view), default=None),
        tuple(site.id for site in in_view), note,
    )  # fmt: skip


def _values(row: dict[str, str]) -> dict[str, Any]:
    """A row as a camera file's object; text where a number should be is left for it to tell."""

    def number(name: str, *, whole: bool = False) -> Any:
        text = row.get(name, "")
        try:
            return int(text) if whole else float(text)
        except ValueError:
            return text

    values: dict[str, Any] = {
        "id": row.get("id", ""),
        "position": [number("longitude"), number("latitude")],
        "width_px": number("width_px", whole=True),
        "height_px": number("height_px", whole=True),
        "tolerance": {key: number(name) for name, key in _ERRORS.items() if row.get(name)},
    }
    for name in ("height_m", "heading_deg", "tilt_deg", "hfov_deg"):
        values[name] = number(name)
    if row.get("roll_deg"):
        values["roll_deg"] = number("roll_deg")
    return values
