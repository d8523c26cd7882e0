"""The device and its witnesses: cosignatures are verified, kept, stated, and missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import HandClock, TestSigner, boot, egress, write_log

from alpr_edge.cli import main
from alpr_edge.errors import AuditError
from alpr_edge.ledger.export import export_log, opened_log
from alpr_edge.ledger.files import COSIGNED, LedgerFolder
from alpr_edge.ledger.kinds import Body, Trigger, Witnessed
from alpr_edge.ledger.note import VerifierKey, cosign
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.ledger.witnessed import HOUR_S, WitnessWatch, load_witnesses

NAME = "witness.city.example"
AT = 1_790_000_000


class Desk:
    """A live ledger of 600 entries, signed, and what watches its witness."""

    def __init__(self, folder: Path) -> None:
        self.identity = Identity("cam-0001", (TestSigner(),))
        self.ledger = Ledger(folder / "ledger", self.identity)
        self.ledger.append(boot())
        self.grow(599)
        self.witness, self.hand = TestSigner(), HandClock()
        self.key = VerifierKey(NAME, self.witness.public_key, kind=4)
        self.told: list[Body] = []
        self.warned: list[bool] = []
        self.watch = WitnessWatch(
            [self.key],
            self.ledger.checkpoint_at,
            self.told.append,
            keep=self.ledger.keep_cosigned,
            warn=self.warned.append,
            within_s=600.0,
            monotonic=self.hand.clock().monotonic,
        )

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.ledger.append(egress())
        assert self.ledger.sync()

    def line(self, size: int, signer: TestSigner | None = None, at: int = AT) -> str:
        head = self.ledger.checkpoint_at(size)
        assert head is not None
        return str(cosign(head.text, NAME, signer or self.witness, at))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.ledger.close()


def test_a_cosignature_of_any_size_is_verified_against_the_ledger_itself(desk: Desk) -> None:
    # Of a full bundle, of a part of one, of the journal: sizes that no checkpoint was kept for.
    for size in (1, 256, 300, 599, 600):
        assert desk.watch.answered(size, desk.line(size))
        assert desk.watch.latest is not None
        assert desk.watch.latest.size == size
    # An older one that comes late takes nothing back.
    assert desk.watch.answered(300, desk.line(300))
    assert desk.watch.latest.size == 600
    assert desk.ledger.checkpoint_at(601) is None
    assert desk.ledger.checkpoint_at(-1) is None


def test_wrong_answers_count_for_nothing_and_are_an_alarm_once_an_hour(desk: Desk) -> None:
    good = desk.line(600)
    stranger = desk.line(600, TestSigner())
    assert not desk.watch.answered(599, good)
    assert not desk.watch.answered(601, good)
    assert not desk.watch.answered(600, stranger)
    assert not desk.watch.answered(600, desk.line(600, at=1 << 40))
    assert not desk.watch.answered(600, good.replace(NAME, "other.example"))
    assert desk.watch.latest is None
    assert desk.told == [Trigger(what="witness_unverified", count=599)]
    desk.hand.go(HOUR_S + 1)
    assert not desk.watch.answered(600, stranger)
    assert len(desk.told) == 2
    assert desk.watch.answered(600, good)


def test_a_missing_witness_is_told_once_and_its_return_too(desk: Desk) -> None:
    desk.watch.look(600)
    desk.hand.go(601)
    desk.watch.look(600)
    desk.watch.look(600)
    assert desk.told == [Witnessed(state="missing", size=0)]
    assert desk.warned == [True]
    assert desk.watch.answered(600, desk.line(600))
    assert desk.warned == [True, False]
    # Nothing new to cosign is no silence; a new head that nobody cosigns is.
    desk.hand.go(10_000)
    desk.watch.look(600)
    desk.grow(1)
    desk.watch.look(601)
    assert desk.warned == [True, False]
    desk.hand.go(601)
    desk.watch.look(601)
    assert desk.warned == [True, False, True]
    assert [one.state for one in desk.told if isinstance(one, Witnessed)] == [
        *("missing", "cosigned", "missing")
    ]
    assert desk.told[-1] == Witnessed(state="missing", size=600)


def test_cosignatures_are_on_record_once_an_hour(desk: Desk) -> None:
    for _ in range(5):
        assert desk.watch.answered(600, desk.line(600))
    assert len(desk.told) == 1
    desk.hand.go(HOUR_S + 1)
    # The same one again is no news; the witness's word of an hour later is.
    assert desk.watch.answered(600, desk.line(600, at=AT - 3601))
    assert len(desk.told) == 1
    assert desk.watch.answered(600, desk.line(600, at=AT + 1))
    assert desk.told[1] == Witnessed(
        state="cosigned", witness=NAME, size=600, at="2026-09-21T14:13:21.000Z"
    )


def test_an_old_cosignature_delivered_again_hides_no_silence(desk: Desk) -> None:
    kept: list[int] = []
    desk.watch._keep = lambda head, _: kept.append(head.size)
    first, line = desk.line(1), desk.line(600)
    assert desk.watch.answered(600, line)
    for _ in range(5):
        desk.grow(1)
        desk.hand.go(599)
        assert desk.watch.answered(600, line)
        desk.watch.look(605)
    assert desk.watch.is_missing
    assert desk.warned == [True]
    # Nor does one end it, of whatever size up to the last, today's word for it included.
    for size, old in ((1, first), (600, line), (600, desk.line(600, at=AT + 9000)), (599, None)):
        desk.hand.go(HOUR_S + 1)
        assert desk.watch.answered(size, old or desk.line(size, at=AT + 9999))
        desk.watch.look(605)
        assert desk.watch.is_missing
    assert desk.warned == [True]
    assert min(kept) == 600
    assert {one.size for one in desk.told if isinstance(one, Witnessed)} == {600}
    assert desk.watch.answered(605, desk.line(605))
    assert desk.warned == [True, False]
    assert kept[-1] == 605


def test_a_run_knows_what_was_cosigned_before_it(desk: Desk) -> None:
    assert desk.ledger.cosigned_size() == 0
    assert desk.watch.answered(500, desk.line(500))
    desk.told.clear()
    watch = WitnessWatch(
        [desk.key],
        desk.ledger.checkpoint_at,
        desk.told.append,
        keep=desk.ledger.keep_cosigned,
        warn=desk.warned.append,
        within_s=600.0,
        monotonic=desk.hand.clock().monotonic,
        before=desk.ledger.cosigned_size(),
    )
    assert watch.answered(1, desk.line(1))
    assert watch.latest is None
    assert desk.told == []
    assert watch.answered(500, desk.line(500))
    assert watch.latest is not None


def test_the_cosigned_checkpoint_goes_with_a_copy_and_is_checked(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.watch.answered(300, desk.line(300))
    desk.grow(50)
    export_log(tmp_path / "ledger", tmp_path / "copy.zip")
    keys, witnesses = desk.identity.keys, [desk.key]
    with opened_log(tmp_path / "copy.zip") as log:
        verdict = verify(log, Question(keys, witnesses))
        assert verdict.holds
        assert (verdict.cosigned, verdict.cosigned_size) == ({NAME: AT}, 300)
    (tmp_path / "device").write_text(f"{keys[0]}\n")
    (tmp_path / "witness").write_text(f"# the city's\n{desk.key}\n")
    command = ["ledger", "verify", str(tmp_path / "copy.zip"), "--key", str(tmp_path / "device")]
    assert main([*command, "--witness", str(tmp_path / "witness")]) == 0
    assert f"cosigned    300 by {NAME}, 2026-09-21 14:13:20Z" in capsys.readouterr().out
    assert main(command) == 0
    assert "by no witness that was asked for" in capsys.readouterr().out


@pytest.fixture(scope="module")
def cosigned_log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Question, bytes]:
    folder = tmp_path_factory.mktemp("log")
    witness = TestSigner()
    identity = write_log(folder / "ledger", [egress()] * 3, TestSigner())
    ledger = Ledger(folder / "ledger", identity)
    head = ledger.checkpoint_at(4)
    assert head is not None
    ledger.keep_cosigned(head, str(cosign(head.text, NAME, witness, AT)))
    ledger.close()
    question = Question(identity.keys, [VerifierKey(NAME, witness.public_key, kind=4)])
    path = folder / "ledger" / COSIGNED
    assert verify(LedgerFolder(path.parent), question).cosigned == {NAME: AT}
    return path, question, path.read_bytes()


@given(st.data())
def test_any_flipped_bit_of_the_cosigned_checkpoint_is_found(
    cosigned_log: tuple[Path, Question, bytes], data: st.DataObject
) -> None:
    path, question, good = cosigned_log
    raw = bytearray(good)
    at, bit = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7))
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    verdict = verify(LedgerFolder(path.parent), question)
    # What is no signature of a known witness any more is no cosignature: that shows as well.
    assert not (verdict.holds and verdict.cosigned)


@given(line=st.text(max_size=200), size=st.integers(-5, 700))
def test_a_strange_answer_never_counts(
    tmp_path_factory: pytest.TempPathFactory, line: str, size: int
) -> None:
    desk = _SHARED.get("desk")
    if desk is None:
        desk = _SHARED["desk"] = Desk(tmp_path_factory.mktemp("shared"))
    assert not desk.watch.answered(size, line)


_SHARED: dict[str, Desk] = {}


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    for desk in _SHARED.values():
        desk.ledger.close()


def test_the_file_of_witnesses(tmp_path: Path) -> None:
    path, key = tmp_path / "witnesses", VerifierKey(NAME, TestSigner().public_key, kind=4)
    path.write_text(f"# ours\n{key}  # since March\n\n")
    assert load_witnesses(path) == (key,)
    device = VerifierKey("alpr-edge/cam-0001", TestSigner().public_key)
    for text in ("", f"{device}\n", "rubbish\n", json.dumps([])):
        path.write_text(text)
        with pytest.raises(AuditError) as caught:
            load_witnesses(path)
        assert caught.value.code in ("ledger.witness.keys", "ledger.key.invalid")
    with pytest.raises(AuditError):
        load_witnesses(tmp_path / "missing")
