"""The audit report, in real Chromium; the memo as HTML and as a Word document."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from chromium_pipe import Chromium
from docx import Document
from ledger_samples import DIGEST, EVENT, HandClock, TestSigner, boot, egress
from ledger_samples import hour as whole_hour

from alpr_edge.cli import main
from alpr_edge.ledger import fields
from alpr_edge.ledger.browser import chromium
from alpr_edge.ledger.entry import make_entry
from alpr_edge.ledger.facts import Facts
from alpr_edge.ledger.fields import stamp
from alpr_edge.ledger.kinds import (
    Access,
    Body,
    ConfigChange,
    Drift,
    Hour,
    Login,
    MaskChange,
    Retention,
    SelfTest,
    SoftwareScan,
    StartFailed,
    Stop,
    TimeCorrection,
    Trigger,
    Witnessed,
)
from alpr_edge.ledger.report import _REASONS, DeviceReport, device_page
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.verify import Verdict
from alpr_edge.types import DropReason

PLATE = "7XKZ391"
DAYS = 12


def _bodies(day: int) -> Iterator[Body]:
    begin = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=day)
    rng = random.Random(day)
    for hour in range(24):
        count = rng.randrange(60)
        yield egress(max(1, count))
        yield Hour(
            begin=stamp(begin + timedelta(hours=hour)),
            seconds=3600,
            frames=54_000,
            failed_frames=rng.randrange(3),
            published=count,
            delivered=count,
            suppressed_at_most=dict.fromkeys(DropReason, 8),
        )
    yield SelfTest(
        passed=day != 5, checks=9, failed=("exclusion.mask.self_test",) if day == 5 else ()
    )
    yield Login(who="jane.doe", outcome="granted" if day % 3 else "refused", way="serial")


def _all() -> Iterator[Body]:
    for day in range(DAYS):
        yield from _bodies(day)
    # People type plates where they should not.
    yield MaskChange(
        old=DIGEST,
        new=DIGEST[::-1],
        added=0,
        removed=1,
        narrowed=True,
        by=fields.person("A. Technician"),
        second=fields.person(f"Supervisor {PLATE}"),
        order=DIGEST,
        reason=fields.prose(f"Council letter, complaint about {PLATE} <script>alert</script>"),
    )
    yield Access(
        act="export",
        query="plate",
        plate_mac=DIGEST,
        who="jane.doe",
        organisation="Police department",
        purpose=fields.prose(f"Stolen vehicle {PLATE[:4]} {PLATE[4:]}"),
        count=3,
        first=EVENT,
        last=EVENT,
    )
    yield ConfigChange(old=DIGEST, new=DIGEST[::-1], settings=("exclusion.band",), by="jane.doe")
    yield Drift(state="stopped", code="exclusion.drift.moved")
    yield Retention(reason="overflow", count=5)
    yield Trigger(what="case_opened")
    yield TimeCorrection(
        before="2026-10-12T00:00:00.000Z",
        after="2026-10-12T00:00:09.000Z",
        step_ms=9000,
        source="ntp",
    )


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two devices' ledgers with their keys in one file."""
    folder = tmp_path_factory.mktemp("logs")
    keys = []
    for device in ("cam-a", "cam-b"):
        hand = HandClock(datetime(2026, 10, 1, tzinfo=UTC))
        identity = Identity(device, (TestSigner(),))
        ledger = Ledger(folder / device, identity, clock=hand.clock())
        ledger.append(boot())
        for body in _all():
            hand.go(1800 if isinstance(body, Hour) else 900)
            ledger.append(body)
        ledger.close(Stop(reason="asked"))
        keys.append(f"{identity.keys[0]}\n")
    (folder / "keys").write_text("".join(keys))
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = chromium()
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    one = Chromium(program, tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


class Text(HTMLParser):
    """Every text and attribute of a page, and the elements that are open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def _report(logs: Path, out: Path, *devices: str, more: tuple[str, ...] = ()) -> int:
    ledgers = [str(logs / device) for device in devices]
    command = ["ledger", "report", *ledgers, "--key", str(logs / "keys"), "--out", str(out)]
    return main([*command, "--by", "jane.doe", *more])


@pytest.mark.timeout(240)
def test_the_report_in_chromium(logs: Path, tmp_path: Path, browser: Chromium) -> None:
    out = tmp_path / "report.html"
    assert _report(logs, out, "cam-a", more=("--pdf",)) == 0
    browser.open(out)
    assert browser.evaluate("document.title") == "Audit report: cam-a"
    # Exceptions come before everything else.
    heads = browser.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert heads[:3] == ["Exceptions", "In short", "Day by day"]
    told = browser.evaluate("document.querySelector('div.bad').innerText")
    for word in ("FAILED", "Login refused", "uncovering ground", "case opened", "not encrypted"):
        assert word in told
    bars = "[...document.querySelectorAll('svg')].map(s => s.querySelectorAll('rect').length)"
    assert browser.evaluate(bars) == [DAYS, DAYS, DAYS, len(DropReason)]
    # No script in the page, nothing fetched, nothing wider than a telephone.
    assert browser.evaluate("document.scripts.length") == 0
    assert [u for u in browser.requests if not u.startswith("file:")] == []
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=800,
        deviceScaleFactor=1,
        mobile=True,
    )
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    # Every picture and table has a name for a screen reader.
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if "role" in n]
    named = [name for role, name in roles if role in ("image", "table", "img")]
    assert len(named) > 5
    assert all(named)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000


@pytest.mark.timeout(120)
def test_the_fleet_report_in_chromium(logs: Path, tmp_path: Path, browser: Chromium) -> None:
    out = tmp_path / "fleet.html"
    assert _report(logs, out, "cam-a", "cam-b") == 0
    browser.open(out)
    rows = "[...document.querySelectorAll('tbody tr')].map(r => r.cells[0].textContent)"
    assert browser.evaluate(rows)[:2] == ["cam-a", "cam-b"]
    assert "2 of 2 ledgers hold" in browser.evaluate("document.body.innerText")


def test_no_plate_in_report_and_memo(logs: Path, tmp_path: Path) -> None:
    assert _report(logs, tmp_path / "r.html", "cam-a") == 0
    memo = ["ledger", "memo", str(logs / "cam-a"), "--key", str(logs / "keys")]
    assert main([*memo, "--out", str(tmp_path / "memo"), "--suspicion", "lost-device"]) == 0
    folder = tmp_path / "memo" / "cam-a"
    assert {p.name for p in folder.iterdir()} == {
        "memo.html",
        "memo.docx",
        "entries.jsonl",
        "checkpoint",
    }
    word = Document(str(folder / "memo.docx"))
    texts = [p.text for p in word.paragraphs]
    texts += [c.text for t in word.tables for row in t.rows for c in row.cells]
    texts += [(folder / "memo.html").read_text(), (tmp_path / "r.html").read_text()]
    texts += [(folder / "entries.jsonl").read_text()]
    texts += [p.read_bytes().decode("latin-1") for p in logs.rglob("*") if p.is_file()]
    squeezed = "".join(c for text in texts for c in text.upper() if c.isalnum())
    assert PLATE not in squeezed
    assert PLATE[4:] not in " ".join(texts).split()
    html = Text((tmp_path / "r.html").read_text())
    assert "script" not in html.tags
    assert any("[withheld]" in text for text in html.found)


def test_the_memo_says_what_left(logs: Path, tmp_path: Path) -> None:
    memo = ["ledger", "memo", str(logs / "cam-a"), "--key", str(logs / "keys")]
    period = ["--from", "2026-10-02", "--to", "2026-10-03"]
    for suspicion in ("lost-device", "leaked-certificate", "stolen-laptop", "other"):
        out = tmp_path / suspicion
        assert main([*memo, *period, "--suspicion", suspicion, "--out", str(out)]) == 0
        page = (out / "cam-a" / "memo.html").read_text()
        assert "broker.city.example:8883" in page
        assert EVENT in page
        assert "2026-10-02 to 2026-10-03" in page
        assert "was checked and holds" in page
        assert "left without encryption" in page
    assert main([*memo, "--out", str(tmp_path / "other")]) == 1


def test_a_memo_about_a_certificate_that_was_never_there_says_so(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memo = ["ledger", "memo", str(logs / "cam-a"), "--key", str(logs / "keys")]
    given = ["--suspicion", "leaked-certificate", "--certificate"]
    out = tmp_path / "memo"
    assert main([*memo, "--out", str(out), *given, "AB:AB:AB:AB:AB"]) == 0
    text = (out / "cam-a" / "memo.html").read_text()
    assert "No read left the device" not in text
    assert "No read left under a certificate that begins with ababababab" in text
    for wrong in ("zzz", "", "0123", "g" * 64):
        with pytest.raises(SystemExit):
            main([*memo, "--out", str(tmp_path / "other"), *given, wrong])
    assert "8 to 64 hexadecimal digits" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_period_counts_only_itself(logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    more = ("--from", "2026-10-02", "--to", "2026-10-04")
    assert _report(logs, out, "cam-a", more=more) == 0
    text = " ".join(Text(out.read_text()).found)
    assert "2026-10-02" in text
    assert "2026-10-09" not in text


def test_what_happens_often_is_one_sentence_and_the_gravest_comes_first() -> None:
    facts = Facts()
    bodies: list[Body] = [
        *(Login(who="anna", outcome="refused", way="serial") for _ in range(9)),
        Drift(state="stopped", code="exclusion.scene.moved"),
        StartFailed(stage="broke_off", code="ledger.start.broke_off"),
        Witnessed(state="missing", size=7),
        SoftwareScan(sbom=DIGEST, rules=DIGEST, components=3, findings=0, unlisted=2),
        Retention(reason="overflow", count=41),
        MaskChange(old=DIGEST, new=DIGEST, added=0, removed=1, narrowed=True),
    ]
    for number, body in enumerate(bodies):
        at = datetime(2026, 10, 1 + number, tzinfo=UTC)
        facts.add(make_entry(body, seq=number, at=at, boot=1, up_ms=0))
    told = facts.exceptions()
    assert "uncovering ground" in told[0]
    assert told[-1] == "Login refused: 9 times, the first on 2026-10-01, the last on 2026-10-09."
    words = "\n".join(told[1:-1])
    for word in ("reading stopped", "broke off", "No witness cosigns", "2 networks", "41 reads"):
        assert word in words
    assert len(told) == 7


def test_masks_on_nobodys_word_are_a_grave_exception_where_some_were_in_force() -> None:
    facts = Facts()
    for number, old in enumerate(("0" * 64, DIGEST)):
        body = MaskChange(old=old, new=DIGEST[::-1], added=0, removed=0, narrowed=None)
        at = datetime(2026, 10, 1 + number, tzinfo=UTC)
        facts.add(make_entry(body, seq=number, at=at, boot=1, up_ms=0))
    (told,) = facts.exceptions()
    assert told.startswith("2026-10-02 00:00: Masks changed (extent not recorded")


def test_a_year_is_told_by_month_and_names_the_days_it_did_not_run() -> None:
    facts = Facts()
    for number in range(400):
        begin = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number)
        seconds = 3600 if number == 45 else 86_400
        body = whole_hour(stamp(begin)).model_copy(update={"seconds": seconds})
        facts.add(make_entry(body, seq=number, at=begin, boot=1, up_ms=0))
    page = device_page(DeviceReport("cam-1", facts, Verdict()), made_at="now", made_by="anna")
    assert "<h2>Month by month</h2>" in page
    assert page.count('<td class="s">2025-') + page.count('<td class="s">2026-') == 14
    assert "less than 23.5 hours: 2025-02-15 (1.0 h)." in page
    assert "Kept back, at most" in page
    assert set(_REASONS) == set(DropReason)


def test_a_broken_ledger_comes_first(logs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(logs / "cam-b", tmp_path / "cam-b")
    bundle = tmp_path / "cam-b/tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b'"frames":54000', b'"frames":54001', 1))
    shutil.copy(logs / "keys", tmp_path / "keys")
    assert _report(tmp_path, tmp_path / "r.html", "cam-b") == 1
    page = (tmp_path / "r.html").read_text()
    assert "does not hold" in page
    assert '<h2>Exceptions</h2><div class="bad"><ul><li>LEDGER: entry' in page
