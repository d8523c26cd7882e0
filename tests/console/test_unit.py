"""The real unit: its own files, a real broker, a real service process with its console."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.authority.samples import NOW
from tests.console.console_samples import CITY
from tests.console.line_client import PASSWORD, Technician, UnitFiles, make_unit, process
from tests.service.site_samples import SiteUnit, street_premises

from alpr_edge.config.store import load
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.device import NOT_HERE, Parcel
from alpr_edge.console.unit import Place, RealUnit
from alpr_edge.console.view_keeper import UNSEEN_PX, ViewKeeper
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.errors import AlprEdgeError
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.placement.check import Verdict
from alpr_edge.placement.session import CalibrationSession
from alpr_edge.placement.site_files import SiteFiles, SiteKeys, SitePaths
from alpr_edge.simulator.serial_line import SerialLine
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign_file
from alpr_edge.types import Frame
from alpr_edge.wiring.guard import make_mask_store
from alpr_edge.zone_set import ZonePolygon, ZoneSet


def real(files: UnitFiles, **changes: Any) -> RealUnit:
    config, clocks = load(files.config), SystemClocks()
    store = make_mask_store(config)
    place = Place(files.config, files.folder / "city-keys", store, "alpr-edge x", {})
    accounts = Accounts(files.folder / "console", clocks)
    return RealUnit(config, place, clocks, tells=None, accounts=accounts, **changes)


def code_of(does: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(AlprEdgeError) as told:
        does(*args, **more)
    return told.value.code


def test_what_needs_the_service_says_so_without_it(tmp_path: Path) -> None:
    unit = real(make_unit(tmp_path))
    assert unit.status()["running"] is False
    assert unit.premises()["register"] is None
    for does in (unit.health, unit.run_self_test, unit.placement):
        assert code_of(does) == NOT_HERE
    assert code_of(unit.take_reference) == NOT_HERE
    assert code_of(unit.reads, 3, reason="because", who="sam") == NOT_HERE
    asked = {"clear_plates": False, "reason": "", "who": "anna"}
    assert code_of(unit.still, 640, **asked) == "exclusion.still.none"
    assert code_of(unit.pull, Parcel.MASKS) == NOT_HERE
    assert code_of(unit.push, Parcel.UPDATE, b"x") == "console.reason"
    assert unit.pull(Parcel.CONFIG) == (tmp_path / "device.toml").read_bytes()
    (tmp_path / "status.json").write_text('{"told_boot_s": "x"}')
    assert unit.status()["running"] is False


def test_calibration_is_kept_beside_the_key(tmp_path: Path) -> None:
    unit = real(make_unit(tmp_path))
    assert unit.calibration()["calibration"] is None
    answers = CalibrationSession.from_answers(
        {
            "camera": "cam-1",
            "frame": "1920x1080",
            "lens": "23 ±0.5",
            "position": "-118.2437 34.0522 ±0.5",
            "height": "4.6 ±0.05",
            "method": "measured",
            "heading": "355.7 ±3",
            "tilt": "-12.7 ±1",
        }
    ).answers
    assert unit.save_calibration(answers)["id"] == "cam-1"
    assert unit.calibration()["height_m"] == pytest.approx(4.6)


def test_premises_and_placement_come_from_the_register_and_the_camera(tmp_path: Path) -> None:
    unit = real(make_unit(tmp_path))
    assert code_of(unit.placement) == NOT_HERE
    world = SiteUnit(tmp_path)
    world.register(street_premises())
    world.calibrated()
    files = SiteFiles(
        SitePaths(tmp_path / "premises.json", None, tmp_path / "camera.json"),
        lambda: SiteKeys((world.city.public,)),
    )
    unit._place = replace(unit._place, site=files)
    premises = unit.premises()
    assert (premises["register"], premises["made_up"], premises["sites"]) == ("Made up", True, 1)
    assert premises["near"][0]["distance_m"] < 200
    placement = unit.placement()
    assert placement["verdict"] in list(Verdict)
    assert 0 < placement["masked"] <= 1
    # Signed by somebody else: it does not count, and says so.
    files = SiteFiles(SitePaths(tmp_path / "premises.json"), lambda: SiteKeys((CITY.public,)))
    unit._place = replace(unit._place, site=files)
    assert unit.premises()["register"] is None
    assert "register" in unit.premises()["trouble"]


def test_a_configuration_is_taken_only_from_the_city(tmp_path: Path) -> None:
    files = make_unit(tmp_path)
    unit = real(files)
    before = files.config.read_bytes()
    other = before.replace(b"Elm Street", b"Oak Street")
    good = sign_file(DocumentType.CONFIG, other, CITY, number=2)
    by = {"who": "anna", "reason": "another street"}
    assert code_of(unit.push, Parcel.CONFIG, other, **by) == "console.push.unsigned"
    assert code_of(unit.push, Parcel.CONFIG, other + b"#", good, **by) == "trust.file.changed"
    assert code_of(unit.push, Parcel.CONFIG, b"[device", good, **by) == "config.syntax"
    stranger = other.replace(b'"unit-1"', b'"unit-2"')
    signed = sign_file(DocumentType.CONFIG, stranger, CITY, number=2)
    assert code_of(unit.push, Parcel.CONFIG, stranger, signed, **by) == "console.push.other_unit"
    assert files.config.read_bytes() == before
    assert unit.push(Parcel.CONFIG, other, good, **by)["number"] == 2
    assert load(files.config).device.site == "Oak Street"


def test_a_factory_reset_erases_keys_users_and_reads(tmp_path: Path) -> None:
    files = make_unit(tmp_path)
    unit = real(files)
    key = unit.about()["key"]
    (tmp_path / "outbox.sqlite3").write_bytes(b"sealed")
    (tmp_path / "outbox.sqlite3.key").write_bytes(b"key")
    assert "users" in unit.factory_reset("sam")["erased"]
    left = {path.name for path in tmp_path.rglob("*")}
    assert not left & {"device.key", "users.json", "outbox.sqlite3", "outbox.sqlite3.key"}
    assert Accounts(tmp_path / "console", SystemClocks()).is_new
    assert real(files).about()["key"] != key


def test_a_factory_reset_that_breaks_off_leaves_its_users(tmp_path: Path) -> None:
    files = make_unit(tmp_path)
    unit = real(files)
    key = unit.about()["key"]
    (tmp_path / "outbox.sqlite3.key").write_bytes(b"key")
    stuck = tmp_path / "outbox.sqlite3"
    stuck.mkdir()
    assert code_of(unit.factory_reset, "sam") == "console.disk"
    # The reads are unreadable; who they are and the unit's key stay, and it can be asked again.
    assert not (tmp_path / "outbox.sqlite3.key").exists()
    assert not Accounts(tmp_path / "console", SystemClocks()).is_new
    assert unit.about()["key"] == key
    stuck.rmdir()
    assert unit.factory_reset("sam")["erased"] == ["device.key", "users"]


@pytest.mark.mosquitto
def test_the_broker_is_reached_step_by_step(mosquitto: Any, tmp_path: Path) -> None:
    files = make_unit(tmp_path)
    text = files.config.read_text()
    found = real(files).test_mqtt()
    assert (found["reached"], found["steps"][-1]["step"]) == (False, "connection")
    files.config.write_text(text.replace("port = 1\n", f"port = {mosquitto.port}\n"))
    found = real(files).test_mqtt()
    assert found["reached"], found
    assert [one["step"] for one in found["steps"]] == ["name", "connection", "login"]
    files.config.write_text(text.replace("127.0.0.1", "no-such-host.invalid"))
    assert real(files).test_mqtt()["steps"][-1]["step"] == "name"
    # Not a broker with TLS: the handshake fails, and says so.
    authority = tmp_path / "ca.pem"
    authority.write_text("no certificate")
    files.config.write_text(
        text.replace("port = 1\n", f'port = {mosquitto.port}\n[mqtt.tls]\nca = "ca.pem"\n')
    )
    found = real(files).test_mqtt()
    assert found["reached"] is False
    assert real(files).certificates()["certificates"][0]["problem"] == "is no certificate"


def test_a_still_shows_nothing_that_is_masked_and_no_plate() -> None:
    zones = rasterise(
        ZoneSet((ZonePolygon("m", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))),)),
        size_px=(1280, 720),
        digest="d",
        least_band=0.02,
    )
    keeper = ViewKeeper(lambda _size: zones, wait_s=0.0)
    assert code_of(keeper.still, 640, "d", clear_plates=False) == "exclusion.still.none"
    image = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
    frame = Frame(image, "test", 0, NOW, 0)
    keeper.offer(Masker(zones).apply(frame), (), seen=True)
    still = keeper.still(320, "d", clear_plates=False)
    assert (still.width_px, still.height_px, still.plates_blurred) == (320, 180, True)
    assert still.jpeg.startswith(b"\xff\xd8")
    # Under other masks it is no picture any more.
    assert code_of(keeper.still, 320, "e", clear_plates=False) == "exclusion.still.none"
    # To nobody, whatever the reason.
    assert code_of(keeper.still, 320, "d", clear_plates=True) == "console.still.clear"
    # While nobody is logged in none is made, and none is kept.
    keeper.wanted = lambda: False
    keeper.offer(Masker(zones).apply(Frame(image.copy(), "test", 0, NOW, 0)), (), seen=True)
    assert code_of(keeper.still, 320, "d", clear_plates=False) == "exclusion.still.none"
    # A frame that nobody looked at has plates that nobody found.
    keeper = ViewKeeper(lambda _size: zones, wait_s=0.0)
    image = np.full((720, 1280, 3), 200, np.uint8)
    keeper.offer(Masker(zones).apply(Frame(image, "test", 0, NOW, 0)), (), seen=False)
    assert keeper.still(640, "d", clear_plates=False).width_px == UNSEEN_PX


def _asks_until(person: Technician, line: str, wanted: str) -> None:
    end = time.monotonic() + 90
    while wanted not in (told := person.ask(line)):
        assert time.monotonic() < end, told
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_the_services_own_console_sets_the_first_masks(tmp_path: Path) -> None:
    with SerialLine(tmp_path, baud=0) as line:
        files = make_unit(tmp_path, port=line.device)
        with (
            Technician(line.laptop) as person,
            process("run", "--config", str(files.config)) as run,
        ):
            person.until("login: ")
            person.log_in(files, "anna")
            assert "phase: stopped" in person.ask("show status")
            person.ask("configure")
            person.ask("add mask door rectangle 0,0 0.2,0.2")
            person.narrow(files)
            assert "in force, it alone" in person.until("alpr-edge# ")
            # It reads from now on, without a restart; the console goes on beside it.
            person.ask("exit")
            _asks_until(person, "show status", "phase: reading")
            _asks_until(person, "show health | json", '"state": "online"')
            # No before the first frame has come: there is nothing to test with yet.
            _asks_until(person, "test self", "started: yes")
            assert "console.not_allowed" in person.ask("show reads")
            head = person.ask("show ledger")
            assert "root:" in head
            person.send("logout\r")
            person.until("login: ")
            person.log_in(files, "sam")
            person.send("show reads\r")
            person.until("ledger: ")
            person.send("looking for a stolen vehicle\r")
            person.until("alpr-edge> ")
            assert PASSWORD not in person.seen
            run.send_signal(signal.SIGTERM)
            output = run.communicate(timeout=60)[0].decode()
            assert run.returncode == 0, output
    entries = b"".join(p.read_bytes() for p in (tmp_path / "ledger").rglob("*") if p.is_file())
    assert b'"kind":"access","act":"show"' in entries
    assert b"stolen vehicle" in entries
    assert json.loads((tmp_path / "console" / "attempts.json").read_text())["failures"] == {}
