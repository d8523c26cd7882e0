"""The live log: durable, recovers from torn writes and kill -9, says where it was damaged."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import HandClock, TestSigner, boot, egress, write_log

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.files import LedgerFolder, journal_head, journal_line, parse_journal
from alpr_edge.ledger.kinds import Egress, Lost, Recovered, Restarted, Stop, StorageFault
from alpr_edge.ledger.merkle import check_consistency
from alpr_edge.ledger.store import Identity, Ledger, LedgerTimes
from alpr_edge.ledger.verify import Question, Verdict, verify

QUICK = LedgerTimes(flush=0.01, checkpoint=0.05)


def _check(path: Path, identity: Identity) -> tuple[Verdict, list[Entry]]:
    entries: list[Entry] = []
    verdict = verify(LedgerFolder(path), Question(identity.keys), visit=entries.append)
    return verdict, entries


def test_a_log_over_several_runs_and_tiles_holds(tmp_path: Path) -> None:
    signer = TestSigner()
    path = tmp_path / "ledger"
    for _ in range(3):
        identity = write_log(path, [egress()] * 300, signer)
    verdict, entries = _check(path, identity)
    assert verdict.holds
    assert verdict.findings == [f for f in verdict.findings if f.code == "ledger.clock.back"]
    assert verdict.size == verdict.signed_size == 906 == len(entries)
    assert [e.body.kind for e in entries].count("boot") == 3
    assert {e.boot for e in entries} == {1, 2, 3}
    assert sorted(p.name for p in path.iterdir()) == [
        "checkpoint",
        "checkpoints",
        "journal",
        "tile",
    ]
    assert (path / "journal").stat().st_mode & 0o777 == 0o600


def test_the_proof_for_a_witness(tmp_path: Path) -> None:
    signer = TestSigner()
    write_log(tmp_path / "ledger", [egress()] * 600, signer)
    ledger = Ledger(tmp_path / "ledger", Identity("cam-0001", (signer,)))
    heads = {}
    for count in (1, 200, 300):
        for _ in range(count):
            ledger.append(egress())
        assert ledger.sync()
        assert ledger.head is not None
        heads[ledger.head.size] = ledger.head.root
    newest = max(heads)
    for size, root in heads.items():
        one = ledger.submission(size)
        assert one is not None
        check_consistency(size, root, newest, heads[newest], one.proof)
    assert ledger.submission(newest + 1) is None
    ledger.close()


def test_only_one_process_writes(tmp_path: Path) -> None:
    identity = Identity("cam-0001", (TestSigner(),))
    one = Ledger(tmp_path / "ledger", identity)
    with pytest.raises(AuditError) as caught:
        Ledger(tmp_path / "ledger", identity)
    assert caught.value.code == "ledger.in_use"
    one.close()
    Ledger(tmp_path / "ledger", identity).close()


def test_many_threads(tmp_path: Path) -> None:
    identity = Identity("cam-0001", (TestSigner(),))
    ledger = Ledger(tmp_path / "ledger", identity, times=QUICK)
    ledger.start()
    ledger.append(boot())
    threads = [
        threading.Thread(target=lambda: [ledger.append(egress()) for _ in range(300)])
        for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    ledger.close(Stop(reason="asked"))
    verdict, entries = _check(tmp_path / "ledger", identity)
    assert verdict.findings == []
    assert [e.seq for e in entries] == list(range(1202))


# --- torn writes, kill -9 --------------------------------------------------------------------


@settings(max_examples=25)
@given(cut=st.integers(1, 900), rubbish=st.binary(max_size=40))
def test_a_torn_end_is_cut_off_and_recorded(
    tmp_path_factory: pytest.TempPathFactory, cut: int, rubbish: bytes
) -> None:
    path = tmp_path_factory.mktemp("torn") / "ledger"
    signer = TestSigner()
    identity = write_log(path, [egress()] * 5, signer)
    ledger = Ledger(path, identity)
    for _ in range(6):
        ledger.append(egress())
    # As a power cut leaves it: the lines were never synced, the checkpoint does not know them.
    os.close(ledger._journal)
    os.close(ledger._one_process)
    journal = path / "journal"
    raw = journal.read_bytes()
    whole_journal = parse_journal(raw)
    assert whole_journal is not None
    synced = len(journal_head(0)) + sum(len(journal_line(e)) for e in whole_journal.entries[:7])
    keep = max(synced, len(raw) - cut)
    journal.write_bytes(raw[:keep] + rubbish)
    again = Ledger(path, identity)
    again.append(boot(again.boot))
    again.close(Stop(reason="asked"))
    verdict, entries = _check(path, identity)
    assert verdict.holds, verdict.findings
    torn = [e.body for e in entries if isinstance(e.body, Recovered)]
    whole = keep == len(raw) or raw[keep - 1 : keep] == b"\n"
    assert bool(torn) == bool(rubbish or not whole)
    assert again.folder == path


@pytest.mark.parametrize("writes", range(12))
def test_a_kill_between_any_two_writes_of_sealing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """More than a bundle is signed in the journal and none, one or two of its tiles are there."""
    path, identity = tmp_path / "ledger", Identity("cam-0001", (TestSigner(),))
    ledger = Ledger(path, identity)
    ledger.append(boot())
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_seal", lambda _self: None)
        for _ in range(600):
            ledger.append(egress())
        ledger.sync()
    left = iter(range(writes))
    write = LedgerFolder.write

    def killed_at_last(folder: LedgerFolder, name: str, data: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(folder, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(LedgerFolder, "write", killed_at_last)
        with suppress(KeyboardInterrupt):
            ledger.append(egress())
            ledger.sync()
    os.close(ledger._journal)
    os.close(ledger._one_process)
    again = Ledger(path, identity)
    assert (again.size, again.boot) == (602, 2)
    again.append(boot(2))
    again.close(Stop(reason="asked"))
    verdict, entries = _check(path, identity)
    assert verdict.holds, verdict.findings
    assert [e.seq for e in entries] == list(range(604))


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledger_samples import boot, egress
from alpr_edge.ledger.store import Identity, Ledger, LedgerTimes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
class Signer:
    public_key = key.public_key().public_bytes_raw()
    sign = staticmethod(key.sign)
ledger = Ledger(Path(sys.argv[1]), Identity("cam-0001", (Signer(),)),
                times=LedgerTimes(flush=0.005, checkpoint=0.01))
ledger.start()
ledger.append(boot(ledger.boot))
while True:
    print(ledger.append(egress()), flush=True)
"""


@pytest.mark.timeout(240)
def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    last = -1
    for wanted in (40, 300, 700):
        program = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with program:
            assert program.stdout is not None
            places = []
            for line in program.stdout:
                places.append(int(line))
                if places[-1] >= wanted:
                    break
            program.send_signal(signal.SIGKILL)
            rest = [line for line in program.stdout if line.endswith("\n")]
        assert places[0] > last
        last = int(rest[-1]) if rest else places[-1]
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signer = TestSigner()
    signer._key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    identity = Identity("cam-0001", (signer,))
    ledger = Ledger(path, identity)
    assert ledger.size > last
    assert ledger.boot == 4
    assert not ledger.ended_in_order
    ledger.append(boot(ledger.boot, clean=False))
    ledger.close()
    verdict, entries = _check(path, identity)
    assert verdict.holds, verdict.findings
    assert not [e for e in entries if isinstance(e.body, Restarted)]
    assert sum(isinstance(e.body, Egress) for e in entries) >= last - 3


# --- damage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "code", "good"),
    [
        ("tile/entries/001", "ledger.tile.missing", 256),
        ("checkpoint", "ledger.checkpoint.missing", 602),
        ("journal", "ledger.head.unproven", 512),
    ],
)
def test_damage_is_set_aside_and_the_next_log_says_where(
    tmp_path: Path, file: str, code: str, good: int
) -> None:
    signer = TestSigner()
    path = tmp_path / "ledger"
    identity = write_log(path, [egress()] * 600, signer)
    (path / file).unlink()
    if "entries" in file:
        (path / file.replace("entries", "0")).unlink()
    ledger = Ledger(path, identity)
    boots = ledger.boot
    ledger.append(boot(boots))
    ledger.close()
    verdict, entries = _check(path, identity)
    first = entries[0].body
    assert isinstance(first, Restarted)
    assert (first.code, first.size_signed, first.good_size) == (code, 602, good)
    assert (first.damaged_from, first.damaged_to) == (good, 602)
    assert boots == 2
    assert verdict.holds
    assert verdict.origin == "alpr-edge/cam-0001/ledger/2"
    assert [f.code for f in verdict.findings] == ["ledger.restarted"]
    assert (tmp_path / "ledger.damaged-1" / "tile").is_dir()


@pytest.mark.parametrize("file", ["tile/0/000", "tile/0/001"])
def test_a_lost_leaf_tile_is_made_again_on_record(tmp_path: Path, file: str) -> None:
    path = tmp_path / "ledger"
    identity = write_log(path, [egress()] * 600, TestSigner())
    before = (path / file).read_bytes()
    (path / file).unlink()
    ledger = Ledger(path, identity)
    assert ledger.size == 602 + (file == "tile/0/000")
    ledger.close()
    assert (path / file).read_bytes() == before
    assert _check(path, identity)[0].holds


def test_a_forged_checkpoint_restarts_the_log_on_record(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    write_log(path, [egress()] * 3, TestSigner())
    identity = Identity("cam-0001", (TestSigner(),))
    ledger = Ledger(path, identity)
    ledger.close()
    _, entries = _check(path, identity)
    assert isinstance(entries[0].body, Restarted)
    assert entries[0].body.code == "ledger.signature"


def test_key_rotation_keeps_the_log(tmp_path: Path) -> None:
    old, new = TestSigner(), TestSigner()
    path = tmp_path / "ledger"
    first = write_log(path, [egress()] * 300, old)
    both = Identity("cam-0001", (old, new))
    Ledger(path, both).close(Stop(reason="asked"))
    after = Identity("cam-0001", (new,), known=first.keys)
    ledger = Ledger(path, after)
    ledger.append(egress())
    ledger.close()
    verdict, _ = _check(path, after)
    assert verdict.holds, verdict.findings
    assert verdict.size == 304
    # With the old key revoked, its lone signatures count no more, and this is told.
    revoked = verify(LedgerFolder(path), Question(after.keys[1:]))
    assert {f.code for f in revoked.findings} >= {"ledger.signature"}


def test_the_scrub_finds_a_rotten_bundle(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    identity = write_log(path, [egress()] * 600, TestSigner())
    bundle = path / "tile" / "entries" / "001"
    raw = bytearray(bundle.read_bytes())
    raw[1000] ^= 1
    bundle.write_bytes(raw)
    ledger = Ledger(path, identity)
    assert [ledger.scrub() for _ in range(4)] == [True, False, True, False]
    ledger.close()
    _, entries = _check(path, identity)
    faults = [e.body for e in entries if isinstance(e.body, StorageFault)]
    assert [(f.first, f.end) for f in faults] == [(256, 512)]


def test_a_full_disk_stops_nothing_and_is_told_afterwards(tmp_path: Path) -> None:
    hand = HandClock()
    identity = Identity("cam-0001", (TestSigner(),))
    path = tmp_path / "ledger"
    ledger = Ledger(path, identity, clock=hand.clock(), most_waiting=3)
    ledger.append(boot())
    assert ledger.sync()
    # A limit on file sizes is met as a full disk is, and is the test's own.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((path / "journal").stat().st_size, limits[1]))
    try:
        places = [ledger.append(egress()) for _ in range(5)]
        with pytest.raises(AuditError, match="cannot be written") as caught:
            ledger.make_durable()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert places == [1, 2, 3, -1, -1]
    assert ledger.fault == caught.value.code == "ledger.file.full_disk"
    assert ledger.sync()
    assert ledger.fault == ""
    ledger.append(egress())
    ledger.close()
    verdict, entries = _check(tmp_path / "ledger", identity)
    assert verdict.holds
    lost = [e.body for e in entries if isinstance(e.body, Lost)]
    assert [(one.count, one.code) for one in lost] == [(2, "ledger.file.full_disk")]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AuditError) as caught:
        Ledger(tmp_path / "file" / "ledger", Identity("cam-0001", (TestSigner(),)))
    assert caught.value.code.startswith("ledger.file.")
    assert errno.errorcode[20] == "ENOTDIR"


@given(st.binary(max_size=200))
def test_a_journal_of_rubbish_never_crashes(raw: bytes) -> None:
    assert parse_journal(raw) is None
    good = journal_head(0) + journal_line(b"{}")
    journal = parse_journal(good + raw)
    assert journal is not None
    assert journal.entries[:1] == (b"{}",)
    assert journal.good_bytes + journal.torn_bytes == len(good + raw)
