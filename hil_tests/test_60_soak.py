"""Station `soak`: it goes on reading, and memory and temperature stay where they are."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = [pytest.mark.station("soak"), pytest.mark.timeout(7 * 24 * 3600)]

MEMORY = "ps -ww -eo rss=,args= | grep '[a]lpr.edge run'"


def test_soak(running: Any, facts: Any, request: pytest.FixtureRequest) -> None:
    """`--soak-hours`; without it one minute, which shows that the measuring works."""
    hours = request.config.getoption("soak_hours")
    end = time.monotonic() + max(60.0, hours * 3600)
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
        time.sleep(min(60.0, max(5.0, hours * 36)))
    facts.note(memory_mb=round(last, 1), soak_hours=round(max(60.0, hours * 3600) / 3600, 3))
    assert first is not None, "the service's memory could not be seen"
    assert last < 1.5 * first + 40, f"{first:.0f} MB became {last:.0f} MB"
    assert len(running.broker.reads) > before
