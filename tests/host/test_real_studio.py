"""A technician's visit to a real `alpr-edge run` over a throttled line, with page and programs.

The street is its camera, its models read, and everything that lies on it is signed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect
from real_unit import PASSWORD, RealUnit
from studio_page import SMALL_LAPTOP, browser, log_in, studio
from tests.service.site_samples import issued, street_premises

from alpr_edge.ledger.browser import chromium
from alpr_edge.ledger.export import opened_log
from alpr_edge.ledger.kinds import FileMoved, Login, MaskChange
from alpr_edge.ledger.setup import device_ledger_identity
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.placement.files import sign_register
from alpr_edge.simulator.serial_line import SerialLine

pytestmark = pytest.mark.timeout(400)
SOON = 60_000.0
expect.set_options(timeout=SOON)
BAUD = 230_400


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    kept = os.environ.get("ALPR_EDGE_ARTEFACTS")
    folder = Path(kept) if kept else tmp_path / "shots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    folder = tmp_path / "line"
    folder.mkdir()
    with SerialLine(folder, baud=BAUD) as one:
        yield one


@pytest.fixture
def unit(line: SerialLine, tmp_path: Path) -> RealUnit:
    folder = tmp_path / "unit"
    folder.mkdir()
    return RealUnit(folder, line.device)


def tech(line: SerialLine, unit: RealUnit, *args: str, user: str = "anna") -> str:
    """`alpr-edge-tech` as a program; what it printed."""
    command = [sys.executable, "-m", "alpr_edge.host.cli", *args, "--user", user]
    command += ["--port", str(line.laptop), "--baud", str(BAUD)]
    keys = f"{PASSWORD}\n{unit.code(user)}\n"
    done = subprocess.run(
        command, input=keys, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_visit_to_the_real_service(
    line: SerialLine, unit: RealUnit, shots: Path, tmp_path: Path
) -> None:
    if chromium() is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    errors: list[str] = []
    with unit.running():
        with studio(line.laptop, "--baud", str(BAUD)) as address, browser() as chrome:
            page = chrome.new_page(viewport=SMALL_LAPTOP)  # type: ignore[arg-type]
            page.set_default_timeout(SOON)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(address)
            unit.until_tested()
            log_in(page, unit, "anna")
            _the_picture_is_masked_and_the_unit_reads(page, address)
            page.screenshot(path=shots / "real-masks.png")
            _the_place_is_judged_by_the_units_own_register(page)
            page.screenshot(path=shots / "real-place.png")
            _a_wider_mask_is_committed_with_the_keyboard_alone(page)
            _narrowed_again_it_takes_two_and_a_confirmation(page, unit, shots)
            _the_self_test_has_read_and_not_read(page)
            page.screenshot(path=shots / "real-test.png")
            page.get_by_role("button", name="Log out").click()
            expect(page.locator("#panel-login")).to_be_visible()
        _files_go_both_ways(line, unit, tmp_path)
    assert errors == []
    _everything_is_on_the_ledger(unit)


def _the_picture_is_masked_and_the_unit_reads(page: Page, address: str) -> None:
    expect(page.locator("#verdict strong")).to_have_text("As in force")
    expect(page.locator("#reads")).to_have_text("unit: reading")
    body = page.request.get(f"{address}api/still.jpg").body()
    image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (360, 640, 3)
    # The core of the commissioned mask reaches from the top left corner; the road does not.
    assert image[:100, :100].max() < 16
    assert image[250:, 300:].mean() > 30


def _the_place_is_judged_by_the_units_own_register(page: Page) -> None:
    page.get_by_role("tab", name="Place").click()
    page.get_by_role("button", name="Load the map").click()
    expect(page.locator("#map .grounds").first).to_be_attached()
    page.get_by_role("button", name="Placement").click()
    expect(page.locator("#placement strong")).to_have_text("fits with this mask")
    expect(page.locator("#placement")).to_contain_text("Plates can be read from")
    expect(page.locator("#map .camera")).to_be_attached()


def _a_wider_mask_is_committed_with_the_keyboard_alone(page: Page) -> None:
    page.get_by_role("tab", name="Masks").press("Enter")
    page.locator("#canvas").focus()
    page.keyboard.press("m")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"):
        page.keyboard.press("Space")
        page.keyboard.press(key)
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#list")).to_contain_text("mask 1")
    expect(page.locator("#verdict strong")).to_have_text("Wider")
    page.get_by_role("tab", name="Masks").focus()
    page.keyboard.press("ArrowRight")
    reason = page.locator("#commit [name=reason]")
    reason.focus()
    page.keyboard.type("a new gateway")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#message.good")).to_contain_text("in force")
    expect(page.locator("#compare")).to_contain_text("Nothing is changed")


def _narrowed_again_it_takes_two_and_a_confirmation(
    page: Page, unit: RealUnit, shots: Path
) -> None:
    page.get_by_role("tab", name="Masks").click()
    page.locator("#list").get_by_role("button", name="mask 1").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.locator("#verdict strong")).to_have_text("Narrower")
    page.get_by_role("tab", name="Commit").click()
    page.locator("#commit [name=reason]").fill("the gateway was another one")
    page.locator("#commit [name=password]").fill(PASSWORD)
    page.locator("#commit [name=second_name]").fill("sam")
    page.locator("#commit [name=second_password]").fill(PASSWORD)
    page.locator("#commit [name=second_code]").fill(unit.code("sam"))
    page.locator("#commit button").click()
    expect(page.locator("#message.good")).to_contain_text("two people")
    expect(page.locator("#pending-text")).to_contain_text(re.compile(r"confirm: \d:\d\d"))
    page.screenshot(path=shots / "real-countdown.png")
    page.locator("#confirm").click()
    expect(page.locator("#pending")).to_be_hidden()


def _the_self_test_has_read_and_not_read(page: Page) -> None:
    page.get_by_role("tab", name="Test").click()
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#tested strong")).to_have_text("Passed")
    expect(page.locator("#test-picture")).to_be_visible()


def _files_go_both_ways(line: SerialLine, unit: RealUnit, folder: Path) -> None:
    config = folder / "device.toml"
    tech(line, unit, "pull", "config", "--out", str(config))
    assert config.read_bytes() == unit.config.read_bytes()
    log = folder / "ledger.zip"
    tech(line, unit, "pull", "log", "--out", str(log), "--reason", "yearly audit", user="sam")
    identity = device_ledger_identity("unit-1", unit.folder / "identity", "file")
    with opened_log(log) as opened:
        assert verify(opened, Question(identity.keys)).holds
    # A newer register counts at once: without a record for it the unit stops reading.
    newer = folder / "register.json"
    sign_register(
        issued(replace(street_premises(), setback_m=3.0), serial=2), newer, unit.site.city
    )
    done = tech(line, unit, "push", "register", str(newer), "--reason", "a newer register")
    assert "serial 2" in done
    unit.until_phase("stopped")
    pulled = folder / "pulled.json"
    tech(line, unit, "pull", "register", "--out", str(pulled))
    assert pulled.read_bytes() == newer.read_bytes()


def _everything_is_on_the_ledger(unit: RealUnit) -> None:
    bodies = [entry.body for entry in unit.entries()]
    changes = [(b.by, b.second, b.narrowed) for b in bodies if isinstance(b, MaskChange)]
    assert ("anna", "nobody", False) in changes
    assert [c for c in changes if set(c[:2]) == {"anna", "sam"}]
    moved = [(b.act, b.what, b.who) for b in bodies if isinstance(b, FileMoved)]
    assert ("pulled", "picture", "anna") in moved
    assert [one for one in moved if one[1] != "picture"] == [
        ("pulled", "register", "anna"),
        ("pulled", "config", "anna"),
        ("pulled", "log", "sam"),
        ("pushed", "register", "anna"),
        ("pulled", "register", "anna"),
    ]
    logins = [(b.who, b.way) for b in bodies if isinstance(b, Login) and b.outcome == "granted"]
    assert ("anna", "serial") in logins
    assert json.dumps([b.model_dump(mode="json") for b in bodies]).count(PASSWORD) == 0
