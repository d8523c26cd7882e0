"""What the machine says of itself: temperature, free disk. Linux; what it does not tell is None.

Source: Linux Documentation/driver-api/thermal/sysfs-api.rst (`temp` in thousandths of a degree).
"""

from __future__ import annotations

import os
from pathlib import Path

_THERMAL = Path("/sys/class/thermal")
_PLAUSIBLE_C = range(-60, 200)


def temperature_c(folder: Path = _THERMAL) -> float | None:
    """The hottest thermal zone, in degrees Celsius."""
    found = []
    for zone in sorted(folder.glob("thermal_zone*/temp")):
        try:
            value = int(zone.read_text("ascii")) / 1000
        except (OSError, ValueError):
            continue
        if int(value) in _PLAUSIBLE_C:
            found.append(value)
    return max(found, default=None)


def disk_free_bytes(folder: Path) -> int | None:
    """What an unprivileged user may still write in this folder's file system."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return None
    return facts.f_bavail * facts.f_frsize
