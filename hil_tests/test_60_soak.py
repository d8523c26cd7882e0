"""Stations `speed` and `soak`: how fast it is; that it goes on reading, and memory and temperature
stay where they are."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hil_tests.bench.programs import REPOSITORY

pytestmark = pytest.mark.timeout(7 * 24 * 3600)

SHORT_S = 20.0
BENCH = ("__init__.py", "stages.py", "guards.py", "measure.py")

MEMORY = "ps -ww -eo rss=,args= | grep '[a]lpr.edge run'"


@pytest.mark.station("speed")
def test_speed_of_this_unit(running: Any, facts: Any) -> None:
    """Milliseconds of each stage, frames a second, start-up, peak memory, on this very unit."""
    unit, here = running.maintenance, Path(__file__).parent
    folder = f"{unit.places().run}/speed"
    for name in BENCH:
        unit.put(f"{folder}/bench/{name}", (REPOSITORY / "bench" / name).read_bytes())
    script = f"{folder}/measure_unit.py"
    unit.put(script, (here / "bench" / "measure_unit.py").read_bytes())
    unit.service("stop")
    seconds = 0.3 if running.patience > 1 else 2.0
    command = f"{unit.python()} {script} --video {unit.places().data}/street.avi"
    try:
        said = unit.run(f"{command} --seconds {seconds}", 300 * running.patience)
        found = json.loads(said.checked("measuring").strip().splitlines()[-1])
    finally:
        began = time.monotonic()
        unit.service("start")
    running.wait_for("reading", running.reads_now, 60)
    found["service_start_to_reading_s"] = round(time.monotonic() - began, 1)
    facts.note(speed=found)
    assert found["frames_per_s"] > 0


@pytest.mark.station("soak")
def test_soak(running: Any, facts: Any, request: pytest.FixtureRequest) -> None:
    """`--soak-hours`; without it 20 seconds, which show that the measuring works."""
    hours = request.config.getoption("soak_hours")
    began, length_s = time.monotonic(), max(SHORT_S, hours * 3600)
    end = began + length_s
    first, last = None, 0.0
    before = len(running.broker.reads)
    while time.monotonic() < end:
        mine = [
            line
            for line in running.maintenance.run(MEMORY, 60).text.splitlines()
            if running.config in line
        ]
        if mine:
            last = sum(float(line.split()[0]) for line in mine) / 1024
            first = first or last
            facts.point("memory_mb", round(last, 1))
        heat = running.maintenance.run("cat /sys/class/thermal/thermal_zone0/temp", 30)
        if heat.status == 0 and heat.text.strip().isdigit():
            facts.point("temperature_c", int(heat.text) / 1000)
        facts.point("reads", len(running.broker.reads))
        states = [one for one in running.broker.states if one.get("frames_per_s") is not None]
        if states:
            facts.point("frames_per_s", states[-1]["frames_per_s"])
        time.sleep(min(60.0, max(2.0, hours * 36)))
    # A unit that is slower than the street's length has its reads later than the short soak ends.
    running.wait_for("a read in the soak", lambda: len(running.broker.reads) > before, 60)
    facts.note(memory_mb=round(last, 1), soak_s=round(time.monotonic() - began))
    assert first is not None, "the service's memory could not be seen"
    assert last < 1.5 * first + 40, f"{first:.0f} MB became {last:.0f} MB"
    assert len(running.broker.reads) > before
