"""Edge: what sets this machine's clock, as far as it says.

The kernel tells whether something disciplines its clock; who does, the running programs tell, and
chrony what it follows. A hardware clock that set the time at the start is named where nothing else
is. It looks, and sets nothing; `delivery.clocks` decides whether a time is believed.

Source: adjtimex(2); chronyc(1), `-c tracking`; kernel Documentation/ABI/testing/sysfs-class-rtc
(hctosys); systemd-timesyncd.service(8), /run/systemd/timesync/synchronized.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alpr_edge.ledger.telling import TimeSource

_WAIT_S: Final = 2.0
_MOST_PROCESSES: Final = 20_000
_PROGRAMS: Final[dict[str, tuple[TimeSource, str]]] = {
    "chronyd": ("ntp", "chrony"),
    "systemd-timesyn": ("ntp", "systemd-timesyncd"),
    "ntpd": ("ntp", "ntpd"),
    "ntp-daemon": ("ntp", "ntpd-rs"),
    "openntpd": ("ntp", "openntpd"),
    "phc2sys": ("ptp", "linuxptp"),
    "timemaster": ("ptp", "linuxptp"),
}
"""By the first 15 letters of a process's name, which is all that /proc/PID/comm holds."""
_LOCAL: Final = "7F7F0101"
"""chrony's own reference id for "nobody": it follows its own clock."""
_GNSS: Final = ("GPS", "GNSS", "PPS", "NMEA", "GLO", "GAL", "SHM", "SOCK")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to look.

    Attributes:
        proc, run, rtc: folders of the system.
        disciplined: what the kernel says of its clock.
        chronyc: the command that asks chrony.
    """

    disciplined: Callable[[], bool]
    proc: Path = Path("/proc")
    run: Path = Path("/run")
    rtc: Path = Path("/sys/class/rtc/rtc0")
    chronyc: tuple[str, ...] = ("chronyc", "-n", "-c", "tracking")


@dataclass(frozen=True, slots=True)
class ClockSetter:
    """Who sets the clock. `text` is for people; `kind` is `unknown` where nobody could be found."""

    kind: TimeSource
    text: str
    disciplined: bool


def find_clock_setter(machine: Machine) -> ClockSetter:
    """What sets the clock now."""
    disciplined = machine.disciplined()
    found = [_PROGRAMS[name] for name in _running(machine.proc) if name in _PROGRAMS]
    # PTP's phc2sys sets the clock itself, whatever else runs beside it.
    kind, program = min(found, key=lambda one: one[0] != "ptp", default=("unknown", ""))
    how = ""
    if program == "chrony":
        kind, how = _chrony(machine.chronyc)
    elif (
        program == "systemd-timesyncd" and (machine.run / "systemd/timesync/synchronized").exists()
    ):
        how = "has had an answer since the start"
    if disciplined and program:
        return ClockSetter(kind, f"{kind}, by {program}{f' ({how})' if how else ''}", True)
    if disciplined:
        return ClockSetter("unknown", "disciplined, by a program that is not known here", True)
    beside = f"; {program} runs and has not set it{f' ({how})' if how else ''}" if program else ""
    if _set_at_start(machine.rtc):
        return ClockSetter("rtc", f"rtc: a hardware clock set it at the start{beside}", False)
    return ClockSetter("unknown", f"nothing disciplines it{beside}", False)


def _chrony(command: tuple[str, ...]) -> tuple[TimeSource, str]:
    """What chrony follows, as kind and words."""
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_WAIT_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return "ntp", "does not say what it follows"
    return parse_tracking(done.stdout.decode("ascii", "replace"))


def parse_tracking(text: str) -> tuple[TimeSource, str]:
    """Kind and words of `chronyc -n -c tracking`."""
    lines = text.splitlines()
    fields = lines[0].split(",") if lines else []
    if len(fields) < 14 or not fields[2].isdecimal():
        return "ntp", "does not say what it follows"
    reference, name, stratum = fields[0].upper(), fields[1], int(fields[2])
    if reference == _LOCAL or not int(fields[2]) or fields[13].strip() == "Not synchronised":
        return "unknown", "follows nobody"
    if name.upper().startswith("PHC"):
        return "ptp", f"reference clock PHC, stratum {stratum}"
    for clock in _GNSS:
        if name.upper().startswith(clock):
            return "gnss", f"reference clock {clock}, stratum {stratum}"
    return "ntp", f"a server of stratum {stratum - 1}"


def _running(proc: Path) -> list[str]:
    """Names of the processes that run, sorted."""
    found = set()
    try:
        numbers = [name for name in os.listdir(proc) if name.isdecimal()][:_MOST_PROCESSES]
    except OSError:
        return []
    for number in numbers:
        try:
            found.add((proc / number / "comm").read_text("utf-8", "replace").strip())
        except OSError:
            continue  # it has ended meanwhile
    return sorted(found)


def _set_at_start(rtc: Path) -> bool:
    try:
        return (rtc / "hctosys").read_text("ascii", "replace").strip() == "1"
    except OSError:
        return False
