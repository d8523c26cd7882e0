"""Edge: a satellite receiver by way of gpsd, over TCP on this machine or another."""

from __future__ import annotations

import contextlib
import socket

from alpr_edge.capture.gnss import LiveGnss
from alpr_edge.capture.gpsd_json import WATCH, GpsdFixes
from alpr_edge.errors import CaptureError


class _GpsdLine:
    def __init__(self, host: str, port: int) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout=5.0)
            self._socket.sendall(WATCH)
            self._socket.settimeout(0.5)
        except OSError as err:
            raise CaptureError(
                f"gpsd at {host}:{port} does not answer: {err}",
                code="capture.gnss.gpsd",
                hint="check that gpsd runs: systemctl status gpsd",
            ) from err

    def read(self) -> bytes:
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return b""
        except OSError as err:
            raise CaptureError(f"gpsd is gone: {err}", code="capture.gnss.lost") from err
        if not data:
            raise CaptureError("gpsd closed the connection", code="capture.gnss.lost")
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()


def gpsd_gnss(host: str = "127.0.0.1", port: int = 2947) -> LiveGnss:
    """A receiver that gpsd serves; survives its restarts."""
    return LiveGnss(lambda: _GpsdLine(host, port), GpsdFixes, name=f"gpsd {host}:{port}")
