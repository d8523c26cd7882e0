"""The contract of `FrameSource`, on the shipped fake and on every adapter that needs no camera.

`hil_tests/` runs the same class on a real camera.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.capture.rtsp_camera import RtspCamera, a_free_port

from alpr_edge.capture.live import LiveOptions, LiveSource
from alpr_edge.capture.playback import PlaybackOptions
from alpr_edge.capture.port import FrameSource
from alpr_edge.capture.rtsp import rtsp_source
from alpr_edge.capture.still import StillSource
from alpr_edge.capture.video import folder_source, video_file_source
from alpr_edge.errors import CaptureError
from alpr_edge.types import Image

STOP_WITHIN_S = 2.0


def pictures(count: int, width: int = 64, height: int = 48) -> list[Image]:
    """Pictures that differ, bright enough to tell from a blanked one."""
    return [np.full((height, width, 3), 60 + 10 * i, np.uint8) for i in range(count)]


class FrameSourceContract:
    """Subclasses give a fixture `source` that has at least five frames and does not end by itself
    within the test."""

    def test_is_its_own_iterator_and_has_a_name(self, source: FrameSource) -> None:
        assert iter(source) is source
        assert source.name
        assert source.counters.frames == 0

    def test_frames_are_fresh_and_writable(self, source: FrameSource) -> None:
        frames = list(islice(source, 5))
        assert len(frames) == 5
        for frame in frames:
            assert frame.image.dtype == np.uint8
            assert frame.image.ndim == 3
            assert frame.image.shape[2] == 3
            assert frame.image.flags.c_contiguous
            assert frame.image.flags.writeable
            assert frame.source == source.name
        for one in frames:
            one.image[...] = 0
            assert all(f.image.any() for f in frames if f is not one), "frames share a buffer"
            one.image[...] = 1

    def test_time_and_number_only_grow(self, source: FrameSource) -> None:
        frames = list(islice(source, 5))
        for before, after in pairwise(frames):
            assert after.taken_ns > before.taken_ns
            assert after.captured_at >= before.captured_at
            assert after.sequence > before.sequence
        assert all(frame.captured_at.utcoffset() == timedelta(0) for frame in frames)
        assert all(frame.captured_at.tzinfo is UTC for frame in frames)

    def test_counts_what_it_hands_over(self, source: FrameSource) -> None:
        taken = len(list(islice(source, 3)))
        assert source.counters.frames == taken == 3
        assert source.counters.connected

    def test_stop_from_another_thread(self, source: FrameSource) -> None:
        next(source)
        asked: list[float] = []

        def stop() -> None:
            asked.append(time.monotonic())
            source.stop()

        stopper = threading.Timer(0.2, stop)
        stopper.start()
        for _ in source:
            pass
        stopper.join()
        assert time.monotonic() - asked[0] < STOP_WITHIN_S
        source.stop()
        assert list(source) == []

    def test_stop_from_a_signal_handler(self, source: FrameSource) -> None:
        next(source)
        asked: list[float] = []

        def handler(*_: object) -> None:
            asked.append(time.monotonic())
            source.stop()

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            for _ in source:
                pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert time.monotonic() - asked[0] < STOP_WITHIN_S

    def test_close_ends_it_for_good(self, source: FrameSource) -> None:
        next(source)
        began = time.monotonic()
        source.close()
        source.close()
        assert time.monotonic() - began < STOP_WITHIN_S
        for _ in range(2):
            with pytest.raises(StopIteration):
                next(source)

    def test_stop_before_the_first_frame(self, source: FrameSource) -> None:
        source.stop()
        with pytest.raises(StopIteration):
            next(source)
        assert source.counters.frames == 0


class TestStillSource(FrameSourceContract):
    @pytest.fixture
    def source(self) -> Iterator[FrameSource]:
        source = StillSource(pictures(5), repeat=10**9)
        yield source
        source.close()


class TestFolderSource(FrameSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[FrameSource]:
        for index, picture in enumerate(pictures(3)):
            cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        source = folder_source(tmp_path, options=PlaybackOptions(loop=True))
        yield source
        source.close()


class TestVideoFileSource(FrameSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Iterator[FrameSource]:
        path = tmp_path / "street.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
        for picture in pictures(4):
            writer.write(picture)
        writer.release()
        source = video_file_source(path, options=PlaybackOptions(loop=True, realtime=True))
        yield source
        source.close()


class _FakeStream:
    """A camera of 100 frames a second."""

    def __init__(self) -> None:
        self.shade = 50

    def grab(self) -> bool:
        time.sleep(0.01)
        return True

    def retrieve(self) -> Image | None:
        self.shade = 50 + (self.shade + 1) % 200
        return np.full((48, 64, 3), self.shade, np.uint8)

    def release(self) -> None:
        pass


class TestLiveSource(FrameSourceContract):
    @pytest.fixture
    def source(self) -> Iterator[FrameSource]:
        source = LiveSource(
            "fake camera", _FakeStream, lost=lambda: CaptureError("lost"), options=LiveOptions()
        )
        yield source
        source.close()


@pytest.fixture(scope="module")
def camera(system_python_with_rtsp: str) -> Iterator[RtspCamera]:
    camera = RtspCamera(system_python_with_rtsp, a_free_port())
    camera.start()
    yield camera
    camera.kill()


@pytest.mark.rtsp
class TestRtspSource(FrameSourceContract):
    @pytest.fixture
    def source(self, camera: RtspCamera) -> Iterator[FrameSource]:
        source = rtsp_source(camera.url)
        yield source
        source.close()
