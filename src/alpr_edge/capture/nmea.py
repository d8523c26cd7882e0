"""NMEA 0183 bytes → fixes. Pure; the sentences are parsed by pynmeagps.

A fix is made when GGA and RMC of the same time of day have come, with GST and HDT or THS where the
receiver sends them. Rules:

- A sentence without a right checksum is passed over, and so is one that the library cannot read.
- The accuracy is GST's where there is one: twice the root of both variances. Without GST it is HDOP
  times `UERE_M`, doubled. Without HDOP it is infinite.
- A receiver that calls its own fix invalid (RMC `V`, GGA quality 0 or 6, 7, 8: estimated, manual,
  simulated) gives an invalid one, at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from math import hypot, inf, isfinite
from typing import Any, Final

import pynmeagps

from alpr_edge.types import GnssFix

UERE_M: Final = 6.0
"""User range error of a single-frequency receiver, one standard deviation. Source: GPS SPS
performance standard, 5th edition, 2020, appendix B (7.8 m at 95 %, signal only), with a street's
multipath; chosen high."""
KNOT_MPS: Final = 1852 / 3600
LONGEST: Final = 1_024
"""A line of NMEA 0183 has 82 characters; more without an end is noise."""
HEADING_ERROR_DEG: Final = 3.0
_SOLUTIONS: Final = (1, 2, 3, 4, 5)


@dataclass(slots=True)
class _Epoch:
    """What has come for one time of day."""

    rmc: Any = None
    gga: Any = None
    gst: Any = None


@dataclass(slots=True)
class NmeaFixes:
    """Collects sentences to fixes."""

    _rest: bytes = b""
    _epoch: _Epoch = field(default_factory=_Epoch)
    _at: time | None = None
    _heading: tuple[float, int] | None = None

    def feed(self, data: bytes, taken_ns: int) -> list[GnssFix]:
        """The fixes that these bytes complete; `taken_ns` is when they came."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LONGEST:]
        fixes = []
        for line in lines:
            fix = self._take(line, taken_ns)
            if fix is not None:
                fixes.append(fix)
        return fixes

    def _take(self, line: bytes, taken_ns: int) -> GnssFix | None:
        begin = line.rfind(b"$")
        if begin < 0 or b"*" not in line or len(line) > LONGEST:
            return None
        message = _parsed(line[begin:].strip() + b"\r\n")
        if message is None:
            return None
        kind = message.msgID
        if kind in ("HDT", "THS"):
            value = _number(message, "headingT" if kind == "HDT" else "headt")
            if kind == "THS" and getattr(message, "mi", None) != "A":
                value = None  # estimated, manual, simulated or void
            self._heading = None if value is None else (value, taken_ns)
            return None
        if kind not in ("RMC", "GGA", "GST"):
            return None
        at = getattr(message, "time", None)
        if not isinstance(at, time):
            # Without a time the receiver knows nothing: it says so at once.
            return _nowhere(taken_ns) if kind in ("RMC", "GGA") else None
        if at != self._at:
            self._epoch, self._at = _Epoch(), at
        setattr(self._epoch, kind.lower(), message)
        epoch = self._epoch
        if kind == "GST" or epoch.rmc is None or epoch.gga is None:
            return None
        return self._fix(epoch, taken_ns)

    def _fix(self, epoch: _Epoch, taken_ns: int) -> GnssFix:
        lon, lat = _number(epoch.gga, "lon"), _number(epoch.gga, "lat")
        quality = _number(epoch.gga, "quality")
        says = getattr(epoch.rmc, "status", None) == "A" and quality in _SOLUTIONS
        if lon is None or lat is None or not says:
            return _nowhere(taken_ns)
        speed = _number(epoch.rmc, "spd")
        heading = None
        if self._heading is not None and taken_ns - self._heading[1] < 2_000_000_000:
            heading = self._heading[0]
        return GnssFix(
            place=(lon, lat),
            taken_ns=taken_ns,
            is_valid=True,
            accuracy_m=_accuracy(epoch),
            satellites=int(_number(epoch.gga, "numSV") or 0),
            speed_mps=None if speed is None else speed * KNOT_MPS,
            course_deg=_number(epoch.rmc, "cog"),
            heading_deg=heading,
            heading_error_deg=None if heading is None else HEADING_ERROR_DEG,
            gnss_time=_when(getattr(epoch.rmc, "date", None), self._at),
        )


def _parsed(line: bytes) -> Any:
    """The library's message, None for what it cannot read."""
    try:
        return pynmeagps.NMEAReader.parse(line, validate=pynmeagps.VALCKSUM)
    except (
        pynmeagps.NMEAMessageError,
        pynmeagps.NMEAParseError,
        pynmeagps.NMEAStreamError,
        pynmeagps.NMEATypeError,
        # Fields that are no numbers, dates or times, and missing ones.
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ):
        return None


def _accuracy(epoch: _Epoch) -> float:
    east, north = (_number(epoch.gst, name) for name in ("stdLong", "stdLat"))
    if east is not None and north is not None and east + north > 0:
        return 2 * hypot(east, north)
    dilution = _number(epoch.gga, "HDOP")
    return 2 * dilution * UERE_M if dilution is not None and dilution > 0 else inf


def _number(message: Any, name: str) -> float | None:
    value = getattr(message, name, None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def _when(day: Any, at: time | None) -> datetime | None:
    if not isinstance(day, date) or at is None:
        return None
    return datetime.combine(day, at, UTC)


def _nowhere(taken_ns: int) -> GnssFix:
    return GnssFix((0.0, 0.0), taken_ns, False, inf, 0)
