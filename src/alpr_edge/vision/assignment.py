"""Which sighting belongs to which track: the pairing with the least total cost. Pure.

`lap` solves it (Jonker and Volgenant's method); this module says what may stay unpaired.
"""

from __future__ import annotations

import lap
import numpy as np
from numpy.typing import NDArray

_NEVER = 1e6


def assign(costs: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) that minimise the total, where a row or column left over costs limit / 2.

    A pair that costs more than `limit`, or whose cost is not finite, is never made.

    Args:
        costs: `(R, C)`, not negative.
        limit: at most 1000.
    """
    if not costs.size:
        return []
    usable = np.isfinite(costs) & (costs <= limit)
    bounded = np.where(usable, costs, _NEVER)
    _, columns, _ = lap.lapjv(bounded, extend_cost=True, cost_limit=limit)
    return [(r, int(c)) for r, c in enumerate(columns) if c >= 0 and usable[r, c]]
