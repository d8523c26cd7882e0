"""Time of what stands beside a frame's way: the view watch, amortised, and a whole self-test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.self_test import Schedule, SelfTester, Stations
from alpr_edge.exclusion.view_reference import make_reference
from alpr_edge.exclusion.view_watch import ViewState, ViewWatch
from alpr_edge.exclusion.zones import Zones
from alpr_edge.sight import read_plates
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.recogniser import Recogniser
from bench.measure import Timing, timed

GLANCE_FRAMES = 8
"""Frames from one glance to the next at fifteen frames a second."""


def measure(
    masked: MaskedFrame,
    zones: Zones,
    engines: tuple[Detector, Recogniser],
    *,
    threads: int,
    seconds: float,
) -> Iterator[Timing]:
    """The view watch a frame, and the self-test with its three frames."""
    frame_ns = 66_666_667
    watch = ViewWatch(make_reference([masked], zones), zones)
    clock = [0]

    def later() -> MaskedFrame:
        clock[0] += frame_ns
        return replace(masked, taken_ns=clock[0])

    def glance() -> None:
        for _ in range(GLANCE_FRAMES):
            watch.step(later())

    for _ in range(4):
        glance()
    if watch.report.state is not ViewState.CONFIRMED:
        raise SystemExit(f"bench: the view is {watch.report.state}, nothing worth timing")
    # A picture that never changes is frozen after ten seconds, and then costs less: begin anew.
    whole = timed(
        "view watch, 8 frames",
        lambda: (setattr(watch, "_since", {}), glance()),
        threads=threads,
        seconds=seconds / 2,
    )
    yield replace(
        whole,
        name="view watch, a frame at 15 fps (one glance in 8)",
        p50_ms=whole.p50_ms / GLANCE_FRAMES,
        p95_ms=whole.p95_ms / GLANCE_FRAMES,
        cpu_ms=whole.cpu_ms / GLANCE_FRAMES,
    )
    masker, gate = Masker(zones), Gate(zones, GateLimits())
    tester = SelfTester(
        zones,
        Stations(
            masker.apply,
            engines[0].detect,
            lambda frame, found: read_plates(frame, found, engines[1]),
            gate.would_taint,
        ),
        Schedule(every_ns=1),
    )

    def self_test() -> None:
        for _ in range(3):
            tester.advance(later())

    yield timed("self-test, three frames", self_test, threads=threads, seconds=seconds / 2)
