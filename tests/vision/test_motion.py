"""The filter follows what moves evenly, smooths what jitters, and says how unsure it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.vision.motion import Motion, width_of

BOX = np.array([[0, 0], [60, 0], [60, 30], [0, 30]], np.float32)


def followed(speed: tuple[float, float], *, frames: int = 12, jitter: float = 0.0) -> Motion:
    rng = np.random.default_rng(1)
    motion = Motion(BOX)
    for n in range(1, frames):
        seen = BOX + np.float32(n * 0.1) * np.array(speed, np.float32)
        motion.correct(seen + rng.normal(0, jitter, (4, 2)).astype(np.float32), 0.1)
    return motion


@given(st.floats(-900, 900), st.floats(-900, 900))
def test_even_motion_is_foreseen(x, y):
    motion = followed((x, y))
    predicted, spread_px = motion.ahead(0.1)
    goal = BOX + np.float32(1.2) * np.array((x, y), np.float32)
    assert np.abs(predicted - goal).max() <= 3 * spread_px
    assert np.abs(motion.speed - (x, y)).max() <= 0.1 * max(abs(x), abs(y)) + 1


def test_jitter_is_smoothed():
    motion = followed((0, 0), frames=60, jitter=2.4)
    assert np.abs(motion.quad - BOX).mean() < 2.4
    assert np.abs(motion.speed).max() < 60


def test_doubt_grows_with_time_and_shrinks_with_sightings():
    young, old = Motion(BOX), followed((100, 0))
    assert old.ahead(0.1)[1] < young.ahead(0.1)[1]
    assert old.ahead(0.1)[1] < old.ahead(0.5)[1] < old.ahead(1.0)[1]


def test_a_growing_plate_is_foreseen_larger():
    motion = Motion(BOX)
    for n in range(1, 10):
        motion.correct(BOX * np.float32(1 + 0.05 * n), 0.1)
    assert width_of(motion.ahead(0.1)[0]) == pytest.approx(60 * 1.5, rel=0.05)


@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(0, 2)), max_size=20))
def test_any_motion_keeps_it_finite(steps):
    motion = Motion(BOX)
    for x, seconds in steps:
        motion.correct(BOX + np.float32(x), seconds)
    predicted, spread_px = motion.ahead(1.0)
    assert np.isfinite(predicted).all()
    assert np.isfinite(spread_px)
    assert spread_px > 0
