"""What the ledger says of a change of masks: names and reasons come from the signed record. Pure.

Source of names: the list of persons whose keys signed the record; never what the record says of
its authors. Source of pixels: `exclusion.compare` of all that was in force with all that is.
Whether it narrows is what `authority` judged: other ground under the same masks changes no pixel.
"""

from __future__ import annotations

from alpr_edge.authority.record import SignedRecord
from alpr_edge.authority.rules import State
from alpr_edge.authority.store import MaskMove
from alpr_edge.config.mask_file import mask_digest
from alpr_edge.exclusion.compare import compare
from alpr_edge.ledger.recorder import NO_MASKS
from alpr_edge.ledger.telling import By, MasksChanged, Tells
from alpr_edge.zone_set import ZoneSet


def tell(move: MaskMove, least_band: float, tells: Tells) -> None:
    """Put a move on record."""
    who, second = ([*move.people, "", ""])[:2]
    tells.mask_changed(_change(move, least_band), By(who, second, move.record.record.reason))


def _change(move: MaskMove, least_band: float) -> MasksChanged:
    before, after = move.before.zones, move.after.zones
    old, new = _parts(before), _parts(after)
    added_px = removed_px = 0
    narrowed = move.narrowed
    if before is not None and after is not None:
        size_px = move.record.record.frame_px
        change = compare(before, after, size_px=size_px, least_band=least_band)
        added_px, removed_px = change.core_added_px, change.core_removed_px
        narrowed = bool(narrowed) or not change.covers
    newest, former = move.after.newest, _former(move)
    return MasksChanged(
        old=_digest(move.before),
        new=_digest(move.after),
        added=len(new - old),
        removed=len(old - new),
        added_px=added_px,
        removed_px=removed_px,
        narrowed=narrowed,
        number=move.record.record.number,
        order=move.record.digest if move.by_city else None,
        polygon=move.after.added,
        view_old=None if former is None else former.record.reference,
        view_new=None if newest is None else newest.record.reference,
        other_frame=bool(former and newest and former.record.frame_px != newest.record.frame_px),
        waits=move.after.confirm_before is not None and not move.before.holds(newest),
        repair=move.is_repair,
    )


def _former(move: MaskMove) -> SignedRecord | None:
    """The newest record before the one that is the newest now."""
    newest, records = move.after.newest, move.before.records
    others = [one for one in records if newest is None or one.digest != newest.digest]
    return others[-1] if others else move.before.newest


def _digest(state: State) -> str:
    return NO_MASKS if state.zones is None else mask_digest(state.zones)


def _parts(zones: ZoneSet | None) -> frozenset[object]:
    """Everything that protects, by its shape: the names are for people."""
    if zones is None:
        return frozenset()
    regions = [(one.polygon, one.holes) for one in zones.masks]
    bands = [("band", one.polygon, one.holes) for one in zones.bands]
    return frozenset([*regions, *bands, *[(one.line, one.taints) for one in zones.gates]])
