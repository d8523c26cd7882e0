"""`alpr-edge ledger`: what an auditor types."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from ledger_samples import TestSigner, egress, write_log

from alpr_edge.cli import main


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, Path]:
    """A ledger and the file of its verifier key."""
    identity = write_log(tmp_path / "ledger", [egress(n + 1) for n in range(600)], TestSigner())
    key = tmp_path / "cam.vkey"
    key.write_text(f"# cam-0001\n{identity.keys[0]}\n")
    return tmp_path / "ledger", key


def test_export_and_verify(log, tmp_path, capsys):
    ledger, key = log
    for name in ("copy", "copy.zip"):
        # `export` takes the live ledger of a configuration; here the same through the library.
        from alpr_edge.ledger.export import export_log

        assert export_log(ledger, tmp_path / name) == 602
        assert main(["ledger", "verify", str(tmp_path / name), "--key", str(key)]) == 0
        assert "verdict     holds" in capsys.readouterr().out
    # The copy is a tiled log as C2SP has it: partial tiles with their widths in the name.
    assert (tmp_path / "copy/tile/entries/002.p/90").is_file()
    assert (tmp_path / "copy/tile/0/002.p/90").stat().st_size == 90 * 32
    assert (tmp_path / "copy/tile/1/000.p/2").stat().st_size == 64


def test_one_entry_with_its_proof(log, capsys):
    ledger, key = log
    asked = ["ledger", "verify", str(ledger), "--key", str(key), "--json"]
    for number in (0, 300, 601):
        assert main([*asked, "--entry", str(number)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["holds"] is found["proof"]["holds"] is True
        assert found["proof"]["entry"]["seq"] == number
        assert found["proof"]["root"] == found["root"]
    with pytest.raises(SystemExit):
        main([*asked, "--entry", "602"])


def test_a_changed_ledger_is_said_to_be_one(log, capsys):
    ledger, key = log
    older = ledger.parent / "older"
    older.write_bytes((ledger / "checkpoint").read_bytes())
    bundle = ledger / "tile/entries/001"
    bundle.write_bytes(bundle.read_bytes().replace(b'"count":300,', b'"count":301,'))
    status = main(["ledger", "verify", str(ledger), "--key", str(key), "--older", str(older)])
    told = capsys.readouterr().out
    assert status == 1
    assert "BROKEN      [ledger.entry.changed] entry 300 was changed" in told
    assert "verdict     DOES NOT HOLD" in told


def test_show(log, capsys):
    ledger, _ = log
    assert main(["ledger", "show", str(ledger), "--kind", "stop"]) == 0
    assert [json.loads(x)["seq"] for x in capsys.readouterr().out.splitlines()] == [601]


@pytest.mark.parametrize(
    ("name", "content"),
    [("../evil", b""), ("tile/0/000x", b""), ("checkpoint2", b"")],
)
def test_a_strange_zip_is_refused(tmp_path, capsys, name, content):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    key = tmp_path / "k"
    key.write_text("")
    assert main(["ledger", "show", str(path)]) == 1
    assert "ledger.export.invalid" in capsys.readouterr().err
    path.write_bytes(b"no zip at all")
    assert main(["ledger", "show", str(path)]) == 1
    assert "ledger.export.invalid" in capsys.readouterr().err


def test_what_is_missing_is_named(tmp_path, capsys):
    assert main(["ledger", "verify", str(tmp_path / "none"), "--key", str(tmp_path / "k")]) == 1
    assert "ledger.file.unreadable" in capsys.readouterr().err
    assert main(["ledger", "show"]) == 2
    assert "ledger.unnamed" in capsys.readouterr().err
    assert main(["ledger", "show", str(tmp_path)]) == 1
    assert "ledger.missing" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--key", "--witness"])
def test_a_file_of_keys_that_holds_other_bytes_is_refused(log, tmp_path, capsys, option):
    ledger, key = log
    (tmp_path / "keys").write_bytes(bytes(range(128, 256)))
    given = ["--key", str(key)] if option == "--witness" else []
    assert main(["ledger", "verify", str(ledger), *given, option, str(tmp_path / "keys")]) == 1
    assert "[ledger.key.invalid]" in capsys.readouterr().err
