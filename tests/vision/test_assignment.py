"""The pairing is the cheapest there is, and never makes a forbidden pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alpr_edge.vision.assignment import assign

LIMIT = 4.0
costs = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    elements=st.floats(0, 6) | st.just(float("inf")) | st.just(float("nan")),
)


def total(table: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    left_over = sum(table.shape) - 2 * len(pairs)
    return sum(table[pair] for pair in pairs) + left_over * LIMIT / 2


@given(costs)
def test_it_is_the_optimum_that_scipy_finds(table):
    optimize = pytest.importorskip("scipy.optimize", reason="needs scipy: `make setup`")
    pairs = assign(table, LIMIT)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert all(np.isfinite(table[pair]) and table[pair] <= LIMIT for pair in pairs)
    rows, columns = table.shape
    usable = np.isfinite(table) & (table <= LIMIT)
    square = np.full((rows + columns, rows + columns), LIMIT / 2)
    square[:rows, :columns] = np.where(usable, table, 1e6)
    square[rows:, columns:] = 0
    best = square[optimize.linear_sum_assignment(square)].sum()
    assert total(table, pairs) == pytest.approx(best, abs=1e-6)


def test_greedy_would_be_wrong_here():
    """The cheapest pair first (0, 0) would leave 3.9 for the other; together 2.2 is possible."""
    assert sorted(assign(np.array([[0.1, 1.0], [1.2, 3.9]]), LIMIT)) == [(0, 1), (1, 0)]


def test_nothing_to_pair():
    assert assign(np.zeros((0, 3)), LIMIT) == []
    assert assign(np.full((2, 2), np.inf), LIMIT) == []
