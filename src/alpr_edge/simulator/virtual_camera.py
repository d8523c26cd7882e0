"""Edge: the street as a camera, a `FrameSource` like any other.

Does: hands out a street's frames with the times a real camera would give them, and waits for those
times if asked to.
Does not: drop frames; a street that is drawn too slowly runs late.

Rules: `captured_at` is a fixed start plus the street's own seconds, so that two runs give the same
frames; `taken_ns` runs from `base_ns` in the same way. Only the waiting looks at a clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from alpr_edge.capture.port import SourceCounters
from alpr_edge.simulator.street import Street, StreetFrame, VehicleTruth
from alpr_edge.types import Frame

START: Final = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
_SLICE_S: Final = 0.05
"""How long a wait may overlook `stop`."""


class StreetCamera:
    """A street as a `FrameSource`.

    Args:
        realtime: wait for each frame's time, as a camera would.
        start: time of the first frame.
        base_ns: monotonic time of the first frame.
    """

    def __init__(
        self,
        street: Street,
        *,
        realtime: bool = False,
        start: datetime = START,
        base_ns: int = 0,
        name: str = "street",
    ) -> None:
        if start.tzinfo is None:
            raise ValueError("start must be an aware time")
        self.street = street
        self._realtime = realtime
        self._start = start
        self._base_ns = base_ns
        self._name = name
        self._frames: Iterator[StreetFrame] = street.frames()
        self._truth: tuple[VehicleTruth, ...] = ()
        self._counters = SourceCounters()
        self._began_s: float | None = None
        self._stopping = False

    @property
    def name(self) -> str:
        """See `FrameSource`."""
        return self._name

    @property
    def counters(self) -> SourceCounters:
        """See `FrameSource`."""
        return self._counters

    @property
    def truth(self) -> tuple[VehicleTruth, ...]:
        """What is true in the frame that was handed out last."""
        return self._truth

    def seconds(self, when: datetime) -> float:
        """The street's seconds at a frame's `captured_at`."""
        return (when - self._start).total_seconds()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        if self._stopping:
            self._counters = replace(self._counters, connected=False)
            raise StopIteration
        try:
            drawn = next(self._frames)
        except StopIteration:
            self._stopping = True
            self._counters = replace(self._counters, connected=False)
            raise
        if self._realtime:
            self._wait_until(drawn.time_s)
        self._truth = drawn.truth
        self._counters = replace(self._counters, frames=self._counters.frames + 1, connected=True)
        return Frame(
            image=drawn.image,
            source=self._name,
            sequence=drawn.number,
            captured_at=self._start + timedelta(seconds=drawn.time_s),
            taken_ns=self._base_ns + int(drawn.time_s * 1e9),
        )

    def stop(self) -> None:
        """See `FrameSource`. A plain flag that every wait looks at."""
        self._stopping = True

    def close(self) -> None:
        """See `FrameSource`."""
        self.stop()

    def _wait_until(self, time_s: float) -> None:
        if self._began_s is None:
            self._began_s = time.monotonic() - time_s
        while not self._stopping and (left_s := self._began_s + time_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _SLICE_S))
