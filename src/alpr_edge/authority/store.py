"""Edge: the masks in force, on a disk that may fail at any moment.

    FOLDER/records/000003-1a2b3c4d5e6f.json    every record that was ever committed, as it came
    FOLDER/additions/1764000000000-….json      every polygon that the city added, as it came
    FOLDER/added                               the highest number of those, again
    FOLDER/state.json                          what is in force; signed by the unit's own key
    FOLDER/highest                             the highest number, again
    FOLDER/lock                                one writer at a time

Rules:

- Written in this order, each durably: record, state, highest. A power cut leaves the old state or
  the new one.
- A state that is damaged, unsigned, or older than `highest` is not used: nothing is read until a
  record is committed again, which takes two people or the city.
- The records in force are bound to the state by their digests. Who might sign was judged when they
  were committed: a technician who leaves does not stop the cameras.
- Nothing is ever deleted.
- The whole folder put back as it was, by someone who owns the disk, is noticed by what lies
  elsewhere: a TPM's counter that every change raises, and the newest record's number, which the
  ledger knows and this process remembers. Then nothing is read, as with a damaged state.
- The list of persons does not go back either: its number stands in the signed state.

What it cannot see: disk and ledger put back together, without a TPM; that shows at the witness.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from alpr_edge.authority.addition import Addition, open_addition, parse_addition
from alpr_edge.authority.counter import Counter
from alpr_edge.authority.record import (
    SIGNING_ROLES,
    SignedRecord,
    open_record,
    parse_record,
)
from alpr_edge.authority.rules import Plan, State, Unit, add, confirm, plan_commit
from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.errors import AlprEdgeError, Rollback, TrustError
from alpr_edge.trust.checks import format_time, parse_time
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, read_unverified, sign, verify
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PrivateKey, PublicKey

_NAME: Final = re.compile(r"(\d{6,16})-[0-9a-f]{12}\.json")
Write = Callable[[Path, bytes], None]
CITY: Final = "city"
_HIGHEST: Final = "highest"
_ADDED: Final = "added"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the disk holds.

    Attributes:
        state: empty where it cannot be used, save `highest`.
        trouble: why it cannot be used; empty: it can, or there never was one.
        persons: number of the newest list of persons that was here.
        counts: numbers of the newest record and polygon that the signed state itself knows.
    """

    state: State
    trouble: str = ""
    persons: int = 0
    counts: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Anchors:
    """What remembers the store when the whole of it is put back.

    Attributes:
        counter: a TPM's; None: there is none.
        least: asked once: the highest number that the ledger knows.
    """

    counter: Counter | None = None
    least: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class MaskMove:
    """A change of what is in force, as it was made.

    Attributes:
        record: the one that was committed, or confirmed.
        people: names of who signed it, by the list of persons, and `city`; empty where a record is
            confirmed by somebody who has no list.
    """

    before: State
    after: State
    record: SignedRecord
    people: tuple[str, ...] = ()

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
        self._seen: int | None = None
        self._changed = changed
        self._folder = Path(folder)
        self._key = device_key
        self._write = write

    def load(self) -> Loaded:
        """What is in force. Never raises for what is wrong with the files: it says so."""
        loaded, is_behind = self._load()
        if is_behind:
            # A power cut came between the state and the counter.
            with contextlib.suppress(OSError), self._locked():
                loaded, is_behind = self._load()
                if is_behind and self._anchors.counter is not None:
                    with contextlib.suppress(AlprEdgeError):
                        self._anchors.counter.raise_count()
        if not loaded.trouble and self._counts_lag(loaded):
            # The same between the state and its counts: without them an older state would do.
            with contextlib.suppress(OSError), self._locked():
                again, _ = self._load()
                if not again.trouble:
                    self._save_counts(*again.counts)
        return loaded

    def _counts_lag(self, loaded: Loaded) -> bool:
        highest, added = loaded.counts
        return highest > self._counted(_HIGHEST) or added > self._counted(_ADDED)

    def _load(self) -> tuple[Loaded, bool]:
        """What is in force, and whether the counter is still to be raised for it."""
        highest, least = self._highest(), self._least()
        added = self._counted(_ADDED)
        empty = State(highest=max(highest, least), added=added)
        data = read_regular_file(self._state_file, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            never = data.detail == "does not exist" and empty.highest == 0
            return Loaded(empty, "" if never else f"state.json {data.detail}"), False
        try:
            payload = verify(data, DocumentType.MASK_STATE, [self._key.public])
            state = self._state(payload)
            persons, counted = int(payload.get("persons", 0)), payload.get("counter")
            behind = self._held_against_counter(counted)
        except AlprEdgeError as err:
            return Loaded(empty, err.message), False
        except (KeyError, TypeError, ValueError):
            # Signed by this unit, but not by this version of the software.
            return Loaded(empty, "state.json is of another version"), False
        if state.highest < self._counted(_HIGHEST) or state.added < added:
            return Loaded(empty, "state.json is older than what has been here", persons), False
        if state.highest < least:
            detail = f"the masks were put back: number {least} has been in force here"
            return Loaded(empty, detail, persons), False
        self._seen = state.highest
        counts = state.highest, state.added
        return Loaded(replace(state, highest=highest), "", persons, counts), behind

    def _least(self) -> int:
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
            raise _damaged("the masks were put back: the TPM has counted more changes")
        if counted > now + 1:
            raise _damaged("the TPM's counter is not this unit's")
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
        with self._locked():
            loaded, _ = self._load()
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
            self._records.mkdir(exist_ok=True)
            self._write(self._record_file(new), new.data)
            self._save(plan.state, max(loaded.persons, keyring.number))
        self._changed(MaskMove(before, plan.state, new, _people(new, keyring)))
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
        with self._locked():
            loaded, _ = self._load()
            before = loaded.state
            state = add(before, new := open_addition(data, city))
            self._additions.mkdir(exist_ok=True)
            self._write(self._addition_file(new.number, new.digest), data)
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
        with self._locked():
            loaded, _ = self._load()
            before = loaded.state
            state = confirm(before, now)
            self._save(state, loaded.persons)
        newest = state.records[-1]
        people: tuple[str, ...] = ()
        if keyring is not None:
            with contextlib.suppress(TrustError):
                people = _people(open_record(newest.data, keyring), keyring)
        self._changed(MaskMove(before, state, newest, people))
        return state

    def note_persons(self, keyring: Keyring) -> None:
        """Remember a newer list of persons, so that the older one does not count any more.

        Raises:
            Rollback: it is older than one that was here (`trust.rollback`).
            OSError: the disk failed.
        """
        with self._locked():
            loaded, _ = self._load()
            _check_persons(keyring, loaded)
            if keyring.number > loaded.persons and loaded.state.records:
                self._save(loaded.state, keyring.number)

    def history(self) -> tuple[tuple[int, Path], ...]:
        """Number and file of every record that was ever committed, oldest first."""
        found = []
        with contextlib.suppress(OSError):
            for name in os.listdir(self._records):
                match = _NAME.fullmatch(name)
                if match:
                    found.append((int(match[1]), self._records / name))
        return tuple(sorted(found))

    def stamp(self) -> tuple[int, ...]:
        """Changes whenever the state on disk does; cheap."""
        try:
            status = os.stat(self._state_file)
        except OSError:
            return ()
        return (status.st_mtime_ns, status.st_ino, status.st_size)

    @property
    def _records(self) -> Path:
        return self._folder / "records"

    @property
    def _additions(self) -> Path:
        return self._folder / "additions"

    def _addition_file(self, number: int, digest: str) -> Path:
        return self._additions / f"{number:013d}-{digest[:12]}.json"

    @property
    def _state_file(self) -> Path:
        return self._folder / "state.json"

    def _record_file(self, signed: SignedRecord) -> Path:
        return self._records / f"{signed.record.number:06d}-{signed.digest[:12]}.json"

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
            }
        if counter is not None:
            # State first, then counter: a power cut in between leaves a state that `load` takes.
            payload["counter"] = (counter.count() or counter.raise_count()) + 1
        self._write(self._state_file, sign(DocumentType.MASK_STATE, payload, self._key))
        if counter is not None:
            counter.raise_count()
        self._save_counts(state.highest, state.added)
        self._seen = max(self._least(), state.highest)

    def _save_counts(self, highest: int, added: int) -> None:
        self._write(self._folder / _HIGHEST, b"%d\n" % highest)
        if added:
            self._write(self._folder / _ADDED, b"%d\n" % added)

    def _state(self, payload: dict[str, Any]) -> State:
        """The state of a verified payload, its records read and checked against their digests."""
        before = payload["confirm_before"]
        return State(
            tuple(self._record(number, digest) for number, digest in payload["records"]),
            None if before is None else parse_time(before, "confirm_before"),
            payload["highest"],
            tuple(self._addition(*one) for one in payload.get("additions", ())),
            payload.get("added", 0),
        )

    def _addition(self, number: int, digest: str, after: int) -> Addition:
        path = self._addition_file(number, digest)
        data = read_regular_file(path, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            raise _damaged(f"the addition {path.name} {data.detail}")
        found = read_unverified(data, DocumentType.COMMAND)
        if found.digest != digest:
            raise _damaged(f"the addition {path.name} is not the one that was ordered")
        return parse_addition(found.payload, digest, data, after)

    def _record(self, number: int, digest: str) -> SignedRecord:
        path = self._records / f"{number:06d}-{digest[:12]}.json"
        data = read_regular_file(path, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            raise _damaged(f"the record {path.name} {data.detail}")
        found = read_unverified(data, DocumentType.MASK_RECORD)
        if found.digest != digest:
            raise _damaged(f"the record {path.name} is not the one that was committed")
        return SignedRecord(parse_record(found.payload), digest, (), data)

    def _counted(self, name: str) -> int:
        data = read_regular_file(self._folder / name, limit_bytes=32)
        text = b"" if isinstance(data, FileTrouble) else data.strip()
        return int(text) if text.isdigit() else 0

    def _highest(self) -> int:
        """Over all that is there: a commit that a power cut ended uses its number up, too."""
        highest = max([self._counted(_HIGHEST), *(number for number, _ in self.history())])
        with contextlib.suppress(AlprEdgeError, OSError):
            data = read_regular_file(self._state_file, limit_bytes=MAX_ENVELOPE_BYTES)
            if not isinstance(data, FileTrouble):
                payload = verify(data, DocumentType.MASK_STATE, [self._key.public])
                highest = max(highest, payload["highest"])
        return highest

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


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


def _damaged(reason: str) -> TrustError:
    return TrustError(
        reason,
        code="authority.store.damaged",
        hint="commit the masks again: two people or the city",
    )
