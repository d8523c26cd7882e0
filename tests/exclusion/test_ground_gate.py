"""Ground tracks in the gate: a vehicle on protected ground yields nothing, in view or not."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.pipeline import on_ground
from alpr_edge.types import ClosedTrack, Drop, DropReason, Quad, Read, TrackPoint, TrackStep

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = (640, 360)
MASK = [(0.4, 0.0), (0.5, 0.0), (0.5, 0.1), (0.4, 0.1)]


class Strip:
    """Ground that taints under one stretch of the picture."""

    def __init__(self, left: float, right: float) -> None:
        self._left, self._right = left, right

    def touches(self, quad: Quad) -> bool:
        return bool(quad[:, 0].max() >= self._left and quad[:, 0].min() <= self._right)


def quad_at(x: float) -> Quad:
    return np.array([[x, 300], [x + 40, 300], [x + 40, 320], [x, 320]], np.float32)


def drive(gate: Gate, ground: Strip) -> tuple[list[str], list[Drop]]:
    """One vehicle from the left border to the right one, then the hold."""
    released, drops = [], []
    empty = TrackStep((), (), ())
    steps = [empty] * 30
    steps += [TrackStep((TrackPoint(1, quad_at(x)),), (), ()) for x in range(2, 600, 20)]
    closed = ClosedTrack(
        1, Read("7ABC123", 0.9, (0.9,) * 7, None), quad_at(300), quad_at(2), quad_at(598),
        START, START, 30, 30,
    )  # fmt: skip
    steps += [TrackStep((), (closed,), ()), *[empty] * 30]
    for tick, step in enumerate(steps):
        result = gate.step(on_ground(step, ground), tick * 100_000_000)
        released += [r.track.read.plate for r in result.released]
        drops += result.drops
    return released, drops


@pytest.mark.parametrize("polygons", [[MASK], []])
def test_a_vehicle_on_protected_ground_yields_nothing(polygons: list[object]) -> None:
    zones = make_zones(polygons, size_px=SIZE, band_px=5, digest="m")  # type: ignore[arg-type]
    limits = GateLimits(hold_ns=1_000_000_000)
    beside = drive(Gate(zones, limits, ground=True), Strip(10_000, 10_001))
    assert beside == (["7ABC123"], [])
    for strip in (Strip(0, 1_000), Strip(300, 301), Strip(590, 700)):
        found = drive(Gate(zones, limits, ground=True), strip)
        assert found == ([], [Drop(DropReason.PROTECTED_GROUND)])
