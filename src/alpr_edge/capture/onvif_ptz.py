"""Edge: asks a pan-tilt head by ONVIF where it points, again and again, in a thread of its own.

Fail closed: an answer counts for `PtzLimits.max_age_s` from when it was asked for, and all that the
head may have turned since is added to its error. Any failure ends what was known at once.
"""

from __future__ import annotations

import http.client
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from alpr_edge.capture.ptz import ACTION, MOST_BYTES, Login, answer, question
from alpr_edge.errors import CaptureError
from alpr_edge.types import HeadPosition

_log = logging.getLogger(__name__)
_HEADERS: Final = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{ACTION}"'}


@dataclass(frozen=True, slots=True)
class PtzLimits:
    """How the head is asked, and how long an answer holds; as of the section [site.head]."""

    every_s: float = 0.2
    timeout_s: float = 1.0
    max_age_s: float = 1.0
    turns_deg_per_s: float = 120.0
    error_deg: float = 1.0
    pan_range_deg: tuple[float, float] = (-180.0, 180.0)
    zero_deg: float = 0.0


class OnvifHead:
    """The newest position of one head.

    Args:
        url: of its PTZ service.
        profile: token of the media profile.
        credentials: user name and password; None without.
    """

    def __init__(
        self,
        url: str,
        profile: str,
        *,
        credentials: tuple[str | None, str | None] = (None, None),
        limits: PtzLimits | None = None,
    ) -> None:
        self._url, self._profile, self._credentials = urlsplit(url), profile, credentials
        self._limits = limits or PtzLimits()
        self._newest: tuple[float, float, int] | None = None
        self._failures = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ptz head", daemon=True)
        self._thread.start()

    def position(self, now_ns: int) -> HeadPosition | None:
        """See `ptz.HeadSource`."""
        newest = self._newest
        if newest is None:
            return None
        pan, tilt, asked_ns = newest
        age_s = (now_ns - asked_ns) / 1e9
        if not 0.0 <= age_s <= self._limits.max_age_s:
            return None
        error = self._limits.error_deg + self._limits.turns_deg_per_s * age_s
        return HeadPosition(pan + self._limits.zero_deg, tilt, error)

    def close(self) -> None:
        """See `ptz.HeadSource`."""
        self._ended.set()
        self._thread.join(timeout=2 * self._limits.timeout_s + 1.0)

    def _run(self) -> None:
        while not self._ended.is_set():
            asked_ns = time.monotonic_ns()
            try:
                found = answer(self._ask(), self._limits.pan_range_deg)
            except CaptureError as err:
                self._newest = None
                self._failures += 1
                if self._failures in (1, 10, 100):
                    _log.warning("pan-tilt head: %s", err, extra={"code": err.code})
            else:
                self._failures = 0
                self._newest = None if found is None else (*found, asked_ns)
            self._ended.wait(self._limits.every_s)

    def _ask(self) -> bytes:
        line = _connection(self._url, self._limits.timeout_s)
        try:
            path = self._url.path or "/"
            if self._url.query:
                path = f"{path}?{self._url.query}"
            line.request("POST", path, question(self._profile, self._login()), _HEADERS)
            response = line.getresponse()
            data = response.read(MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as err:
            raise CaptureError(
                f"the pan-tilt head does not answer: {err}",
                code="capture.ptz.unreachable",
                hint="check site.head.url and the network",
            ) from err
        finally:
            line.close()
        return data

    def _login(self) -> Login | None:
        username, password = self._credentials
        if username is None:
            return None
        return Login(username, password or "", secrets.token_bytes(16), datetime.now(UTC))


def _connection(url: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(url.hostname or "", url.port, timeout=timeout_s)
