"""What a training cost in energy: measured CPU time, times stated watts.

    python scripts/train/energy.py runs/reader runs/detector [--watts 10]

Both trainings write the CPU seconds that they and their loader's processes took into the end of
`log.jsonl`. Nobody measured the watts: virtual machines do not tell. Assumed are 10 W for a core
that is busy, at the wall: a processor of 96 cores and 360 W has 3.75 W for each; twice that with
memory, disks, fans and power supply; a third more for cooling the room. Whoever knows better says
so with --watts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path

WATTS_A_CORE = 10.0


def cpu_seconds() -> float:
    """CPU time of this process, of its children that have ended, and of those at work."""
    own = os.times()
    ended = own.children_user + own.children_system
    return time.process_time() + ended + sum(_of(p.pid) for p in multiprocessing.active_children())


def watt_hours(cpu_s: float, watts: float = WATTS_A_CORE) -> float:
    """Energy of so many seconds of one busy core."""
    return cpu_s * watts / 3600


def _of(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended meanwhile
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spent(run: Path) -> float:
    """The CPU seconds that a run's log tells of.

    Raises:
        SystemExit: it has none: the training has not ended, or is older than this.
    """
    told = [json.loads(line).get("cpu_s") for line in (run / "log.jsonl").open()]
    seconds = [value for value in told if value is not None]
    if not seconds:
        raise SystemExit(f"{run / 'log.jsonl'} says nothing of CPU time")
    return float(seconds[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--watts", type=float, default=WATTS_A_CORE, help="of a busy core (10)")
    args = parser.parse_args()
    total = 0.0
    for run in args.runs:
        total += (seconds := spent(run))
        print(f"{run.name}: {seconds:.0f} CPU s, {watt_hours(seconds, args.watts):.1f} Wh")
    print(f"together {watt_hours(total, args.watts):.1f} Wh at {args.watts:g} W a core (assumed)")


if __name__ == "__main__":
    main()
