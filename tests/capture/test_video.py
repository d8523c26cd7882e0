"""Video files and folders as sources."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.capture.playback import PlaybackOptions, PlaybackSource
from alpr_edge.capture.still import StillSource
from alpr_edge.capture.video import folder_source, video_file_source
from alpr_edge.errors import CaptureError


def write_video(path: Path, *, frames: int = 10, fps: float = 20.0, codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((48, 64, 3), 20 * index % 256, np.uint8))
    writer.release()
    return path


def write_photos(folder: Path, count: int, *, width: int = 64) -> None:
    folder.mkdir(exist_ok=True)
    for index in range(count):
        picture = np.full((48, width, 3), 30 + index, np.uint8)
        cv2.imwrite(str(folder / f"{index:03}.png"), picture)


def failure(source: PlaybackSource) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        next(source)
    with pytest.raises(StopIteration):
        next(source)
    assert source.counters.last_error_code == caught.value.code
    return caught.value


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v")]
)
def test_every_frame_once_at_the_files_own_times(tmp_path: Path, name: str, codec: str) -> None:
    source = video_file_source(write_video(tmp_path / name, codec=codec))
    frames = list(source)
    assert [f.sequence for f in frames] == list(range(10))
    shades = [int(f.image.mean()) for f in frames]
    assert all(abs(shade - 20 * i) < 6 for i, shade in enumerate(shades)), shades
    steps = np.diff([f.taken_ns for f in frames]) / 1e9
    assert np.allclose(steps, 1 / 20, atol=2e-3), steps
    lasted = frames[-1].captured_at - frames[0].captured_at
    assert abs(lasted - timedelta(seconds=9 / 20)) < timedelta(milliseconds=5)
    assert not source.counters.connected
    assert source.counters.dropped == 0


def test_another_rate(tmp_path: Path) -> None:
    frames = list(video_file_source(write_video(tmp_path / "a.mp4"), fps=5))
    assert np.allclose(np.diff([f.taken_ns for f in frames]) / 1e9, 1 / 5)


def test_realtime_takes_the_recordings_time(tmp_path: Path) -> None:
    source = video_file_source(
        write_video(tmp_path / "a.mp4", frames=8), options=PlaybackOptions(realtime=True)
    )
    began = time.monotonic()
    frames = list(source)
    assert time.monotonic() - began >= 7 / 20
    assert all(f.taken_ns <= time.monotonic_ns() for f in frames)


def test_loop_goes_on_in_time(tmp_path: Path) -> None:
    source = video_file_source(
        write_video(tmp_path / "a.mp4", frames=5), options=PlaybackOptions(loop=True)
    )
    frames = [next(source) for _ in range(13)]
    source.close()
    assert [f.sequence for f in frames] == list(range(13))
    assert np.allclose(np.diff([f.taken_ns for f in frames]) / 1e9, 1 / 20, atol=2e-3)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.write_bytes(b""), "unplayable"),
        (lambda path: path.write_bytes(os.urandom(5000)), "unplayable"),
        (
            lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n"),
            "unplayable",
        ),
        (lambda path: path.mkdir(), "not_a_file"),
        (lambda path: os.mkfifo(path), "not_a_file"),
        (lambda path: path.symlink_to(path), "unreadable"),
    ],
)
def test_what_is_no_video(
    tmp_path: Path, make: object, code: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp4"
    make(path)  # type: ignore[operator]
    err = failure(video_file_source(path))
    assert err.code == f"capture.video.{code}"
    assert err.hint
    assert capfd.readouterr().err == ""


def test_a_photo_or_an_address_is_not_a_video(tmp_path: Path) -> None:
    assert failure(video_file_source("rtsp://127.0.0.1/x")).code == "capture.video.missing"
    assert failure(video_file_source(tmp_path / "%03d.png")).code == "capture.video.missing"


def test_a_cut_off_file_gives_what_there_is_and_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", frames=100, codec="MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = video_file_source(path)
    frames = list(source)
    assert 10 < len(frames) < 90
    assert source.counters.last_error_code == "capture.video.broken"


def test_another_size_is_refused(tmp_path: Path) -> None:
    options = PlaybackOptions(size=(640, 480))
    source = video_file_source(write_video(tmp_path / "a.mp4"), options=options)
    assert failure(source).code == "capture.size"
    assert source.counters.dropped == 10


def test_a_folder_is_played_in_order_and_passes_over_what_is_broken(tmp_path: Path) -> None:
    write_photos(tmp_path, 5)
    (tmp_path / "002.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    (tmp_path / "notes.txt").write_text("no photo")
    source = folder_source(tmp_path, fps=4)
    frames = list(source)
    assert [int(f.image.mean()) for f in frames] == [30, 31, 33, 34]
    assert [f.sequence for f in frames] == [0, 1, 3, 4]
    assert np.allclose(np.diff([f.taken_ns for f in frames]) / 1e9, [0.25, 0.5, 0.25])
    assert source.counters.dropped == 1
    assert source.counters.last_error_code == "capture.photo.broken"


def test_a_folder_with_one_photo_loops_at_its_rate(tmp_path: Path) -> None:
    write_photos(tmp_path, 1)
    source = folder_source(tmp_path, fps=4, options=PlaybackOptions(loop=True))
    frames = [next(source) for _ in range(4)]
    source.close()
    assert np.allclose(np.diff([f.taken_ns for f in frames]) / 1e9, 0.25)


@pytest.mark.parametrize("kind", ["empty", "missing", "all_broken", "other_size"])
def test_a_folder_without_a_usable_photo_raises(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "photos"
    options = PlaybackOptions(loop=True, size=(64, 48))
    if kind != "missing":
        folder.mkdir()
    if kind == "all_broken":
        (folder / "a.jpg").write_bytes(b"\xff\xd8\xff")
    if kind == "other_size":
        write_photos(folder, 2, width=32)
    codes = {
        "empty": "capture.photo.missing",
        "missing": "capture.photo.missing",
        "all_broken": "capture.photo.broken",
        "other_size": "capture.size",
    }
    assert failure(folder_source(folder, options=options)).code == codes[kind]


def test_the_fake_is_deterministic() -> None:
    pictures = [np.full((8, 8, 3), i, np.uint8) for i in range(3)]
    runs = [list(StillSource(pictures, fps=4, repeat=2)) for _ in range(2)]
    assert len(runs[0]) == 6
    for one, other in zip(*runs, strict=True):
        assert (one.captured_at, one.taken_ns, one.sequence) == (
            other.captured_at,
            other.taken_ns,
            other.sequence,
        )
        assert np.array_equal(one.image, other.image)
        assert one.image is not other.image
    assert [f.taken_ns for f in runs[0]][:3] == [0, 250_000_000, 500_000_000]
