"""What a start puts on record: who signed what it goes by, and starts that came to nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.site_samples import SiteUnit, street_premises

from alpr_edge.capture.still import StillSource
from alpr_edge.cli import main
from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import Boot, Commissioning, ConfigChange, Login, StartFailed, Stop
from alpr_edge.ledger.setup import device_ledger_identity
from alpr_edge.ledger.signed_by import signed_by
from alpr_edge.ledger.spool import Spool
from alpr_edge.ledger.starting import BROKE_OFF, MOST_TOLD, Starting, find_starting
from alpr_edge.ledger.telling import By
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.key_files import save_private_key
from alpr_edge.trust.keyring import Keyring, Person, Role, persons_payload
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.wiring.device import make_service
from alpr_edge.wiring.signed_config import load_config

NO_ANCHOR = "no-such-file"


def entries(folder: Path) -> list[Entry]:
    found: list[Entry] = []
    keys = device_ledger_identity("unit-1", folder / "identity").keys
    verdict = verify(LedgerFolder(folder / "ledger"), Question(keys), visit=found.append)
    assert verdict.holds
    return found


def bodies(folder: Path, kind: type) -> list:
    return [one.body for one in entries(folder) if isinstance(one.body, kind)]


class Office:
    """The city, Anna and Ben with their keys, and a unit whose configuration names both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unit = SiteUnit(folder)
        self.keys = {name: PrivateKey.generate() for name in ("anna", "ben")}
        for name, key in {**self.keys, "city": self.unit.city}.items():
            save_private_key(folder / f"{name}.key", key)
        people = [
            Person("Anna", Role.TECHNICIAN, (self.keys["anna"].public,)),
            Person("Ben", Role.SUPERVISOR, (self.keys["ben"].public,)),
        ]
        data = sign(DocumentType.PERSONS, persons_payload(1, people), self.unit.city)
        (folder / "persons").write_bytes(data)
        self.text = self.unit.config.read_text().replace(
            'city_keys = "city-keys"', 'city_keys = "city-keys"\npersons = "persons"'
        )
        self.config = folder / "device.toml"

    def write(self, text: str, number: int, *more: str) -> None:
        self.config.write_text(text)
        key = str(self.folder / "city.key")
        sign = ("config", "sign", str(self.config), "--number", str(number), "--key", key)
        assert main([*sign, *more]) == 0

    def countersign(self, *names: str) -> None:
        for name in names:
            keys = ("--keys", str(self.folder / "city-keys"))
            people = ("--persons", str(self.folder / "persons"))
            key = ("--key", str(self.folder / f"{name}.key"))
            assert main(["config", "countersign", str(self.config), *keys, *people, *key]) == 0

    def start(self) -> None:
        config, check = load_config(self.config, anchor=self.folder / NO_ANCHOR)
        assert check.is_signed, check.trouble
        pictures = [np.full((720, 1280, 3), 90, np.uint8)] * 2
        make_service(config, check, source=StillSource(pictures)).run(drain_s=0.0)


def test_changes_and_commissionings_carry_names(tmp_path: Path, capsys) -> None:
    office = Office(tmp_path)
    register = office.unit.register(street_premises())
    first = office.unit.commission(register, made_by="Anna")
    office.unit.masks()
    office.write(office.text, 1)
    office.start()
    office.start()
    told = bodies(tmp_path, Commissioning)
    assert [(one.record, one.old, one.by, one.second) for one in told] == [
        (first.digest, None, "Anna", "city")
    ]

    office.write(
        office.text.replace("test street", "Oak street"), 2, "--by", "Carla", "--reason", "it moved"
    )
    office.countersign("anna", "ben")
    second = office.unit.commission(register, lost=0.5)
    arguments = ("--record", str(tmp_path / "record.json"), "--keys", str(tmp_path / "city-keys"))
    assert main(["commission", "countersign", *arguments, "--key", str(tmp_path / "ben.key")]) == 0
    office.start()
    (change,) = bodies(tmp_path, ConfigChange)
    assert (change.by, change.second, change.reason) == ("Anna", "Ben", "it moved")
    assert change.settings == ("device.site",)
    assert [boot.config for boot in bodies(tmp_path, Boot)][-2:] == [change.old, change.new]
    again = bodies(tmp_path, Commissioning)[1]
    assert (again.record, again.old, again.by, again.second) == (
        *(second.digest, first.digest),
        *("Ben", "city"),
    )
    # Somebody who is not on the list is not named, and what changed in the file is not signed.
    save_private_key(tmp_path / "stranger.key", PrivateKey.generate())
    office.countersign("stranger")
    office.config.write_text(office.text)
    keys = ("--keys", str(tmp_path / "city-keys"), "--key", str(tmp_path / "ben.key"))
    capsys.readouterr()
    assert main(["config", "countersign", str(office.config), *keys]) == 3
    assert "changed after signing" in capsys.readouterr().err


def test_commissioned_on_the_unit_it_is_on_record_at_once_and_once(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.unit.register(street_premises())
    office.unit.calibrated()
    office.unit.masks()
    from alpr_edge.config.mask_file import format_masks

    (tmp_path / "masks.json").write_text(format_masks(office.unit.zones))
    office.write(office.text, 1)
    given = {
        "--device": "unit-1",
        "--camera": tmp_path / "camera.json",
        "--premises": tmp_path / "premises.json",
        "--masks": tmp_path / "masks.json",
        "--keys": tmp_path / "city-keys",
        "--key": tmp_path / "anna.key",
        "--by": "Somebody",
        "--reason": "first installed",
        "--config": office.config,
        "--out": tmp_path / "record.json",
    }
    words = [str(word) for pair in given.items() for word in pair]
    assert main(["commission", "make", *words]) == 0
    # It is not in force by that, and a second person may still sign.
    more = ("--record", str(tmp_path / "record.json"), "--keys", str(tmp_path / "city-keys"))
    people = ("--persons", str(tmp_path / "persons"), "--key", str(tmp_path / "ben.key"))
    assert main(["commission", "countersign", *more, *people]) == 0
    office.start()
    office.start()
    made, told = bodies(tmp_path, Commissioning)
    assert (made.by, made.second, made.reason) == ("Anna", "nobody", "first installed")
    assert (told.by, told.second, told.old) == ("Anna", "Ben", None)
    assert (made.in_force, told.in_force) == (False, True)
    assert made.record == told.record == bodies(tmp_path, Boot)[0].commissioning


def test_a_key_that_nobody_knows_names_nobody_on_the_ledger(tmp_path: Path, capsys) -> None:
    office = Office(tmp_path)
    office.unit.register(street_premises())
    office.unit.calibrated()
    office.unit.masks()
    from alpr_edge.config.mask_file import format_masks

    (tmp_path / "masks.json").write_text(format_masks(office.unit.zones))
    office.write(office.text, 1)
    stranger = PrivateKey.generate()
    save_private_key(tmp_path / "stranger.key", stranger)
    given = {
        "--device": "unit-1",
        "--camera": tmp_path / "camera.json",
        "--premises": tmp_path / "premises.json",
        "--masks": tmp_path / "masks.json",
        "--keys": tmp_path / "city-keys",
        "--key": tmp_path / "stranger.key",
        "--by": "The Mayor",
        "--config": office.config,
        "--out": tmp_path / "record.json",
    }
    words = [str(word) for pair in given.items() for word in pair]
    assert main(["commission", "make", *words]) == 3
    assert "[placement.commission.unknown_key]" in capsys.readouterr().err
    assert not (tmp_path / "record.json").exists()
    assert not (tmp_path / "ledger").exists()
    ring = Keyring((office.unit.city.public,), ())
    assert signed_by([stranger.public], ring, {"by": "The Mayor"}) == By()


def test_a_start_that_fails_is_on_record(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.unit.register(street_premises())
    office.write(office.text, 1)
    # A bad configuration; then no masks, once the ledger is open; then a start that is killed.
    office.config.write_text(office.text.replace("street", "st\nreet"))
    assert main(["run", "--config", str(office.config)]) == 2
    assert not (tmp_path / "ledger.spool").exists()  # where it lies nobody knows yet
    office.config.write_text(office.text.replace("fps = 8.0", "fps = -8.0"))
    assert main(["run", "--config", str(office.config)]) == 2
    office.write(office.text, 2)
    command = [sys.executable, "-m", "alpr_edge", "run", "--config", str(office.config)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == 3
    (tmp_path / "ledger.starting").write_text("4711\n")
    office.config.write_text(office.text.replace("street", "st\nreet"))
    assert main(["run", "--config", str(office.config)]) == 2

    office.unit.commission(office.unit.register(street_premises()))
    office.unit.masks()
    office.write(office.text, 3)
    starting = find_starting(office.config)
    assert starting is not None
    starting.begin()
    office.start()
    found = [one for one in entries(tmp_path) if isinstance(one.body, StartFailed)]
    # The kill lies in the spool with its own time, like the two configurations.
    assert [(one.body.stage, one.body.code) for one in found] == [
        ("configuration", "config.invalid"),
        ("device", "exclusion.mask.missing"),
        ("configuration", "config.syntax"),
        ("broke_off", BROKE_OFF),
    ]
    assert found[0].body.config != found[2].body.config
    assert [type(one.body) for one in entries(tmp_path)].count(Stop) == 1
    assert not (tmp_path / "ledger.starting").exists()
    assert not list((tmp_path / "ledger.spool").iterdir())


START = """
import sys
from pathlib import Path
from alpr_edge.ledger.starting import Starting
one = Starting(Path(sys.argv[1]), sys.argv[2])
one.begin()
print("begun", flush=True)
sys.stdin.read()
"""


def test_a_start_beside_another_leaves_its_mark_and_a_kill_is_told_by_the_next(
    tmp_path: Path,
) -> None:
    ledger, mark = tmp_path / "ledger", tmp_path / "ledger.starting"
    first, second, third = ("1" * 64, "2" * 64, "3" * 64)
    command = [sys.executable, "-c", START, str(ledger), first]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            held = mark.read_bytes()
            beside = Starting(ledger, second)
            beside.begin()
            beside.failed("ledger.in_use")
            Starting(ledger).done()
            assert mark.read_bytes() == held
            assert waiting(ledger) == [("device", second, 1)]
        finally:
            process.kill()
            process.wait(60)
    after = Starting(ledger, third)
    after.begin()
    # Its own digest: the start that broke off, not the one that found it.
    assert waiting(ledger) == [("device", second, 1), ("broke_off", first, 1)]
    after.done()
    assert not mark.exists()
    after.begin()
    after.done()
    assert len(waiting(ledger)) == 2


def test_a_restart_loop_leaves_the_spool_to_people(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text("[ledger]\npath = 'ledger'\nrubbish =\n")
    (tmp_path / "ledger").mkdir()
    for _ in range(50):
        found = find_starting(path)
        assert found is not None
        found.failed("config.syntax", "configuration")
    assert [one[2] for one in waiting(tmp_path / "ledger")] == [50]
    for number in range(150):
        Starting(tmp_path / "ledger", f"{number:064x}").failed("config.syntax", "configuration")
    told = waiting(tmp_path / "ledger")
    assert len(told) == MOST_TOLD
    assert ("configuration", hashlib.sha256(path.read_bytes()).hexdigest(), 50) in told
    name = Spool(tmp_path / "ledger").put(Login(who="anna", outcome="granted", way="serial"))
    assert Spool(tmp_path / "ledger").holds(name)


def waiting(ledger: Path) -> list[tuple[str, str | None, int]]:
    found = [body for _, body in reversed(Spool(ledger).look())]
    return [(one.stage, one.config, one.count) for one in found if isinstance(one, StartFailed)]


def test_a_start_on_a_full_or_forbidden_place_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    starting = Starting(tmp_path / "file" / "ledger")
    starting.begin()
    starting.failed("internal")
    starting.failed("internal", "configuration")
    starting.done()


STRANGE = [
    *(b"ledger = 3", b"[ledger]\npath = 3", b"[ledger]\npath = ''", b'[ledger]\npath = "/"'),
    *(b'[ledger]\npath = "\\u0000"', b"[ledger]\npath = '..'", b"\xff", b"[" * 40_000),
]


@given(text=st.one_of(st.sampled_from(STRANGE), st.binary(max_size=60)))
def test_a_strange_configuration_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.mktemp("strange") / "device.toml"
    path.write_bytes(text if text in STRANGE else text.replace(b"/", b""))
    found = find_starting(path)
    if found is not None:
        found.begin()
        found.failed("internal")
    assert all(n == "device.toml" or n.endswith(".spool") for n in os.listdir(path.parent))


def test_no_ledger_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    path.write_text("[ledger]\nenabled = false\n")
    assert find_starting(path) is None
    assert find_starting(tmp_path / "missing.toml") is None


def test_whose_word_it_is() -> None:
    city, anna, ben, eve = (PrivateKey.generate().public for _ in range(4))
    people = (Person("Anna", Role.TECHNICIAN, (anna,)), Person("Ben", Role.AUDITOR, (ben,)))
    ring = Keyring((city,), people)
    said = {"by": "Carla", "reason": "because"}
    assert signed_by([city], ring, {}) == By("city")
    assert signed_by([city], ring, said) == By("Carla", "city", "because")
    assert signed_by([city, anna, ben], ring, said) == By("Anna", "Ben", "because")
    assert signed_by([ben, city], ring, {"reason": 3}) == By("Ben", "city")
    assert signed_by([eve], ring, json.loads('{"by": ["x"]}')) == By()
