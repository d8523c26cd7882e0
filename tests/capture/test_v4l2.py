"""V4L2 where there is no camera. Real ones: `hil_tests/`."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from alpr_edge.capture.live import LiveOptions
from alpr_edge.capture.v4l2 import v4l2_source
from alpr_edge.errors import CaptureError

ONCE = LiveOptions(give_up_after=1)


def code_for(device: str | Path) -> str:
    source = v4l2_source(device, size=(1280, 720), options=ONCE)
    with pytest.raises(CaptureError) as caught:
        next(source)
    source.close()
    assert caught.value.hint
    assert str(device) in caught.value.message
    return caught.value.code


def test_missing_device(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert code_for(tmp_path / "video9") == "capture.v4l2.missing"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_a_device_that_is_no_camera(device: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert code_for(device) == "capture.v4l2.not_a_camera"
    assert capfd.readouterr().err == ""


def test_what_is_no_device_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, file, pipe):
        assert code_for(path) == "capture.v4l2.not_a_device"


def test_waits_for_a_camera_to_be_plugged_in(tmp_path: Path) -> None:
    options = LiveOptions(backoff_min_s=0.05, backoff_max_s=0.1)
    source = v4l2_source(tmp_path / "video0", size=(640, 480), options=options)
    stopper = threading.Timer(0.5, source.stop)
    stopper.start()
    began = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - began < 2.5
    assert source.counters.last_error_code == "capture.v4l2.missing"
    source.close()
