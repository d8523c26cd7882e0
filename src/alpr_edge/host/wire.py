"""Edge: the serial port of the laptop (pyserial)."""

from __future__ import annotations

from typing import Final, Protocol

import serial

from alpr_edge.errors import ConsoleError

RATES: Final = (9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)


class LinkLost(ConsoleError):
    """The cable is out, or the unit fell silent."""

    code = "host.link.lost"


class Wire(Protocol):
    """Bytes to and from a unit."""

    def read(self) -> bytes:
        """What has come; waits a moment. Raises `LinkLost`."""
        ...

    def write(self, data: bytes) -> None:
        """Send. Raises `LinkLost`."""
        ...

    def close(self) -> None:
        """Let go of the port."""
        ...


class SerialWire:
    """A serial port, eight bits, no parity, one stop bit, no flow control.

    Raises:
        ConsoleError: `host.port.unusable`: it cannot be opened.
    """

    def __init__(self, port: str, baud: int = 115_200) -> None:
        try:
            self._serial = serial.Serial(port, baud, timeout=0.02, write_timeout=30)
        except (OSError, ValueError) as err:
            raise ConsoleError(
                f"the port {port} cannot be opened: {err}",
                code="host.port.unusable",
                hint="is the cable in, are you in the group dialout, is another program using it?",
            ) from err

    def read(self) -> bytes:
        """See `Wire.read`."""
        try:
            first = self._serial.read(1)
            return bytes(first + self._serial.read(self._serial.in_waiting)) if first else b""
        except (OSError, TypeError) as err:  # TypeError: closed by another thread meanwhile
            raise _lost(err) from err

    def write(self, data: bytes) -> None:
        """See `Wire.write`."""
        try:
            self._serial.write(data)
        except (OSError, TypeError) as err:
            raise _lost(err) from err

    def close(self) -> None:
        """See `Wire.close`."""
        self._serial.close()


def _lost(err: Exception) -> LinkLost:
    return LinkLost(f"the cable was unplugged ({err})", hint="plug it in and go on")
