"""Which way a vehicle went, told only where the picture tells it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.delivery.direction import direction
from alpr_edge.types import Quad


def plate(x: float, y: float, width: float = 60.0) -> Quad:
    height = width / 4
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


@pytest.mark.parametrize(
    ("last", "motion", "heading"),
    [
        (plate(100, 300, 90), "approaching", None),
        (plate(100, 20, 40), "receding", None),
        (plate(300, 100), "crossing", 90.0),
        (plate(-100, 100), "crossing", 270.0),
        (plate(100, 300), "crossing", 180.0),
        (plate(100, -100), "crossing", 0.0),
    ],
)
def test_motion_and_heading(last: Quad, motion: str, heading: float | None) -> None:
    told = direction(plate(100, 100), last)
    assert told is not None
    assert told["motion"] == motion
    assert heading is None or told["heading_deg"] == heading


def test_a_standing_vehicle_has_none() -> None:
    assert direction(plate(100, 100), plate(104, 98, 61)) is None


@pytest.mark.parametrize("odd", [plate(0, 0, 0), np.full((4, 2), np.nan, np.float32)])
def test_corners_that_tell_nothing(odd: Quad) -> None:
    assert direction(odd, plate(9, 9)) is None
    assert direction(plate(9, 9), odd) is None


COORDINATE = st.floats(-1e5, 1e5, width=32)


@given(COORDINATE, COORDINATE, st.floats(1, 1e4, width=32))
def test_any_corners_give_a_valid_heading(x: float, y: float, width: float) -> None:
    told = direction(plate(0, 0), plate(x, y, width))
    assert told is None or 0 <= told["heading_deg"] < 360
