"""`send` and `receive`: in memory, and a plain terminal program's sx and rx over a real line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.console.console_samples import CITY, Terminal
from tests.console.line_client import Technician, make_unit, process

from alpr_edge.console.armour import unarmour
from alpr_edge.console.channel.transfer import Transfer
from alpr_edge.console.channel.xmodem import Receiver, Sender
from alpr_edge.console.device import Parcel, Still
from alpr_edge.simulator.serial_line import SerialLine
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    one = Terminal(tmp_path / "console")
    one.log_in("anna")
    return one


def drive(terminal: Terminal, other: Transfer) -> str:
    """A program at the laptop's end, until it is over; what the unit says then."""
    to_unit, rest = other.tick(), b""
    for _ in range(5000):
        if other.is_over:
            break
        sent = b"".join(terminal.session.feed(to_unit)) if to_unit else b""
        sent += b"".join(terminal.session.tick())
        to_unit, rest = other.feed(sent)
        to_unit += other.tick()
    assert other.is_over
    said = rest.decode() + terminal.bytes(to_unit)
    return said + "".join(terminal.tick() for _ in range(60))


def receiver() -> tuple[Receiver, list[bytes]]:
    got: list[bytes] = []

    def take(data: bytes) -> bytes:
        got.append(data)
        return b""

    return Receiver(take), got


def test_a_file_goes_out_and_its_length_and_digest_are_told(terminal: Terminal) -> None:
    data = b"[device]\nid = 'unit-1'\n" * 90
    terminal.unit.parcels[Parcel.CONFIG] = data
    out = terminal.type("send config")
    assert f"{len(data)} bytes: now have your program receive device.toml" in out
    # What is typed now is the program's: no command.
    other, got = receiver()
    out = drive(terminal, other)
    assert got[0].rstrip(b"\x1a") == data
    assert hashlib.sha256(data).hexdigest() in out
    assert f"head -c {len(data)} FILE" in out
    assert out.endswith("alpr-edge> ")
    assert "anna" in terminal.type("show login")


def test_a_picture_goes_out_and_the_door_stays_open_meanwhile(terminal: Terminal) -> None:
    terminal.unit.picture = Still(b"\xff\xd8" + bytes(7000), 640, 360, "now", "d" * 64, True)
    assert "640x360, taken now, plates covered" in terminal.type("send picture")
    terminal.clocks.pass_s(290)
    terminal.bytes(b"C")
    terminal.clocks.pass_s(290)
    other, got = receiver()
    out = drive(terminal, other)
    assert got[0].startswith(b"\xff\xd8")
    assert out.endswith("alpr-edge> ")


def test_a_file_comes_in_with_its_signature(terminal: Terminal) -> None:
    assert "console.reason" in terminal.type("receive config\nshort")
    terminal.type("receive config\nanother broker")
    assert "device.toml.sig" in drive(terminal, Sender(b"[device]\n"))
    out = drive(terminal, Sender(b'{"signatures": []}'))
    assert terminal.unit.parcels[Parcel.CONFIG] == b"[device]\n"
    assert "bytes: 9" in out
    assert out.endswith("alpr-edge> ")


def test_a_file_that_is_no_text_comes_by_its_length(terminal: Terminal) -> None:
    data = bytes(range(256)) * 3 + b"\x1a\x1a"
    terminal.type(f"receive update size {len(data)}\nnew software")
    assert "update.bundle.sig" in drive(terminal, Sender(data))
    assert "bytes: 770" in drive(terminal, Sender(b'{"signatures": []}'))
    assert terminal.unit.moved == [(Parcel.UPDATE, "anna", "new software")]
    assert terminal.unit.parcels[Parcel.UPDATE] == data
    for wrong in (len(data) - 3, 2000):
        terminal.type(f"receive update size {wrong}\nnew software")
        assert "console.transfer" in drive(terminal, Sender(data))


@pytest.mark.parametrize("way", ["cancel", "ctrl-c", "silence", "unplugged", "locked"])
def test_what_breaks_off_moves_nothing(terminal: Terminal, way: str) -> None:
    terminal.unit.parcels[Parcel.MASKS] = b"{}"
    terminal.type("receive masks")
    if way == "cancel":
        out = terminal.bytes(b"\x18\x18")
        assert "the sender gave up" in out
    elif way == "ctrl-c":
        out = terminal.bytes(b"\x03")
        assert "left by hand" in out
        terminal.type("send masks")
        assert "left by hand" in terminal.bytes(b"\x03")
    elif way == "silence":
        out = "".join(terminal.tick() for _ in range(30 * 25))
        assert "nothing came" in out
    elif way == "unplugged":
        terminal.bytes(b"\x01\x01\xfe half a block")
        terminal.session.unplugged()
        assert terminal.bytes(b"\r").endswith("login: ")
        assert terminal.seat.user is None
        return
    else:
        terminal.clocks.pass_s(301)
        assert terminal.tick().endswith("login: ")
        # Nothing of the transfer is left that could be gone on with.
        assert "alpr-edge>" not in drive(terminal, Sender(b"{}"))
        return
    assert "console.transfer" in out
    assert out.endswith("alpr-edge> ")
    assert terminal.unit.records == []


@pytest.mark.timeout(300)
def test_sx_and_rx_of_a_plain_terminal_program(tmp_path: Path) -> None:
    if shutil.which("sx") is None or shutil.which("rx") is None:
        pytest.skip("needs lrzsz: apt-get install lrzsz")
    unit = make_unit(tmp_path)
    arguments = ("console", "--config", str(unit.config))
    with (
        SerialLine(tmp_path, baud=115_200) as line,
        Technician(line.laptop) as person,
        process(*arguments, "--port", str(line.device)),
    ):
        person.until("login: ")
        person.log_in(unit, "anna")
        person.send("send config\r")
        person.until("Ctrl-X twice\r\n")
        lrzsz(["rx", "-c", "-b", "-q", "got"], tmp_path, line.laptop)
        out = person.until("alpr-edge> ")
        wanted = unit.config.read_bytes()
        assert hashlib.sha256(wanted).hexdigest() in out
        assert (tmp_path / "got").read_bytes()[: len(wanted)] == wanted
        # A record that was signed elsewhere comes in the same way, and is judged the same way.
        person.ask("configure")
        person.ask("add mask door rectangle 0.2,0.2 0.6,0.6")
        draft = person.ask("show draft reason elsewhere | no-more")
        record = tmp_path / "record.json"
        record.write_bytes(signed(draft))
        person.send("exit\r")
        person.until("yes or no: ")
        person.send("no\r")
        person.until("alpr-edge> ")
        person.send("receive masks\r")
        person.until("Ctrl-X twice\r\n")
        lrzsz(["sx", "-b", "-q", "record.json"], tmp_path, line.laptop)
        assert "number: 1" in person.until("alpr-edge> ")
        assert '"number": 1' in person.ask("show masks | json")


def signed(shown: str) -> bytes:
    body = shown[shown.index("-----BEGIN") : shown.rindex("-----") + 5]
    return sign(DocumentType.MASK_RECORD, json.loads(unarmour(body)), CITY)


def lrzsz(command: list[str], folder: Path, port: Path) -> None:
    """The program on the laptop's end of the line, as a terminal program starts it."""
    wire = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=wire, stdout=wire, stderr=subprocess.PIPE, timeout=120
        )
        assert done.returncode == 0, done.stderr
    finally:
        os.close(wire)


def test_noise_holds_no_session_open(terminal: Terminal) -> None:
    terminal.type("receive masks")
    for _ in range(301):
        terminal.clocks.pass_s(1)
        terminal.bytes(b"x")
        terminal.tick()
    assert terminal.session._sitting.seat.user is None
