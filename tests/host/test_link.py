"""The laptop's end against a real unit process, over a cable that is slow, noisy and unplugged."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from street_process import LOG, StreetProcess, street_process

from alpr_edge.errors import ConsoleError
from alpr_edge.host.link import Link, UnitError
from alpr_edge.host.moving import fetch
from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.wire import LinkLost, SerialWire
from alpr_edge.simulator.serial_line import QUIET, Noise, SerialLine

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SerialLine]:
    with SerialLine(tmp_path_factory.mktemp("line"), baud=0) as one:
        yield one


@pytest.fixture(scope="module")
def unit(line: SerialLine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreetProcess]:
    with street_process(line.device, tmp_path_factory.mktemp("unit")) as one:
        yield one


def connect(line: SerialLine) -> RemoteUnit:
    deadline = time.monotonic() + 60
    while True:
        try:
            link = Link(SerialWire(str(line.laptop)), baud=115_200)
        except ConsoleError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            continue
        try:
            link.hello()
            return RemoteUnit(link)
        except LinkLost:
            link.close()
            assert time.monotonic() < deadline


def test_a_noisy_line_with_a_talking_kernel(line: SerialLine, unit: StreetProcess) -> None:
    line.noise = Noise(flip=2e-4, drop=1e-4, double=1e-4, chatter_chance=0.1)
    try:
        remote = connect(line)
        try:
            assert remote.login(*unit.login("anna")).level == "technician"
            assert remote.call("masks")["number"] == 1
            log = fetch(remote.link, remote.pull("log"))
            assert log == LOG
            config = np.random.default_rng(1).bytes(9_000)
            assert remote.push("config", config) == {"bytes": 9_000}
            assert fetch(remote.link, remote.pull("config")) == config
            assert remote.link.repeats > 0
            with pytest.raises(UnitError) as caught:
                remote.push("masks", b"no record")
            assert caught.value.code.startswith("trust.")
        finally:
            remote.link.bye()
            remote.link.close()
    finally:
        line.noise = QUIET


def test_unplugged_at_any_byte_nothing_is_lost_or_begun_anew(
    line: SerialLine, unit: StreetProcess
) -> None:
    """The cable goes after so many bytes, again and again, until a pull and a push are through."""
    kept = bytearray()
    log = b""
    data = np.random.default_rng(2).bytes(9_000)
    rounds, taken = 0, None
    try:
        for cut in (2000, 5000, 7_001, 9_456, None, None):
            rounds += 1
            line.noise = QUIET
            if not line.is_plugged:
                line.plug()
            remote = connect(line)
            try:
                remote.login(*unit.login("anna"))
                passed = sum(line.passed)
                line.noise = Noise(cut_after=None if cut is None else passed + cut)
                if not log:
                    log = fetch(remote.link, remote.pull("log"), bytes(kept), keep=kept.extend)
                taken = remote.push("config", data)
                break
            except LinkLost:
                assert cut is not None
            finally:
                remote.link.close()
        assert log == LOG
        assert taken == {"bytes": len(data)}
        assert rounds > 2
    finally:
        line.noise = QUIET
        if not line.is_plugged:
            line.plug()


def test_a_still_at_115200_takes_less_than_fifteen_seconds(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        SerialLine(tmp_path, baud=115_200) as line,
        street_process(line.device, tmp_path_factory.mktemp("unit")) as unit,
    ):
        remote = connect(line)
        try:
            remote.login(*unit.login("anna"))
            steps: list[tuple[int, int]] = []
            began = time.monotonic()
            picture = remote.still(640, progress=lambda done, size: steps.append((done, size)))
            took = time.monotonic() - began
            sys.stdout.write(f"640x360 still: {len(picture.jpeg)} bytes in {took:.1f} s\n")
            image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (360, 640, 3)
            assert picture.about["plates_blurred"] is True
            # Behind the mask there is nothing (JPEG may ring by a little at its edge).
            assert image[:60, :60].max() < 12
            assert steps[0][0] == 0
            assert steps[-1][0] == steps[-1][1] == len(picture.jpeg)
            # 15 s on a free machine; a loaded one may take longer to draw the street.
            assert took < 60
            assert len(picture.jpeg) < 15 * 115_200 / 10 / 1.5
        finally:
            remote.link.bye()
            remote.link.close()
