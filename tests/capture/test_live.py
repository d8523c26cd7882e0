"""Cameras that are always on: newest frame, loss, back-off, size. Streams here are scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.capture.backoff import backoff_s
from alpr_edge.capture.live import LiveOptions, LiveSource
from alpr_edge.errors import CaptureError
from alpr_edge.types import Image

LOST = CaptureError("gone", code="capture.test.lost")


class Script:
    """A stream that gives `count` frames, `pause_s` apart, and is then lost."""

    def __init__(self, count: int, *, pause_s: float = 0.0, width: int = 64) -> None:
        self.left, self.pause_s, self.width = count, pause_s, width
        self.released_by: str | None = None

    def grab(self) -> bool:
        time.sleep(self.pause_s)
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> Image | None:
        return np.full((48, self.width, 3), self.left % 256, np.uint8)

    def release(self) -> None:
        self.released_by = threading.current_thread().name


def source_of(streams: list[Script | CaptureError], **options: object) -> LiveSource:
    left = iter(streams)

    def open_stream() -> Script:
        one = next(left, LOST)
        if isinstance(one, CaptureError):
            raise one
        return one

    settled = LiveOptions(**{"backoff_min_s": 0.05, "backoff_max_s": 0.1, **options})  # type: ignore[arg-type]
    return LiveSource("camera", open_stream, lost=lambda: LOST, options=settled)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_slow_caller_gets_the_newest_frame_and_the_rest_is_counted() -> None:
    source = source_of([Script(10**6, pause_s=0.002)])
    first = next(source)
    time.sleep(0.3)
    second = next(source)
    source.close()
    assert second.sequence > first.sequence + 10
    assert source.counters.frames == 2
    assert source.counters.dropped >= second.sequence - first.sequence - 1
    assert time.monotonic_ns() - second.taken_ns < 5e9


def test_reconnects_for_ever_and_counts() -> None:
    refused = CaptureError("no", code="capture.test.refused")
    source = source_of(
        [refused, Script(30, pause_s=0.01), refused, refused, Script(10**6, pause_s=0.01)]
    )
    seen = []
    for frame in source:
        seen.append(frame)
        if source.counters.reconnects:
            break
    source.close()
    assert source.counters.reconnects == 1
    assert source.counters.last_error_code == "capture.test.refused"
    assert [f.sequence for f in seen] == sorted({f.sequence for f in seen})


def test_gives_up_when_told_to_and_says_why() -> None:
    source = source_of([LOST] * 10, give_up_after=2)
    with pytest.raises(CaptureError) as caught:
        next(source)
    assert caught.value is LOST
    with pytest.raises(StopIteration):
        next(source)
    source.close()


def test_a_camera_that_dies_at_once_keeps_its_pause() -> None:
    opened: list[float] = []

    def open_stream() -> Script:
        opened.append(time.monotonic())
        return Script(1)

    options = LiveOptions(backoff_min_s=0.1, backoff_max_s=10, give_up_after=4)
    source = LiveSource("camera", open_stream, lost=lambda: LOST, options=options)
    with pytest.raises(CaptureError):
        for _ in source:
            pass
    assert len(opened) == 4
    assert opened[3] - opened[0] >= 0.05 + 0.1 + 0.2


def test_another_size_is_never_handed_over() -> None:
    source = source_of([Script(50, width=32)], size=(64, 48), give_up_after=1)
    with pytest.raises(CaptureError) as caught:
        next(source)
    assert caught.value.code == "capture.size"
    assert source.counters.frames == 0


def test_takes_at_most_the_rate_that_was_asked() -> None:
    source = source_of([Script(10**6, pause_s=0.001)], max_fps=50.0)
    next(source)
    began = time.monotonic()
    for _ in range(10):
        next(source)
    lasted = time.monotonic() - began
    source.close()
    assert lasted > 0.8 * 10 / 50


def test_only_the_reader_releases_the_stream() -> None:
    stream = Script(10**6, pause_s=0.01)
    source = source_of([stream])
    next(source)
    source.close()
    wait_for(lambda: stream.released_by is not None)
    assert stream.released_by == "capture camera"
    wait_for(lambda: not source.counters.connected)


def test_a_defect_in_the_reader_surfaces_in_next() -> None:
    def open_stream() -> Script:
        raise RuntimeError("defect")

    source = LiveSource("camera", open_stream, lost=lambda: LOST, options=LiveOptions())
    with pytest.raises(RuntimeError, match="defect"):
        next(source)


@given(st.integers(0, 10_000), st.floats(0.01, 10), st.floats(0.01, 300), st.floats(0, 1))
def test_backoff_stays_in_its_bounds(
    attempt: int, least: float, most: float, chance: float
) -> None:
    wait = backoff_s(attempt, least_s=least, most_s=most, chance=chance)
    assert min(least, most) / 2 <= wait <= most
    assert wait <= backoff_s(attempt + 1, least_s=least, most_s=most, chance=chance)
