"""`alpr-edge-tech shell`, `pull` and `push` as programs, against a unit process."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street_process import LOG, PASSWORD, StreetProcess, street_process

from alpr_edge.host.cli import main
from alpr_edge.host.colours import Colours, colour
from alpr_edge.host.moving import Left
from alpr_edge.host.transcript import Transcript
from alpr_edge.simulator.serial_line import SerialLine

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SerialLine]:
    with SerialLine(tmp_path_factory.mktemp("line"), baud=0) as one:
        yield one


@pytest.fixture(scope="module")
def unit(line: SerialLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreetProcess]:
    with street_process(line.device, tmp_path_factory.mktemp("unit")) as one:
        yield one


def run(line: SerialLine, *args: str, keys: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alpr_edge.host.cli", *args, "--port", str(line.laptop)]
    return subprocess.run(
        command, input=keys, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_file_comes_and_one_goes(line: SerialLine, unit: StreetProcess, tmp_path: Path) -> None:
    out = tmp_path / "ledger"
    # Without --reason it is asked for first; a break later does not ask again.
    keys = f"yearly audit\n{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "pull", "log", "--user", "anna", "--out", str(out), keys=keys)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert out.read_bytes() == LOG
    assert out.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["ledger"]
    config = tmp_path / "device.toml"
    config.write_bytes(b"x = 1\n" * 50)
    keys = f"anna\n{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "push", "config", str(config), "--reason", "new broker", keys=keys)
    assert (done.returncode, done.stdout) == (0, "taken: bytes 300\n"), done.stderr


def test_what_the_unit_refuses_ends_with_three(
    line: SerialLine, unit: StreetProcess, tmp_path: Path
) -> None:
    record = tmp_path / "record.json"
    record.write_text("{}")
    keys = f"{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "push", "masks", "--user", "anna", str(record), keys=keys)
    assert done.returncode == 3
    assert "[trust." in done.stderr
    keys = f"{PASSWORD}\n{unit.code('vera')}\n"
    pull = ("pull", "log", "--user", "vera", "--out", str(tmp_path / "log"))
    done = run(line, *pull, "--reason", "because I may not", keys=keys)
    assert done.returncode == 3
    assert "console.not_allowed" in done.stderr


def test_half_a_file_is_gone_on_with(line: SerialLine, unit: StreetProcess, tmp_path: Path) -> None:
    import hashlib
    import json

    out = tmp_path / "ledger"
    # The half that is there is not asked for again, as the wrong byte in it shows.
    (tmp_path / "ledger.part").write_bytes(b"X" + LOG[1:5000])
    note = tmp_path / "ledger.part.json"
    note.write_text(json.dumps({"sha256": hashlib.sha256(LOG).hexdigest()}))
    pull = ("pull", "log", "--user", "anna", "--out", str(out), "--reason", "yearly audit")
    done = run(line, *pull, keys=f"{PASSWORD}\n{unit.code('anna')}\n")
    assert done.returncode == 1
    assert "host.file.damaged" in done.stderr
    assert not note.exists()
    done = run(line, *pull, keys=f"{PASSWORD}\n{unit.code('anna')}\n")
    assert done.returncode == 0
    assert out.read_bytes() == LOG


def test_the_shell_on_a_terminal(line: SerialLine, unit: StreetProcess, tmp_path: Path) -> None:
    """Login, the laptop's line with completions of both, a file, and what the transcript holds."""
    master, slave = os.openpty()
    transcript = tmp_path / "visit.log"
    command = [sys.executable, "-m", "alpr_edge.host.cli", "shell", "--port", str(line.laptop)]
    command += ["--transcript", str(transcript)]
    shown = b""

    def until(text: str) -> None:
        nonlocal shown
        deadline = time.monotonic() + 45
        while text.encode() not in shown:
            assert time.monotonic() < deadline, shown[-2000:]
            if select.select([master], [], [], 0.2)[0]:
                shown = re.sub(rb"\x1b\[[?0-9;]*[A-Za-z]", b"", shown + os.read(master, 4096))
        shown = shown[shown.index(text.encode()) + len(text) :]

    environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    program = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
    )
    try:
        until("Ctrl-]")
        os.write(master, b"\r")
        until("login: ")
        os.write(master, b"anna\r")
        until("password: ")
        os.write(master, f"{PASSWORD}\r".encode())
        until("code: ")
        os.write(master, f"{unit.code('anna')}\r".encode())
        until("alpr-edge> ")
        os.write(master, b"\x1d")
        until("laptop>")
        os.write(master, b"sh\t")
        until("show")
        os.write(master, b" mas\t")
        until("masks")
        os.write(master, b"\r")
        until("premises")
        os.write(master, b"\x1d")
        until("laptop>")
        os.write(master, f"pull log {tmp_path / 'a log'}\r".encode())
        until("reason")
        os.write(master, b"yearly audit\r")
        until(f"{len(LOG)} bytes")
        os.write(master, b"\x1d")
        until("laptop>")
        os.write(master, b"quit\r")
        assert program.wait(60) == 0
    finally:
        program.kill()
        program.wait()
        os.close(master)
        os.close(slave)
    assert (tmp_path / "a log").read_bytes() == LOG
    kept = transcript.read_text()
    for text in ("login: anna", "anna, technician", "alpr-edge> sh", "premises"):
        assert text in kept
    assert PASSWORD not in kept
    assert "\x1b[3" not in kept
    assert f"pull log {tmp_path / 'a log'}" in kept
    assert transcript.stat().st_mode & 0o777 == 0o600


def test_colours_change_nothing_but_colour() -> None:
    shown = colour(b"alpr-edge> nonsense\r\n[console.command.unknown] no such command\r\n")
    assert b"\x1b[1;36malpr-edge> \x1b[0m" in shown
    assert b"\x1b[31m[console.command.unknown]\x1b[0m" in shown


SAID = (
    b"alpr-edge> show status\r\nphase: reading\r\n[console.x.y] refused\r\nin force\r\nalpr-edge# "
)


@given(st.lists(st.integers(1, 12), max_size=60))
@settings(deadline=None)
def test_colours_do_not_hang_on_how_a_slow_line_cuts_the_text(cuts: list[int]) -> None:
    colours, out, at = Colours(), b"", 0
    for length in cuts:
        out += colours.feed(SAID[at : at + length])
        at += length
    out += colours.feed(SAID[at:]) + colours.flush()
    assert out == colour(SAID)
    assert re.sub(rb"\x1b\[[0-9;]*m", b"", out) == SAID


@given(st.binary(max_size=80), st.integers(0, 80))
@settings(deadline=None)
def test_colours_lose_nothing(data: bytes, cut: int) -> None:
    colours = Colours()
    out = colours.feed(data[:cut]) + colours.feed(data[cut:]) + colours.flush()
    assert re.sub(rb"\x1b\[(?:1;3[56]|3[123]|0)m", b"", out) == re.sub(
        rb"\x1b\[(?:1;3[56]|3[123]|0)m", b"", data
    )


def test_a_transcript_holds_no_secret_and_no_plate(tmp_path: Path) -> None:
    path = tmp_path / "visit.log"
    path.write_text("an older visit\n")
    path.chmod(0o644)
    transcript = Transcript(path, "port at 9600 baud")
    said = (
        "First-boot secret of this unit: k7dm-2xqv\r\n"
        "Second factor: scan this with an authenticator app (Ctrl-C and again: a new one).\r\n"
        "##  ##\r\nor type it in: JBSWY3DPEHPK3PXP\r\n\r\n"
        "Recovery codes, each good once\r\n  abcd-efgh\r\n\r\n"
        "code that the app shows now: 123456\r\n"
        "password of ben for the first login: hxr4-m2pk\r\n"
        "2026-11-24T06:10:00Z  7ABC123  0.97\r\n"
        '{"captured_at": "2026-11-24T06:10:00Z", "plate": "7ABC123", "confidence": 0.97}\r\n'
        "phase: reading\r\nalpr-edge> "
    )
    for byte in said.encode():
        transcript.write(bytes((byte,)))
    transcript.close()
    kept = path.read_text()
    for secret in ("k7dm", "JBSW", "abcd-", "##", "hxr4", "7ABC123"):
        assert secret not in kept
    for text in (
        "an older visit",
        "9600 baud",
        "first login: [not kept]",
        "phase: reading",
        "0.97",
    ):
        assert text in kept
    assert kept.endswith("alpr-edge> \n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_time_left_begins_with_the_lines_rate_and_learns() -> None:
    now = [0.0]
    left = Left(9600, lambda: now[0])
    assert 40 < left.seconds(0, 32_000) < 60
    now[0] = 10.0
    assert left.seconds(8_000, 32_000) == pytest.approx(30.0)
    assert left.words(8_000, 32_000) == "7 of 32 KiB, 30 s left"
    # What was there after a break took no time.
    again = Left(9600, lambda: now[0])
    assert again.seconds(16_000, 32_000) < 30
    now[0] = 20.0
    assert again.seconds(24_000, 32_000) == pytest.approx(10.0)
    assert left.words(9_000, 3_200_000).endswith("min left")


def test_a_transcript_that_cannot_be_written_is_said(
    line: SerialLine, unit: StreetProcess, tmp_path: Path
) -> None:
    done = run(line, "shell", "--transcript", str(tmp_path / "no" / "visit.log"), keys="")
    assert done.returncode == 1
    assert "host.file.unwritable" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_masked_picture_is_fetched_as_a_file(
    line: SerialLine, unit: StreetProcess, tmp_path: Path
) -> None:
    out = tmp_path / "pole 7.jpg"
    keys = f"{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "pull", "still", "--user", "anna", "--out", str(out), keys=keys)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(b"\xff\xd8")


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "config", "--port", "/nonexistent"]) == 1
    assert "host.port.unusable" in capsys.readouterr().err


def test_help_has_examples_and_usage_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("shell", "pull", "push", "studio"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert "examples:" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["pull", "everything"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 0
    assert "alpr-edge-tech" in capsys.readouterr().out
