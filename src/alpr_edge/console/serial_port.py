"""Edge: the console's serial port (pyserial), in a thread of its own.

Survives being unplugged at any byte: the port is opened again as soon as it is there, whoever was
logged in is out, and nothing that goes wrong here reaches the thread that reads plates. A line
without a modem's wires cannot tell that its cable is gone; there the five minutes of `seat` do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import Final, Literal

import serial

from alpr_edge.console.session import Session
from alpr_edge.errors import ConsoleError

_log = logging.getLogger(__name__)
Flow = Literal["none", "rtscts", "xonxoff"]
BAUDS: Final = (9600, 19200, 38400, 57600, 115_200, 230_400, 460_800, 921_600)
_TICK_S: Final = 0.1
_AGAIN_S: Final = 0.5
_WRITE_S: Final = 10.0
"""A write that waits longer (flow control, a gadget that nobody reads) counts as unplugged."""
_READ_BYTES: Final = 4096


class SerialConsole:
    """A session on a serial port; `run` serves it, `stop` ends that from another thread.

    Args:
        device: path of the port.
        make_session: called once, and again after a defect.
    """

    def __init__(
        self,
        device: str | os.PathLike[str],
        make_session: Callable[[], Session],
        *,
        baud: int = 115_200,
        flow: Flow = "none",
    ) -> None:
        self._device, self._make_session = os.fspath(device), make_session
        self._baud, self._flow = baud, flow
        self._stopping = threading.Event()
        self._wake_out, self._wake_in = os.pipe()
        self._told = ""

    def open_once(self) -> None:
        """Whether the port can be used at all: for who names it on a command line.

        Raises:
            ConsoleError: `console.port`.
        """
        try:
            self._open().close()
        except OSError as err:
            raise ConsoleError(
                f"the port {self._device} cannot be opened: {_why(err)}",
                code="console.port",
                hint="check cable, name and permissions (group dialout), and who else has it open",
            ) from err

    def run(self) -> None:
        """Serve until `stop`. Never raises."""
        session = self._make_session()
        while not self._stopping.is_set():
            try:
                self._serve(session)
            except OSError as err:
                self._tell(_why(err))
            except Exception as err:  # noqa: BLE001 - outermost loop: a defect costs the session
                # The text of an unforeseen error might quote what was typed: its type is told.
                _log.error("the console failed", extra={"type": type(err).__name__})
                with contextlib.suppress(Exception):
                    session.unplugged()
                session = self._make_session()
            self._stopping.wait(_AGAIN_S)
        session.unplugged()

    def stop(self) -> None:
        """End `run` soon. Safe from another thread."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            os.write(self._wake_in, b"x")

    def close(self) -> None:
        """Give back what `stop` needs; after `run` has ended."""
        for descriptor in (self._wake_out, self._wake_in):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _serve(self, session: Session) -> None:
        """One time plugged in.

        Raises:
            OSError: it was unplugged.
        """
        with self._open() as port:
            self._tell("")
            try:
                _write(port, session.open())
                carried = False
                while not self._stopping.is_set():
                    ready, _, _ = select.select([port.fileno(), self._wake_out], [], [], _TICK_S)
                    if port.fileno() in ready:
                        _write(port, session.feed(port.read(_READ_BYTES)))
                    _write(port, session.tick())
                    carries = _carrier(port)
                    if carried and not carries:
                        session.unplugged()
                    carried = carries
            finally:
                session.unplugged()

    def _open(self) -> serial.Serial:
        try:
            return serial.Serial(
                self._device,
                self._baud,
                timeout=0,
                write_timeout=_WRITE_S,
                rtscts=self._flow == "rtscts",
                xonxoff=self._flow == "xonxoff",
                exclusive=True,
            )
        except ValueError as err:
            raise OSError(f"not a serial port: {err}") from err

    def _tell(self, trouble: str) -> None:
        """Once a change: a port that stays away fills no log."""
        if trouble != self._told:
            self._told = trouble
            if trouble:
                _log.warning("console port", extra={"port": self._device, "why": trouble})


class ConsoleRoom:
    """The console as a room of the service: a thread that starts and ends with it."""

    def __init__(self, console: SerialConsole) -> None:
        self._console = console
        self._thread = threading.Thread(target=console.run, name="console", daemon=True)

    def start(self) -> None:
        """Begin to serve the port."""
        self._thread.start()

    def close(self) -> None:
        """Log out whoever is there, and end."""
        self._console.stop()
        if self._thread.is_alive():
            self._thread.join(_WRITE_S + 1)
        if not self._thread.is_alive():
            self._console.close()


def _write(port: serial.Serial, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        port.write(piece)


def _carrier(port: serial.Serial) -> bool:
    """Whether the line says that the other side is there; False where it has no such wire."""
    try:
        return bool(port.cd)
    except OSError:
        return False


def _why(err: OSError) -> str:
    return err.strerror or str(err)
