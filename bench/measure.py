"""Times functions and processes: warm-up, many calls, medians, CPU time beside wall time.

Knows nothing of the program. It does not correct for other load; the table says what the load was.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one stage.

    Attributes:
        p50_ms, p95_ms: wall time of a call.
        cpu_ms: CPU time of a call, all threads together, on average.
    """

    name: str
    threads: int
    calls: int
    p50_ms: float
    p95_ms: float
    cpu_ms: float

    def as_json(self) -> dict[str, object]:
        """For out/bench.json."""
        return asdict(self)


def timed(
    name: str,
    function: Callable[[], object],
    *,
    threads: int,
    seconds: float,
    before: Callable[[], object] | None = None,
) -> Timing:
    """Call `function` for about `seconds`; `before` runs untimed ahead of each call."""
    walls: list[float] = []
    cpu = 0.0
    for _ in range(3):
        if before:
            before()
        function()
    deadline = time.perf_counter() + seconds
    while len(walls) < 5 or (time.perf_counter() < deadline and len(walls) < 10_000):
        if before:
            before()
        began, began_cpu = time.perf_counter(), time.process_time()
        function()
        walls.append((time.perf_counter() - began) * 1e3)
        cpu += (time.process_time() - began_cpu) * 1e3
    ordered = sorted(walls)
    return Timing(
        name=name,
        threads=threads,
        calls=len(walls),
        p50_ms=round(statistics.median(ordered), 3),
        p95_ms=round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3),
        cpu_ms=round(cpu / len(walls), 3),
    )


@dataclass(frozen=True)
class Whole:
    """A whole process: seconds to its end and its peak memory."""

    name: str
    seconds: float
    peak_mib: float
    status: int

    def as_json(self) -> dict[str, object]:
        """For out/bench.json."""
        return asdict(self)


_LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, raw, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(raw)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss / 1024, child.returncode]))
"""
"""Starts the command from a small process: Linux counts the starter's memory as the child's."""


def process(name: str, arguments: Sequence[str], *, runs: int = 3) -> Whole:
    """Run a command `runs` times: median seconds, highest peak memory, worst exit status."""
    seen: list[tuple[float, float, int]] = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-c", _LAUNCHER, *arguments],
            capture_output=True,
            check=True,
            text=True,
        )
        seen.append(tuple(json.loads(done.stdout)))
    seconds, peaks, statuses = zip(*seen, strict=True)
    return Whole(name, round(statistics.median(seconds), 2), round(max(peaks), 1), max(statuses))


def own_peak_mib() -> float:
    """Highest resident memory of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": sys.version.split()[0],
        "load_before": [round(x, 2) for x in os.getloadavg()],
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
