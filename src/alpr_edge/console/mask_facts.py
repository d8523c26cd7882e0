"""What is in force, and what a set of masks would do to it, from the state of `authority`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from alpr_edge.authority.record import MaskRecord, record_payload
from alpr_edge.authority.rules import Plan, State, Unit, view_narrowings
from alpr_edge.console.device import KEPT, NO_VIEW, Committed, Document, MasksInForce, Preview
from alpr_edge.exclusion.compare import Change, compare
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.zone_set import ZoneSet

VALID: Final = timedelta(days=365)
"""How long a record made on the console is valid: as `alpr-edge masks sign` makes it."""


def in_force(state: State, frame_px: tuple[int, int] | None, trouble: str = "") -> MasksInForce:
    """Args:
    frame_px: of the source, where no record says one.
    """
    newest = state.newest
    if newest is None:
        return MasksInForce(None, frame_px, highest=state.highest, trouble=trouble)
    return MasksInForce(
        state.zones,
        newest.record.frame_px,
        newest.record.reference,
        newest.record.number,
        newest.digest,
        state.highest,
        len(state.records),
        state.confirm_before,
        trouble,
    )


def view_of(state: State, view: str) -> str | None:
    """The reference view that a record names: `KEPT`, `NO_VIEW`, or a digest."""
    if view != KEPT:
        return None if view == NO_VIEW else view
    return None if state.newest is None else state.newest.record.reference


def preview(
    state: State, zones: ZoneSet, frame_px: tuple[int, int], unit: Unit, view: str = KEPT
) -> Preview:
    """What a record of these zones would do."""
    before = state.zones
    after = rasterise(zones, size_px=frame_px, digest="", least_band=unit.least_band)
    pixels = frame_px[0] * frame_px[1]
    shares = (
        int(np.count_nonzero(after.core)) / pixels,
        int(np.count_nonzero((after.core > 0) | (after.band > 0))) / pixels,
    )
    if before is None:
        reasons = ("there is no record in force: everything is protected",)
        return Preview(reasons, 0, 0, 0, 0, *shares)
    change: Change = compare(before, zones, size_px=frame_px, least_band=unit.least_band)
    views = view_narrowings(state, frame_px, view_of(state, view), unit)
    return Preview(
        tuple(dict.fromkeys((*change.narrowings, *views))),
        change.core_added_px,
        change.core_removed_px,
        change.band_added_px,
        change.band_removed_px,
        *shares,
    )


def draft(
    state: State,
    zones: ZoneSet,
    frame_px: tuple[int, int],
    unit: Unit,
    *,
    authors: Sequence[str],
    reason: str,
    now: datetime,
    view: str = KEPT,
) -> Document:
    """The payload of the next record: valid from now, made against the newest."""
    now = now.replace(microsecond=0)
    record = MaskRecord(
        number=state.highest + 1,
        device=unit.device,
        camera=unit.camera,
        frame_px=frame_px,
        zones=zones,
        valid_from=now,
        valid_to=now + VALID,
        reference=view_of(state, view),
        previous=state.follows,
        authors=tuple(authors),
        reason=reason,
    )
    return record_payload(record)


def committed(plan: Plan) -> Committed:
    """What a commit did, from its plan."""
    newest = plan.state.records[-1]
    return Committed(
        newest.record.number,
        newest.digest,
        plan.authority.value,
        plan.narrowings,
        plan.state.confirm_before,
    )
