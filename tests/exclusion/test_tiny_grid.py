"""Every way of two vehicles on a tiny grid: exhaustive, with zones that contain one another.

A vehicle stands in a cell and moves to one beside it, or stays, at each step; all pairs of such
ways are driven. `make evidence` does it on 5×5 cells with four steps, the test on fewer.
"""

from __future__ import annotations

from evidence.tiny_grid import Grid, search


def test_every_pair_on_three_by_three():
    found = search(Grid(side=3, steps=3), part=(0, 6))
    assert found.cases > 600
    assert found.touching > 300
    assert found.released > 0, "a gate that releases nothing shows nothing"
    assert found.leaks == []
    assert found.added == []
    assert found.wrong_switches == []
    assert found.again > 10, "some are driven by the plain gate too"
    assert found.unlike == []


def test_every_single_way_on_five_by_five():
    found = search(Grid(side=5, steps=4), alone=True, part=(0, 2))
    assert found.cases > 500
    assert found.released > 0
    assert found.leaks == []
    assert found.added == []
