"""Verification: any change of any byte is found, and located."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import HandClock, TestSigner, boot, egress, hour, write_log

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import make_entry
from alpr_edge.ledger.export import export_log, opened_log
from alpr_edge.ledger.files import (
    LedgerFolder,
    journal_head,
    journal_line,
    parse_journal,
    split_notes,
)
from alpr_edge.ledger.kinds import Body, Stop, TimeCorrection
from alpr_edge.ledger.merkle import Frontier, leaf_hash, perfect_root
from alpr_edge.ledger.note import Checkpoint, VerifierKey, sign
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.tiles import decode_bundle, encode_bundle, partial_tiles, tile_path
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


def test_every_file_of_an_export_is_looked_at(either: tuple[Path, Identity]) -> None:
    path, identity = either
    assert not _verify(path, identity).findings
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        good = file.read_bytes()
        for at in (0, len(good) // 2, len(good) - 1):
            file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            assert _verify(path, identity).findings, (file, at)
        file.write_bytes(good)


def _places(verdict: Verdict, code: str) -> list[tuple[int, int]]:
    return [(f.first, f.end) for f in verdict.findings if f.code == code]


@pytest.fixture(scope="module", params=["live", "export"])
def either(
    request: pytest.FixtureRequest,
    original: tuple[Path, Identity],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Identity]:
    """The log itself, with its journal, or an export of it, with its partial tiles."""
    if request.param == "live":
        return original
    path = tmp_path_factory.mktemp("export") / "log"
    export_log(original[0], path)
    return path, original[1]


@settings(max_examples=40)
@given(st.data())
def test_any_flipped_byte_of_any_file_is_found(
    either: tuple[Path, Identity], data: st.DataObject
) -> None:
    path, identity = either
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
        if not inside.startswith(("tile/0", "tile/1")):
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
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.removed") == [(296, 297)]
    # The 215 that stand one place too early are not told one by one.
    assert [one.code for one in verdict.findings if one.weight is Weight.BROKEN] == [
        "ledger.entry.removed"
    ]


def test_an_entry_that_was_put_in(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    strange = make_entry(egress(7), seq=40, at=HandClock().wall, boot=1, up_ms=1).encode()
    _edit(path, 0, lambda e: [*e[:40], strange, *e[40:]])
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.inserted") == [(40, 41)]
    assert (40, 41) not in _places(verdict, "ledger.entry.misplaced")


def test_an_entry_that_is_there_twice(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    _edit(path, 0, lambda e: [*e[:41], e[40], *e[41:]])
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.inserted") == [(41, 42)]
    assert _places(verdict, "ledger.entry.changed") == []


def test_entries_in_another_order(copy: tuple[Path, Identity]) -> None:
    path, identity = copy
    _edit(path, 1, _swap)
    verdict = _verify(path, identity)
    assert _places(verdict, "ledger.entry.reordered") == [(266, 269)]
    assert _places(verdict, "ledger.entry.misplaced") == []


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


@pytest.fixture(scope="module")
def packed(
    original: tuple[Path, Identity], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("packed") / "log.zip"
    export_log(original[0], path)
    return path, path.read_bytes()


@settings(max_examples=80)
@given(st.data())
def test_a_damaged_zip_is_refused_or_found_and_never_a_crash(
    packed: tuple[Path, bytes], original: tuple[Path, Identity], data: st.DataObject
) -> None:
    path, good = packed
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.binary(max_size=6))
    end = data.draw(st.sampled_from([at + len(other), len(good)]))
    path.write_bytes(good[:at] + other + good[end:])
    try:
        with opened_log(path) as log:
            verdict = verify(log, Question(original[1].keys))
    except AuditError:
        return
    # What is left is whole (a time or a comment of the zip file changed), or it is found.
    assert verdict.findings or verdict.size == SIZE


@settings(max_examples=80)
@given(st.binary(max_size=200))
def test_strange_bundles_notes_and_keys_are_refused_in_order(raw: bytes) -> None:
    for parse in (decode_bundle, lambda data: VerifierKey.parse(data.decode("latin-1"))):
        try:
            parse(raw)
        except AuditError as err:
            assert err.code.startswith("ledger.")  # noqa: PT017
    notes, stray = split_notes(raw)
    assert sum(map(len, notes)) + stray >= 0


def test_a_large_export_has_three_levels_of_tiles_and_all_are_looked_at(tmp_path: Path) -> None:
    """65,536 entries fill a tile of the second level: written here without syncing each file."""
    signer, width = TestSigner(), 256
    size = width * width + width + 7
    at, tree = HandClock().wall, Frontier()
    template = make_entry(egress(3), seq=0, at=at, boot=1, up_ms=0).encode()
    first = make_entry(boot(), seq=0, at=at, boot=1, up_ms=0).encode()
    entries = [first, *(template.replace(b'"seq":0', b'"seq":%d' % n) for n in range(1, size))]
    leaves = [leaf_hash(one) for one in entries]
    log = LedgerFolder(tmp_path / "log")

    def write(name: str, data: bytes) -> None:
        (log.path / name).parent.mkdir(parents=True, exist_ok=True)
        (log.path / name).write_bytes(data)

    notes: list[bytes] = []
    levels = [leaves]
    while len(levels[-1]) >= width:
        below = levels[-1]
        whole = len(below) // width * width
        levels.append([perfect_root(below[n : n + width]) for n in range(0, whole, width)])
    for level, hashes in enumerate(levels):
        for index in range(len(hashes) // width):
            write(tile_path(level, index), b"".join(hashes[index * width : (index + 1) * width]))
    for level, index, part in partial_tiles(size):
        data = b"".join(levels[level][index * width : index * width + part])
        write(tile_path(level, index, part), data)
    for number, leaf in enumerate(leaves, 1):
        tree.append(leaf)
        if number % width == 0 or number == size:
            head = Checkpoint("alpr-edge/cam-0001/ledger/1", number, tree.root())
            notes.append(str(sign(head, "alpr-edge/cam-0001", [signer])).encode())
    for index in range(size // width):
        write(tile_path("entries", index), encode_bundle(entries[index * width :][:width]))
    write(
        tile_path("entries", size // width, size % width), encode_bundle(entries[-(size % width) :])
    )
    write("checkpoints", b"".join(one + b"\n" for one in notes[:-1]))
    write("checkpoint", notes[-1])
    question = Question([VerifierKey("alpr-edge/cam-0001", signer.public_key)])
    verdict = verify(log, question)
    assert verdict.findings == []
    assert verdict.size == size
    assert {level for level, _, _ in partial_tiles(size)} == {0, 1, 2}
    upper = log.path / tile_path(2, 0, 1)
    raw = upper.read_bytes()
    upper.write_bytes(bytes([raw[0] ^ 1]) + raw[1:])
    assert [one.code for one in verify(log, question).findings] == ["ledger.tile.changed"]
