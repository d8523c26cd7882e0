"""Keys, key files, the persons' list and the unit's own key."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.errors import BadSignature, Expired, KeyUnusable, Rollback, TrustError
from alpr_edge.trust.checks import check_number, check_validity, format_time, parse_time
from alpr_edge.trust.device_identity import device_key
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import create_durably, write_durably
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.key_files import (
    load_keyring,
    load_private_key,
    load_public_keys,
    save_private_key,
)
from alpr_edge.trust.keyring import Person, Role, open_persons, parse_persons, persons_payload
from alpr_edge.trust.keys import PrivateKey, PublicKey

CITY, ANNA, BEN = PrivateKey.generate(), PrivateKey.generate(), PrivateKey.generate()
PERSONS = (
    Person("Anna", Role.TECHNICIAN, (ANNA.public,)),
    Person("Ben", Role.SUPERVISOR, (BEN.public,)),
)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(TrustError) as caught:
        call()
    return caught.value.code


@given(st.binary(min_size=32, max_size=32))
def test_a_public_keys_text_comes_back(raw: bytes) -> None:
    key = PublicKey(raw)
    assert PublicKey.parse(f" {key}\n") == key
    assert len(str(key)) == len("ed25519:") + 43


@given(st.text(max_size=60))
def test_other_text_is_no_public_key(text: str) -> None:
    assert refused(lambda: PublicKey.parse(text)) == "trust.key.invalid"


def test_another_spelling_of_the_last_character_is_another_text() -> None:
    text = str(ANNA.public)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled = [a for a in alphabet if a != text[-1]]
    same = 0
    for last in spelled:
        try:
            same += PublicKey.parse(text[:-1] + last) == ANNA.public
        except KeyUnusable:
            continue
    assert same == 0


def test_a_private_key_does_not_show_itself() -> None:
    assert str(ANNA.public) in repr(ANNA)
    with pytest.raises(TypeError):
        pickle.dumps(ANNA)


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_private_keys_come_back_from_disk(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "anna.key"
    save_private_key(path, ANNA, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_private_key(path, passphrase).public == ANNA.public
    assert (b"ENCRYPTED" in path.read_bytes()) is (passphrase is not None)
    assert os.listdir(tmp_path) == ["anna.key"]


def test_openssl_reads_our_keys(tmp_path: Path) -> None:
    save_private_key(tmp_path / "k", ANNA)
    done = subprocess.run(
        ["openssl", "pkey", "-in", str(tmp_path / "k"), "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert done.stdout[-32:] == ANNA.public.raw


def test_private_keys_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert refused(lambda: load_private_key(path)) == "trust.key.missing"
    save_private_key(path, ANNA, b"secret")
    assert refused(lambda: load_private_key(path)) == "trust.key.passphrase"
    assert refused(lambda: load_private_key(path, b"wrong")) == "trust.key.passphrase"
    assert refused(lambda: save_private_key(path, BEN)) == "trust.key.exists"
    assert load_private_key(path, b"secret").public == ANNA.public
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        assert refused(lambda: load_private_key(path, b"secret")) == "trust.key.open"
    other = tmp_path / "other"
    other.write_bytes(b"nothing")
    other.chmod(0o600)
    assert refused(lambda: load_private_key(other)) == "trust.key.invalid"
    assert refused(lambda: save_private_key(tmp_path / "no" / "k", BEN)) == "trust.key.unwritable"


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ec"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519", "-out", str(path)],
        check=True,
        capture_output=True,
    )
    path.chmod(0o600)
    assert refused(lambda: load_private_key(path)) == "trust.key.invalid"


def test_the_citys_keys(tmp_path: Path) -> None:
    path = tmp_path / "city"
    path.write_text(f"# oldest first\n{CITY.public}\n\n{ANNA.public}  # new\n")
    assert load_public_keys(path) == (CITY.public, ANNA.public)
    for text in ("", "# none", f"{CITY.public}\n{CITY.public}", "nonsense", "\xff\0"):
        path.write_text(text)
        assert refused(lambda: load_public_keys(path)) == "trust.key.invalid"


def test_the_persons_list_of_the_city(tmp_path: Path) -> None:
    (tmp_path / "city").write_text(str(CITY.public))
    (tmp_path / "persons").write_bytes(
        sign(DocumentType.PERSONS, persons_payload(4, PERSONS), CITY)
    )
    ring = load_keyring(tmp_path / "city", tmp_path / "persons")
    assert (ring.city, ring.persons, ring.number) == ((CITY.public,), PERSONS, 4)
    assert ring.person(BEN.public) == PERSONS[1]
    assert ring.person(CITY.public) is None
    assert ring.keys_of(Role.TECHNICIAN) == (ANNA.public,)
    assert ring.people([ANNA.public, CITY.public], *Role) == (PERSONS[0],)
    assert ring.is_city([CITY.public])
    assert not ring.is_city([ANNA.public])
    assert load_keyring(tmp_path / "city", None).persons == ()
    missing = tmp_path / "none"
    assert refused(lambda: load_keyring(tmp_path / "city", missing)) == "trust.key.missing"


def test_only_the_city_lists_persons() -> None:
    data = sign(DocumentType.PERSONS, persons_payload(4, PERSONS), ANNA)
    with pytest.raises(BadSignature):
        open_persons(data, [CITY.public])


def entry(**changes: object) -> dict[str, object]:
    return {"name": "A", "role": "technician", "keys": [str(ANNA.public)], **changes}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"number": 0, "persons": []},
        {"number": True, "persons": []},
        {"number": 1, "persons": {}},
        {"number": 1, "persons": [1]},
        {"number": 1, "persons": [entry(name="")]},
        {"number": 1, "persons": [entry(name="a\nb")]},
        {"number": 1, "persons": [entry(role="city")]},
        {"number": 1, "persons": [entry(role=[])]},
        {"number": 1, "persons": [entry(keys=[])]},
        {"number": 1, "persons": [entry(keys=["x"])]},
        {"number": 1, "persons": [entry(keys=[1])]},
        {"number": 1, "persons": [entry(more=1)]},
        {"number": 1, "persons": [entry(), entry(keys=[str(BEN.public)])]},
        {"number": 1, "persons": [entry(), entry(name="B")]},
        {"number": 1, "persons": [entry(keys=[str(ANNA.public)] * 2)]},
        {"number": 1, "persons": [entry(keys=[str(CITY.public)])]},
    ],
)
def test_a_persons_list_that_is_not_sound(payload: dict[str, Any]) -> None:
    assert refused(lambda: parse_persons(payload, [CITY.public])) == "trust.persons.invalid"


def test_validity_and_numbers() -> None:
    now = datetime(2026, 11, 24, 8, tzinfo=UTC)
    hour = timedelta(hours=1)
    check_validity("x", now, valid_from=now, valid_to=now + hour)
    check_validity("x", now, valid_from=None, valid_to=None)
    with pytest.raises(Expired) as late:
        check_validity("x", now, valid_from=None, valid_to=now)
    assert late.value.code == "trust.expired"
    with pytest.raises(Expired) as early:
        check_validity("x", now, valid_from=now + hour, valid_to=None)
    assert early.value.code == "trust.not_yet_valid"
    check_number("x", 5, 4)
    for number in (4, 3):
        with pytest.raises(Rollback):
            check_number("x", number, 4)


@given(st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-7)))))
def test_times_in_documents_come_back(moment: datetime) -> None:
    try:
        text = format_time(moment)
    except OverflowError:
        return
    assert parse_time(text, "x") == moment
    assert text.endswith("Z")


@pytest.mark.parametrize("value", [None, 1, "", "2026-11-24", "2026-11-24T08:00:00+01:00", "Z"])
def test_other_times_are_refused(value: object) -> None:
    assert refused(lambda: parse_time(value, "valid_from")) == "trust.time.invalid"


def test_the_device_makes_its_key_once(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "identity"
    key = device_key(folder)
    assert device_key(folder).public == key.public
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "device.key").stat().st_mode & 0o777 == 0o600
    (folder / "device.key").write_bytes(b"damaged")
    assert refused(lambda: device_key(folder)) == "trust.key.invalid"
    assert (folder / "device.key").read_bytes() == b"damaged"


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    code = f"import sys; from {device_key.__module__} import device_key; "
    code += "print(device_key(sys.argv[1]).public.raw.hex())"
    command = [sys.executable, "-c", code, str(tmp_path / "identity")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    found = [process.communicate(timeout=60)[0] for process in started]
    assert all(found)
    assert len(set(found)) == 1
    assert os.listdir(tmp_path / "identity") == ["device.key"]


def test_durable_writes_leave_no_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"one")
    write_durably(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    with pytest.raises(FileExistsError):
        create_durably(path, b"three")
    assert path.read_bytes() == b"two"
    with pytest.raises(OSError, match="directory"):
        write_durably(tmp_path / "none" / "file", b"x")
    assert os.listdir(tmp_path) == ["file"]
