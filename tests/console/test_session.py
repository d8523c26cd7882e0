from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from tests.console.console_samples import CITY, PASSWORD, Terminal, shown

from alpr_edge.console.armour import unarmour
from alpr_edge.console.device import Parcel
from alpr_edge.console.talk import lay_out
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import countersign, sign
from alpr_edge.trust.keys import PublicKey

FIRST = "add mask door rectangle 0.25,0.25 0.5,0.5"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "console")


def committed(terminal: Terminal, lines: str = FIRST) -> str:
    """A first record, by two people."""
    terminal.log_in("anna")
    terminal.type(f"configure\n{lines}")
    return narrow(terminal)


def narrow(terminal: Terminal, reason: str = "first") -> str:
    terminal.type(f"commit reason {reason}\nsam\n{PASSWORD}")
    return terminal.type(f"{PASSWORD}\n{terminal.code('sam')}")


def test_a_whole_sitting_from_plug_to_a_commit_that_holds(terminal: Terminal) -> None:
    assert "alpr-edge on unit-1" in terminal.screen
    assert terminal.screen.endswith("login: ")
    out = terminal.log_in("anna")
    assert PASSWORD not in terminal.screen
    assert "anna, technician: first login" in out
    assert out.endswith("alpr-edge> ")
    out = terminal.type("sh stat")
    assert "phase: stopped" in out
    assert out.count("alpr-edge> ") == 1
    assert terminal.type("nonsense").count("alpr-edge> ") == 1
    assert terminal.type("  ").count("alpr-edge> ") == 1
    out = terminal.type(f"configure\n{FIRST}\ncompare")
    assert "it takes a second person" in out
    assert out.endswith("alpr-edge# ")
    out = narrow(terminal)
    assert "on the word of: two people" in out
    assert "in force, it alone" in out
    assert [one.record.authors for one in terminal.unit.records] == [("anna", "sam")]
    # Wider: one person, at once.
    out = terminal.type(f"widen mask door 0.05\ncommit reason wider\n{PASSWORD}")
    assert "on the word of: one person" in out
    assert "in force, it alone" in out
    # Narrower: old and new together until it is confirmed.
    terminal.type("set mask door points 0.3,0.3 0.4,0.3 0.4,0.4")
    out = narrow(terminal, "smaller")
    assert "old and new masks protect together" in out
    assert len(terminal.unit.state.records) == 2
    out = terminal.type("confirm\nexit\nshow masks | json")
    assert terminal.unit.state.records[-1].record.number == 3
    document = json.loads(out.split("show masks | json\r\n")[1].rpartition("\r\n")[0])
    assert document["number"] == 3
    assert document["masks"] == {"door": "0.3,0.3 0.4,0.3 0.4,0.4"}
    assert ("anna", "granted", 2, "") in terminal.unit.noted
    terminal.type("logout")
    assert terminal.unit.noted[-1][:2] == ("anna", "ended")
    assert terminal.screen.endswith("login: ")
    assert terminal.defects == []


def test_narrowing_is_not_for_one_person_however_typed(terminal: Terminal) -> None:
    committed(terminal)
    before = terminal.unit.state
    out = terminal.type("delete mask door\nset nothing-protected on\ncommit reason less\nanna")
    assert "console.commit.same_person" in out
    out = terminal.type(f"commit reason less\nvera\n{PASSWORD}\n{PASSWORD}")
    out += terminal.type(terminal.code("vera"))
    assert "console.not_allowed" in out
    # Alone: the record is printed to be signed elsewhere, and counts for nothing before.
    out = terminal.type(f"commit reason less\n\n{PASSWORD}")
    begin, end = out.index("-----BEGIN"), out.index("-----END")
    envelope = unarmour(out[begin:end])
    out = terminal.type("commit signed\n" + out[begin:end].replace("\r\n", "\n") + "\n")
    assert "authority.too_few" in out
    assert terminal.unit.state == before
    # The city signs it: old and new together, then the new one alone.
    known = [PublicKey.parse(terminal.logins["anna"].key)]
    signed = countersign(envelope, DocumentType.MASK_RECORD, known, CITY)
    out = terminal.type(f"commit signed\n{signed.decode().strip()}\n")
    assert "on the word of: city" in out
    assert len(terminal.unit.state.records) == 2
    assert "alone is in force" in terminal.type("confirm")
    assert terminal.defects == []


def test_time_running_out_unplugging_and_rollback_never_narrow(terminal: Terminal) -> None:
    committed(terminal)
    terminal.type("set mask door points 0.3,0.3 0.4,0.3 0.4,0.4")
    narrow(terminal)
    zones = terminal.unit.masks().zones
    assert zones is not None
    assert len(zones.masks) == 2
    terminal.session.unplugged()
    assert terminal.unit.masks().zones == zones
    terminal.clocks.pass_s(3600)
    terminal.bytes(b"\r")
    terminal.log_in("anna")
    assert "authority.too_late" in terminal.type("confirm")
    assert terminal.unit.masks().zones == zones
    # A rollback changes the candidate only; a new candidate begins as both together.
    out = terminal.type("configure\nshow candidate | match door | count\nrollback 1\ncompare")
    assert "2 lines" in out
    assert terminal.unit.masks().zones == zones
    assert "protects less" not in out


def test_the_candidate_is_edited_point_by_point_and_drawn(terminal: Terminal) -> None:
    terminal.log_in("anna")
    out = terminal.type(
        "configure\nadd mask door points 0,0 32,0 32,18\nadd gate drive points 0,0.5 1,0.5\n"
        "edit mask door\nadd point 0,18\nset point 2 0.6,0\nnudge mask door 0.1 0.1\n"
        "show drawing columns 34"
    )
    assert "[edit mask door]" in out
    assert terminal.session._sitting.draft.points("mask", "door")[1] == pytest.approx((0.7, 0.1))
    drawing = [line for line in out.splitlines() if line.startswith("|")]
    assert any("#" in line for line in drawing)
    assert any("====" in line for line in drawing)
    out = terminal.type("delete point 9\nadd mask door points 0,0 1,0 1,1\nwiden gate drive 0.1")
    assert "console.candidate.unknown" in out
    assert "console.candidate.exists" in out
    assert "console.syntax" in out
    out = terminal.type(
        "delete gate nowhere\nset mask x points 0,0 1,1 1,0 0,1\nnudge mask door 1 0"
    )
    assert [code for code in ("unknown", "shape", "outside") if f"candidate.{code}" in out] == [
        "unknown",
        "shape",
        "outside",
    ]
    out = terminal.type("exit\nexit\nyes")
    assert out.endswith("alpr-edge> ")
    assert "door" in terminal.type("configure\nshow candidate")
    assert terminal.type("discard\ncheck").count("exclusion.mask.invalid") == 1
    assert terminal.defects == []


def test_keys_completion_help_history_and_filters(terminal: Terminal) -> None:
    terminal.log_in("anna")
    assert shown(terminal.bytes(b"sho\tst\t")) == "alpr-edge> show status "[11:]
    terminal.bytes(b"\x15")
    out = terminal.bytes(b"show m?")
    assert "masks" in out
    assert "models" in out
    assert shown(out) == "alpr-edge> show m"
    terminal.bytes(b"\x03")
    out = terminal.bytes(b"show \t")
    assert "calibration" in out
    assert shown(out) == "alpr-edge> show "
    terminal.bytes(b"\x15")
    # Arrow keys, insertion in mid-line, deletion of a word, history.
    assert shown("alpr-edge> " + terminal.bytes(b"sow stats\x1b[D\x1b[Du\x01\x1b[C")) == (
        "alpr-edge> sow stauts"
    )
    assert shown("alpr-edge> " + terminal.bytes(b"\x05\x17\x17show version")) != ""
    assert terminal.session._editor.text == "show version"
    terminal.bytes(b"\r")
    terminal.bytes(b"\x1b[A")
    assert terminal.session._editor.text == "show version"
    terminal.bytes(b"\x15")
    out = terminal.type("show version | match UNIT | count")
    assert "1 lines" in out
    out = terminal.type("show version | except unit | no-more")
    assert "software" in out
    assert "unit:" not in out
    assert "show version" in terminal.type("history")
    assert "console.syntax" in terminal.type("show version | frobnicate")
    assert terminal.defects == []


def test_pager_dumb_terminal_and_long_lines(terminal: Terminal) -> None:
    terminal.log_in("anna")
    out = terminal.type("terminal length 12\nhelp")
    assert out.endswith("--More--")
    assert terminal.bytes(b"\r").count("\r\n") == 1
    assert "--More--" in terminal.bytes(b" ")
    assert terminal.bytes(b"q").endswith("alpr-edge> ")
    assert "--More--" not in terminal.type("help | no-more")
    # Three hundred letters scroll sideways on one row; each key costs little.
    sizes = [len(terminal.bytes(b"x")) for _ in range(300)]
    assert terminal.session._editor.text == "x" * 300
    assert sum(sizes) < 1500
    assert sorted(sizes)[270] == 1
    assert len(shown("alpr-edge> " + terminal.screen.rpartition("alpr-edge> ")[2])) <= 80
    terminal.bytes(b"\x15")
    terminal.type("terminal dumb")
    assert terminal.bytes(b"y" * 300) == "y" * 300
    assert terminal.bytes(b"\x7f") == "\b \b"
    assert terminal.bytes(b"\x1b[D") == "\a"
    terminal.bytes(b"\x15")
    assert "--More--" not in terminal.type("help")
    assert "kind: dumb" in terminal.type("show terminal")
    terminal.type("terminal full\nterminal length 0")
    assert "--More--" not in terminal.type("help")


def test_idle_and_unplugged_lines_are_locked(terminal: Terminal) -> None:
    terminal.log_in("anna")
    terminal.type("configure")
    terminal.type(FIRST)
    terminal.clocks.pass_s(299)
    assert terminal.tick() == ""
    terminal.clocks.pass_s(2)
    assert "locked" in terminal.tick()
    assert terminal.screen.endswith("login: ")
    assert terminal.session._editor.history == []
    # Another person does not find the candidate; the same one does.
    terminal.log_in("sam")
    assert terminal.screen.endswith("alpr-edge> ")
    terminal.type("logout")
    terminal.log_in("anna")
    terminal.type("configure")
    terminal.type(FIRST)
    terminal.session.unplugged()
    assert terminal.seat.user is None
    assert terminal.bytes(b"show status\r").count("phase") == 0
    terminal.type("\n\n")
    out = terminal.log_in("anna")
    assert "your candidate is still here" in out
    assert terminal.screen.endswith("alpr-edge# ")


def test_calibration_by_questions(terminal: Terminal) -> None:
    terminal.log_in("anna")
    out = terminal.type(
        "calibrate\ncam-1\n?\nnonsense\n1920x1080\n23 ±0.5\nback\n23 ±0.5\n"
        "-118.2437 34.0522 ±0.5\n4.6 ±0.05\nmeasured\n355.7 ±3\n-12.7 ±1\n0 ±1"
    )
    assert "As `run` sees it" in out
    assert "placement.calibration.answer" in out
    assert terminal.unit.done == ["calibration"]
    assert "left; nothing is kept" in terminal.type("calibrate\nstop")
    assert terminal.bytes(b"calibrate\r\x03").endswith("alpr-edge> ")


def test_reads_need_a_supervisor_and_a_reason(terminal: Terminal) -> None:
    terminal.unit.waiting = [
        {"captured_at": "2026-11-24T08:00:00Z", "plate": "7ABC123", "confidence": 0.99}
    ]
    terminal.log_in("anna")
    assert "console.not_allowed" in terminal.type("show reads")
    terminal.type("logout")
    terminal.log_in("sam")
    assert "console.reason" in terminal.type("show reads\nx")
    assert terminal.unit.accesses == []
    out = terminal.type("show reads count 5\nstolen vehicle, case seven")
    assert "7ABC123" in out
    assert terminal.unit.accesses == [("sam", "stolen vehicle, case seven")]


def test_a_configuration_is_pasted_with_its_signature(terminal: Terminal) -> None:
    terminal.log_in("anna")
    lines = base64.encodebytes(b"[device]\n" * 40).decode().strip()
    out = terminal.type(f"load configuration\n{lines}\n\n{base64.b64encode(b'sig').decode()}\n")
    out += terminal.type("a new broker")
    assert "bytes: 360" in out
    assert terminal.unit.parcels[Parcel.CONFIG].startswith(b"[device]")
    assert "console.paste" in terminal.type("load configuration\n\n")


def test_factory_reset_and_reboot_ask_twice(terminal: Terminal) -> None:
    terminal.log_in("anna")
    terminal.type("reboot\nno")
    assert terminal.unit.done == []
    terminal.type("reboot\nyes")
    assert terminal.unit.done == ["reboot"]
    terminal.type("logout")
    terminal.log_in("sam")
    terminal.type("factory-reset\nother-unit")
    assert terminal.unit.done == ["reboot"]
    terminal.type(f"factory-reset\nunit-1\n{PASSWORD}\n000000")
    assert terminal.unit.done == ["reboot"]
    terminal.clocks.pass_s(120)
    terminal.type(f"factory-reset\nunit-1\n{PASSWORD}")
    terminal.type(terminal.code("sam"))
    assert terminal.unit.done == ["reboot", "factory-reset"]
    assert terminal.seat.user is None


def test_a_defect_of_a_command_is_a_line_and_shows_nothing(terminal: Terminal) -> None:
    terminal.log_in("anna")

    def broken() -> dict[str, object]:
        raise RuntimeError("7ABC123")

    terminal.unit.health = broken  # type: ignore[method-assign]
    out = terminal.type("show health")
    assert "console.defect" in out
    assert "7ABC123" not in out
    assert [str(one) for one in terminal.defects] == ["7ABC123"]
    assert terminal.screen.endswith("alpr-edge> ")


def test_what_is_pasted_is_refused_with_a_reason(terminal: Terminal) -> None:
    terminal.log_in("anna")
    assert "console.paste" in terminal.type("commit signed\n???\n")
    assert "trust.envelope.invalid" in terminal.type('commit signed\n{"a": 1}\n')
    other = sign(DocumentType.ORDER, {"a": 1}, CITY).decode().strip()
    assert "trust.signature.type" in terminal.type(f"commit signed\n{other}\n")
    assert terminal.bytes(b"commit signed\rabc\r\x03").endswith("alpr-edge> ")


def test_a_command_of_the_other_mode_says_where_it_is_to_be_had(terminal: Terminal) -> None:
    terminal.log_in("anna")
    for line in ("compare", "sh draft", "set mask door points 0,0 1,0 1,1", "edit mask door"):
        assert "is for configure mode (configure)" in terminal.type(line)
    out = terminal.type("help commit | no-more")
    assert "in configure mode" in out
    assert "commit [confirmed <minutes>]" in out
    assert "in configure mode" in terminal.type("help rollback")
    assert "configure mode" not in terminal.type("nonsense")
    terminal.type("configure")
    assert "test self is not for configure mode (exit)" in terminal.type("test self")
    assert "console.not_allowed" not in terminal.screen
    assert "since: 2026-01-01T" in terminal.type("show login")


def test_the_pager_counts_rows_of_the_screen(terminal: Terminal) -> None:
    terminal.log_in("anna")
    terminal.type("terminal width 20\nterminal length 6")
    out = terminal.type("show login")
    # The key takes several rows of twenty columns.
    assert out.endswith("--More--")
    rows = [line for line in out.split("\r\n")[1:-1] if line]
    assert sum(-(-len(line) // 20) for line in rows) <= 5
    out = terminal.bytes(b" ")
    assert "ed25519:" in out
    assert out.endswith("alpr-edge> ")


def test_numbers_are_shown_as_exactly_as_they_were_measured() -> None:
    # A ten-thousandth of a degree is eleven metres.
    assert lay_out({"at": [-118.2437123, 34.0], "sum": 0.1 + 0.2}) == [
        "at:",
        "  - -118.2437123",
        "  - 34",
        "sum: 0.3",
    ]
