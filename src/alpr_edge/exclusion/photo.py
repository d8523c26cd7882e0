"""The judgement on a single photo, which has no before and after. Pure.

It knows no track, band or gate line: what touches the core mask is suppressed, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from alpr_edge.exclusion.zones import Zones, grow, touches
from alpr_edge.types import Drop, DropReason, Sighting


def judge_still(
    zones: Zones, sightings: Sequence[Sighting]
) -> tuple[tuple[Sighting, ...], tuple[Drop, ...]]:
    """Which sightings of a single photo may be shown, and a drop for each that may not.

    A photo has no before and after: what touches the core mask is suppressed.
    """
    shown = tuple(s for s in sightings if not touches(zones.core, grow(s.detection.quad)))
    return shown, (Drop(DropReason.TOUCHES_MASK),) * (len(sightings) - len(shown))
