"""`alpr-edge-tech shell`, `pull` and `push` as programs, against a unit process."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from street_process import LOG, PASSWORD, StreetProcess, street_process

from alpr_edge.host.cli import main
from alpr_edge.host.shell import colour
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
    keys = f"{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "pull", "log", "--user", "anna", "--out", str(out), keys=keys)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert out.read_bytes() == LOG
    assert [p.name for p in tmp_path.iterdir()] == ["ledger"]
    config = tmp_path / "device.toml"
    config.write_bytes(b"x = 1\n" * 50)
    keys = f"anna\n{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "push", "config", str(config), keys=keys)
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
    done = run(line, "pull", "log", "--user", "vera", "--out", str(tmp_path / "log"), keys=keys)
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
    keys = f"{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "pull", "log", "--user", "anna", "--out", str(out), keys=keys)
    assert done.returncode == 1
    assert "host.file.damaged" in done.stderr
    assert not note.exists()
    keys = f"{PASSWORD}\n{unit.code('anna')}\n"
    done = run(line, "pull", "log", "--user", "anna", "--out", str(out), keys=keys)
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
                shown += os.read(master, 4096)
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
        os.write(master, f"pull log {tmp_path / 'log'}\r".encode())
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
    assert (tmp_path / "log").read_bytes() == LOG
    kept = transcript.read_text()
    for text in ("login: anna", "anna, technician", "alpr-edge> sh", "premises"):
        assert text in kept
    assert PASSWORD not in kept
    assert "\x1b[3" not in kept


def test_colours_change_nothing_but_colour() -> None:
    shown = colour(b"alpr-edge> nonsense\r\n[console.command.unknown] no such command\r\n")
    assert b"\x1b[1;36malpr-edge> \x1b[0m" in shown
    assert b"\x1b[31m[console.command.unknown]\x1b[0m" in shown


def test_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "log", "--port", "/nonexistent"]) == 1
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
