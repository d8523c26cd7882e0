"""The real process on a real pseudo-terminal behind a relay that is as slow as the baud rate."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from tests.console.line_client import Technician, make_unit, process

from alpr_edge.config.store import load
from alpr_edge.simulator.serial_line import SerialLine
from alpr_edge.wiring.guard import make_mask_store
from alpr_edge.zone_set import ZonePolygon

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("baud", [9600, 115_200])
def test_a_sitting_from_login_to_a_commit_that_holds(tmp_path: Path, baud: int) -> None:
    unit = make_unit(tmp_path)
    arguments = ("console", "--config", str(unit.config), "--baud", str(baud))
    with (
        SerialLine(tmp_path, baud=baud) as line,
        Technician(line.laptop) as person,
        process(*arguments, "--port", str(line.device)) as running,
    ):
        person.until("login: ")
        person.log_in(unit, "anna")
        assert "unit: unit-1" in person.ask("show version")
        assert "running: no" in person.ask("show status")
        assert "everything: nothing is read" in person.ask("show masks")
        person.ask("configure")
        # A line of three hundred letters, with its echo, at this baud rate.
        points = " ".join(f"{x / 100:.2f},0.{10 + x % 2}" for x in range(10, 34))
        long = f"add mask door points {points} 0.9,0.9 0.1,0.9"
        assert 250 < len(long) < 320
        person.send(f"{long}\r")
        person.until("alpr-edge# ")
        assert "door" in person.ask("show candidate | match door")
        person.narrow(unit)
        assert "in force, it alone" in person.until("alpr-edge# ")
        assert '"number": 1' in person.ask("show masks | json")
        drawing = person.ask("show drawing columns 40")
        assert "##" in drawing
        if baud == 9600:
            person.ask("exit")
            person.send("logout\r")
            person.until("login: ")
        # No log noise: what the process logs goes to its standard error.
        running.send_signal(signal.SIGTERM)
        output = running.communicate(timeout=60)[0].decode()
        assert running.returncode == 0, output
        assert output == ""
    store = make_mask_store(load(unit.config))
    assert [one.record.authors for one in store.load().state.records] == [("anna", "sam")]
    # Who came in and what changed is on the ledger.
    entries = ledger_bytes(tmp_path)
    assert b'"kind":"login","who":"anna","outcome":"granted"' in entries
    assert b'"kind":"mask_change"' in entries


def ledger_bytes(folder: Path) -> bytes:
    files = sorted(path for path in (folder / "ledger").rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files)


def test_unplugged_at_any_byte_the_line_is_locked_and_comes_back(tmp_path: Path) -> None:
    unit = make_unit(tmp_path)
    with SerialLine(tmp_path, baud=0) as line:
        arguments = ("console", "--config", str(unit.config), "--port", str(line.device))
        with Technician(line.laptop) as person, process(*arguments) as running:
            person.until("login: ")
            person.log_in(unit, "anna")
            person.send("configure\radd mask door rect")
            person.until("add mask door rect")
            line.unplug()
            person.port.close()
            line.plug()
            with Technician(line.laptop) as again:
                again.until("login: ")
                again.send("angle 0,0 1,1\rshow status\r")
                assert "phase" not in again.until("password: ")
                again.send("\x03")
                again.until("login: ")
                again.log_in(unit, "anna")
                assert "anna" in again.ask("show login")
                again.send("logout\r")
                again.until("login: ")
            assert running.poll() is None


def test_a_power_cut_in_mid_commit_never_narrows(tmp_path: Path) -> None:
    unit = make_unit(tmp_path)
    store = make_mask_store(load(unit.config))
    with SerialLine(tmp_path, baud=0) as line, Technician(line.laptop) as person:
        arguments = ("console", "--config", str(unit.config), "--port", str(line.device))
        for cut_after_s in (None, 0.0, 0.15):
            with process(*arguments) as running:
                person.log_in(unit, "anna")
                person.ask("configure")
                if cut_after_s is None:
                    person.ask("add mask door rectangle 0.2,0.2 0.6,0.6")
                else:
                    person.ask("set mask door points 0.3,0.3 0.4,0.3 0.4,0.4")
                person.narrow(unit)
                if cut_after_s is None:
                    assert "in force" in person.until("alpr-edge# ")
                else:
                    time.sleep(cut_after_s)
                running.kill()
                running.wait()
            person.seen = ""
            loaded = store.load()
            assert loaded.trouble == ""
            zones = loaded.state.zones
            assert zones is not None
            # Whatever was cut off: what was protected is.
            assert _large(zones.masks)
            assert loaded.state.records[0].record.number == 1


def _large(masks: tuple[ZonePolygon, ...]) -> bool:
    return any((0.6, 0.6) in one.polygon and (0.2, 0.2) in one.polygon for one in masks)
