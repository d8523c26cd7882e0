"""A log that was killed at any moment, more than once, and what others make of it meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from ledger_samples import TestSigner, boot, egress

from alpr_edge.errors import AuditError
from alpr_edge.ledger import store
from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.export import export_log, opened_log
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import Body, Restarted
from alpr_edge.ledger.merkle import check_consistency
from alpr_edge.ledger.note import parse_checkpoint
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.verify import Question, Verdict, verify

ENTRIES = 602


def leave(ledger: Ledger) -> None:
    """What the system does with a killed process: it closes the files, no more."""
    if ledger._journal >= 0:
        os.close(ledger._journal)
    os.close(ledger._one_process)


def unsealed(path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of 602 signed entries that was killed before it sealed the first bundle."""
    ledger = Ledger(path, identity)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_seal", lambda _self: None)
        ledger.append(boot())
        for _ in range(ENTRIES - 1):
            ledger.append(egress())
        ledger.sync()
    leave(ledger)


class Killed(BaseException):
    """As a signal: nothing catches it."""


def killing(patch: pytest.MonkeyPatch, after: int) -> None:
    """Have the process die at the write after so many."""
    left = iter(range(after))
    write, append = LedgerFolder.write, LedgerFolder.append

    def wrap(real: Callable[[LedgerFolder, str, bytes], None]):
        def call(folder: LedgerFolder, name: str, data: bytes) -> None:
            if next(left, None) is None:
                raise Killed
            real(folder, name, data)

        return call

    patch.setattr(LedgerFolder, "write", wrap(write))
    patch.setattr(LedgerFolder, "append", wrap(append))


def checked(path: Path, identity: Identity) -> tuple[Verdict, list[Entry]]:
    entries: list[Entry] = []
    with opened_log(path) as log:
        return verify(log, Question(identity.keys), visit=entries.append), entries


@pytest.fixture
def identity() -> Identity:
    return Identity("cam-0001", (TestSigner(),))


def test_what_was_signed_and_not_sealed_verifies_and_exports(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger"
    unsealed(path, identity, monkeypatch)
    verdict, entries = checked(path, identity)
    assert (verdict.holds, len(entries)) == (True, ENTRIES)
    for name in ("copy", "copy.zip"):
        assert export_log(path, tmp_path / name) == ENTRIES
        verdict, entries = checked(tmp_path / name, identity)
        assert (verdict.holds, len(entries)) == (True, ENTRIES)


@pytest.mark.parametrize("entry", [0, 255, 256, 300, 511, 512, 601])
def test_an_entry_of_it_is_proven(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch, capsys, entry: int
) -> None:
    from alpr_edge.cli import main

    path = tmp_path / "ledger"
    unsealed(path, identity, monkeypatch)
    (tmp_path / "vkey").write_text(f"{identity.keys[0]}\n")
    command = ["ledger", "verify", str(path), "--key", str(tmp_path / "vkey")]
    assert main([*command, "--entry", str(entry), "--json"]) == 0
    shown = capsys.readouterr().out
    assert f'"seq": {entry},' in shown
    assert '"holds": true' in shown.split('"proof"')[1]


def test_a_changed_entry_of_it_is_found_all_the_same(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger"
    unsealed(path, identity, monkeypatch)
    raw = (path / "journal").read_bytes().splitlines(keepends=True)
    (path / "journal").write_bytes(b"".join(raw[:300] + raw[301:]))
    assert not checked(path, identity)[0].holds
    (path / "journal").write_bytes(b"".join(raw[:-1]))
    assert not checked(path, identity)[0].holds


def test_a_witness_gets_its_proof_from_it(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger"
    unsealed(path, identity, monkeypatch)
    again = Ledger(path, identity)
    old = again.head
    assert old is not None
    assert old.size == ENTRIES
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_seal", lambda _self: None)
        again.append(boot(2))
        again.sync()
        submission = again.submission(old.size)
    assert submission is not None
    new = parse_checkpoint(submission.note.text)
    check_consistency(old.size, old.root, new.size, new.root, submission.proof)
    again.close()


@pytest.mark.parametrize("first", [0, 1, 3, 4, 6])
@pytest.mark.parametrize("second", [0, 2])
def test_two_kills_in_a_row(
    tmp_path: Path,
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    second: int,
) -> None:
    path = tmp_path / "ledger"
    unsealed(path, identity, monkeypatch)
    for after in (first, second):
        ledger: Ledger | None = None
        with monkeypatch.context() as patch:
            killing(patch, after)
            with suppress(Killed):
                ledger = Ledger(path, identity)
                ledger.append(egress())
                ledger.sync()
        if ledger is not None:
            leave(ledger)
        # Somebody looks at the disk between the two.
        verdict, entries = checked(path, identity)
        assert verdict.holds, verdict.findings
        assert len(entries) >= ENTRIES
    last = Ledger(path, identity)
    size = last.size
    assert ENTRIES <= size <= ENTRIES + 2
    last.append(boot(last.boot))
    last.close()
    verdict, entries = checked(path, identity)
    assert verdict.holds, verdict.findings
    assert [e.seq for e in entries] == list(range(size + 1))
    assert not [e for e in entries if isinstance(e.body, Restarted)]


@pytest.mark.parametrize("moment", ["renamed", "made", "before_the_entry"])
def test_a_kill_while_a_damaged_log_is_set_aside_is_told_all_the_same(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path, identity)
    for _ in range(10):
        ledger.append(boot())
    ledger.close()
    (path / "journal").unlink()

    def die(*_: object, **__: object) -> None:
        raise Killed

    def set_aside(folder: Path) -> None:
        folder.rename(folder.with_name(f"{folder.name}.damaged-1"))
        if moment == "made":
            folder.mkdir()
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "before_the_entry":
            patch.setattr(Ledger, "append", die)
        else:
            patch.setattr(store, "_set_aside", set_aside)
        with pytest.raises(Killed):
            Ledger(path, identity)
    again = Ledger(path, identity)
    again.append(boot(again.boot))
    again.close()
    verdict, entries = checked(path, identity)
    assert verdict.holds
    assert verdict.origin.endswith("/2")
    told = [e.body for e in entries if isinstance(e.body, Restarted)]
    assert [one.size_signed for one in told] == [10]
    # Only once: the next start does not tell it again.
    Ledger(path, identity).close()
    bodies: list[Body] = [e.body for e in checked(path, identity)[1]]
    assert sum(isinstance(b, Restarted) for b in bodies) == 1


def test_a_live_log_verifies_and_exports_while_it_grows(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path, identity)
    ledger.append(boot())
    ledger.sync()
    done = threading.Event()

    def grow() -> None:
        while not done.is_set():
            for _ in range(100):
                ledger.append(egress())
            ledger.sync()
            done.wait(0.02)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for turn in range(4):
            with opened_log(path) as log:
                verdict = verify(log, Question(identity.keys))
            assert verdict.holds, verdict.findings
            size = export_log(path, tmp_path / f"copy-{turn}")
            verdict, entries = checked(tmp_path / f"copy-{turn}", identity)
            assert verdict.holds, verdict.findings
            assert len(entries) == size
    finally:
        done.set()
        thread.join()
    ledger.close()


def test_a_journal_that_begins_after_a_gap_is_damaged(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path, identity)
    for _ in range(600):
        ledger.append(egress())
    ledger.close()
    (path / "tile" / "entries" / "001").unlink()
    (path / "tile" / "0" / "001").unlink()
    with pytest.raises(AuditError):
        LedgerFolder(path).tail(1)
    assert not checked(path, identity)[0].holds
