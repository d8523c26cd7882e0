"""Port of satellite receivers, its shipped fake, and one thread that reads a real one.

`nmea` and `gpsd_json` make fixes of bytes and are pure; `gnss_serial` and `gpsd` open the line.
A source gives the newest fix and never waits: whoever asks judges its age (`exclusion.geofence`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from alpr_edge.capture.backoff import backoff_s
from alpr_edge.errors import CaptureError
from alpr_edge.types import GnssFix

_log = logging.getLogger(__name__)


class GnssSource(Protocol):
    """Port: a receiver that may come and go."""

    def newest(self) -> GnssFix | None:
        """The last fix; None before the first. The same one again until a newer comes."""
        ...

    def close(self) -> None:
        """Let the line go. May be called twice."""
        ...


class Decoder(Protocol):
    """Bytes in, fixes out."""

    def feed(self, data: bytes, taken_ns: int) -> list[GnssFix]: ...


class Line(Protocol):
    """An open line to a receiver."""

    def read(self) -> bytes:
        """Some bytes, or none after a moment.

        Raises:
            CaptureError: the line is lost.
        """
        ...

    def close(self) -> None: ...


class ScriptedGnss:
    """The shipped fake: gives the fixes of a list, each again until `step`."""

    def __init__(self, fixes: Iterable[GnssFix]) -> None:
        self._fixes = iter(fixes)
        self._newest: GnssFix | None = None

    def step(self) -> bool:
        """Go on to the next fix; False at the end."""
        following = next(self._fixes, None)
        self._newest = following or self._newest
        return following is not None

    def newest(self) -> GnssFix | None:
        """See `GnssSource`."""
        return self._newest

    def close(self) -> None:
        """See `GnssSource`."""


class LiveGnss:
    """Reads a line in a thread of its own and opens it anew when it is lost."""

    def __init__(
        self,
        open_line: Callable[[], Line],
        make_decoder: Callable[[], Decoder],
        *,
        name: str,
        longest_wait_s: float = 30.0,
    ) -> None:
        self._open, self._make = open_line, make_decoder
        self._name, self._longest_s = name, longest_wait_s
        self._newest: GnssFix | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"gnss {name}", daemon=True)
        self._thread.start()

    def newest(self) -> GnssFix | None:
        """See `GnssSource`."""
        return self._newest

    def close(self) -> None:
        """See `GnssSource`."""
        self._ended.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                line = self._open()
            except CaptureError as err:
                failures += 1
                self._tell(err, failures)
                self._wait(failures)
                continue
            try:
                # A new line begins in the middle of nothing: nothing of the old one counts.
                decoder = self._make()
                while not self._ended.is_set():
                    fixes = decoder.feed(line.read(), time.monotonic_ns())
                    if fixes:
                        self._newest, failures = fixes[-1], 0
            except CaptureError as err:
                failures += 1
                self._tell(err, failures)
                self._wait(failures)
            finally:
                line.close()

    def _wait(self, failures: int) -> None:
        chance = random.random()
        self._ended.wait(
            backoff_s(failures - 1, least_s=0.5, most_s=self._longest_s, chance=chance)
        )

    def _tell(self, err: CaptureError, failures: int) -> None:
        if failures in (1, 10, 100):
            _log.warning("receiver %s: %s", self._name, err, extra={"code": err.code})
