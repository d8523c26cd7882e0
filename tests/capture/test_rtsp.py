"""RTSP against Debian's gst-rtsp-server, which each test starts and kills by itself."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

import pytest
from tests.capture.rtsp_camera import RtspCamera, a_free_port

from alpr_edge.capture.live import LiveOptions, LiveSource
from alpr_edge.capture.rtsp import public_name, rtsp_source, with_credentials
from alpr_edge.errors import CaptureError

QUICK = LiveOptions(backoff_min_s=0.1, backoff_max_s=0.4)
ONCE = LiveOptions(backoff_min_s=0.05, give_up_after=1)


@pytest.fixture
def camera(system_python_with_rtsp: str) -> Iterator[RtspCamera]:
    camera = RtspCamera(system_python_with_rtsp, a_free_port())
    yield camera
    camera.kill()


def wait_for(condition: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def failure(source: LiveSource) -> CaptureError:
    with pytest.raises(CaptureError) as caught:
        next(source)
    source.close()
    return caught.value


@pytest.mark.rtsp
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_come_at_the_cameras_pace(
    camera: RtspCamera, transport: Literal["tcp", "udp"]
) -> None:
    camera.start("--size", "640x360")
    source = rtsp_source(camera.url, transport=transport, options=LiveOptions(size=(640, 360)))
    frames = list(islice(source, 8))
    source.close()
    assert all(frame.image.shape == (360, 640, 3) for frame in frames)
    assert all(frame.image.std() > 20 for frame in frames), "the test pattern has colours"
    # What FFmpeg buffered while it opened must not come out as one burst.
    lasted_s = (frames[-1].taken_ns - frames[0].taken_ns) / 1e9
    assert lasted_s > 0.6 * 7 / 15
    assert source.counters.last_error_code is None


@pytest.mark.rtsp
def test_comes_back_after_the_camera_was_killed(
    camera: RtspCamera, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera.start()
    source = rtsp_source(camera.url, read_timeout_s=2, options=QUICK)
    before = list(islice(source, 3))
    camera.kill()
    wait_for(lambda: source.counters.last_error_code is not None)
    assert not source.counters.connected
    wait_for(lambda: source.counters.last_error_code == "capture.rtsp.refused")
    camera.start()
    deadline = time.monotonic() + 20
    after = []
    for frame in source:
        after.append(frame)
        if source.counters.reconnects and len(after) > 10:
            break
        assert time.monotonic() < deadline
    source.close()
    assert source.counters.reconnects == 1
    assert after[-1].sequence > before[-1].sequence
    assert after[-1].taken_ns > before[-1].taken_ns
    assert "frames are coming" in caplog.text
    assert "again in" in caplog.text


@pytest.mark.rtsp
def test_end_of_stream_is_a_loss_like_any_other(camera: RtspCamera) -> None:
    camera.start("--frames", "60")
    source = rtsp_source(camera.url, read_timeout_s=1, options=QUICK)
    assert list(islice(source, 3))
    wait_for(lambda: source.counters.last_error_code == "capture.rtsp.lost")
    source.close()


@pytest.mark.rtsp
def test_a_stream_of_another_size_is_refused(camera: RtspCamera) -> None:
    camera.start()
    err = failure(rtsp_source(camera.url, options=LiveOptions(size=(640, 480), give_up_after=1)))
    assert err.code == "capture.size"
    assert "320 x 240" in err.message


@pytest.mark.rtsp
def test_user_name_and_password(
    camera: RtspCamera, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    camera.start("--user", "eye one", "--password", "s3:cr@t/")
    url = with_credentials(camera.url, "eye one", "s3:cr@t/")
    source = rtsp_source(url, options=ONCE)
    frame = next(source)
    source.close()
    assert frame.source == source.name == f"rtsp://127.0.0.1:{camera.port}"
    err = failure(rtsp_source(with_credentials(camera.url, "eye one", "wr0ng"), options=ONCE))
    assert err.code == "capture.rtsp.unauthorized"
    printed = capfd.readouterr()
    for shown in (caplog.text, str(err), repr(err), printed.out, printed.err):
        assert "eye" not in shown
        assert "s3" not in shown
        assert "wr0ng" not in shown


@pytest.mark.rtsp
def test_wrong_path(camera: RtspCamera, capfd: pytest.CaptureFixture[str]) -> None:
    camera.start()
    err = failure(rtsp_source(camera.url.replace("/cam", "/nothing"), options=ONCE))
    assert err.code == "capture.rtsp.not_found"
    assert err.hint
    assert capfd.readouterr().err == ""


def test_refused_port_backs_off_and_never_gives_up() -> None:
    source = rtsp_source(f"rtsp://u:pw@127.0.0.1:{a_free_port()}/x?password=pw", options=QUICK)

    def watch() -> None:
        wait_for(lambda: source.counters.last_error_code == "capture.rtsp.refused")
        time.sleep(0.5)
        source.stop()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert list(source) == []  # still trying until it is stopped
    watcher.join()
    assert source.counters.last_error_code == "capture.rtsp.refused"
    assert "pw" not in source.name
    source.close()


def test_refused_port_gives_up_where_it_was_told_to() -> None:
    began = time.monotonic()
    err = failure(
        rtsp_source(
            f"rtsp://127.0.0.1:{a_free_port()}/x",
            options=LiveOptions(backoff_min_s=0.2, give_up_after=3),
        )
    )
    assert err.code == "capture.rtsp.refused"
    assert time.monotonic() - began >= 0.1 + 0.2  # two pauses, at least half of 0.2 and 0.4


def test_unknown_host() -> None:
    assert failure(rtsp_source("rtsp://camera.invalid/x", options=ONCE)).code == (
        "capture.rtsp.unknown_host"
    )


def test_a_server_that_never_answers_does_not_hold_up_stop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        source = rtsp_source(f"rtsp://127.0.0.1:{port}/x", open_timeout_s=1, options=QUICK)
        asked: list[float] = []

        def stop() -> None:
            time.sleep(0.3)
            asked.append(time.monotonic())
            source.stop()

        threading.Thread(target=stop).start()
        assert list(source) == []
        source.close()
        assert time.monotonic() - asked[0] < 2.0
        wait_for(lambda: source._reader is None or not source._reader.is_alive())


@pytest.mark.parametrize(
    "url",
    ["", "http://h/x", "rtsp://", "rtsp:///x", "rtsp://h:99999/x", "rtsp://[::1/x", "rtsp://h/\n"],
)
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(CaptureError) as caught:
        rtsp_source(url)
    assert caught.value.code == "capture.rtsp.url"
    assert len(url) < 8 or url not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://u:p@cam.local/live?user=u&password=p", "rtsp://cam.local:554"),
        ("rtsp://cam:8554/user=u_password=p", "rtsp://cam:8554"),
        ("rtsps://u@[fe80::1]/x", "rtsps://[fe80::1]:322"),
    ],
)
def test_public_name_shows_scheme_host_and_port_only(url: str, shown: str) -> None:
    assert public_name(url) == shown


@pytest.mark.parametrize(
    ("user", "password", "url"),
    [
        (None, None, "rtsp://h:1/x?y"),
        ("u", None, "rtsp://u@h:1/x?y"),
        ("a/b", "p@:ü", "rtsp://a%2Fb:p%40%3A%C3%BC@h:1/x?y"),
    ],
)
def test_with_credentials(user: str | None, password: str | None, url: str) -> None:
    assert with_credentials("rtsp://h:1/x?y", user, password) == url
