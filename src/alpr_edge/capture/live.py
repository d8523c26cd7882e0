"""Edge: a camera that is always on and may vanish, as a `FrameSource`.

A thread of its own reads the stream and keeps the newest frame; the caller takes it when ready.
`rtsp` and `v4l2` say how a stream is opened. Rules:

- An old frame is worth less than a new one: one that was not fetched is replaced, and counted.
- A lost stream is opened again after a growing pause, for ever, unless `give_up_after` is set.
- A frame of another size than the commissioned one is never handed over: the stream is then lost.
- Only the reader thread touches the stream: to release it while a read blocks in C crashes.
- `stop` only sets a flag. `threading.Event` and locks are not safe in a signal handler that
  interrupts the thread holding them, so waits look at the flag in short slices.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol, Self

from alpr_edge.capture.backoff import backoff_s
from alpr_edge.capture.playback import size_error
from alpr_edge.capture.port import SourceCounters
from alpr_edge.errors import CaptureError
from alpr_edge.types import Frame, Image

_log = logging.getLogger(__name__)
_SLICE_S: Final = 0.05
"""How long a wait may overlook `stop`."""
_JOIN_S: Final = 1.5
"""How long `close` waits for a reader that may be blocked in the driver."""
STEADY_S: Final = 5.0
"""A stream that lasted this long counts as recovered: the pause starts again from its least. A
camera that answers and dies at once keeps its long pause."""


class Stream(Protocol):
    """An open camera, in the shape of OpenCV's: take a frame, then convert it if it is wanted."""

    def grab(self) -> bool:
        """Waits for the next frame; false when the stream is lost."""
        ...

    def retrieve(self) -> Image | None:
        """The frame just taken, fresh: `(H, W, 3)` uint8 BGR."""
        ...

    def release(self) -> None:
        """Frees the camera."""
        ...


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a camera is kept.

    Attributes:
        size: width and height that every frame must have, or None for any.
        max_fps: frames per second to take at most, or None for all.
        backoff_min_s: the first pause before a new attempt.
        backoff_max_s: the longest.
        give_up_after: failed attempts in a row after which `next` raises, or None for never.
    """

    size: tuple[int, int] | None = None
    max_fps: float | None = None
    backoff_min_s: float = 0.5
    backoff_max_s: float = 30.0
    give_up_after: int | None = None


class LiveSource:
    """A camera as a `FrameSource`.

    Args:
        name: for people and logs; must hold no credential.
        open_stream: opens the camera or raises `CaptureError`; called by the reader thread.
        lost: makes the error for a stream that ended.
    """

    def __init__(
        self,
        name: str,
        open_stream: Callable[[], Stream],
        *,
        lost: Callable[[], CaptureError],
        options: LiveOptions,
    ) -> None:
        self._name = name
        self._open_stream = open_stream
        self._lost = lost
        self._options = options
        self._stopping = False
        self._news = threading.Condition(threading.RLock())
        self._newest: Frame | None = None
        self._failure: Exception | None = None
        self._counters = SourceCounters()
        self._captured = 0
        self._reader: threading.Thread | None = None

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
        if self._reader is None and not self._stopping:
            self._reader = threading.Thread(
                target=self._read_on, name=f"capture {self._name}", daemon=True
            )
            self._reader.start()
        with self._news:
            while not self._stopping:
                frame, self._newest = self._newest, None
                if frame is not None:
                    self._count(frames=1)
                    return frame
                if self._failure is not None:
                    self._stopping = True
                    raise self._failure
                self._news.wait(_SLICE_S)
        raise StopIteration

    def stop(self) -> None:
        """See `FrameSource`."""
        self._stopping = True

    def close(self) -> None:
        """See `FrameSource`. A reader blocked in the driver frees the camera when it wakes."""
        self.stop()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(_JOIN_S)

    def _is_stopping(self) -> bool:
        """The flag, asked in a way that lets type checkers know it may have changed."""
        return self._stopping

    def _read_on(self) -> None:
        """The reader thread: open, read until lost, pause, again."""
        attempt = 0
        try:
            while not self._stopping:
                began = time.monotonic()
                err = self._read_stream()
                if self._is_stopping():
                    break
                self._count(connected=False, last_error_code=err.code)
                attempt = 1 if time.monotonic() - began > STEADY_S else attempt + 1
                if self._options.give_up_after is not None and (
                    attempt >= self._options.give_up_after
                ):
                    self._fail(err)
                    break
                pause_s = backoff_s(
                    attempt - 1,
                    least_s=self._options.backoff_min_s,
                    most_s=self._options.backoff_max_s,
                    chance=random.random(),
                )
                _log.warning("%s; again in %.1f s", err, pause_s)
                self._pause(pause_s)
        except Exception as err:  # noqa: BLE001, the thread's outermost loop: `next` raises it
            self._fail(err)
        self._count(connected=False)

    def _read_stream(self) -> CaptureError:
        """Reads until the stream is lost or stopped, and says why."""
        try:
            stream = self._open_stream()
        except CaptureError as err:
            return err
        least_ns = int(1e9 / self._options.max_fps) if self._options.max_fps else 0
        due_ns = 0
        wanted = self._options.size
        try:
            while not self._stopping:
                if not stream.grab():
                    return self._lost()
                taken_ns, captured_at = time.monotonic_ns(), datetime.now(UTC)
                if taken_ns < due_ns:
                    continue
                due_ns = max(due_ns + least_ns, taken_ns)
                image = stream.retrieve()
                if image is None:
                    return self._lost()
                if wanted is not None and image.shape[1::-1] != wanted:
                    return size_error(self._name, image, wanted)
                self._offer(image, captured_at, taken_ns)
            return self._lost()
        finally:
            stream.release()

    def _offer(self, image: Image, captured_at: datetime, taken_ns: int) -> None:
        with self._news:
            if not self._counters.connected:
                if self._captured:
                    self._count(reconnects=1)
                self._count(connected=True)
                _log.info("%s: frames are coming", self._name)
            if self._newest is not None:
                self._count(dropped=1)
            self._newest = Frame(image, self._name, self._captured, captured_at, taken_ns)
            self._captured += 1
            self._news.notify()

    def _fail(self, err: Exception) -> None:
        with self._news:
            self._failure = err
            self._news.notify()

    def _pause(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while not self._stopping and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, _SLICE_S))

    def _count(
        self, *, frames: int = 0, dropped: int = 0, reconnects: int = 0, **values: Any
    ) -> None:
        with self._news:
            now = self._counters
            self._counters = replace(
                now,
                frames=now.frames + frames,
                dropped=now.dropped + dropped,
                reconnects=now.reconnects + reconnects,
                **values,
            )
