"""Station `faults`: power cut under load, disk full, clock wrong, a camera that was moved."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = pytest.mark.station("faults")


def test_power_cut_under_load(running: Any, truth: Any, facts: Any) -> None:
    """Off while it reads, on again: it reads, the ledger holds, nothing protected is on disk."""
    running.wait_for("a read", lambda: bool(running.broker.reads), 120)
    running.transition("off")
    began = time.monotonic()
    running.transition("running")
    facts.note(power_on_to_reading_s=round(time.monotonic() - began, 1))
    before = len(running.broker.reads)
    running.wait_for("reads again", lambda: len(running.broker.reads) > before, 120)
    verdict = running.maintenance.run(
        f"alpr-edge ledger verify --config {running.config}", 60 * running.patience
    )
    assert verdict.status == 0, verdict.text
    data = running.maintenance.places().data
    for plate in truth["protected"]:
        found = running.maintenance.run(f"grep -rlaiF {plate} {data} --exclude=street.avi", 120)
        assert found.status == 1, f"{plate} stands in {found.text}"


def test_disk_full(running: Any, request: pytest.FixtureRequest) -> None:
    """No room on the disk: it goes on reading or says why it stops, and is back with room."""
    _only_on_a_unit(request)
    data = running.maintenance.places().data
    fill = f"fallocate -l $(df --output=avail -B1 {data} | tail -1) {data}/filler; true"
    running.maintenance.run(fill, 120).checked("filling")
    try:
        running.wait_for("a status", lambda: bool(running.status_now()), 60)
        assert running.maintenance.run("systemctl is-active alpr-edge").text.strip() == "active"
    finally:
        running.maintenance.run(f"rm -f {data}/filler", 60).checked("removing the filler")
    before = len(running.broker.reads)
    running.wait_for("reads again", lambda: len(running.broker.reads) > before, 120)


def test_clock_wrong(running: Any, request: pytest.FixtureRequest) -> None:
    """A clock before this software was made is not believed: nothing is read, with a reason."""
    _only_on_a_unit(request)
    run = running.maintenance.run
    run("cp /proc/uptime /run/uptime; date +%s > /run/right; date -s 2001-01-01").checked("date")
    try:
        running.wait_for("a stop", lambda: not running.reads_now(), 60)
        assert any("clock" in stop["code"] for stop in running.status_now().get("stops", []))
    finally:
        run("date -s @$(cat /run/right)").checked("date")
    running.maintenance.service("restart")
    running.wait_for("reading", running.reads_now, 60)


def test_drift() -> None:
    """A camera that was moved stops."""
    pytest.skip("not applicable: the bench's street has no reference view yet")


def test_update_and_rollback() -> None:
    """A signed update, a damaged one, a way back."""
    pytest.skip("not applicable: this software cannot be updated yet")


def _only_on_a_unit(request: pytest.FixtureRequest) -> None:
    if request.getfixturevalue("env").config.get_option("kind", "") == "loopback":
        pytest.skip("not applicable: a process has no disk and no clock of its own")
