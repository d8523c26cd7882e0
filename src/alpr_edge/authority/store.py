"""Edge: the masks in force, on a disk that may fail at any moment. The files: `folder`.

Rules:

- Written in this order, each durably: record, state, highest. A power cut leaves the old state or
  the new one.
- A state that is damaged, unsigned, or older than its counts is not used, nor one whose counts are
  damaged: nothing is read until a record is committed again, which takes two people or the city.
  That record must be made against the newest one that was here, and the polygons of the city are
  read again from their own files: a damage undoes nothing of what the city ordered.
- The records in force are bound to the state by their digests. Who might sign was judged when they
  were committed: a technician who leaves does not stop the cameras.
- The whole folder put back as it was, by someone who owns the disk, is noticed by what lies
  elsewhere: a TPM's counter that every change raises, and the newest numbers of a record and of a
  polygon, which the ledger knows and this process remembers. Then nothing is read, as after a
  damage.
- No two changes have the same count of the TPM: where a power cut came between a state and its
  count, or the state cannot be used, the count is raised before anything is written.
- A polygon of the city that lies there and is newer than the state is in force as well.
- The list of persons does not go back either: its number stands in the signed state.

What it cannot see: disk and ledger put back together, without a TPM; that shows at the witness.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from alpr_edge.authority.addition import Addition, open_addition
from alpr_edge.authority.counter import Counter
from alpr_edge.authority.folder import Counts, StoreFolder, Write, damaged
from alpr_edge.authority.record import SIGNING_ROLES, SignedRecord, open_record
from alpr_edge.authority.rules import Lost, Plan, State, Unit, add, confirm, plan_commit
from alpr_edge.config.files import FileTrouble, Trouble
from alpr_edge.errors import AlprEdgeError, Rollback, TrustError
from alpr_edge.trust.checks import format_time, parse_time
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.envelope import sign, verify
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PrivateKey, PublicKey

CITY: Final = "city"


@dataclass(frozen=True, slots=True)
class Newest:
    """The highest numbers that were ever in force.

    Attributes:
        record: of a mask record; 0: none.
        polygon: of a polygon of the city; 0: none.
    """

    record: int = 0
    polygon: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the disk holds.

    Attributes:
        state: without records where it cannot be used; its polygons are then what was found.
        trouble: why it cannot be used; empty: it can, or there never was one.
        persons: number of the newest list of persons that was here.
        signed: as the signed state itself has it; None where it cannot be used.
        is_behind: the counter is still to be raised for it.
    """

    state: State
    trouble: str = ""
    persons: int = 0
    signed: State | None = None
    is_behind: bool = False


@dataclass(frozen=True, slots=True)
class Anchors:
    """What remembers the store when the whole of it is put back.

    Attributes:
        counter: a TPM's; None: there is none.
        least: asked once: the highest numbers that the ledger knows.
    """

    counter: Counter | None = None
    least: Callable[[], Newest] = Newest


@dataclass(frozen=True, slots=True)
class MaskMove:
    """A change of what is in force, as it was made.

    Attributes:
        record: the one that was committed, or confirmed.
        people: names of who signed it, by the list of persons, and `city`; empty where a record is
            confirmed by somebody who has no list.
        narrowed: as it was judged (N6): masks, reference view and frame size. None: nothing was
            ever in force before.
        is_repair: what was in force before could not be used.
    """

    before: State
    after: State
    record: SignedRecord
    people: tuple[str, ...] = ()
    narrowed: bool | None = False
    is_repair: bool = False

    @property
    def by_city(self) -> bool:
        """Whether a key of the city signed."""
        return CITY in self.people


class MaskStore:
    """The mask records of one camera of one unit.

    Args:
        folder: made at the first commit.
        device_key: the unit's own key, which signs the state.
        write: how a file is replaced; tests break it.
        anchors: notice that the folder was put back.
        changed: told of every change once it is in force, for the ledger; must not raise.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        device_key: PrivateKey,
        *,
        write: Write = write_durably,
        changed: Callable[[MaskMove], None] = lambda _: None,
        anchors: Anchors | None = None,
    ) -> None:
        self._anchors = anchors or Anchors()
        self._seen: Newest | None = None
        self._changed = changed
        self._folder = StoreFolder(folder, write)
        self._key = device_key

    def load(self) -> Loaded:
        """What is in force. Never raises for what is wrong with the files: it says so."""
        loaded = self._load()
        if loaded.is_behind or self._counts_lag(loaded):
            # A power cut came between the state and what follows it.
            with contextlib.suppress(OSError), self._folder.locked():
                loaded = self._catch_up(self._load())
        return loaded

    def _counts_lag(self, loaded: Loaded) -> bool:
        if loaded.signed is None:
            return False
        counts = self._folder.counts()
        return loaded.signed.highest > counts.highest or loaded.signed.added > counts.added

    def _catch_up(self, loaded: Loaded) -> Loaded:
        """Counter and counts made good: without them an older state would do."""
        counter = self._anchors.counter
        if loaded.is_behind and counter is not None:
            with contextlib.suppress(AlprEdgeError):
                counter.raise_count()
                loaded = replace(loaded, is_behind=False)
        if loaded.signed is not None and self._counts_lag(loaded):
            self._folder.write_counts(loaded.signed)
        return loaded

    def _load(self) -> Loaded:
        counts, least = self._folder.counts(), self._least()
        data = self._folder.read_state()
        if isinstance(data, FileTrouble):
            salvaged = self._salvaged(counts)
            is_there = salvaged.highest or salvaged.added or salvaged.lost
            never = data.kind is Trouble.MISSING and not is_there and not counts.trouble
            return Loaded(salvaged, "" if never else f"state.json {data.detail}")
        try:
            payload = verify(data, DocumentType.MASK_STATE, [self._key.public])
            state = self._state(payload)
            persons, counted = int(payload.get("persons", 0)), payload.get("counter")
            is_behind = self._held_against_counter(counted)
        except AlprEdgeError as err:
            return Loaded(*self._unusable(counts, data, err.message))
        except (KeyError, TypeError, ValueError):
            # Signed by this unit, but not by this version of the software.
            return Loaded(*self._unusable(counts, data, "state.json is of another version"))
        trouble = counts.trouble
        if state.highest < counts.highest or state.added < counts.added:
            trouble = "state.json is older than what has been here"
        elif state.highest < least.record:
            trouble = f"the masks were put back: number {least.record} has been in force here"
        elif state.added < least.polygon:
            trouble = "the masks were put back: the city has added a polygon since"
        if trouble:
            return Loaded(self._salvaged(counts, state), trouble, persons)
        later, unread = self._folder.additions_after(state.added)
        if unread:
            trouble = f"{unread[0].number}, a later polygon of the city, cannot be read"
            return Loaded(self._salvaged(counts, state), trouble, persons)
        self._seen = Newest(state.highest, state.added)
        highest = max(state.highest, *self._numbers())
        joined = _join(replace(state, highest=highest), later)
        return Loaded(joined, "", persons, state, is_behind)

    def _numbers(self) -> tuple[int, ...]:
        """Of all records that are there: a commit that the power cut ended uses its number up."""
        return (0, *(number for number, _ in self._folder.history()))

    def _unusable(self, counts: Counts, data: bytes, trouble: str) -> tuple[State, str, int]:
        """Of a state that its signature holds for, the numbers at least are known."""
        with contextlib.suppress(AlprEdgeError, KeyError, TypeError, ValueError):
            payload = verify(data, DocumentType.MASK_STATE, [self._key.public])
            digest = str(payload.get("added_digest", ""))
            old = State(
                highest=int(payload["highest"]),
                added=int(payload.get("added", 0)),
                added_digest=digest,
            )
            named = [(int(one[0]), str(one[1])) for one in payload.get("additions", ())]
            return self._salvaged(counts, old, named), trouble, int(payload.get("persons", 0))
        return self._salvaged(counts), trouble, 0

    def _salvaged(
        self, counts: Counts, old: State | None = None, named: Sequence[tuple[int, str]] = ()
    ) -> State:
        """What is known where nothing can be in force: numbers, and the city's polygons.

        Args:
            old: whose numbers, at the least, were here.
            named: numbers and digests of polygons that were in force.
        """
        old, least = old or State(), self._least()
        found, lost = self._folder.salvage()
        here = [(one.number, one.digest) for one in found]
        here += [(one.number, one.digest) for one in lost]
        newest = max(
            (least.polygon, ""),
            (counts.added, counts.added_digest),
            (old.added, old.added_digest),
            *here,
        )
        known = {number for number, _ in here}
        for number, digest in dict([*named, *counts.named, newest]).items():
            if number and number not in known:
                lost = (*lost, Lost(number, digest))
        return State(
            highest=max(counts.highest, least.record, old.highest, *self._numbers()),
            additions=found,
            added=newest[0],
            added_digest=newest[1] if len(newest[1]) == 64 else "",
            lost=lost,
            base=self._folder.newest_digest(),
        )

    def _least(self) -> Newest:
        if self._seen is None:
            self._seen = self._anchors.least()
        return self._seen

    def _held_against_counter(self, counted: object) -> bool:
        """Whether the counter is one behind the state, as a power cut may leave it.

        Raises:
            TrustError: the state is an older one, or this is another TPM.
            KeyUnusable: the TPM does not answer.
        """
        counter = self._anchors.counter
        if counter is None:
            return False
        now = counter.count()
        if counted is None and now == 0:
            return False  # from before there was a TPM
        if not isinstance(counted, int) or counted < now:
            raise damaged("the masks were put back: the TPM has counted more changes")
        if counted > now + 1:
            raise damaged("the TPM's counter is not this unit's")
        return counted == now + 1

    def commit(
        self,
        data: bytes,
        keyring: Keyring,
        unit: Unit,
        *,
        confirm_before: datetime,
        now: datetime | None,
        only_wider: bool = False,
    ) -> Plan:
        """Judge a signed record and put it in force as the rules allow.

        Args:
            only_wider: refuse what protects less, whoever signed it, and a first record.

        Raises:
            TrustError: as `record.open_record` and `rules.plan_commit`, or `authority.narrows`;
                nothing has changed.
            OSError: the disk failed; the old state or the new one is there.
        """
        with self._folder.locked():
            loaded = self._load()
            _check_persons(keyring, loaded)
            before = loaded.state
            plan = plan_commit(
                before,
                new := open_record(data, keyring),
                keyring,
                unit,
                confirm_before=confirm_before,
                now=now,
            )
            if only_wider and plan.narrowings:
                raise TrustError(
                    f"the record protects less than before: {'; '.join(plan.narrowings[:3])}",
                    code="authority.narrows",
                    hint="commit it at the unit: `alpr-edge masks commit`",
                )
            self._settle(loaded)
            self._folder.write_record(new)
            self._save(plan.state, max(loaded.persons, keyring.number))
        repair = bool(loaded.trouble)
        narrowed = bool(plan.narrowings) if before.records or repair else None
        self._changed(
            MaskMove(before, plan.state, new, _people(new, keyring), narrowed, is_repair=repair)
        )
        return plan

    def add(self, data: bytes, city: Sequence[PublicKey]) -> State:
        """Join a polygon that the city ordered to what is in force.

        Args:
            data: the city's signed command, which must have been judged: it is kept as it came.
            city: the city's keys.

        Raises:
            TrustError: as `addition.open_addition` and `rules.add`; nothing has changed.
            OSError: the disk failed; the old state or the new one is there.
        """
        with self._folder.locked():
            loaded = self._load()
            before = loaded.state
            state = add(before, new := open_addition(data, city))
            self._settle(loaded)
            self._folder.write_addition(new)
            self._save(state, loaded.persons)
        newest = state.records[-1]
        told = replace(newest.record, reason=new.reason)
        self._changed(
            MaskMove(before, state, replace(newest, record=told, digest=new.digest), (CITY,))
        )
        return state

    def plan(
        self,
        data: bytes,
        keyring: Keyring,
        unit: Unit,
        *,
        confirm_before: datetime,
        now: datetime | None,
    ) -> Plan:
        """What `commit` would do, or why it would not. Raises as `commit`."""
        return plan_commit(
            self.load().state,
            open_record(data, keyring),
            keyring,
            unit,
            confirm_before=confirm_before,
            now=now,
        )

    def confirm(self, now: datetime, keyring: Keyring | None = None) -> State:
        """Confirm the pending record.

        Args:
            keyring: tells whose word the record has, for the ledger; decides nothing.

        Raises:
            TrustError: as `rules.confirm`.
            OSError: the disk failed; the old state or the new one is there.
        """
        with self._folder.locked():
            loaded = self._load()
            before = loaded.state
            state = confirm(before, now)
            self._settle(loaded)
            self._save(state, loaded.persons)
        newest = state.records[-1]
        people: tuple[str, ...] = ()
        if keyring is not None:
            with contextlib.suppress(TrustError):
                people = _people(open_record(newest.data, keyring), keyring)
        # Only what narrows has to wait.
        self._changed(MaskMove(before, state, newest, people, narrowed=True))
        return state

    def note_persons(self, keyring: Keyring) -> None:
        """Remember a newer list of persons, so that the older one does not count any more.

        Raises:
            Rollback: it is older than one that was here (`trust.rollback`).
            OSError: the disk failed.
        """
        with self._folder.locked():
            loaded = self._load()
            _check_persons(keyring, loaded)
            if keyring.number > loaded.persons and loaded.state.records:
                self._settle(loaded)
                self._save(loaded.state, keyring.number)

    def history(self) -> tuple[tuple[int, Path], ...]:
        """Number and file of every record that was ever committed, oldest first."""
        return self._folder.history()

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever the state on disk does; cheap."""
        return self._folder.stamp()

    # --- writing ---------------------------------------------------------------------------------

    def _settle(self, loaded: Loaded) -> None:
        """Raise the counter before a change, unless what is on disk has its count for itself.

        Raises:
            KeyUnusable: the TPM does not do it; nothing has changed.
        """
        counter = self._anchors.counter
        if counter is not None and (loaded.signed is None or loaded.is_behind):
            counter.raise_count()

    def _save(self, state: State, persons: int) -> None:
        counter = self._anchors.counter
        payload: dict[str, Any] = {
            "records": [[one.record.number, one.digest] for one in state.records],
            "confirm_before": state.confirm_before and format_time(state.confirm_before),
            "highest": state.highest,
            "persons": persons,
        }
        if state.added:
            payload |= {
                "additions": [[one.number, one.digest, one.after] for one in state.additions],
                "added": state.added,
                "added_digest": state.added_digest,
            }
        if counter is not None:
            # State first, then counter: a power cut in between leaves a state that `load` takes.
            payload["counter"] = (counter.count() or counter.raise_count()) + 1
        self._folder.write_state(sign(DocumentType.MASK_STATE, payload, self._key))
        if counter is not None:
            counter.raise_count()
        self._folder.write_counts(state)
        self._seen = Newest(state.highest, state.added)

    def _state(self, payload: dict[str, Any]) -> State:
        """The state of a verified payload, its records read and checked against their digests."""
        before = payload["confirm_before"]
        return State(
            tuple(self._folder.record(number, digest) for number, digest in payload["records"]),
            None if before is None else parse_time(before, "confirm_before"),
            payload["highest"],
            tuple(self._folder.addition(*one) for one in payload.get("additions", ())),
            payload.get("added", 0),
            payload.get("added_digest", ""),
        )


def _join(state: State, later: Sequence[Addition]) -> State:
    """With polygons that lie there and that the state does not know: a power cut, or it was put
    back. They can only widen.
    """
    if not later:
        return state
    newest = later[-1]
    after = state.records[-1].record.number if state.records else 0
    return replace(
        state,
        additions=(*state.additions, *(replace(one, after=after) for one in later)),
        added=newest.number,
        added_digest=newest.digest,
    )


def _check_persons(keyring: Keyring, loaded: Loaded) -> None:
    if 0 < keyring.number < loaded.persons:
        raise Rollback(
            f"the list of persons has number {keyring.number}, number {loaded.persons} was here",
            code="trust.rollback",
            hint="put the newest list that the city signed in place",
        )


def _people(signed: SignedRecord, keyring: Keyring) -> tuple[str, ...]:
    names = tuple(one.name for one in keyring.people(signed.signers, *SIGNING_ROLES))
    return (*names, CITY) if keyring.is_city(signed.signers) else names
