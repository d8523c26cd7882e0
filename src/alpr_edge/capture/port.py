"""Port `FrameSource`: where frames come from. Its shipped fake is `still.StillSource`.

A source is an iterator. What every source promises (`tests/contracts/test_frame_source.py`):

- Each `Frame` carries a fresh image that nobody else holds: writable, C-contiguous, `(H, W, 3)`
  uint8 BGR. The mask may blank it in place.
- `captured_at` is an aware UTC time; `taken_ns` is monotonic: later frames have larger values.
- `sequence` grows; a gap means frames that were lost or dropped on the way to the caller.
- Nothing is opened before the first frame is asked for.
- `stop()` may be called from a signal handler or another thread, any number of times: it takes no
  lock, blocks on nothing, and makes the iterator end within two seconds.
- `close()` stops, frees the device and waits for the source's own threads (two seconds at most).
- A finite source ends with `StopIteration`. One that cannot begin raises `CaptureError` from
  `next`. A live source does not raise unless it was told to give up: it counts, logs and retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

from alpr_edge.types import Frame


@dataclass(frozen=True, slots=True)
class SourceCounters:
    """What happened so far.

    Attributes:
        frames: handed to the caller.
        dropped: captured but not handed over: a newer one came first, or it was unusable.
        reconnects: times a live source came back after its stream had been lost.
        last_error_code: code of the newest trouble, `None` while there was none.
        connected: frames are coming, as far as the source knows.
    """

    frames: int = 0
    dropped: int = 0
    reconnects: int = 0
    last_error_code: str | None = None
    connected: bool = False


class FrameSource(Protocol):
    """Frames in the order of capture."""

    @property
    def name(self) -> str:
        """For people and logs. Never holds a credential."""
        ...

    @property
    def counters(self) -> SourceCounters:
        """A snapshot; may be asked from any thread."""
        ...

    def __iter__(self) -> Self: ...

    def __next__(self) -> Frame:
        """The next frame.

        Raises:
            CaptureError: the source cannot begin or go on.
            StopIteration: it ended or was stopped.
        """
        ...

    def stop(self) -> None:
        """Ends the iteration soon. Safe in a signal handler."""
        ...

    def close(self) -> None:
        """Stops and frees everything. Safe to call twice; not from a signal handler."""
        ...
