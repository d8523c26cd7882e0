"""The simulated street as masked frames for the view tests, small and drawn once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.view_reference import Reference, make_reference
from alpr_edge.exclusion.view_watch import ViewReport, ViewWatch, WatchLimits
from alpr_edge.exclusion.zones import Zones, make_zones
from alpr_edge.simulator.camera import Camera
from alpr_edge.simulator.day import Day, DayConfig
from alpr_edge.simulator.scene import mask_polygons
from alpr_edge.simulator.view_faults import turned
from alpr_edge.types import Frame, Image

SIZE = (384, 216)
STEP_NS = 500_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = DayConfig(
    width_px=SIZE[0], height_px=SIZE[1], rain_hours=(13.0, 15.0), fog_hours=(4.0, 9.0)
)


@lru_cache
def day() -> Day:
    """Rain from 13 to 15, fog from 4 to 9."""
    return Day(CONFIG)


@lru_cache
def moved_day(**how: float) -> Day:
    """The same day, seen by a camera whose mount gave way."""
    return Day(CONFIG, turned(day().camera, **how))


@lru_cache
def zones(band: float = 0.02) -> Zones:
    camera: Camera = day().camera
    return make_zones(
        mask_polygons(camera), size_px=SIZE, band_px=round(band * SIZE[0]), digest="m1"
    )


def masked(image: Image, number: int, *, at: Zones | None = None) -> MaskedFrame:
    """A frame half a second after the one before."""
    now = START + timedelta(seconds=number / 2)
    return Masker(at or zones()).apply(Frame(image, "day", number, now, number * STEP_NS))


@lru_cache
def noon(number: int) -> Image:
    image = day().frame(11.0, number)
    image.setflags(write=False)
    return image


@lru_cache
def reference() -> Reference:
    """Taken at noon over some seconds with traffic."""
    frames = (masked(noon(7 * i).copy(), i) for i in range(12))
    return make_reference(frames, zones())


def watch(limits: WatchLimits | None = None, *, before: int = 6) -> ViewWatch:
    """A watch that has seen the right view for `before` frames."""
    one = ViewWatch(reference(), zones(), limits)
    for number in range(before):
        one.step(masked(noon(number).copy(), number))
    return one


def show(one: ViewWatch, frames: Iterable[Image], *, first: int = 6) -> list[ViewReport]:
    """Every report on these frames, half a second apart."""
    return [one.step(masked(image, first + i)) for i, image in enumerate(frames)]


def noise_in_mask(image: Image, seed: int) -> Image:
    """The same picture with noise where it is masked."""
    changed = image.copy()
    hidden = zones().core > 0
    rng = np.random.default_rng(seed)
    changed[hidden] = rng.integers(0, 256, (int(hidden.sum()), 3), dtype=np.uint8)
    return changed


def through(lens: Callable[[Image], Image], hour: float, numbers: Iterable[int]) -> list[Image]:
    """The day through something before the lens."""
    return [day().frame(hour, number, lens=lens) for number in numbers]
