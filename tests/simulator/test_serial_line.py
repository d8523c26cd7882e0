"""The cable of the simulator: rate, noise, unplugging."""

from __future__ import annotations

import time
from pathlib import Path

import serial

from alpr_edge.simulator.serial_line import Noise, SerialLine


def _open(path: Path) -> serial.Serial:
    return serial.Serial(str(path), timeout=30, write_timeout=30)


def test_bytes_pass_at_the_baud_rate_and_unharmed(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8
    with SerialLine(tmp_path, baud=19_200) as line:
        with _open(line.device) as device, _open(line.laptop) as laptop:
            began = time.monotonic()
            laptop.write(data)
            assert device.read(len(data)) == data
            took = time.monotonic() - began
            device.write(b"back")
            assert laptop.read(4) == b"back"
        assert line.passed == (4, len(data))
    # 2,048 bytes take 1.07 s at 19,200 baud; a busy machine may only be slower.
    assert took > 0.95


def test_noise_is_the_same_for_the_same_seed_and_hurts(tmp_path: Path) -> None:
    data = b"0123456789abcde\n" * 200
    noise = Noise(flip=0.01, drop=0.01, double=0.01, chatter=b"<log>\n", chatter_chance=0.5)
    found = []
    for _ in range(2):
        with (
            SerialLine(tmp_path, baud=0, noise=noise, seed=7) as line,
            _open(line.device) as device,
            _open(line.laptop) as laptop,
        ):
            device.write(data)
            device.write(b"\0" * 64)
            got = b""
            while got.count(0) < 40:
                got += laptop.read(max(1, laptop.in_waiting))
            found.append(got.partition(b"\0")[0])
    assert found[0] == found[1]
    assert found[0] != data
    assert found[0].count(b"<log>") > 50


def test_unplugged_at_a_byte_and_plugged_in_again(tmp_path: Path) -> None:
    with SerialLine(tmp_path, baud=0, noise=Noise(cut_after=100)) as line:
        with _open(line.device) as device, _open(line.laptop) as laptop:
            laptop.write(b"x" * 200)
            got = b""
            try:
                while data := device.read(1):
                    got += data
            except serial.SerialException:
                pass
        # What the receiver has not taken when the cable goes may go with it; no byte more arrives.
        assert got == b"x" * len(got)
        assert len(got) <= 100
        deadline = time.monotonic() + 30
        while line.is_plugged:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not line.laptop.exists()
        line.noise = Noise()
        line.plug()
        with _open(line.device) as device, _open(line.laptop) as laptop:
            device.write(b"again")
            assert laptop.read(5) == b"again"
