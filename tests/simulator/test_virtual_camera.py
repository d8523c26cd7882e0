"""The street as a frame source and as a video file."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.contracts.test_frame_source import FrameSourceContract

from alpr_edge.capture.port import FrameSource
from alpr_edge.errors import AlprEdgeError
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.simulator.video_file import write_video
from alpr_edge.simulator.virtual_camera import START, StreetCamera

CONFIG = StreetConfig(seed=2, width_px=160, height_px=90, fps=10, duration_s=2, vehicles=3)


class TestStreetCameraContract(FrameSourceContract):
    @pytest.fixture
    def source(self) -> FrameSource:
        return StreetCamera(Street(replace(CONFIG, duration_s=60.0)), realtime=True)


def test_times_follow_the_street() -> None:
    camera = StreetCamera(Street(CONFIG), base_ns=1000)
    frames = list(camera)
    assert len(frames) == 20
    assert [frame.sequence for frame in frames] == list(range(20))
    assert frames[5].captured_at == START + timedelta(seconds=0.5)
    assert frames[5].taken_ns == 500_000_000 + 1000
    assert camera.seconds(frames[5].captured_at) == pytest.approx(0.5)
    assert not camera.counters.connected


def test_frames_are_those_of_the_street() -> None:
    street = Street(CONFIG)
    camera = StreetCamera(street)
    frame = next(islice(camera, 7, None))
    assert np.array_equal(frame.image, street.frame(7).image)
    assert [t.plate for t in camera.truth] == [t.plate for t in street.truth(0.7)]


def test_realtime_takes_its_time() -> None:
    camera = StreetCamera(Street(CONFIG), realtime=True)
    next(camera)
    began = time.monotonic()
    next(islice(camera, 4, None))
    assert time.monotonic() - began > 0.45


def test_refuses_a_naive_start() -> None:
    with pytest.raises(ValueError, match="aware"):
        StreetCamera(Street(CONFIG), start=START.replace(tzinfo=None))


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_video_with_its_truth(tmp_path: Path, suffix: str) -> None:
    street = Street(CONFIG)
    path = tmp_path / f"street{suffix}"
    truth = write_video(street, path)
    video = cv2.VideoCapture(str(path))
    count = 0
    while True:
        ok, image = video.read()
        if not ok:
            break
        drawn = street.frame(count).image
        assert np.abs(image.astype(int) - drawn).mean() < 12
        count += 1
    video.release()
    head, *lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert count == len(lines) == CONFIG.frame_count
    assert head["masks"]
    assert {v["plate"] for v in head["vehicles"]} == {s.plate for s in street.summary()}
    assert [line["frame"] for line in lines] == list(range(20))
    known = [v for line in lines for v in line["vehicles"]]
    assert {"corners", "position_m", "touches_premises"} <= set(known[0])


def test_a_video_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AlprEdgeError, match="no video file") as caught:
        write_video(Street(CONFIG), tmp_path / "street.gif")
    assert caught.value.code == "simulator.video"
    with pytest.raises(AlprEdgeError, match="cannot write"):
        write_video(Street(CONFIG), tmp_path / "missing" / "street.avi")
