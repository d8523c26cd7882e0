"""The shipped fake of `FrameSource`: pictures from memory, at given times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from alpr_edge.capture.port import SourceCounters
from alpr_edge.types import Frame, Image

_START = datetime(2026, 1, 1, tzinfo=UTC)


class StillSource:
    """Pictures in a given order, deterministic to the last bit: it asks no clock.

    Args:
        images: `(H, W, 3)` uint8 BGR; each frame gets a copy.
        fps: frames per second that they stand for.
        repeat: how often the row is played.
        start: time of the first frame; its monotonic time is 0.
    """

    def __init__(
        self,
        images: Sequence[Image],
        *,
        name: str = "still",
        fps: float = 10.0,
        repeat: int = 1,
        start: datetime = _START,
    ) -> None:
        if fps <= 0 or start.tzinfo is None:
            raise ValueError("fps must be positive and start an aware time")
        self._images = tuple(images)
        self._name = name
        self._fps = fps
        self._left = len(self._images) * repeat
        self._start = start
        self._counters = SourceCounters()
        self._stopping = False

    @property
    def name(self) -> str:
        """See `FrameSource`."""
        return self._name

    @property
    def counters(self) -> SourceCounters:
        """See `FrameSource`."""
        return self._counters

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        sequence = self._counters.frames
        if self._stopping or sequence >= self._left:
            self._counters = replace(self._counters, connected=False)
            raise StopIteration
        image = np.array(self._images[sequence % len(self._images)], np.uint8, order="C")
        after_ns = round(sequence * 1e9 / self._fps)
        captured_at = self._start + timedelta(microseconds=after_ns // 1000)
        self._counters = replace(self._counters, frames=sequence + 1, connected=True)
        return Frame(image, self._name, sequence, captured_at, after_ns)

    def stop(self) -> None:
        """See `FrameSource`."""
        self._stopping = True

    def close(self) -> None:
        """See `FrameSource`."""
        self.stop()
