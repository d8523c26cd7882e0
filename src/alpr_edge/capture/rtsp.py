"""Edge: a network camera over RTSP (FFmpeg through OpenCV).

It opens the stream; `live` reads and reconnects. Rules:

- RTP travels inside the TCP connection unless told otherwise: over UDP, lost packets smear.
- User name and password are in the address that FFmpeg gets and nowhere else. Names, errors and
  logs show scheme, host and port only, because cameras also take passwords in path and query.
  FFmpeg's own messages stay off; OPENCV_FFMPEG_LOGLEVEL or OPENCV_FFMPEG_DEBUG in the environment
  bring them back, with the address in them.
- OpenCV says only that a stream did not open. The cause is then asked for with one `DESCRIBE`,
  without credentials.
"""

from __future__ import annotations

import re
import socket
import time
from typing import Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import cv2

from alpr_edge.capture.live import LiveOptions, LiveSource, Stream
from alpr_edge.capture.opencv import OpenCvStream, ffmpeg_options, quiet_opencv
from alpr_edge.errors import CaptureError

DEFAULT_PORT: Final = {"rtsp": 554, "rtsps": 322}
"""Source: RFC 7826, section 21.1."""
_MAX_BACKLOG: Final = 300
"""Frames skipped at most: five seconds, FFmpeg's longest examination, at 60 a second."""
_PROTOCOLS: Final = "rtsp,rtsps,rtp,rtcp,udp,tcp,tls,crypto"
_STATUS_LINE: Final = re.compile(rb"RTSP/\d\.\d (\d{3})")
_HINTS: Final = {
    "url": "an address looks like rtsp://10.0.0.5:554/stream",
    "unknown_host": "check the host name and the unit's DNS",
    "refused": "check the port, and that RTSP is switched on in the camera",
    "unreachable": "check the cable, the address and the network",
    "unauthorized": "check user name and password, then the path",
    "not_found": "check the path of the address; cameras name it in their manual",
    "no_stream": "check the camera's codec (H.264, H.265 or MJPEG) and the transport",
    "lost": "it is tried again by itself",
}


def rtsp_source(
    url: str,
    *,
    transport: Literal["tcp", "udp"] = "tcp",
    open_timeout_s: float = 5.0,
    read_timeout_s: float = 5.0,
    options: LiveOptions = LiveOptions(),  # noqa: B008, frozen
) -> LiveSource:
    """A network camera. Opens nothing yet.

    Codes in the counters: `capture.rtsp.unknown_host`, `.refused`, `.unreachable`, `.unauthorized`,
    `.not_found`, `.no_stream`, `.lost`, `capture.size`.

    Raises:
        CaptureError: `capture.rtsp.url`, the address is not one.
    """
    name = public_name(url)

    def open_stream() -> Stream:
        quiet_opencv()
        with ffmpeg_options(rtsp_transport=transport, protocol_whitelist=_PROTOCOLS):
            capture = cv2.VideoCapture(
                url,
                cv2.CAP_FFMPEG,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    round(open_timeout_s * 1000),
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    round(read_timeout_s * 1000),
                ],
            )
        if not capture.isOpened():
            capture.release()
            raise _error(*_diagnose(url, open_timeout_s), name)
        return _CaughtUpStream(capture)

    return LiveSource(
        name, open_stream, lost=lambda: _error("lost", "the stream ended", name), options=options
    )


class _CaughtUpStream(OpenCvStream):
    """Begins with the first frame that had to be waited for.

    FFmpeg buffers while it examines a new stream: about two seconds of frames then come at once, in
    a few milliseconds, and would all seem to have been taken now.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        super().__init__(capture)
        self._caught_up = False

    def grab(self) -> bool:
        """See `live.Stream`."""
        if self._caught_up:
            return super().grab()
        self._caught_up = True
        rate = self.stated_fps()
        nominal_ms = 1000 / rate if 1 <= rate <= 200 else 5.0
        last_ms = 0.0
        for _ in range(_MAX_BACKLOG):
            began = time.monotonic()
            if not super().grab():
                return False
            waited_ms = (time.monotonic() - began) * 1000
            at_ms = self.position_ms()
            # The first time stamps are often all zero: then the stated rate counts.
            step_ms = at_ms - last_ms if at_ms > last_ms else nominal_ms
            if 2 * waited_ms >= step_ms:
                return True
            last_ms = at_ms
        return True


def with_credentials(url: str, username: str | None, password: str | None) -> str:
    """The address with user name and password in it, escaped. For `rtsp_source` only."""
    if not username:
        return url
    parts = urlsplit(url)
    user = quote(username, safe="")
    secret = f":{quote(password, safe='')}" if password is not None else ""
    return urlunsplit(parts._replace(netloc=f"{user}{secret}@{parts.netloc.rpartition('@')[2]}"))


def public_name(url: str) -> str:
    """Scheme, host and port of an address: what logs and errors may show.

    Raises:
        CaptureError: `capture.rtsp.url`.
    """
    scheme, host, port = _address(url)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _address(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.scheme in DEFAULT_PORT and host and port != 0 and url.isprintable():
            return parts.scheme, host, port or DEFAULT_PORT[parts.scheme]
    raise CaptureError(
        "the camera's address is not an RTSP address",
        code="capture.rtsp.url",
        hint=_HINTS["url"],
    )


def _diagnose(url: str, timeout_s: float) -> tuple[str, str]:
    """Why a stream does not open: the code's ending and a phrase."""
    scheme, host, port = _address(url)
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            if scheme == "rtsps":
                return "no_stream", "the camera answers, but gives no stream"
            connection.settimeout(timeout_s)
            bare = urlunsplit(urlsplit(url)._replace(netloc=public_name(url).partition("//")[2]))
            request = f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
            connection.sendall(request.encode("utf-8", "replace"))
            status = _STATUS_LINE.match(connection.recv(64))
    except socket.gaierror:
        return "unknown_host", "the host name is unknown"
    except ConnectionRefusedError:
        return "refused", "the port is closed"
    except OSError:  # time-outs, no route, reset
        return "unreachable", "the camera does not answer"
    code = int(status[1]) if status else 0
    if code == 401:
        return "unauthorized", "the camera refuses the user name or password"
    if code == 404:
        return "not_found", "the camera has no stream at this path"
    return "no_stream", "the camera answers, but gives no stream"


def _error(kind: str, detail: str, name: str) -> CaptureError:
    return CaptureError(f"{name}: {detail}", code=f"capture.rtsp.{kind}", hint=_HINTS[kind])
