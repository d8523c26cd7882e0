"""Edge: a satellite receiver on a serial port (pyserial), NMEA 0183."""

from __future__ import annotations

import serial

from alpr_edge.capture.gnss import LiveGnss
from alpr_edge.capture.nmea import NmeaFixes
from alpr_edge.errors import CaptureError


class _SerialLine:
    def __init__(self, device: str, baud: int) -> None:
        try:
            self._port = serial.Serial(device, baud, timeout=0.5)
        except (serial.SerialException, ValueError, OSError) as err:
            raise CaptureError(
                f"the receiver {device} cannot be opened: {err}",
                code="capture.gnss.port",
                hint="check cable, name and permissions (group dialout)",
            ) from err

    def read(self) -> bytes:
        try:
            return self._port.read(max(1, min(self._port.in_waiting, 4096)))
        except (serial.SerialException, OSError, TypeError) as err:
            # pyserial raises TypeError when the port is closed under it.
            raise CaptureError(f"the receiver is gone: {err}", code="capture.gnss.lost") from err

    def close(self) -> None:
        self._port.close()


def serial_gnss(device: str, baud: int = 9600) -> LiveGnss:
    """A receiver on a serial port; survives being unplugged.

    Args:
        baud: NMEA 0183 has 4800; most receivers come with 9600 or 115200.
    """
    return LiveGnss(lambda: _SerialLine(device, baud), NmeaFixes, name=device)
