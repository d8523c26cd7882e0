"""N2 by world geometry alone: nothing of the picture is masked, and no turning vehicle is read.

The street's own truth is the engine. The approach lane is the carriageway before the driveway, on
the map; the picture has no mask, no band and no gate line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
from tests.exclusion.world_samples import HOME, ring
from tests.pipeline.test_street_promise import START, TruthEngine, truths_of
from tests.service.site_samples import street_placed, street_premises

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.ground import GroundZones
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.premises import Patch, Site, Way, WayKind
from alpr_edge.exclusion.projection import Rules
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.pipeline import Pipeline
from alpr_edge.simulator.scene import street_camera
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import DropReason, Frame
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.zone_set import ZoneSet

FPS, SECONDS = 8.0, 40.0


def with_approach_lane() -> Site:
    """The premises with the lanes from which vehicles turn in, on the map."""
    true = street_camera(1280, 720)
    lane = np.array([(-3.3, 10.0), (3.0, 10.0), (3.0, 36.0), (-3.3, 36.0)])
    patch = Patch(ring(HOME, lane - (true.x_m, true.y_m)))
    return replace(street_premises(), ways=(Way("street-a", WayKind.APPROACH, (patch,)),))


def drive(street: Street, ground: GroundZones | None) -> tuple[set[str], Counter[DropReason]]:
    size = (1280, 720)
    zones = rasterise(ZoneSet(nothing_protected=True), size_px=size, digest="m")
    engine, truths = TruthEngine(), truths_of(street)
    limits = GateLimits(hold_ns=1_000_000_000)
    pipeline = Pipeline(
        masker=Masker(zones),
        detector=engine,
        recogniser=engine,
        tracker=Tracker(TrackerLimits(max_unseen_ns=800_000_000)),
        gate=Gate(zones, limits, ground=ground is not None),
        ground=ground,
    )
    released: set[str] = set()
    drops: Counter[DropReason] = Counter()
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for number, truth in enumerate(truths):
        engine.truth = truth
        moment = START + timedelta(seconds=number / FPS)
        step = pipeline.step(Frame(picture, "street", number, moment, int(number * 1e9 / FPS)))
        released |= {one.track.read.plate for one in step.gate.released}
        drops.update(drop.reason for drop in step.gate.drops)
    released |= {one.track.read.plate for one in pipeline.finish().released}
    return released, drops


def test_a_vehicle_that_turns_in_beyond_the_picture_is_caught_by_the_approach_lane() -> None:
    street = Street(StreetConfig(seed=7, fps=FPS, duration_s=SECONDS))
    protected = {one.plate for one in street.summary() if one.protected}
    without, _ = drive(street, None)
    assert without & protected, "this street has vehicles that turn in and are seen"
    camera = street_placed()
    released, drops = drive(street, GroundZones([with_approach_lane()], camera, Rules()))
    assert not released & protected
    assert drops[DropReason.PROTECTED_GROUND] >= len(without & protected)
