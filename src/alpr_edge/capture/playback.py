"""Edge: pictures that lie ready (a video file, a folder), played as a `FrameSource`.

`video` says what is played; here are time, pace, size check and counting. Rules:

- Frames carry the recording's time: the first is taken when it is read, the others follow at their
  distance in the recording, however fast they are read. Trackers and holds see the recording's own
  seconds. Without `realtime` these times run ahead of the clock.
- Every frame is delivered; none is dropped for being late.
- A picture that is unusable is counted, logged and passed over. A recording without a single usable
  picture raises the last trouble.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from alpr_edge.capture.port import SourceCounters
from alpr_edge.errors import CaptureError
from alpr_edge.types import Frame, Image

_log = logging.getLogger(__name__)
_SLICE_S = 0.05
"""How long a wait may overlook `stop`."""

Reel = Generator[tuple[float, Image | CaptureError], None, float]
"""Seconds from the beginning, and the picture or why there is none; at its end, its length."""


@dataclass(frozen=True, slots=True)
class PlaybackOptions:
    """How a recording is played.

    Attributes:
        realtime: wait for each frame's time, as a camera would.
        loop: begin again at the end; times go on.
        size: width and height that every frame must have, or None for any.
    """

    realtime: bool = False
    loop: bool = False
    size: tuple[int, int] | None = None


class PlaybackSource:
    """A recording as a `FrameSource`. `open_reel` begins it anew each time it is called."""

    def __init__(self, name: str, open_reel: Callable[[], Reel], options: PlaybackOptions) -> None:
        self._name = name
        self._open_reel = open_reel
        self._options = options
        self._counters = SourceCounters()
        self._stopping = False
        self._reel: Reel | None = None
        self._usable = 0  # in this pass
        self._captured = 0
        self._offset_s = 0.0
        self._last_error: CaptureError | None = None
        self._began: tuple[datetime, int] | None = None
        self._last_ns = -1

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
        while not self._stopping:
            if self._reel is None:
                self._reel = self._open_reel()
            try:
                position_s, picture = next(self._reel)
            except StopIteration as end:
                self._rewind(length_s=end.value)
                continue
            except CaptureError as err:
                self._note(err, dropped=0)
                self.stop()
                raise
            picture = self._checked(picture)
            if isinstance(picture, CaptureError):
                self._note(picture, dropped=1)
                self._captured += 1
                continue
            return self._frame(position_s, picture)
        self._end()
        raise StopIteration

    def stop(self) -> None:
        """See `FrameSource`. Takes no lock: a plain flag that every wait looks at."""
        self._stopping = True

    def close(self) -> None:
        """See `FrameSource`. Call it from the thread that iterates."""
        self.stop()
        self._end()

    def _frame(self, position_s: float, image: Image) -> Frame:
        self._usable += 1
        captured_at, taken_ns = self._stamp(self._offset_s + position_s)
        if self._options.realtime:
            self._wait_until(taken_ns)
            if self._stopping:
                self._end()
                raise StopIteration
        self._counters = replace(self._counters, frames=self._counters.frames + 1, connected=True)
        self._captured += 1
        return Frame(image, self._name, self._captured - 1, captured_at, taken_ns)

    def _stamp(self, position_s: float) -> tuple[datetime, int]:
        if self._began is None:
            self._began = (
                datetime.now(UTC) - timedelta(seconds=position_s),
                time.monotonic_ns() - round(position_s * 1e9),
            )
        began_at, began_ns = self._began
        # Broken recordings repeat time stamps; ours never do.
        self._last_ns = max(began_ns + round(position_s * 1e9), self._last_ns + 1)
        return began_at + timedelta(microseconds=(self._last_ns - began_ns) // 1000), self._last_ns

    def _wait_until(self, due_ns: int) -> None:
        while not self._stopping and (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
            time.sleep(min(left_s, _SLICE_S))

    def _checked(self, picture: Image | CaptureError) -> Image | CaptureError:
        wanted = self._options.size
        if isinstance(picture, CaptureError) or wanted is None:
            return picture
        height, width = picture.shape[:2]
        return picture if (width, height) == wanted else size_error(self._name, picture, wanted)

    def _rewind(self, *, length_s: float) -> None:
        """The reel has ended: begin again or end for good."""
        self._reel = None
        if self._usable == 0 and self._last_error is not None:
            self.stop()
            raise self._last_error
        if not self._options.loop or self._usable == 0:
            self.stop()
        self._offset_s += length_s
        self._usable = 0

    def _note(self, err: CaptureError, *, dropped: int) -> None:
        _log.warning("%s: %s", self._name, err)
        self._last_error = err
        self._counters = replace(
            self._counters,
            dropped=self._counters.dropped + dropped,
            last_error_code=err.code,
        )

    def _end(self) -> None:
        if self._reel is not None:
            self._reel.close()
            self._reel = None
        self._counters = replace(self._counters, connected=False)


def size_error(name: str, image: Image, wanted: tuple[int, int]) -> CaptureError:
    """A frame of another size than the masks were commissioned for (N3)."""
    height, width = image.shape[:2]
    return CaptureError(
        f"{name} gives {width} x {height} pixels, not {wanted[0]} x {wanted[1]}",
        code="capture.size",
        hint="set the camera's resolution, or source.width and source.height",
    )
