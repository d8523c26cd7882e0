"""The mask studio in a real Chromium, against a unit process at the other end of a cable."""

from __future__ import annotations

import http.client
import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from street_process import PASSWORD, StreetProcess, street_process
from studio_page import SMALL_LAPTOP, browser, hindrances, log_in, studio

from alpr_edge.host.studio.desk import seconds_between
from alpr_edge.ledger.browser import chromium
from alpr_edge.simulator.serial_line import SerialLine

pytestmark = pytest.mark.timeout(300)
SOON = 60_000.0
expect.set_options(timeout=SOON)


@dataclass
class Visit:
    """Cable, unit, program and page."""

    line: SerialLine
    unit: StreetProcess
    address: str
    page: Page
    shots: Path
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return dict(self.page.evaluate("fetch('api/state').then((a) => a.json())"))

    def shot(self, name: str) -> None:
        """A picture of the page as it is, which everybody can use."""
        self.page.screenshot(path=self.shots / f"studio-{name}.png")
        assert hindrances(self.page) == []

    def verdict(self) -> Any:
        return self.page.locator("#verdict strong")


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    if chromium() is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    kept = os.environ.get("ALPR_EDGE_ARTEFACTS")
    shots = Path(kept) if kept else tmp_path_factory.mktemp("shots")
    shots.mkdir(parents=True, exist_ok=True)
    with (
        SerialLine(tmp_path_factory.mktemp("line"), baud=230_400) as line,
        street_process(line.device, tmp_path_factory.mktemp("unit")) as unit,
        studio(line.laptop) as address,
        browser() as chrome,
    ):
        page = chrome.new_page(viewport=SMALL_LAPTOP)  # type: ignore[arg-type]
        page.set_default_timeout(SOON)
        one = Visit(line, unit, address, page, shots)
        page.on("request", lambda request: one.requests.append(request.url))
        page.on("pageerror", lambda error: one.errors.append(str(error)))
        page.goto(address)
        yield one


def test_a_wrong_code_is_refused_and_the_right_one_brings_the_picture(visit: Visit) -> None:
    page = visit.page
    expect(page.locator("#link.on")).to_be_visible()
    page.locator("#login [name=name]").fill("anna")
    page.locator("#login [name=password]").fill(PASSWORD)
    page.locator("#login [name=code]").fill("000000")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#message")).to_contain_text("console.login.refused")
    visit.shot("refused")
    assert page.locator("#login [name=password]").input_value() == ""
    assert visit.state()["person"] is None
    visit.unit.code("anna")
    log_in(page, visit.unit, "anna")
    expect(page.locator("#person")).to_have_text("anna, technician")
    expect(visit.verdict()).to_have_text("As in force")
    assert visit.state()["still"]["plates_blurred"] is True
    expect(page.get_by_role("button", name="Take picture")).to_be_enabled()
    page.get_by_role("button", name="Take picture").click()
    expect(page.locator("#moving")).to_be_visible()
    expect(page.locator("#progress-text")).to_contain_text(re.compile(r"\d+ KiB.*s left"))
    # At the real rate: no still takes longer than this at 230,400 baud.
    told = str(page.locator("#progress-text").text_content())
    assert 1 <= int(re.findall(r"(\d+) s left", told)[0]) < 60
    expect(page.locator("#moving")).to_be_hidden()
    expect(page.get_by_role("button", name="Take picture")).to_be_enabled()
    visit.shot("masks")


def test_masks_are_drawn_with_the_mouse_and_judged_at_once(visit: Visit) -> None:
    page = visit.page
    box = page.locator("#canvas").bounding_box()
    assert box is not None

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    shares = page.locator("#verdict p").nth(1).inner_text()
    page.get_by_role("button", name="New mask").click()
    for x, y in ((0.6, 0.5), (0.8, 0.5), (0.8, 0.7)):
        page.mouse.click(*at(x, y))
    page.mouse.move(*at(0.6, 0.7))
    page.mouse.click(*at(0.6, 0.7))
    visit.shot("drawing")
    page.keyboard.press("Enter")
    expect(page.locator("#list")).to_contain_text("mask 1")
    expect(visit.verdict()).to_have_text("Wider")
    expect(page.locator("#verdict p").nth(1)).not_to_have_text(shares)
    # Its corners can be dragged; Undo takes it back.
    corner = page.locator("[data-corner='2']")
    label = corner.get_attribute("aria-label")
    page.mouse.move(*at(0.8, 0.7))
    page.mouse.down()
    page.mouse.move(*at(0.85, 0.75), steps=4)
    page.mouse.up()
    expect(corner).not_to_have_attribute("aria-label", str(label))
    page.get_by_role("button", name="Undo").click()
    page.locator("#list").get_by_role("button", name="mask 1").click()
    expect(corner).to_have_attribute("aria-label", str(label))
    # And crossed so that it is not sound: said before anything is committed.
    page.locator("[data-corner='1']").focus()
    for _ in range(22):
        page.keyboard.press("Shift+ArrowDown")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    expect(visit.verdict()).to_have_text("Not sound")
    for _ in range(27):
        page.keyboard.press("Control+z")
    expect(visit.verdict()).to_have_text("Wider")


def test_everything_can_be_drawn_with_keys(visit: Visit) -> None:
    page = visit.page
    page.locator("#canvas").focus()
    page.keyboard.press("g")
    expect(page.locator("[data-draw=gate]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Space")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#list")).to_contain_text("gate 1")
    page.get_by_label("Crossing that taints").select_option("left_to_right")
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill("kerb")
    name.press("Tab")
    expect(page.locator("#list")).to_contain_text("kerb")
    # Tab goes to the corners; arrows move one, Insert makes one more, Delete one less.
    corner = page.locator("[data-corner='0']")
    corner.focus()
    label = str(corner.get_attribute("aria-label"))
    page.keyboard.press("ArrowUp")
    expect(corner).not_to_have_attribute("aria-label", label)
    page.keyboard.press("Insert")
    expect(page.locator("[data-corner='2']")).to_be_visible()
    page.locator("[data-corner='1']").focus()
    page.keyboard.press("Delete")
    expect(page.locator("[data-corner='2']")).to_have_count(0)
    expect(visit.verdict()).to_have_text("Wider")
    visit.shot("wider")


def test_wider_masks_take_one_person(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("tab", name="Commit").click()
    expect(page.locator("#second")).to_be_hidden()
    expect(page.locator("#compare")).to_contain_text("kerb")
    page.locator("#commit [name=reason]").fill("kerb at the driveway")
    page.locator("#commit [name=password]").fill(PASSWORD)
    visit.shot("commit")
    page.locator("#commit button").click()
    expect(page.locator("#message.good")).to_contain_text("in force")
    masks = visit.state()["masks"]
    assert (masks["number"], masks["records"]) == (2, 1)
    assert masks["zones"]["gates"][-1]["taints"] == "left_to_right"
    expect(page.locator("#pending")).to_be_hidden()


def test_narrower_masks_take_two_people_and_a_confirmation(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("tab", name="Masks").click()
    page.locator("#list").get_by_role("button", name="mask 1").click()
    page.get_by_role("button", name="Delete it").click()
    expect(visit.verdict()).to_have_text("Narrower")
    expect(page.locator("#narrowings")).to_contain_text("mask 'mask 1' is not covered")
    page.get_by_role("tab", name="Commit").click()
    page.locator("#commit [name=reason]").fill("drawn by mistake")
    page.locator("#commit [name=password]").fill(PASSWORD)
    page.locator("#commit [name=second_name]").fill("sam")
    page.locator("#commit [name=second_password]").fill(PASSWORD)
    page.locator("#commit [name=second_code]").fill(visit.unit.code("sam"))
    visit.shot("narrower")
    page.locator("#commit button").click()
    expect(page.locator("#message.good")).to_contain_text("two people")
    assert visit.state()["masks"]["records"] == 2
    expect(page.locator("#pending-text")).to_contain_text(re.compile(r"confirm: \d:\d\d"))
    # By the unit's clock, that is not the laptop's.
    assert 480 < visit.state()["confirm_left_s"] <= 600
    visit.shot("countdown")
    page.locator("#confirm").click()
    expect(page.locator("#pending")).to_be_hidden()
    masks = visit.state()["masks"]
    assert (masks["number"], masks["records"]) == (3, 1)


def test_points_on_picture_and_map_calibrate_the_camera(visit: Visit, repository: Path) -> None:
    page = visit.page
    page.get_by_role("tab", name="Place").click()
    page.get_by_role("button", name="Load the map").click()
    expect(page.locator("#map .grounds").first).to_be_attached()
    page.get_by_role("button", name="Placement").click()
    expect(page.locator("#placement strong")).to_have_text("fits with this mask")
    sample = repository / "configs" / "premises" / "sample-calibration.toml"
    lines = tomllib.loads(sample.read_text("utf-8"))["points"]
    for number, line in enumerate(lines):
        name, lon, lat, _, x, y, _ = line.split()
        page.get_by_role("button", name="New point").click()
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
        if number == 0:
            page.locator("#map").press("ArrowUp")
            page.locator("#map").press("Enter")
            expect(page.locator("#points input").nth(2)).to_have_value(
                re.compile("-123.39.* -48.87")
            )
        row = page.locator("#points tr").nth(number + 1).locator("input")
        row.nth(0).fill(name)
        row.nth(1).fill(f"{float(x) * 2 / 3:.1f} {float(y) * 2 / 3:.1f}")
        row.nth(2).fill(f"{lon} {lat}")
        row.nth(2).press("Tab")
    # A point can be put elsewhere: dragged, or set again with the keys.
    pixels = page.get_by_label("Pixels of point 1", exact=True)
    before = pixels.input_value()
    mark = page.locator("[data-mark='0']").bounding_box()
    assert mark is not None
    page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    page.mouse.down()
    page.mouse.move(mark["x"] + 40, mark["y"] + 20, steps=3)
    page.mouse.up()
    expect(pixels).not_to_have_value(before)
    dragged = pixels.input_value()
    page.get_by_role("button", name=re.compile("^Set point .* in the picture")).first.press("Enter")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(pixels).not_to_have_value(dragged)
    pixels.fill(before)
    pixels.press("Tab")
    page.get_by_label("Lens, degrees").fill("23 ±0.2")
    page.get_by_label("Height, m").fill("4.6 ±0.05")
    page.get_by_role("button", name="Fit", exact=True).last.click()
    expect(page.locator("#fitted")).to_contain_text("Off by")
    expect(page.locator("#fitted")).to_contain_text("heading 35")
    page.locator("#fitted").scroll_into_view_if_needed()
    visit.shot("points")
    page.get_by_role("button", name="Save on the unit").click()
    expect(page.locator("#message.good")).to_contain_text("Calibration saved")
    # What the map asks for comes into the drawing, to be looked at; Undo takes it back.
    drawn = page.locator("#list li").count()
    page.get_by_role("button", name="Masks from the map").click()
    expect(page.locator("#message.good")).to_contain_text("Masks from the map")
    assert page.locator("#list li").count() > drawn
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#list li")).to_have_count(drawn)


def test_the_self_test_shows_its_result_with_a_picture(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("tab", name="Test").click()
    page.get_by_role("button", name="Run it").click()
    expect(page.locator("#tested strong")).to_have_text("Passed")
    expect(page.locator("#test-picture")).to_be_visible()
    visit.shot("test")


def test_a_screen_reader_finds_a_name_for_everything(visit: Visit) -> None:
    session = visit.page.context.new_cdp_session(visit.page)
    for tab in ("Masks", "Commit", "Place", "Test"):
        visit.page.get_by_role("tab", name=tab).click()
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        found = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if "role" in node and not node.get("ignored")
        ]
        roles = ("button", "textbox", "checkbox", "combobox", "tab", "tablist", "spinbutton")
        named = [one for one in found if one[0] in (*roles, "application", "toolbar", "image")]
        assert len(named) > 10
        assert [role for role, name in named if not name.strip()] == []
    ids = visit.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_a_small_laptop_shows_it_without_scrolling_sideways(visit: Visit) -> None:
    wide = visit.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert wide[0] <= SMALL_LAPTOP["width"]
    assert wide[1] <= SMALL_LAPTOP["height"]


def test_the_unplugged_cable_is_seen_and_the_drawing_is_kept(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("tab", name="Masks").click()
    visit.line.unplug()
    expect(page.locator("#link.on")).to_have_count(0)
    expect(page.locator("#panel-login")).to_be_visible()
    assert page.locator("#image").get_attribute("href") is None
    visit.line.plug()
    expect(page.locator("#link.on")).to_be_visible()
    log_in(page, visit.unit, "sam")
    expect(visit.verdict()).to_have_text("As in force")
    page.get_by_text("The picture", exact=True).click()
    expect(page.locator("#still-about")).to_contain_text("640×360")


def test_nothing_came_from_elsewhere_and_no_script_failed(visit: Visit) -> None:
    assert visit.errors == []
    assert len(visit.requests) > 20
    assert [url for url in visit.requests if not url.startswith(visit.address)] == []


def _ask(
    address: str, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, dict[str, str]]:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()


def test_only_the_page_gets_an_answer(visit: Visit) -> None:
    where = urlsplit(visit.address)
    token, origin = where.path, f"http://{where.netloc}"
    good = {"Host": where.netloc, "Origin": origin, "Content-Type": "application/json"}
    judge = token + "api/judge"
    body = json.dumps({"zones": {"masks": []}})
    assert _ask(visit.address, "POST", judge, good, body)[0] == 200
    for changed in (
        {"Host": "evil.example"},
        {"Host": f"localhost:{where.port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
    ):
        assert _ask(visit.address, "POST", judge, {**good, **changed}, body)[0] == 404, changed
    without = {key: value for key, value in good.items() if key != "Origin"}
    assert _ask(visit.address, "POST", judge, without, body)[0] == 404
    for path in ("/", "/favicon.ico", "/api/state", "/x" + token[1:], token + "../server.py"):
        assert _ask(visit.address, "GET", path, {"Host": where.netloc})[0] == 404
    assert _ask(visit.address, "GET", token + "api/judge", {"Host": where.netloc})[0] in (404, 405)
    for bad in ("", "[]", "{", '{"zones": 5}', "[" * 5000):
        assert _ask(visit.address, "POST", judge, good, bad)[0] in (200, 400)
    assert _ask(visit.address, "POST", token + "api/login", good, "{}")[0] == 400
    status, headers = _ask(visit.address, "GET", token, {"Host": where.netloc})
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_a_unit_that_does_not_say_its_time_is_none_to_count_by() -> None:
    then = "2026-11-24T10:00:30Z"
    assert seconds_between("2026-11-24T10:00:00Z", then) == 30.0
    for now in (None, "", "soon", 5, "2026-11-24T10:00:00"):
        assert seconds_between(now, then) is None
