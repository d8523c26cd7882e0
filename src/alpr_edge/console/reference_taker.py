"""Edge: takes a reference view while the service runs, and keeps it beside the one in use.

    FILE          the reference in use (`exclusion.reference_file`)
    FILE.taken    the last one that was taken here

Rules:
- What is taken counts for nothing by itself: a mask record has to name its digest, which narrows
  (`authority.rules`), and the unit has to start anew and find the view to be that one
  (`wiring.view_files`). So it is no way round a camera that moved (N7, ADR 0028).
- It is made of masked frames, half a second apart, under one set of masks; it is no picture.
- The thread that reads plates only looks; a thread of its own writes the file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.console.device import Document
from alpr_edge.errors import AlprEdgeError, ConsoleError
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.exclusion.view_reference import (
    MAX_REFERENCE_BYTES,
    Reference,
    ReferenceMaker,
    parse_reference,
    reference_json,
)
from alpr_edge.exclusion.view_watch import comparer_for
from alpr_edge.exclusion.zones import Zones
from alpr_edge.trust.durable_file import write_durably

EVERY_NS: Final = 480_000_000
"""As often as the view watch looks."""
_STALLED_S: Final = 30.0
"""No frame for so long: it is given up."""


def taken_file(reference_file: Path) -> Path:
    """Where the last one that was taken lies."""
    return reference_file.with_name(reference_file.name + ".taken")


def load_view(path: Path) -> tuple[Reference | None, str]:
    """A view from its file, or why there is none that can be used."""
    data = read_regular_file(path, limit_bytes=MAX_REFERENCE_BYTES)
    if isinstance(data, FileTrouble):
        return None, f"it {data.detail}"
    try:
        return parse_reference(data), ""
    except AlprEdgeError as err:
        return None, err.message


class ReferenceTaker:
    """See the module's docstring. Offered to by one thread, asked by another.

    Args:
        path: the reference in use.
        zones_of: the zones that the masks in force make in frames of this width and height.
    """

    def __init__(self, path: Path, zones_of: Callable[[tuple[int, int]], Zones | None]) -> None:
        self._path, self._zones_of = path, zones_of
        self._lock = threading.Lock()
        self._maker: ReferenceMaker | None = None
        self._zones: Zones | None = None
        self._seconds = 0.0
        self._began_ns: int | None = None
        self._last_ns = 0
        self._looked_s = 0.0
        self._state: Document = {"state": "none"}

    def start(self, seconds: float) -> Document:
        """Begin to look; one that was under way is dropped."""
        with self._lock:
            self._maker, self._zones, self._began_ns = None, None, None
            self._seconds, self._looked_s = seconds, time.monotonic()
            self._state = {"state": "looking", "frames": 0, "seconds": seconds}
            return dict(self._state)

    def state(self) -> Document:
        """How it goes: `none`, `looking`, `taken` or `failed`, and why."""
        with self._lock:
            looking = self._state["state"] == "looking"
            if looking and time.monotonic() - self._looked_s > _STALLED_S:
                self._fail("no frame comes under the masks in force: show status")
            return dict(self._state)

    def offer(self, frame: MaskedFrame) -> None:
        """A frame after the mask. Nothing but a glance at a flag, unless one is being taken."""
        if self._state["state"] != "looking":
            return
        with self._lock:
            if self._state["state"] == "looking":
                self._take(frame)

    def _take(self, frame: MaskedFrame) -> None:
        now_ns = frame.taken_ns
        if self._began_ns is None:
            rows, columns = frame.image.shape[:2]
            zones = self._zones_of((columns, rows))
            if zones is None or zones.digest != frame.mask_digest:
                return
            self._zones, self._maker, self._began_ns = zones, ReferenceMaker(zones), now_ns
        elif now_ns - self._last_ns < EVERY_NS:
            return
        assert self._zones is not None
        assert self._maker is not None
        if frame.mask_digest != self._zones.digest:
            self._fail("the masks changed meanwhile: take it again")
            return
        self._last_ns, self._looked_s = now_ns, time.monotonic()
        self._maker.add(frame)
        self._state |= {"frames": self._maker.frames}
        if now_ns - self._began_ns >= self._seconds * 1e9:
            self._state = {"state": "writing", "frames": self._maker.frames}
            arguments = self._maker, self._zones
            threading.Thread(target=self._write, args=arguments, daemon=True).start()

    def _write(self, maker: ReferenceMaker, zones: Zones) -> None:
        try:
            made = maker.reference()
            places = comparer_for(made, zones).patches
            write_durably(taken_file(self._path), reference_json(made))
        except AlprEdgeError as err:
            with self._lock:
                self._fail(err.message)
        except OSError as err:
            with self._lock:
                self._fail(f"it cannot be kept: {err.strerror}")
        else:
            with self._lock:
                told = {"frames": made.frames, "places": places, "digest": made.digest}
                self._state = {"state": "taken", **told}

    def _fail(self, why: str) -> None:
        self._state = {"state": "failed", "why": why}


def none_here() -> ConsoleError:
    """No reference view can be taken on this unit."""
    return ConsoleError(
        "the configuration names no file for a reference view",
        code="console.reference.no_file",
        hint="let the city sign one with exclusion.reference_file",
    )
