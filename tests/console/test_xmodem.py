"""XMODEM against itself on a bad line, against lrzsz over a real pty, and against noise."""

from __future__ import annotations

import os
import pty
import random
import select
import shutil
import subprocess
import time
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.console.channel.transfer import Transfer
from alpr_edge.console.channel.xmodem import Receiver, Sender, trim


def _run(sender: Sender, receiver: Receiver, chance: random.Random, error: float) -> None:
    """Both ends, the line between them, and time passing whenever nothing moves."""

    def spoil(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            roll = chance.random()
            if roll < error:
                byte ^= 1 << chance.randrange(8)
            elif roll < 2 * error:
                continue
            out.append(byte)
        return bytes(out)

    to_sender = to_receiver = b""
    for _ in range(50_000):
        if sender.is_over and receiver.is_over:
            return
        if to_sender or to_receiver:
            one, to_sender = to_sender, b""
            two, to_receiver = to_receiver, b""
            to_receiver += spoil(sender.feed(one)[0])
            to_sender += spoil(receiver.feed(two)[0])
        else:
            to_receiver += spoil(sender.tick())
            to_sender += spoil(receiver.tick())
    raise AssertionError("neither end gave up")


@given(st.binary(min_size=1, max_size=3000), st.integers(0, 1 << 30))
def test_over_a_sound_line(data: bytes, seed: int) -> None:
    got: list[bytes] = []
    sender, receiver = Sender(data), Receiver(lambda d: got.append(d) or b"")  # type: ignore[func-returns-value]
    _run(sender, receiver, random.Random(seed), 0.0)
    assert sender.failed == receiver.failed == ""
    assert got[0][: len(data)] == data
    assert set(got[0][len(data) :]) <= {0x1A}


@given(st.integers(0, 1 << 30), st.sampled_from([1e-4, 1e-3, 1e-2]))
def test_over_a_bad_line_it_is_the_file_or_nothing(seed: int, error: float) -> None:
    data = random.Random(seed).randbytes(2500)
    got: list[bytes] = []
    sender, receiver = Sender(data), Receiver(lambda d: got.append(d) or b"")  # type: ignore[func-returns-value]
    _run(sender, receiver, random.Random(seed + 1), error)
    assert all(one[: len(data)] == data for one in got) or receiver.failed
    if error <= 1e-4:
        assert len(got) == 1


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_noise_ends_nothing_badly(noise: list[bytes]) -> None:
    for transfer in (Sender(b"data"), Receiver(lambda data: b"")):
        for piece in noise:
            transfer.feed(piece)
            transfer.tick()
        for _ in range(20_000):
            if transfer.is_over:
                break
            transfer.tick()
        assert transfer.is_over
        assert transfer.feed(b"text") == (b"", b"text")


def test_filling_goes_off_text() -> None:
    assert trim(b"[device]\n\x1a\x1a\x1a") == b"[device]\n"


def _drive(transfer: Transfer, command: list[str], folder: Path) -> None:
    """Our end against a program that speaks on a pty."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        with (folder / "log").open("wb") as log:
            program = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=log)
            try:
                deadline = time.monotonic() + 60
                next_tick = 0.0
                while not (transfer.is_over and program.poll() is not None):
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    if time.monotonic() >= next_tick:
                        next_tick = time.monotonic() + 0.1
                        os.write(master, transfer.tick())
                    if select.select([master], [], [], 0.05)[0]:
                        got = os.read(master, 4096)
                        time.sleep(0.03)  # as a line would: lrzsz drops what comes at once
                        os.write(master, transfer.feed(got)[0])
                assert program.returncode == 0, (folder / "log").read_text()
            finally:
                program.kill()
                program.wait()
    finally:
        os.close(master)
        os.close(slave)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip("needs lrzsz: apt-get install lrzsz")
    return found


@pytest.mark.parametrize("size", [128, 5000])
def test_lrzsz_receives_what_we_send(tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    sender = Sender(data)
    _drive(sender, [_program("rx"), "-c", "-b", "-q", "got"], tmp_path)
    assert sender.failed == ""
    assert (tmp_path / "got").read_bytes()[:size] == data


@pytest.mark.parametrize("blocks", [[], ["-k"]])
def test_we_receive_what_lrzsz_sends(tmp_path: Path, blocks: list[str]) -> None:
    data = random.Random(7).randbytes(5000)
    (tmp_path / "file").write_bytes(data)
    got: list[bytes] = []
    receiver = Receiver(lambda d: got.append(d) or b"")  # type: ignore[func-returns-value]
    _drive(receiver, [_program("sx"), "-b", "-q", *blocks, "file"], tmp_path)
    assert receiver.failed == ""
    assert got[0][: len(data)] == data


@pytest.mark.parametrize("noise", [b"\x00", b"x", b"\x06", b"\x15", b"C", b"\x01", b"\x02\x01"])
@pytest.mark.parametrize("began", [False, True])
def test_noise_keeps_no_transfer_alive(noise: bytes, began: bool) -> None:
    """A byte a tick, for ever: each end gives up once nothing has gone on for two minutes."""
    sender, receiver = Sender(bytes(300)), Receiver(lambda _: b"")
    if began:
        receiver.feed(sender.feed(b"C")[0])
        assert receiver.moved == 1
    ends: list[Transfer] = [receiver]
    if noise != b"\x06":
        # What acknowledges every block moves the file, as far as a sender can know.
        ends.append(sender)
    for end in ends:
        moved = end.moved
        for _ in range(1300):
            end.tick()
            end.feed(noise)
            if end.is_over:
                break
        assert end.is_over
        assert end.failed
        assert end.moved - moved <= 1
