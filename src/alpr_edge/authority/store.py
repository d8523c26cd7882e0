"""Edge: the masks in force, on a disk that may fail at any moment.

    FOLDER/records/000003-1a2b3c4d5e6f.json    every record that was ever committed, as it came
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

What it cannot see: the whole folder put back as it was, by someone who owns the disk (docs:
exclusion.md, N6).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from alpr_edge.authority.record import (
    SIGNING_ROLES,
    SignedRecord,
    open_record,
    parse_record,
)
from alpr_edge.authority.rules import Plan, State, Unit, confirm, plan_commit
from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.errors import AlprEdgeError, TrustError
from alpr_edge.trust.checks import format_time, parse_time
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES, read_unverified, sign, verify
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.keys import PrivateKey

_NAME: Final = re.compile(r"(\d{6,16})-[0-9a-f]{12}\.json")
Write = Callable[[Path, bytes], None]
CITY: Final = "city"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the disk holds.

    Attributes:
        state: empty where it cannot be used, save `highest`.
        trouble: why it cannot be used; empty: it can, or there never was one.
    """

    state: State
    trouble: str = ""


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
        changed: told of every change once it is in force, for the ledger; must not raise.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        device_key: PrivateKey,
        *,
        write: Write = write_durably,
        changed: Callable[[MaskMove], None] = lambda _: None,
    ) -> None:
        self._changed = changed
        self._folder = Path(folder)
        self._key = device_key
        self._write = write

    def load(self) -> Loaded:
        """What is in force. Never raises for what is wrong with the files: it says so."""
        highest = self._highest()
        data = read_regular_file(self._state_file, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            never = data.detail == "does not exist" and highest == 0
            return Loaded(State(highest=highest), "" if never else f"state.json {data.detail}")
        try:
            state = self._state(verify(data, DocumentType.MASK_STATE, [self._key.public]))
        except AlprEdgeError as err:
            return Loaded(State(highest=highest), err.message)
        except (KeyError, TypeError, ValueError):
            # Signed by this unit, but not by this version of the software.
            return Loaded(State(highest=highest), "state.json is of another version")
        if state.highest < self._counted():
            return Loaded(State(highest=highest), "state.json is older than what has been here")
        return Loaded(State(state.records, state.confirm_before, highest))

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
            before = self.load().state
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
            self._save(plan.state)
        self._changed(MaskMove(before, plan.state, new, _people(new, keyring)))
        return plan

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
            before = self.load().state
            state = confirm(before, now)
            self._save(state)
        newest = state.records[-1]
        people: tuple[str, ...] = ()
        if keyring is not None:
            with contextlib.suppress(TrustError):
                people = _people(open_record(newest.data, keyring), keyring)
        self._changed(MaskMove(before, state, newest, people))
        return state

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
    def _state_file(self) -> Path:
        return self._folder / "state.json"

    def _record_file(self, signed: SignedRecord) -> Path:
        return self._records / f"{signed.record.number:06d}-{signed.digest[:12]}.json"

    def _save(self, state: State) -> None:
        payload = {
            "records": [[one.record.number, one.digest] for one in state.records],
            "confirm_before": state.confirm_before and format_time(state.confirm_before),
            "highest": state.highest,
        }
        self._write(self._state_file, sign(DocumentType.MASK_STATE, payload, self._key))
        self._write(self._folder / "highest", b"%d\n" % state.highest)

    def _state(self, payload: dict[str, Any]) -> State:
        """The state of a verified payload, its records read and checked against their digests."""
        before = payload["confirm_before"]
        return State(
            tuple(self._record(number, digest) for number, digest in payload["records"]),
            None if before is None else parse_time(before, "confirm_before"),
            payload["highest"],
        )

    def _record(self, number: int, digest: str) -> SignedRecord:
        path = self._records / f"{number:06d}-{digest[:12]}.json"
        data = read_regular_file(path, limit_bytes=MAX_ENVELOPE_BYTES)
        if isinstance(data, FileTrouble):
            raise _damaged(f"the record {path.name} {data.detail}")
        found = read_unverified(data, DocumentType.MASK_RECORD)
        if found.digest != digest:
            raise _damaged(f"the record {path.name} is not the one that was committed")
        return SignedRecord(parse_record(found.payload), digest, (), data)

    def _counted(self) -> int:
        data = read_regular_file(self._folder / "highest", limit_bytes=32)
        text = b"" if isinstance(data, FileTrouble) else data.strip()
        return int(text) if text.isdigit() else 0

    def _highest(self) -> int:
        """Over all that is there: a commit that a power cut ended uses its number up, too."""
        highest = max([self._counted(), *(number for number, _ in self.history())])
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


def _people(signed: SignedRecord, keyring: Keyring) -> tuple[str, ...]:
    names = tuple(one.name for one in keyring.people(signed.signers, *SIGNING_ROLES))
    return (*names, CITY) if keyring.is_city(signed.signers) else names


def _damaged(reason: str) -> TrustError:
    return TrustError(
        reason,
        code="authority.store.damaged",
        hint="commit the masks again: two people or the city",
    )
