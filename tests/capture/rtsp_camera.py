"""Starts and kills `rtsp_server.py`, the camera that the RTSP tests look at."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("rtsp_server.py")
NO_ENCODER = 3


def a_free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RtspCamera:
    """A camera on a port of 127.0.0.1. `start` and `kill` as the test needs."""

    python: str
    port: int
    arguments: tuple[str, ...] = ()
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def start(self, *more: str) -> None:
        """Returns when it listens."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self._process = subprocess.Popen(
                [self.python, str(SERVER), str(self.port), *self.arguments, *more],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin"},
                text=True,
            )
            assert self._process.stdout is not None
            if self._process.stdout.readline().strip() == "ready":
                return
            if self._process.wait(10) == NO_ENCODER:
                self.kill()
                pytest.skip("needs gstreamer1.0-plugins-{base,good,bad,ugly}: apt-get install them")
            self.kill()  # the port is still being freed
            time.sleep(0.2)
        raise AssertionError("gst-rtsp-server does not start")

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
