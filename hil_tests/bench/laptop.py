"""A technician's laptop on the unit's console: the unit's serial line as a port of this machine.

    with Laptop(wire) as laptop:
        run([device_python(), "…/fetch_still.py", "--port", laptop.port, …])

The programs on a laptop (`alpr_edge.host`) open a port; labgrid has it open already. So bytes are
carried between the two until it is closed.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from types import TracebackType

from hil_tests.bench.dialogue import Wire


class Laptop:
    """See the module's docstring.

    Attributes:
        port: for the laptop's programs.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=one, daemon=True) for one in (self._to_unit, self._from_unit)
        ]

    def __enter__(self) -> Laptop:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        os.close(self._master)
        os.close(self._slave)

    def _to_unit(self) -> None:
        while not self._over.is_set():
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self._wire.write(os.read(self._master, 4096))
                except (OSError, EOFError):
                    return

    def _from_unit(self) -> None:
        while not self._over.is_set():
            try:
                data = self._wire.read(0.1)
            except EOFError:
                return
            while data and not self._over.is_set():
                # A full buffer: nobody reads the laptop's port just now.
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._master, data) :]
                    continue
                self._over.wait(0.05)
