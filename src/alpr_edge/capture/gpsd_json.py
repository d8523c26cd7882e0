"""gpsd's JSON lines → fixes. Pure. Source: gpsd_json(5), protocol 3.14.

TPV gives place, time, speed, track and errors; SKY the satellites used. `mode` below 2 is no fix.
gpsd states `eph` (horizontal, 95 % by default) or `epx`, `epy`; without them the accuracy is
infinite. A source that calls itself simulated (`status` 8 or 9) is invalid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from math import hypot, inf, isfinite
from typing import Any, Final

from alpr_edge.types import GnssFix

LONGEST: Final = 1 << 16
WATCH: Final = b'?WATCH={"enable":true,"json":true};\n'
HEADING_ERROR_DEG: Final = 3.0


@dataclass(slots=True)
class GpsdFixes:
    """Collects reports to fixes."""

    _rest: bytes = b""
    _satellites: int = 0

    def feed(self, data: bytes, taken_ns: int) -> list[GnssFix]:
        """The fixes that these bytes complete; `taken_ns` is when they came."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LONGEST:]
        fixes = []
        for line in lines:
            report = _parsed(line)
            if report.get("class") == "SKY":
                self._satellites = _used(report)
            elif report.get("class") == "TPV":
                fixes.append(self._fix(report, taken_ns))
            elif report.get("class") == "DEVICE" and report.get("activated") == 0:
                fixes.append(GnssFix((0.0, 0.0), taken_ns, False, inf, 0))
        return fixes

    def _fix(self, report: dict[str, Any], taken_ns: int) -> GnssFix:
        lon, lat, mode = (_number(report, key) for key in ("lon", "lat", "mode"))
        if lon is None or lat is None or mode not in (2, 3) or report.get("status") in (6, 8, 9):
            return GnssFix((0.0, 0.0), taken_ns, False, inf, self._satellites)
        horizontal, east, north = (_number(report, key) for key in ("eph", "epx", "epy"))
        if horizontal is None:
            known = east is not None and north is not None
            horizontal = hypot(east or 0.0, north or 0.0) if known else inf
        heading = _number(report, "heading")
        return GnssFix(
            place=(lon, lat),
            taken_ns=taken_ns,
            is_valid=True,
            accuracy_m=horizontal,
            satellites=self._satellites,
            speed_mps=_number(report, "speed"),
            course_deg=_number(report, "track"),
            heading_deg=heading,
            heading_error_deg=None if heading is None else HEADING_ERROR_DEG,
            gnss_time=_when(report.get("time")),
        )


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _used(report: dict[str, Any]) -> int:
    stated = _number(report, "uSat")
    if stated is not None:
        return int(stated)
    listed = report.get("satellites")
    if not isinstance(listed, list):
        return 0
    return sum(1 for one in listed if isinstance(one, dict) and one.get("used") is True)


def _number(report: dict[str, Any], key: str) -> float | None:
    value = report.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:
        return None


def _when(text: Any) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return when.astimezone(UTC) if when.tzinfo else None
