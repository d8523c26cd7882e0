"""The whole mask store put back by somebody who owns the disk, and an older list of persons.

The counter is a real TPM in software where it matters, and the shipped fake for the power cuts.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from alpr_edge.authority.counter import Counter, MemoryCounter
from alpr_edge.authority.record import MaskRecord, record_payload
from alpr_edge.authority.rules import Unit
from alpr_edge.authority.store import Anchors, MaskMove, MaskStore
from alpr_edge.errors import AlprEdgeError, KeyUnusable
from alpr_edge.ledger.entry import decode
from alpr_edge.ledger.facts import Facts
from alpr_edge.ledger.kinds import MaskChange
from alpr_edge.ledger.mask_changes import tell
from alpr_edge.ledger.newest import newest_in_force
from alpr_edge.ledger.reporter import Reporter
from alpr_edge.ledger.spool import Spool
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keyring import Keyring, Person, Role
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.trust.tpm import Tpm
from alpr_edge.zone_set import ZonePolygon, ZoneSet

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
UNIT = Unit("unit-1", "cam0")
CITY, ANNA, BEN, DEVICE = (PrivateKey.generate() for _ in range(4))
PEOPLE = (
    Person("Anna", Role.TECHNICIAN, (ANNA.public,)),
    Person("Ben", Role.SUPERVISOR, (BEN.public,)),
)
RING = Keyring((CITY.public,), PEOPLE, 4)
SQUARE = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))
LARGER = ((0.0, 0.0), (0.7, 0.0), (0.7, 0.7), (0.0, 0.7))


class Bench:
    """A store with what remembers it."""

    def __init__(self, folder: Path, counter: Counter | None = None) -> None:
        self.folder, self.counter = folder, counter
        self.ledger = folder / "ledger"
        identity = Identity("unit-1", (_Signer(DEVICE),))
        self.reporter = Reporter(Spool(self.ledger), lambda: Ledger(self.ledger, identity))
        self.moves: list[MaskMove] = []

    def store(self) -> MaskStore:
        """As a new process opens it."""

        def changed(move: MaskMove) -> None:
            self.moves.append(move)
            tell(move, 0.0, self.reporter)

        anchors = Anchors(self.counter, lambda: newest_in_force(self.ledger))
        return MaskStore(self.folder / "masks", DEVICE, changed=changed, anchors=anchors)

    def commit(
        self,
        number: int,
        polygon=SQUARE,
        keys=(CITY,),
        ring=RING,
        store: MaskStore | None = None,
        **about: object,
    ) -> None:
        store = store or self.store()
        previous = store.load().state.follows
        record = MaskRecord(
            number, "unit-1", "cam0", (64, 48), ZoneSet((ZonePolygon("a", polygon),)), NOW,
            previous=previous, authors=("somebody",),
            reason="new driveway",
        )  # fmt: skip
        record = replace(record, **about)
        data = sign(DocumentType.MASK_RECORD, record_payload(record), *keys)
        store.commit(data, ring, UNIT, confirm_before=NOW + timedelta(hours=1), now=NOW)

    def keep(self) -> Path:
        """A copy of the store as it is, for later."""
        kept = self.folder / f"kept-{len(list(self.folder.glob('kept-*')))}"
        shutil.copytree(self.folder / "masks", kept)
        return kept

    def put_back(self, kept: Path) -> None:
        shutil.rmtree(self.folder / "masks")
        shutil.copytree(kept, self.folder / "masks")


class _Signer:
    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.public_key = key.public.raw

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def trouble(bench: Bench) -> str:
    loaded = bench.store().load()
    assert bool(loaded.trouble) == (loaded.state.zones is None)
    return loaded.trouble


def test_the_ledger_remembers_a_store_that_was_put_back(bench: Bench) -> None:
    bench.commit(1)
    kept = bench.keep()
    bench.commit(2, LARGER)
    bench.put_back(kept)
    assert "put back: number 2" in trouble(bench)
    # It takes the city, or two people, and a number that was never here.
    with pytest.raises(AlprEdgeError):
        bench.commit(3, LARGER, keys=(ANNA,))
    with pytest.raises(AlprEdgeError):
        bench.commit(2, LARGER)
    bench.commit(3, LARGER, keys=(ANNA, BEN))
    assert trouble(bench) == ""


def test_a_store_that_is_taken_away_is_no_new_unit(bench: Bench) -> None:
    bench.commit(1)
    shutil.rmtree(bench.folder / "masks")
    assert "does not exist" in trouble(bench)


def test_this_process_remembers_without_a_ledger(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    running = MaskStore(tmp_path / "masks", DEVICE)
    bench.commit(1, store=running)
    kept = bench.keep()
    bench.commit(2, LARGER, store=running)
    assert running.load().trouble == ""
    bench.put_back(kept)
    assert "put back" in running.load().trouble


@pytest.mark.parametrize("real", [True, False], ids=["tpm", "fake"])
def test_a_counter_remembers_it_without_a_ledger(tmp_path: Path, tpm: str, real: bool) -> None:
    bench = Bench(tmp_path, Tpm(tpm) if real else MemoryCounter())
    bench.commit(1)
    kept = bench.keep()
    bench.commit(2, LARGER)
    shutil.rmtree(bench.ledger)
    assert trouble(bench) == ""
    bench.put_back(kept)
    assert "the TPM has counted more" in trouble(bench)
    bench.commit(3)
    assert trouble(bench) == ""


def test_a_store_from_before_there_was_a_tpm_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.commit(1)
    before = bench.keep()
    bench.counter = MemoryCounter()
    assert trouble(bench) == ""
    bench.commit(2, LARGER)
    assert trouble(bench) == ""
    shutil.rmtree(bench.ledger)
    bench.put_back(before)
    assert "the TPM has counted more" in trouble(bench)


def test_another_tpm_is_not_taken_for_this_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, MemoryCounter())
    bench.commit(1)
    bench.commit(2, LARGER)
    bench.counter = MemoryCounter()
    assert "not this unit's" in trouble(bench)


class _CutCounter(MemoryCounter):
    """The power fails instead of the n-th raising."""

    def __init__(self, cut_at: int) -> None:
        super().__init__()
        self.cut_at = cut_at

    def raise_count(self) -> int:
        self.cut_at -= 1
        if self.cut_at == 0:
            raise KeyUnusable("the power is gone", code="trust.tpm")
        return super().raise_count()


def test_a_power_cut_between_state_and_counter_is_taken_up(tmp_path: Path) -> None:
    counter = _CutCounter(4)
    bench = Bench(tmp_path, counter)
    bench.commit(1)
    kept = bench.keep()
    bench.commit(2, LARGER)
    with pytest.raises(KeyUnusable):
        bench.commit(3, LARGER)
    assert bench.store().load().state.records[0].record.number == 3
    before = counter.count()
    assert trouble(bench) == ""
    assert counter.count() == before  # it was raised once, by the load above
    shutil.rmtree(bench.ledger)
    bench.put_back(kept)
    assert trouble(bench)


def test_a_tpm_that_does_not_answer_stops_reading(tmp_path: Path) -> None:
    bench = Bench(tmp_path, MemoryCounter())
    bench.commit(1)
    bench.counter = Tpm("swtpm:path=/nonexistent/socket")
    assert "tpm2_getcap" in trouble(bench)


def test_an_older_list_of_persons_does_not_come_back(bench: Bench) -> None:
    bench.commit(1)
    store = bench.store()
    store.note_persons(Keyring((CITY.public,), PEOPLE[1:], 5))
    assert store.load().trouble == ""
    older = RING
    with pytest.raises(AlprEdgeError) as caught:
        bench.commit(2, LARGER, keys=(ANNA,), ring=older)
    assert caught.value.code == "trust.rollback"
    with pytest.raises(AlprEdgeError):
        bench.store().note_persons(older)
    assert bench.store().load().state.records[0].record.number == 1
    bench.commit(2, LARGER, keys=(BEN,), ring=Keyring((CITY.public,), PEOPLE[1:], 5))
    bench.commit(3, LARGER, ring=Keyring((CITY.public,)))
    assert bench.store().load().persons == 5


def test_the_ledger_names_who_changed_what(bench: Bench) -> None:
    bench.commit(1, keys=(ANNA, BEN))
    bench.commit(2, LARGER, keys=(ANNA,))
    bench.commit(3, SQUARE, keys=(BEN, ANNA))
    bench.store().confirm(NOW, RING)
    lines = [json.loads(e) for e in _entries(bench.ledger)]
    changes = [e["body"] for e in lines if e["body"]["kind"] == "mask_change"]
    assert [(c["by"], c["second"], c["number"]) for c in changes] == [
        ("Anna", "Ben", 1), ("Anna", "nobody", 2), ("Anna", "Ben", 3), ("Anna", "Ben", 3),
    ]  # fmt: skip
    # The third waits, and says what it was judged to be all the same.
    assert [c["narrowed"] for c in changes] == [None, False, True, True]
    assert [c["waits"] for c in changes] == [False, False, True, False]
    assert [c["repair"] for c in changes] == [False] * 4
    assert {c["reason"] for c in changes} == {"new driveway"}
    assert changes[1]["added_px"] > 0
    assert changes[1]["removed_px"] == 0
    assert changes[3]["removed_px"] == changes[1]["added_px"]
    assert [c["order"] for c in changes] == [None] * 4
    for before, after in pairwise(changes):
        assert before["new"] == after["old"]


def test_another_view_is_a_narrowing_on_the_ledger_and_an_exception_of_the_report(
    bench: Bench,
) -> None:
    one, other = "a" * 64, "b" * 64
    bench.commit(1, keys=(ANNA, BEN), reference=one)
    bench.commit(2, keys=(ANNA, BEN), reference=other)
    bench.store().confirm(NOW, RING)
    bench.commit(3, keys=(ANNA, BEN), reference=other, frame_px=(128, 96))
    bench.store().confirm(NOW, RING)
    changes = _changes(bench)
    assert [(c.narrowed, c.view_old, c.view_new) for c in changes] == [
        (None, None, one), (True, one, other), (True, one, other), *[(True, other, other)] * 2,
    ]  # fmt: skip
    assert [c.other_frame for c in changes] == [False, False, False, True, True]
    # To the pixel nothing changed: the masks are the same.
    assert {(c.added, c.removed, c.removed_px) for c in changes[1:]} == {(0, 0, 0)}
    told = _told(bench)
    assert len(told) == 4
    for text in told[:2]:
        assert "ANOTHER REFERENCE VIEW (aaaaaaaaaaaa… before, bbbbbbbbbbbb… now)" in text
        assert "by Anna and Ben" in text
    assert "together until it is confirmed" in told[0]
    assert "together until it is confirmed" not in told[1]
    for text in told[2:]:
        assert "another frame size" in text


def test_the_record_after_a_damage_is_a_grave_exception(bench: Bench) -> None:
    bench.commit(1, LARGER)
    (bench.folder / "masks" / "state.json").write_bytes(b"rubbish")
    assert bench.store().load().trouble
    bench.commit(2, SQUARE, keys=(ANNA, BEN))
    first, second = _changes(bench)
    assert (first.narrowed, first.repair) == (None, False)
    assert (second.narrowed, second.repair) == (True, True)
    (text,) = _told(bench)
    assert "nobody can say what this uncovers" in text


def _changes(bench: Bench) -> list[MaskChange]:
    bodies = [decode(one).body for one in _entries(bench.ledger)]
    return [body for body in bodies if isinstance(body, MaskChange)]


def _told(bench: Bench) -> list[str]:
    facts = Facts()
    for one in _entries(bench.ledger):
        facts.add(decode(one))
    return [text for text in facts.exceptions() if "Masks" in text]


def _entries(ledger: Path) -> tuple[bytes, ...]:
    from alpr_edge.ledger.files import LedgerFolder

    return LedgerFolder(ledger).tail(0)
