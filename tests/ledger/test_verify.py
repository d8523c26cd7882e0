"""Verification: any change of any byte is found, and located."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import HandClock, TestSigner, boot, egress, hour, write_log

from alpr_edge.ledger.entry import make_entry
from alpr_edge.ledger.files import LedgerFolder, journal_head, journal_line, parse_journal
from alpr_edge.ledger.kinds import Body, Stop, TimeCorrection
from alpr_edge.ledger.merkle import leaf_hash
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.tiles import decode_bundle, encode_bundle
from alpr_edge.ledger.verify import Question, Verdict, Weight, verify

SIZE = 602


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Identity]:
    path = tmp_path_factory.mktemp("original") / "ledger"
    return path, write_log(path, [egress(n + 1) for n in range(SIZE - 2)], TestSigner())


@pytest.fixture
def copy(original: tuple[Path, Identity], tmp_path: Path) -> tuple[Path, Identity]:
    shutil.copytree(original[0], tmp_path / "ledger")
    return tmp_path / "ledger", original[1]


def _verify(path: Path, identity: Identity, older: tuple[tuple[str, bytes], ...] = ()) -> Verdict:
    return verify(LedgerFolder(path), Question(identity.keys, older=older))


def _places(verdict: Verdict, code: str) -> list[tuple[int, int]]:
    return [(f.first, f.end) for f in verdict.findings if f.code == code]


@settings(max_examples=60)
@given(st.data())
def test_any_flipped_byte_of_any_file_is_found(
    original: tuple[Path, Identity], data: st.DataObject
) -> None:
    path, identity = original
    files = sorted(p for p in path.rglob("*") if p.is_file())
    file = data.draw(st.sampled_from(files))
    good = file.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    try:
        file.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
        verdict = _verify(path, identity)
        assert verdict.findings
        inside = file.relative_to(path).as_posix()
        if not inside.startswith("tile/0"):
            assert not verdict.holds
    finally:
        file.write_bytes(good)


def test_a_changed_end_of_the_kept_checkpoints_is_found(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    raw = (path / "checkpoints").read_bytes()
    (path / "checkpoints").write_bytes(raw[:-1] + b"x")
    assert _places(_verify(path, identity), "ledger.checkpoints.damaged") == [(0, 0)]


def _edit(path: Path, bundle: int, change: Callable[[list[bytes]], list[bytes]]) -> None:
    file = path / "tile" / "entries" / f"{bundle:03d}"
    file.write_bytes(encode_bundle(change(decode_bundle(file.read_bytes()))))


def _swap(entries: list[bytes]) -> list[bytes]:
    entries[10], entries[12] = entries[12], entries[10]
    return entries


def test_an_entry_that_was_taken_out(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    _edit(path, 1, lambda e: e[:40] + e[41:])
    assert _places(_verify(path, identity), "ledger.entry.removed") == [(296, 297)]


def test_an_entry_that_was_put_in(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    strange = make_entry(egress(7), seq=40, at=HandClock().wall, boot=1, up_ms=1).encode()
    _edit(path, 0, lambda e: [*e[:40], strange, *e[40:]])
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.inserted") == [(40, 41)]
    assert (40, 41) not in _places(verdict, "ledger.entry.misplaced")


def test_entries_in_another_order(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    _edit(path, 1, _swap)
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.reordered") == [(266, 269)]
    assert _places(verdict, "ledger.entry.misplaced") == [(266, 267), (268, 269)]


def test_an_entry_that_was_changed(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    _edit(path, 0, lambda e: [*e[:9], e[9].replace(b'"count":9', b'"count":1'), *e[10:]])
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.changed") == [(9, 10)]
    assert not verdict.holds


def test_entries_and_tiles_changed_alike_are_bounded_by_the_checkpoints(
    copy: tuple[Path, Identity],
) -> None:
    path, identity = copy
    _edit(path, 1, lambda e: [*e[:9], e[9].replace(b'"count":265', b'"count":1'), *e[10:]])
    entries = decode_bundle((path / "tile/entries/001").read_bytes())
    (path / "tile/0/001").write_bytes(b"".join(leaf_hash(one) for one in entries))
    assert _places(_verify(path, identity), "ledger.rewritten") == [(256, 512)]


def test_a_changed_journal_with_right_sums_is_bounded(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    journal = parse_journal((path / "journal").read_bytes())
    assert journal is not None
    entries = [journal.entries[0].replace(b'"count":512', b'"count":5'), *journal.entries[1:]]
    assert entries[0] != journal.entries[0]
    raw = journal_head(512) + b"".join(journal_line(one) for one in entries)
    (path / "journal").write_bytes(raw)
    assert _places(_verify(path, identity), "ledger.rewritten") == [(512, SIZE)]


def test_a_shortened_log_is_found(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    journal = parse_journal((path / "journal").read_bytes())
    assert journal is not None
    raw = journal_head(512) + b"".join(journal_line(one) for one in journal.entries[:50])
    (path / "journal").write_bytes(raw)
    assert _places(_verify(path, identity), "ledger.truncated") == [(562, SIZE)]


def test_a_missing_bundle_is_found(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    (path / "tile/entries/000").unlink()
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.bundle.missing") == [(0, 256)]
    assert not verdict.holds


def test_a_lost_leaf_tile_is_a_note_only(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    (path / "tile/0/001").unlink()
    verdict = _verify(path, identity)
    assert verdict.holds
    assert _places(verdict, "ledger.tile.missing") == [(256, 512)]


# --- against an older checkpoint --------------------------------------------------------------


def test_an_older_checkpoint_fits_or_shows_a_fork(tmp_path: Path) -> None:
    signer = TestSigner()
    identity = Identity("cam-0001", (signer,))
    ledger = Ledger(tmp_path / "ledger", identity)
    ledger.append(boot())
    ledger.append(egress(1))
    ledger.sync()
    older = str(ledger.latest).encode()
    ledger.close()
    shutil.copytree(tmp_path / "ledger", tmp_path / "fork")
    for name, body in (("ledger", egress(2)), ("fork", egress(3))):
        one = Ledger(tmp_path / name, identity)
        one.append(boot(2))
        one.append(body)
        one.close(Stop(reason="asked"))
    newest = (tmp_path / "fork" / "checkpoint").read_bytes()
    assert _verify(tmp_path / "ledger", identity, (("of March", older),)).holds
    forked = _verify(tmp_path / "ledger", identity, (("of the witness", newest),))
    assert not forked.holds
    assert _places(forked, "ledger.rewritten")
    stranger = write_log(tmp_path / "other", [egress()], TestSigner())
    wrong = _verify(
        tmp_path / "ledger", identity, (("strange", (tmp_path / "other/checkpoint").read_bytes()),)
    )
    assert stranger.device == identity.device
    assert _places(wrong, "ledger.signature") == [(0, 0)]


# --- clocks and gaps -------------------------------------------------------------------------


def _log_of(path: Path, steps: list[tuple[float, float, Body]]) -> Verdict:
    """`(wall seconds, monotonic seconds, body)` after the entry before."""
    hand = HandClock()
    identity = Identity("cam-0001", (TestSigner(),))
    ledger = Ledger(path, identity, clock=hand.clock())
    ledger.append(boot())
    for wall_s, up_s, body in steps:
        hand.go(wall_s)
        hand.up_s += up_s - wall_s
        ledger.append(body)
    ledger.close()
    return _verify(path, identity)


def test_a_clock_that_steps_without_a_word_is_noted(tmp_path: Path) -> None:
    verdict = _log_of(tmp_path / "a", [(60, 60, egress()), (-3600, 10, egress())])
    assert _places(verdict, "ledger.clock.step") == [(2, 3)]
    assert verdict.holds
    said = TimeCorrection(
        before="2026-11-02T08:01:00.000Z",
        after="2026-11-02T07:01:10.000Z",
        step_ms=-3_600_000,
        source="ntp",
    )
    fine = _log_of(tmp_path / "b", [(60, 60, egress()), (-3590, 10, said), (60, 60, egress())])
    assert fine.findings == []


def test_a_pause_in_a_run_is_noted(tmp_path: Path) -> None:
    verdict = _log_of(tmp_path / "a", [(3600, 3600, hour()), (9000, 9000, hour())])
    assert _places(verdict, "ledger.gap") == [(1, 3)]


def test_entries_before_the_one_they_follow_are_broken(tmp_path: Path) -> None:
    verdict = _log_of(tmp_path / "a", [(60, 60, egress()), (-30, -30, egress())])
    assert _places(verdict, "ledger.clock.order") == [(2, 3)]
    assert {f.weight for f in verdict.findings} == {Weight.BROKEN}
