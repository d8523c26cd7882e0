"""Stations `identity` and `console`: who the unit is, who may come in, and who may what."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hil_tests.bench.dialogue import any_code
from hil_tests.bench.laptop import Laptop
from hil_tests.bench.programs import REPOSITORY, device_python, run


@pytest.fixture
def talk(unit: Any) -> Any:
    """The console of a commissioned unit."""
    unit.transition("commissioned")
    return unit.alpr.dialogue


@pytest.mark.station("identity")
def test_it_is_the_unit_on_the_label_and_its_certificates_are_in_order(
    unit: Any, talk: Any, facts: Any
) -> None:
    """Name, digests, own key, certificates of the broker link."""
    talk.be(unit.people["anna"])
    about = talk.document("show version")
    assert unit.unit in str(about), about
    facts.note(about=about)
    said = talk.command("show certificates")
    assert unit.unit in said, said
    key = unit.maintenance.run(f"alpr-edge ledger key --config {unit.config}", 60 * unit.patience)
    facts.note(ledger_key=key.checked("ledger key").strip())


@pytest.mark.station("identity")
def test_only_its_certificate_lets_it_write(unit: Any, talk: Any) -> None:
    """It is on the broker by mutual TLS, and an unknown certificate is not."""
    unit.wait_for("a state on the broker", lambda: bool(unit.broker.states), 60)
    import socket
    import ssl

    context = ssl.create_default_context(cafile=str(unit.city.ca / "ca.pem"))
    refused = b"closed"
    with socket.create_connection(("127.0.0.1", unit.broker.port), 30) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
                wrapped.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00")
                refused = wrapped.recv(4)
        except (ssl.SSLError, ConnectionError):
            refused = b""  # TLS 1.3 tells on reading
    assert refused == b""


@pytest.mark.quick
@pytest.mark.station("console")
def test_a_technician_comes_in_and_may_not_manage_users(unit: Any, talk: Any) -> None:
    """Password, second factor, role; a wrong password does not."""
    assert "console.login" in talk.try_password("anna", "wrong horse wrong", "123456")
    said = talk.log_in(unit.people["anna"])
    assert "anna, technician" in said
    assert "console.not_allowed" in talk.command("user add eve supervisor")
    assert "console.not_allowed" in talk.command("show users")
    assert "masks" in talk.command("show masks").lower()


@pytest.mark.station("console")
def test_wrong_passwords_lock_a_name_and_no_other(unit: Any, talk: Any) -> None:
    """Four failures delay the name; the answer tells nothing; anna still comes in."""
    said = [talk.try_password("lou", "wrong horse wrong", "123456") for _ in range(4)]
    last = talk.try_password("lou", "wrong horse wrong", "123456")
    assert all("console.login" in one for one in said), said
    assert "console.login.locked" in last, last
    nobody = talk.try_password("nobody-here", "wrong horse wrong", "123456")
    assert "console.login.refused" in nobody, nobody
    assert "anna" in talk.log_in(unit.people["anna"])


@pytest.mark.station("console")
def test_noise_on_the_line_does_no_harm(unit: Any, talk: Any) -> None:
    """Bytes of every kind, then the same console as before."""
    talk.wire.write(bytes(range(256)) * 2)
    talk.drain(quiet_s=1.0, most_s=30 * unit.patience)
    talk.wake(timeout_s=60 * unit.patience)
    talk.fresh_login()
    assert "anna" in talk.log_in(unit.people["anna"])
    assert re.search(r"phase|reading|stopped", talk.command("show status"))


@pytest.mark.station("console")
def test_still_transfer(unit: Any, facts: Any) -> None:
    """A still over the console, as a laptop gets it: black inside the masks, and not everywhere."""
    unit.transition("running")
    talk, anna = unit.alpr.dialogue, unit.people["anna"]
    talk.fresh_login()
    still, script = unit.folder / "still.jpg", REPOSITORY / "hil_tests/bench/fetch_still.py"
    masks = unit.street / "masks.json"
    with Laptop(talk.wire) as laptop:
        said = run(
            [device_python(), script, "--port", laptop.port, "--masks", masks, "--out", still],
            timeout_s=120 * unit.patience,
            answers=f"{anna.name}\n{anna.password}\n{any_code(anna)}\n",
        )
    found = json.loads(said.checked("fetching a still").strip().splitlines()[-1])
    facts.note(still=found)
    facts.picture("still over the console, masked on the unit", still.read_bytes())
    assert found["brightest_inside"] <= 24, found
    assert found["mean"] > 24, "a black picture shows nothing"
    assert found["about"]["mask_digest"] == unit.status_now()["masks"]["digest"]
    assert "anna" in talk.log_in(anna)
