"""Whole files of the real unit: its own files on disk, its own ledger, the city's signatures."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.console.console_samples import CITY
from tests.console.line_client import UnitFiles, make_unit
from tests.console.test_unit import code_of
from tests.service.site_samples import issued, street_premises

from alpr_edge.cli import main
from alpr_edge.config.store import load
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.device import NOT_HERE, Parcel
from alpr_edge.console.unit import Place, RealUnit
from alpr_edge.console.unit_files import UPDATE
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.exclusion.register_file import format_register
from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.export import opened_log
from alpr_edge.ledger.kinds import ConfigChange, FileMoved
from alpr_edge.ledger.setup import device_ledger_identity, open_reporter
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.placement.files import sign_register
from alpr_edge.placement.site_files import SiteFiles, SiteKeys, SitePaths
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign_file
from alpr_edge.trust.key_files import save_private_key
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.watch import check_config_signature
from alpr_edge.wiring.guard import make_mask_store

WHO: dict[str, Any] = {"who": "anna", "reason": "a newer one came"}


class Unit:
    """A unit with a ledger of its own, and a register that it keeps."""

    def __init__(self, folder: Path, files: UnitFiles | None = None) -> None:
        files = files or make_unit(folder)
        self.environment: dict[str, str] = {}
        self.folder, self.config = folder, load(files.config)
        self.register = folder / "premises.json"
        paths = SitePaths(register=self.register, register_number=folder / "register.number")
        self.site = SiteFiles(paths, lambda: SiteKeys((CITY.public,)))
        place = Place(
            files.config,
            folder / "city-keys",
            make_mask_store(self.config),
            "alpr-edge x",
            self.environment,
            self.site,
        )
        clocks = SystemClocks()
        accounts = Accounts(folder / "console", clocks)
        tells = open_reporter(self.config, "console")
        self.real = RealUnit(self.config, place, clocks, tells=tells, accounts=accounts)

    def signed(self, serial: int) -> bytes:
        path = self.folder / "made.json"
        sign_register(issued(street_premises(), serial=serial), path, CITY)
        return path.read_bytes()

    def entries(self, log: Path) -> list[Entry]:
        identity = device_ledger_identity("unit-1", Path(self.config.ledger.identity), "file")
        found: list[Entry] = []
        with opened_log(log) as folder:
            verdict = verify(folder, Question(identity.keys), visit=found.append)
        assert verdict.holds
        return found

    def bodies(self) -> list[Any]:
        return [entry.body for entry in self.entries(Path(self.config.ledger.path))]

    def moved(self) -> list[tuple[str, str, str | None]]:
        return [(b.act, b.what, b.code) for b in self.bodies() if isinstance(b, FileMoved)]


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return Unit(tmp_path)


def test_the_ledger_comes_whole_and_verifies_on_the_laptop(unit: Unit) -> None:
    assert code_of(unit.real.pull, Parcel.LOG, who="anna", reason="") == "console.reason"
    unit.real.note_login("anna", "granted", 2)
    packed = unit.real.pull(Parcel.LOG, who="anna", reason="yearly audit")
    taken = unit.folder / "taken.zip"
    taken.write_bytes(packed)
    assert [e.body.kind for e in unit.entries(taken)][-1] == "login"
    # That it was taken away is on the ledger that stays.
    last = [e.body for e in unit.entries(Path(unit.config.ledger.path))][-1]
    assert isinstance(last, FileMoved)
    assert (last.act, last.what, last.who, last.reason) == ("pulled", "log", "anna", "yearly audit")


def test_a_register_is_taken_from_the_city_and_never_an_older_one(unit: Unit) -> None:
    assert code_of(unit.real.pull, Parcel.REGISTER) == NOT_HERE
    second, third = unit.signed(2), unit.signed(3)
    assert code_of(unit.real.push, Parcel.REGISTER, second) == "console.reason"
    plain = b'{"type": "FeatureCollection", "features": []}'
    assert code_of(unit.real.push, Parcel.REGISTER, plain, **WHO) == "placement.register.unsigned"
    stranger = unit.folder / "stranger.json"
    sign_register(issued(street_premises(), serial=9), stranger, PrivateKey.generate())
    strange = code_of(unit.real.push, Parcel.REGISTER, stranger.read_bytes(), **WHO)
    assert strange == "trust.signature.missing"
    assert not unit.register.exists()
    done = unit.real.push(Parcel.REGISTER, third, **WHO)
    assert (done["serial"], done["sites"], done["signed"]) == (3, 1, True)
    assert unit.site.load().register is not None
    # From now on an older serial is refused, and so is another register under the same one.
    assert code_of(unit.real.push, Parcel.REGISTER, second, **WHO) == "trust.rollback"
    other = unit.folder / "other.json"
    sign_register(issued(replace(street_premises(), setback_m=7.5), serial=3), other, CITY)
    assert code_of(unit.real.push, Parcel.REGISTER, other.read_bytes(), **WHO) == "trust.rollback"
    assert unit.real.push(Parcel.REGISTER, third, **WHO)["serial"] == 3
    assert unit.real.pull(Parcel.REGISTER) == third
    assert unit.moved() == [
        ("asked", "register", "console.not_available"),
        ("refused", "register", "console.reason"),
        ("refused", "register", "placement.register.unsigned"),
        ("refused", "register", "trust.signature.missing"),
        ("pushed", "register", None),
        ("refused", "register", "trust.rollback"),
        ("refused", "register", "trust.rollback"),
        ("pushed", "register", None),
        ("pulled", "register", None),
    ]


def test_a_bench_takes_an_unsigned_register_until_the_citys_has_been_there(unit: Unit) -> None:
    paths = SitePaths(register=unit.register, register_number=unit.folder / "register.number")
    site = SiteFiles(paths, lambda: SiteKeys((CITY.public,), unsigned=True))
    unit.real._files._site = site
    plain = format_register(issued(street_premises())).encode()
    assert unit.real.push(Parcel.REGISTER, plain, **WHO)["signed"] is False
    assert unit.real.push(Parcel.REGISTER, unit.signed(4), **WHO)["signed"] is True
    assert site.load().register is not None
    assert code_of(unit.real.push, Parcel.REGISTER, plain, **WHO) == "placement.register.unsigned"


def test_a_unit_without_a_register_takes_none(unit: Unit) -> None:
    unit.real._files._site = SiteFiles(SitePaths(), SiteKeys)
    assert code_of(unit.real.push, Parcel.REGISTER, b"{}", **WHO) == "placement.register.none"
    assert code_of(unit.real.pull, Parcel.REGISTER) == NOT_HERE


def test_an_update_is_kept_and_says_that_it_is_not_installed(
    unit: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    save_private_key(unit.folder / "city.key", CITY, None)
    wheel = unit.folder / "alpr_edge.whl"
    wheel.write_bytes(b"other software")
    sign = ["keys", "sign-update", str(wheel), "--key", str(unit.folder / "city.key")]
    assert main([*sign, "--number", "0"]) == 2
    assert main([*sign, "--number", "4"]) == 0
    assert "number 4" in capsys.readouterr().out
    data, good = wheel.read_bytes(), Path(f"{wheel}.sig").read_bytes()
    push = unit.real.push
    assert code_of(push, Parcel.UPDATE, data, None, **WHO) == "console.push.unsigned"
    assert code_of(push, Parcel.UPDATE, data + b"x", good, **WHO) == "trust.file.changed"
    # A signature of the city for something else is none for this.
    config = sign_file(DocumentType.CONFIG, data, CITY, number=4)
    assert code_of(push, Parcel.UPDATE, data, config, **WHO).startswith("trust.signature")
    unnumbered = sign_file(DocumentType.UPDATE, data, CITY)
    assert code_of(push, Parcel.UPDATE, data, unnumbered, **WHO) == "console.push.number"
    done = push(Parcel.UPDATE, data, good, **WHO)
    assert (done["installed"], done["number"]) == (False, 4)
    assert (unit.folder / "console" / UPDATE).read_bytes() == data
    older = sign_file(DocumentType.UPDATE, data, CITY, number=3)
    assert code_of(push, Parcel.UPDATE, data, older, **WHO) == "trust.rollback"
    assert unit.moved()[-2:] == [
        ("pushed", "update", None),
        ("refused", "update", "trust.rollback"),
    ]


def test_who_brought_a_configuration_is_on_the_ledger(unit: Unit) -> None:
    path = unit.folder / "device.toml"
    other = path.read_bytes().replace(b"Elm Street", b"Oak Street")
    good = sign_file(DocumentType.CONFIG, other, CITY, number=2)
    assert code_of(unit.real.push, Parcel.CONFIG, other, good) == "console.reason"
    assert unit.real.push(Parcel.CONFIG, other, good, **WHO)["number"] == 2
    bodies = [e.body for e in unit.entries(Path(unit.config.ledger.path))]
    changed = next(b for b in bodies if isinstance(b, ConfigChange))
    # Who agreed is the city; who brought it is told beside.
    assert (changed.by, changed.reason) == ("city", "a newer one came")
    moved = [b for b in bodies if isinstance(b, FileMoved)][-1]
    assert (moved.act, moved.what, moved.who) == ("pushed", "config", "anna")
    assert unit.real.pull(Parcel.CONFIG, who="anna") == other


def signed_config(unit: Unit, street: str, **said: Any) -> tuple[bytes, bytes]:
    data = (unit.folder / "device.toml").read_bytes().replace(b"Elm Street", street.encode())
    return data, sign_file(DocumentType.CONFIG, data, CITY, **said)


def test_numbers_do_not_go_back_before_the_first_one_counts(unit: Unit) -> None:
    push, kept = unit.real.push, unit.folder / "identity" / "config.number"
    ninth, eighth = (signed_config(unit, f"Oak Street {n}", number=n) for n in (9, 8))
    assert push(Parcel.CONFIG, *ninth, **WHO)["number"] == 9
    assert code_of(push, Parcel.CONFIG, *eighth, **WHO) == "trust.rollback"
    assert not kept.exists()
    for said in ({}, {"number": True}, {"number": 0}, {"number": "10"}):
        bad = signed_config(unit, "Birch Street", **said)
        assert code_of(push, Parcel.CONFIG, *bad, **WHO) == "console.push.number"
    assert (unit.folder / "device.toml").read_bytes() == ninth[0]
    third, second = unit.signed(3), unit.signed(2)
    assert push(Parcel.REGISTER, third, **WHO)["serial"] == 3
    assert code_of(push, Parcel.REGISTER, second, **WHO) == "trust.rollback"
    assert unit.register.read_bytes() == third


def test_a_disk_that_takes_only_one_of_two_files_leaves_both_as_they_were(unit: Unit) -> None:
    path = unit.folder / "device.toml"
    sig, waiting = unit.folder / "device.toml.sig", unit.folder / "device.toml.sig.new"
    first, second = (signed_config(unit, f"Oak Street {n}", number=n) for n in (1, 2))
    unit.real.push(Parcel.CONFIG, *first, **WHO)

    def fits() -> bool:
        return check_config_signature(path, path.read_bytes(), (CITY.public,)) == (True, "")

    for stuck in (f".device.toml.{os.getpid()}.new", f".device.toml.sig.new.{os.getpid()}.new"):
        (unit.folder / stuck).mkdir()
        assert code_of(unit.real.push, Parcel.CONFIG, *second, **WHO) == "console.disk"
        (unit.folder / stuck).rmdir()
        assert (path.read_bytes(), sig.read_bytes(), waiting.exists()) == (*first, False)
    # A power cut before the file: the waiting signature is about nothing that is there.
    waiting.write_bytes(second[1])
    assert fits()
    assert sig.read_bytes() == first[1]
    # And after it: the start takes the signature that fits, and an older number still is one.
    path.write_bytes(second[0])
    assert code_of(unit.real.push, Parcel.CONFIG, *first, **WHO) == "trust.rollback"
    assert fits()
    assert (sig.read_bytes(), waiting.exists()) == (second[1], False)
    # Nobody else's.
    path.write_bytes(b"other")
    waiting.write_bytes(sign_file(DocumentType.CONFIG, b"other", PrivateKey.generate(), number=3))
    assert not fits()


def test_what_was_asked_in_vain_and_what_was_shown_is_on_the_ledger(unit: Unit) -> None:
    real, by = unit.real, {"who": "anna", "reason": ""}
    assert code_of(real.pull, Parcel.LOG, **by) == "console.reason"
    assert code_of(real.pull, Parcel.UPDATE, **by) == NOT_HERE
    assert code_of(real.push, Parcel.LOG, b"x", **by) == NOT_HERE
    assert code_of(real.still, 640, clear_plates=False, **by) == "exclusion.still.none"
    data = real.requested({"mqtt.port": 8883}, who="anna")
    # Judged, as each key is set: it does not leave.
    real.requested({"mqtt.port": 8884})
    assert unit.moved() == [
        ("asked", "log", "console.reason"),
        ("asked", "update", NOT_HERE),
        ("refused", "log", NOT_HERE),
        ("asked", "picture", "exclusion.still.none"),
        ("pulled", "request", None),
    ]
    told = [b for b in unit.bodies() if isinstance(b, FileMoved)]
    assert {b.who for b in told} == {"anna"}
    assert told[0].digest == hashlib.sha256(b"").hexdigest()
    assert told[-1].digest == hashlib.sha256(data).hexdigest()
