"""What may be one vehicle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.exclusion.kin import alike, fold, size_ratio, within


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("7ABC123", "7ABC123", True),
        ("7ABC123", "7ABD124", True),
        ("7ABC123", "7ABDX24", False),
        ("7ABC123", "7ABC1", True),
        ("7ABC123", "7ABC", False),
        ("7ABC", "7ABD", True),
        ("7ABC", "7AXD", False),
        ("7AB", "7AC", False),
        ("7AB", "7AB", True),
        ("", "", False),
        # One character at the beginning, one at the end, and three of ten.
        ("7ABC12", "ABC12", True),
        ("7ABC1", "7ABC11", True),
        ("AAAB1", "AAAB11", True),
        ("7ABC123456", "7XBX12X456", False),
    ],
)
def test_alike(a: str, b: str, expected: bool) -> None:
    assert alike(a, b) is expected
    assert alike(b, a) is expected


texts = st.text("AB1", max_size=8)


@given(texts, texts)
def test_alike_is_an_edit_distance(a: str, b: str) -> None:
    most = min(2, (max(len(a), len(b)) - 1) // 3)
    assert alike(a, b) == (_distance(a, b) <= most)


def _distance(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    change = _distance(a[1:], b[1:]) + (a[0] != b[0])
    if a[0] == b[0]:
        return change
    return min(change, _distance(a[1:], b) + 1, _distance(a, b[1:]) + 1)


def test_look_alikes_fold_together() -> None:
    assert fold("OQDIZSBG") == fold("00012586")
    assert fold("ACEFHJKLMNPRTUVWXY3479") == "ACEFHJKLMNPRTUVWXY3479"


def box(x: float, y: float, width: float = 40.0, height: float = 20.0) -> np.ndarray:
    w, h = width / 2, height / 2
    return np.array([[x - w, y - h], [x + w, y - h], [x + w, y + h], [x - w, y + h]], np.float32)


def test_within_counts_in_widths_of_the_wider_plate() -> None:
    assert within(box(100, 50), box(160, 50), 1.5)
    assert not within(box(100, 50), box(161, 50), 1.5)
    assert within(box(100, 50), box(100, 110), 1.5)
    assert not within(box(100, 50), box(142.5, 92.5), 1.5)
    assert within(box(100, 50), box(200, 50, width=70.0), 1.5)
    assert within(box(200, 50, width=70.0), box(100, 50), 1.5)
    # A quad that leans: the middle is that of all four corners.
    leaning = box(100, 50) + np.array([[0, 0], [0, 0], [0, 0], [40, 40]], np.float32)
    assert within(leaning, box(110, 60), 0.001)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("axis", [0, 1])
def test_the_middle_is_that_of_all_four_corners(number: int, axis: int) -> None:
    leaning, moved = box(100, 50), np.array([100.0, 50.0])
    leaning[number, axis] += 40
    moved[axis] += 10
    assert within(leaning, box(*moved), 0.001)
    assert within(box(*moved), leaning, 0.001)


def test_no_number_is_near() -> None:
    assert within(box(100, 50), box(np.nan, 50), 1.5)


def test_size_ratio_is_that_of_the_side_that_changed_least() -> None:
    assert size_ratio(box(0, 0, 40, 20), box(0, 0, 10, 20)) == 1.0
    assert size_ratio(box(0, 0, 40, 20), box(0, 0, 80, 60)) == pytest.approx(2.0)
    assert size_ratio(box(0, 0, 80, 60), box(0, 0, 40, 20)) == pytest.approx(2.0)
    assert size_ratio(box(0, 0, 40, 0), box(0, 0, 10, 0.5)) == 1.0
