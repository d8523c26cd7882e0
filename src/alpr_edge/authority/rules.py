"""Who may put which masks in force, and what is in force now. Pure: no disk, no clock.

Guarantee N6. States and moves, as `store` keeps them:

    nothing  ── commit, two people or the city ──────────────► in force
    in force ── commit that covers, one person ──────────────► in force: the new one alone, at once
    in force ── commit that does not, two people or the city ► pending: old and new together
    pending  ── confirm ─────────────────────────────────────► in force: the new one alone
    pending  ── time runs out, restart, other software ──────► pending no more: old and new together

1. In force is the union of all records in `State.records`. Only `confirm` takes one out, and only
   what had the authority to be committed can be confirmed.
2. A commit is compared with everything in force, pending records included. It covers if it is for
   the same frame size, keeps the reference view, and `exclusion.compare` says so.
3. Without a record nothing is read, which protects everything: the first record, and the first one
   after a damage, narrows and needs two people or the city.
4. Numbers only grow, also over records that were never confirmed: none is ever taken twice.
5. A polygon that the city adds by a command (`addition`) is in force beside the records, until a
   record that names its digest (`lets_go`) stands alone. When a record was signed is not known,
   only that it was after what it names: one that does not name the polygon lets go of nothing, not
   even where it covers it, for the next one may be narrower and older than the polygon.
6. A record names the one that it was made against: two technicians cannot undo each other unseen,
   and what was signed in stock before the newest record was made is not taken after a damage.
7. A damage forgets no polygon: all that were ever added come back, until a record names them. One
   that cannot be read must be named, too, before anything is read again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from alpr_edge.authority.addition import Addition
from alpr_edge.authority.record import SIGNING_ROLES, MaskRecord, SignedRecord
from alpr_edge.errors import Expired, Rollback, TrustError
from alpr_edge.exclusion.compare import Change, compare, union
from alpr_edge.trust.checks import check_number, check_validity
from alpr_edge.trust.keyring import Keyring
from alpr_edge.zone_set import ZoneSet

MAX_IN_FORCE: Final = 8
"""Records that may wait for confirmation one upon the other."""
MAX_ADDITIONS: Final = 64
"""Polygons of the city beside the records; then it is time for a record."""


class Authority(StrEnum):
    """On whose word a record was committed."""

    ONE_PERSON = "one_person"
    TWO_PEOPLE = "two_people"
    CITY = "city"


@dataclass(frozen=True, slots=True)
class Lost:
    """A polygon of the city that was here and cannot be read any more.

    Attributes:
        digest: of its command, or its first twelve digits; empty where nobody knows it.
    """

    number: int
    digest: str

    def is_named_by(self, digests: tuple[str, ...]) -> bool:
        """Whether one of the digests is its own."""
        return bool(self.digest) and any(one.startswith(self.digest) for one in digests)


@dataclass(frozen=True, slots=True)
class State:
    """What a device holds of one camera's masks.

    Attributes:
        records: in force, oldest first; their union protects. Empty: nothing may be read.
        confirm_before: the last record is pending until then; `None`: it is confirmed, or its time
            ran out.
        highest: the highest number that was ever here.
        additions: polygons of the city that are in force beside the records.
        added: the highest number of an addition that was ever here.
        added_digest: and its digest; empty where an earlier version kept the number only.
        lost: without records: what the next one must name, because it cannot be read.
        base: without records: digest of the newest one that was ever here.
    """

    records: tuple[SignedRecord, ...] = ()
    confirm_before: datetime | None = None
    highest: int = 0
    additions: tuple[Addition, ...] = ()
    added: int = 0
    added_digest: str = ""
    lost: tuple[Lost, ...] = ()
    base: str | None = None

    @property
    def follows(self) -> str | None:
        """The digest that the next record must name as `previous`."""
        return self.newest.digest if self.newest else self.base

    @property
    def newest(self) -> SignedRecord | None:
        """The record that the next one is made against."""
        return self.records[-1] if self.records else None

    def holds(self, record: SignedRecord | None) -> bool:
        """Whether this record is in force, pending or not."""
        return record is not None and any(one.digest == record.digest for one in self.records)

    @property
    def zones(self) -> ZoneSet | None:
        """What is protected now; `None`: everything, for nothing may be read."""
        if not self.records:
            return None
        added = [one.zones for one in self.additions]
        return union([one.record.zones for one in self.records] + added)


@dataclass(frozen=True, slots=True)
class Plan:
    """What committing a record does, before it is done.

    Attributes:
        state: afterwards.
        change: the geometry against what is in force; `None` where nothing was.
        narrowings: why more than one person is needed; empty: one is enough.
    """

    state: State
    authority: Authority
    change: Change | None
    narrowings: tuple[str, ...]

    @property
    def is_pending(self) -> bool:
        """Whether it takes a confirmation to let go of the old masks."""
        return self.state.confirm_before is not None


@dataclass(frozen=True, slots=True)
class Unit:
    """Which camera of which unit the masks are for.

    Attributes:
        least_band: the band that the unit's configuration asks for at least.
        asks_view: whether it asks for a reference view: then the first one that a record names
            binds the masks to ground, and narrows as the first record does.
    """

    device: str
    camera: str
    least_band: float = 0.0
    asks_view: bool = False


def plan_commit(
    state: State,
    new: SignedRecord,
    keyring: Keyring,
    unit: Unit,
    *,
    confirm_before: datetime,
    now: datetime | None,
) -> Plan:
    """Judge a record and say what committing it does.

    Args:
        now: `None` where the clock is not trusted; validity is then left to the interlock.

    Raises:
        Rollback: `trust.rollback` or `authority.previous`.
        Expired: it is not valid now.
        TrustError: `authority.other_unit`, `.too_few`, `.unconfirmed` or `.polygon_lost`.
    """
    record = new.record
    if (record.device, record.camera) != (unit.device, unit.camera):
        raise TrustError(
            f"the record is for {record.device}/{record.camera}, this is "
            f"{unit.device}/{unit.camera}",
            code="authority.other_unit",
            hint="commit it on the unit that it was made for",
        )
    check_number("mask record", record.number, state.highest)
    if record.previous != state.follows:
        raise Rollback(
            "the record was made against other masks than the ones in force",
            code="authority.previous",
            hint="see `alpr-edge masks history`; make it again against the newest record",
        )
    if now is not None:
        check_validity("mask record", now, valid_from=record.valid_from, valid_to=record.valid_to)
    change, narrowings = _compare(state, record, unit)
    authority = _authority(new, keyring, narrowings)
    if not state.records or not narrowings:
        _check_lost(state, record)
        return Plan(_alone(state, new), authority, change, narrowings)
    if len(state.records) >= MAX_IN_FORCE:
        raise TrustError(
            f"{len(state.records)} records wait for confirmation one upon the other",
            code="authority.unconfirmed",
            hint="commit and confirm one that covers them all, or that the city signed",
        )
    after = replace(
        state,
        records=(*state.records, new),
        confirm_before=confirm_before,
        highest=record.number,
    )
    return Plan(after, authority, change, narrowings)


def confirm(state: State, now: datetime) -> State:
    """Let go of the older records: the pending one is in force, and what the city added beside it
    unless it names that.

    Raises:
        TrustError: `authority.nothing_pending`.
        Expired: `authority.too_late`; old and new stay in force together.
    """
    if state.confirm_before is None or state.newest is None:
        raise TrustError(
            "no mask record waits for confirmation",
            code="authority.nothing_pending",
            hint="see `alpr-edge masks history`",
        )
    if now >= state.confirm_before:
        raise Expired(
            "the time to confirm has run out: old and new masks stay in force together",
            code="authority.too_late",
            hint="sign the record again with a new number and commit it",
        )
    return _alone(state, state.newest)


def add(state: State, new: Addition) -> State:
    """What is in force with a polygon of the city as well.

    Raises:
        Rollback: `trust.rollback`.
        TrustError: `authority.nothing_in_force` or `authority.too_many_additions`.
    """
    if state.newest is None:
        raise TrustError(
            "there is no mask record in force that a polygon could be added to: nothing is read",
            code="authority.nothing_in_force",
            hint="commit a record at the unit: `alpr-edge masks commit`",
        )
    check_number("addition", new.number, state.added)
    if len(state.additions) >= MAX_ADDITIONS:
        raise TrustError(
            f"{len(state.additions)} polygons were added already",
            code="authority.too_many_additions",
            hint="commit a mask record that covers them and names them: `masks sign --lets-go`",
        )
    new = replace(new, after=state.newest.record.number)
    additions = (*state.additions, new)
    return replace(state, additions=additions, added=new.number, added_digest=new.digest)


def _alone(state: State, newest: SignedRecord) -> State:
    """One record in force, and beside it what the city added, unless the record names it."""
    record = newest.record
    kept = tuple(one for one in state.additions if one.digest not in record.lets_go)
    highest = max(state.highest, record.number)
    return State((newest,), None, highest, kept, state.added, state.added_digest)


def _check_lost(state: State, record: MaskRecord) -> None:
    unnamed = [one for one in state.lost if not one.is_named_by(record.lets_go)]
    if unnamed:
        names = ", ".join(f"{one.number} ({one.digest[:12] or '?'})" for one in unnamed[:3])
        raise TrustError(
            f"{len(unnamed)} polygons that the city added cannot be read any more: {names}",
            code="authority.polygon_lost",
            hint="put the city's commands back into `additions`, or name their digests: "
            "`alpr-edge masks sign --lets-go`",
        )


def view_narrowings(
    state: State, frame_px: tuple[int, int], reference: str | None, unit: Unit
) -> tuple[str, ...]:
    """Why a record for this frame size and reference view would not cover what is in force."""
    found: list[str] = []
    for one in state.records:
        found += _other_view(one.record, frame_px, reference)
        if unit.asks_view and one.record.reference is None and reference is not None:
            found.append("it names the first reference view")
    return tuple(dict.fromkeys(found))


def _other_view(
    old: MaskRecord, frame_px: tuple[int, int], reference: str | None
) -> tuple[str, ...]:
    found = []
    if old.frame_px != frame_px:
        found.append("it is made for another frame size")
    if old.reference is not None and old.reference != reference:
        found.append("it has another reference view: the same masks cover other ground")
    return tuple(found)


def _compare(state: State, record: MaskRecord, unit: Unit) -> tuple[Change | None, tuple[str, ...]]:
    zones = state.zones
    if zones is None:
        return None, ("there is no record in force: everything is protected",)
    change = compare(zones, record.zones, size_px=record.frame_px, least_band=unit.least_band)
    views = view_narrowings(state, record.frame_px, record.reference, unit)
    return change, tuple(dict.fromkeys((*change.narrowings, *views)))


def _authority(new: SignedRecord, keyring: Keyring, narrowings: tuple[str, ...]) -> Authority:
    people = keyring.people(new.signers, *SIGNING_ROLES)
    if keyring.is_city(new.signers):
        return Authority.CITY
    if len(people) >= 2:
        return Authority.TWO_PEOPLE
    if people and not narrowings:
        return Authority.ONE_PERSON
    raise TrustError(
        f"the record protects less than before ({'; '.join(narrowings[:3])}) and "
        f"{len(people)} signed it",
        code="authority.too_few",
        hint="let a second person or the city sign it: `alpr-edge masks countersign`",
    )
