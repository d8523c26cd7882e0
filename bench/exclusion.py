"""What exclusion costs a frame: blanking in place, and the gate with its tracks.

The zones are those of the simulated street, masks, band and gate line; the tracks stand in the
lanes beside them and move on by a few pixels a frame, as they do at fifteen frames a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import Zones, rasterise
from alpr_edge.simulator.scene import street_camera, zone_set
from alpr_edge.types import Image, TrackPoint, TrackStep
from bench.measure import Timing, timed
from bench.stages import FRAME_NS, Frames

TRACKS = 4
_TURN = 60
"""Frames after which the tracks begin anew."""


def street_zones(size_px: tuple[int, int]) -> Zones:
    """The street's zones at a frame size."""
    zones = zone_set(street_camera(*size_px))
    return rasterise(zones, size_px=size_px, digest="bench")


def measure(picture: Image, *, threads: int, seconds: float) -> Iterator[Timing]:
    """Mask, gate, and both together."""
    size = (picture.shape[1], picture.shape[0])
    zones, frames = street_zones(size), Frames(picture)
    masker = Masker(zones)
    gate, steps = Gate(zones, GateLimits()), track_steps(size)
    waiting = [frames.next()]
    numbers = count(1)

    def fetch() -> None:
        waiting[:] = [frames.next()]

    def whole() -> None:
        masker.apply(waiting[0])
        gate.step(next(steps), next(numbers) * FRAME_NS)

    yield timed(
        f"exclusion: mask and gate, {TRACKS} tracks",
        whole,
        threads=threads,
        seconds=seconds,
        before=fetch,
    )
    yield timed(
        f"exclusion: gate alone, {TRACKS} tracks",
        lambda: gate.step(next(steps), next(numbers) * FRAME_NS),
        threads=threads,
        seconds=seconds / 2,
    )


def track_steps(size_px: tuple[int, int]) -> Iterator[TrackStep]:
    """Four plates that drive through the right half, again and again, with texts."""
    width, height = size_px
    for number in count():
        turn, at = divmod(number, _TURN)
        points = []
        for lane in range(TRACKS):
            x = width * (0.6 + 0.1 * lane)
            y = height * (0.02 + 0.96 * at / _TURN)
            w, h = width * 0.03, width * 0.015
            quad = [[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]]
            name = "".join(f"{(lane + 1) * (turn + 7) * prime % 1000:03d}" for prime in (7, 37, 91))
            points.append(TrackPoint(turn * TRACKS + lane, np.array(quad, np.float32), name))
        ended = tuple((turn - 1) * TRACKS + lane for lane in range(TRACKS)) if at == 0 else ()
        yield TrackStep(tuple(points), (), ended if turn else ())
