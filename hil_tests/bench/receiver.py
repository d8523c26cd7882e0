"""A satellite receiver that drives a recorded route: NMEA 0183 on a line, once a second, or faster.

A route is JSON: `{"points": [[longitude, latitude], …], "speed_mps": 20, "accuracy_m": 2}`. Times
are those of the moment, for a unit compares them with its clock. Pure but for the thread that
writes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

METRES_A_DEGREE = 111_320.0
"""Of latitude, about: the route is judged by the unit, not by the bench."""
KNOT_MPS = 1852 / 3600


def checked(sentence: str) -> bytes:
    """With its checksum. Source: NMEA 0183: exclusive or of what stands between $ and *."""
    value = 0
    for letter in sentence.encode("ascii"):
        value ^= letter
    return f"${sentence}*{value:02X}\r\n".encode("ascii")


def along(points: list[list[float]], metres: float) -> tuple[float, float, float, bool]:
    """Longitude, latitude, course in degrees, and whether the end is reached, so far along."""
    course = 0.0
    for (lon, lat), (to_lon, to_lat) in pairwise(points):
        east = (to_lon - lon) * METRES_A_DEGREE * math.cos(math.radians(lat))
        north = (to_lat - lat) * METRES_A_DEGREE
        length, course = math.hypot(east, north), math.degrees(math.atan2(east, north)) % 360
        if metres < length:
            part = metres / length
            return lon + part * (to_lon - lon), lat + part * (to_lat - lat), course, False
        metres -= length
    return points[-1][0], points[-1][1], course, True


def sentences(route: dict[str, Any], metres: float, now: datetime) -> bytes:
    """RMC, GGA and GST of one moment."""
    lon, lat, course, over = along(route["points"], metres)
    knots = 0.0 if over else route["speed_mps"] / KNOT_MPS
    where = f"{_angle(lat, 2)},{'NS'[lat < 0]},{_angle(lon, 3)},{'EW'[lon < 0]}"
    at, day = now.strftime("%H%M%S.") + f"{now.microsecond // 10_000:02d}", now.strftime("%d%m%y")
    sigma = route["accuracy_m"] / 2 / math.sqrt(2)
    return b"".join(
        checked(one)
        for one in (
            f"GPRMC,{at},A,{where},{knots:.2f},{course:.1f},{day},,,A",
            f"GPGST,{at},1.0,1.0,1.0,0.0,{sigma:.2f},{sigma:.2f},2.0",
            f"GPGGA,{at},{where},1,09,0.9,80.0,M,0.0,M,,",
        )
    )


def _angle(degrees: float, digits: int) -> str:
    whole, part = divmod(abs(degrees), 1.0)
    return f"{int(whole):0{digits}d}{part * 60:09.6f}"


class Receiver:
    """Writes the route's sentences until it is told to stop; at the end of the route it stands."""

    def __init__(
        self, route: dict[str, Any], write: Callable[[bytes], Any], *, every_s: float = 0.5
    ) -> None:
        self._route, self._write, self._every_s = route, write, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    def _drive(self) -> None:
        began = time.monotonic()
        while not self._over.wait(self._every_s):
            metres = (time.monotonic() - began) * self._route["speed_mps"]
            try:
                self._write(sentences(self._route, metres, datetime.now(UTC)))
            except BlockingIOError:
                continue  # nobody reads: a receiver does not wait, either
            except OSError:
                return

    def close(self) -> None:
        """Silence, as of a cable that was pulled."""
        self._over.set()
        self._thread.join(10)
