"""From a wanted precision to the weakest confidence that is published. Pure.

A recogniser's metadata may hold `thresholds`, measured when it was made: `{"0.97": 0.83, …}` says
that of the reads at confidence 0.83 or more, 97 % were right. A model without such a table is taken
at its word: its confidences are calibrated, so reads at 0.97 or more are right at least so often.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise

from alpr_edge.errors import InferenceError

MAX_ENTRIES = 100


def min_confidence_for(wanted: float, about: Mapping[str, str]) -> float:
    """The least confidence at which at least `wanted` of the reads are right.

    Where the table ends below `wanted`: the larger of `wanted` and the table's last threshold.

    Args:
        wanted: 0..1.
        about: the recogniser's metadata.

    Raises:
        InferenceError: the table is not what it should be (`vision.model.thresholds`).
    """
    table = _table(about)
    enough = [confidence for precision, confidence in table if precision >= wanted]
    if enough:
        return enough[0]
    return max([wanted, *(confidence for _, confidence in table)])


def _table(about: Mapping[str, str]) -> list[tuple[float, float]]:
    """Precisions and thresholds, by precision."""
    text = about.get("thresholds")
    if text is None:
        return []
    try:
        table = sorted((float(p), float(c)) for p, c in json.loads(text).items())
    except (ValueError, TypeError, AttributeError, RecursionError) as err:
        raise _broken("it is no table of numbers") from err
    if len(table) > MAX_ENTRIES or not all(_is_share(n) for row in table for n in row):
        raise _broken("its numbers are not within [0, 1]")
    if any(a > b for (_, a), (_, b) in pairwise(table)):
        raise _broken("a higher precision has a lower threshold")
    return table


def _is_share(number: float) -> bool:
    return math.isfinite(number) and 0 <= number <= 1


def _broken(why: str) -> InferenceError:
    return InferenceError(
        f"the recogniser's table of thresholds cannot be used: {why}",
        code="vision.model.thresholds",
        hint="set recogniser.min_confidence instead of precision, or install alpr-edge again",
    )
