"""`alpr-edge run` as a process where premises are in view: the record, and a newer register."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.service.site_samples import SiteUnit, street_premises

from alpr_edge.cli.demo import Subscriber
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.simulator.vehicles import ever_touches

SECONDS = 300.0


def start(unit: SiteUnit) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "alpr_edge", "run", "--config", str(unit.config)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_premises_in_view_without_a_record_end_it_with_status_3(tmp_path: Path) -> None:
    site = 'premises = "premises.json"\ncamera = "camera.json"\n'
    unit = SiteUnit(tmp_path, signed=False, site=site)
    unit.register(street_premises())
    unit.calibrated()
    unit.masks()
    with start(unit) as process:
        _, stderr = process.communicate(timeout=100)
    assert process.returncode == 3
    assert "[exclusion.site.not_commissioned]" in stderr
    assert "protected premises may be in view: street" in stderr
    stops = json.loads((tmp_path / "status.json").read_text())["stops"]
    assert [stop["code"] for stop in stops] == ["exclusion.site.not_commissioned"]


@pytest.mark.mosquitto
def test_commissioned_it_reads_and_a_newer_register_stops_it(tmp_path: Path, mosquitto) -> None:
    unit = SiteUnit(tmp_path, port=mosquitto.port, duration_s=SECONDS)
    register = unit.register(street_premises())
    record = unit.commission(register)
    unit.masks()
    subscriber = Subscriber(mosquitto.port, "alpr-edge")
    with start(unit) as process:
        try:
            deadline = time.monotonic() + 240
            while not subscriber.events and time.monotonic() < deadline:
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.2)
            assert subscriber.events, "no read"
            unit.register(replace(street_premises(), setback_m=3.0), serial=2)
            _, stderr = process.communicate(timeout=120)
        finally:
            process.kill()
            subscriber.close()
    assert process.returncode == 3
    assert "[exclusion.site.uncovered]" in stderr
    data = subscriber.events[0]["data"]["provenance"]
    assert data["register"] == register.digest
    assert data["commissioning"] == record.digest
    street = Street(StreetConfig(seed=7, fps=8.0, duration_s=SECONDS))
    protected = {one.plate.text for one in street.vehicles if ever_touches(one)}
    assert protected
    assert not protected & {event["data"]["plate"] for event in subscriber.events}
