"""Network and broker key by key: what is the technician's, and what the city signs."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.console.console_samples import CITY, Terminal
from tests.console.line_client import make_unit
from tests.console.test_moving import drive, receiver
from tests.console.test_unit import code_of, real
from tests.console.test_unit_files import Unit

from alpr_edge.console.armour import unarmour
from alpr_edge.console.device import NOT_HERE, Parcel
from alpr_edge.console.session import Session
from alpr_edge.console.settings import DHCP, LinkSettings, network_file, read_network_file
from alpr_edge.errors import ConsoleError
from alpr_edge.ledger.kinds import FileMoved
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign_file

ADDRESS = "set network address 10.0.0.5/24"
PROVISION = Path(__file__).resolve().parents[2] / "scripts" / "provision"
ADDRESSES = st.ip_addresses().map(str)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    one = Terminal(tmp_path / "console")
    one.log_in("anna")
    return one


def test_the_network_is_set_key_by_key_and_committed(terminal: Terminal) -> None:
    terminal.type(f"configure\n{ADDRESS}\nset net gate 10.0.0.1\nset network dns 10.0.0.2 10.0.0.3")
    assert terminal.unit.link is None
    out = terminal.type("show settings")
    assert "address: 10.0.0.5/24" in out
    assert "left as it is" in terminal.type("commit network\nno")
    out = terminal.type("commit network\nyes")
    assert "test mqtt says" in out
    assert terminal.unit.link == LinkSettings("10.0.0.5/24", "10.0.0.1", ("10.0.0.2", "10.0.0.3"))
    assert "network by anna" in terminal.unit.done
    # One key more keeps the others; dhcp lets go of them.
    terminal.type("set network dns 10.0.0.9\ncommit network\nyes")
    assert terminal.unit.link.gateway == "10.0.0.1"
    terminal.type("set network address dhcp\ncommit network\nyes")
    assert terminal.unit.link == LinkSettings()
    assert "console.settings.none" in terminal.type("commit network")
    for wrong in (
        f"{ADDRESS}\nset network gateway 10.9.0.1",
        f"{ADDRESS}\nset network gateway 10.0.0.5",
        "set network address dhcp\nset network dns 10.0.0.2",
    ):
        assert "console.network.invalid" in terminal.type(
            f"discard settings\n{wrong}\ncommit network"
        )
    for wrong in ("address 10.0.0.5", "address 10.0.0.500/24", "gateway x", "dns 1.2.3"):
        assert "console.syntax" in terminal.type(f"set network {wrong}")
    assert terminal.defects == []


def test_another_broker_is_a_request_that_leaves_and_is_tried(terminal: Terminal) -> None:
    assert "console.settings.none" in terminal.type("send request")
    terminal.type("configure\nset mqtt host broker.example\nset mqtt port 8883")
    out = terminal.type("show request | no-more")
    body = out[out.index("-----BEGIN") : out.rindex("-----") + 5]
    wanted = {"mqtt": {"host": "broker.example", "port": 8883}}
    assert tomllib.loads(unarmour(body).decode()) == wanted
    assert "console.syntax" in terminal.type("set mqtt host mqtt://broker.example")
    terminal.type("test mqtt requested")
    assert "mqtt {'mqtt.host': 'broker.example', 'mqtt.port': 8883}" in terminal.unit.done
    terminal.type("exit\nsend request")
    other, got = receiver()
    assert "sha256" in drive(terminal, other)
    assert tomllib.loads(got[0].rstrip(b"\x1a").decode()) == wanted
    # Locked meanwhile: what was set is kept for the same person, and for nobody else.
    terminal.clocks.pass_s(301)
    terminal.tick()
    terminal.log_in("sam")
    assert "broker.example" not in terminal.type("show settings")
    terminal.type("logout")
    assert terminal.defects == []


def test_what_was_set_is_kept_over_a_lock(terminal: Terminal) -> None:
    terminal.type("configure\nset mqtt host broker.example\nexit")
    terminal.clocks.pass_s(301)
    terminal.tick()
    terminal.log_in("anna")
    assert "broker.example" in terminal.type("show settings")
    terminal.type("configure\ndiscard settings")
    assert "broker.example" not in terminal.type("show settings")


@given(
    st.ip_addresses(v=4).map(lambda one: f"{one}/20") | st.just(DHCP),
    ADDRESSES | st.just(""),
    st.lists(ADDRESSES),
)
def test_what_is_written_is_read_again(address: str, gateway: str, dns: list[str]) -> None:
    settings = LinkSettings(address, gateway, tuple(dns))
    if address == DHCP:
        settings = LinkSettings()
    with contextlib.suppress(ConsoleError):
        settings.check()
    assert read_network_file(network_file("eth0", settings)) == settings
    assert read_network_file("[Match]\nName=e*\n") is None


@pytest.mark.parametrize(
    "wrong",
    [
        *("gateway fe80::1%é", 'gateway "fe80::1%x y"', "dns fe80::1%eth0", "dns 127.0.0.1"),
        *("dns ::1", "dns ::", "dns ff02::1", "dns ::ffff:127.0.0.1", "gateway 0.0.0.0"),
        *("address 127.0.0.1/8", "address 0.0.0.0/0", "address 224.0.0.1/4", "address ::1/128"),
        *("address 10.0.0.0/24", "address 10.0.0.255/24", "address 255.255.255.255/32"),
        *("address fe80::1%é/64", "address fe80::1/64%x", "address fd00::/64", "address 0.1.2.3/8"),
        *("address 10.0.0.5/", "address 10.0.0.5/24/24", "address ١٠.0.0.5/24", "address /24"),
    ],
)
def test_an_address_at_which_no_machine_can_be_is_refused(terminal: Terminal, wrong: str) -> None:
    out = terminal.type(f"configure\n{ADDRESS}\nset network {wrong}\nshow settings")
    assert "console.syntax" in out
    assert "address: 10.0.0.5/24" in out
    assert terminal.defects == []
    key, _, value = wrong.replace('"', "").partition(" ")
    settings = LinkSettings("10.0.0.5/24", "10.0.0.1", ("10.0.0.2",))
    settings = replace(settings, **{key: (value,) if key == "dns" else value})
    assert code_of(settings.check) == "console.network.invalid"


def test_networks_of_two_have_no_address_to_spare() -> None:
    for address in ("10.0.0.4/31", "10.0.0.4/32", "fd00::/127", "fd00::5/64"):
        LinkSettings(address).check()


@given(st.text(max_size=24) | st.ip_addresses().map(str), st.text("0123456789/%é ", max_size=4))
def test_what_counts_as_an_address_is_plain_text(address: str, prefix: str) -> None:
    settings = LinkSettings(f"{address}/{prefix}", address, (address, f"{address}{prefix}"))
    with contextlib.suppress(ConsoleError):
        settings.check()
        network_file("eth0", settings).encode("ascii")


def test_no_network_names_a_time_server() -> None:
    """Networkd takes one from DHCP unless each of its sections says no (systemd.network(5))."""
    parsed = ConfigParser(delimiters="=", strict=False)
    parsed.read_string(network_file("eth0", LinkSettings()))
    assert parsed["Network"]["DHCP"] == "yes"
    for section in ("DHCPv4", "DHCPv6"):
        for key in ("UseNTP", "UseDomains", "UseHostname"):
            assert parsed[section][key] == "no"
    parsed = ConfigParser(delimiters="=", strict=False)
    parsed.read_string(network_file("eth0", LinkSettings("10.0.0.5/24", "10.0.0.1", ("10.0.0.2",))))
    # Nor does a router that speaks up, where the address is fixed.
    assert parsed["Network"]["DHCP"] == parsed["Network"]["IPv6AcceptRA"] == "no"
    assert "NTP" not in parsed["Network"]


def unit_with(tmp_path: Path, *, tls: bool, mine: bool) -> Any:
    files = make_unit(tmp_path)
    text = files.config.read_text()
    if tls:
        text += '[mqtt.tls]\nca = "ca.pem"\n'
    if mine:
        text += '[console]\nnetwork_file = "link.network"\n'
    files.config.write_text(text)
    return files


def test_the_link_is_set_where_the_city_allows_it_and_the_broker_is_proven(tmp_path: Path) -> None:
    settings = LinkSettings("10.0.0.5/24", "10.0.0.1")
    for number, (tls, mine) in enumerate(((False, True), (True, False))):
        folder = tmp_path / str(number)
        folder.mkdir()
        unit = real(unit_with(folder, tls=tls, mine=mine))
        assert code_of(unit.set_link, settings, who="anna") == "console.network.not_allowed"
        assert not (folder / "link.network").exists()
    unit = real(unit_with(tmp_path, tls=True, mine=True))
    assert unit.link_settings() is None
    bad = LinkSettings("10.0.0.5/24", "10.1.0.1")
    assert code_of(unit.set_link, bad, who="anna") == "console.network.invalid"
    told = unit.set_link(settings, who="anna")
    assert told["link"] == "eth0"
    assert told["counts"] in ("now", "from the unit's next start: reboot")
    assert unit.link_settings() == settings
    text = (tmp_path / "link.network").read_text()
    assert "Name=eth0" in text
    assert "Gateway=10.0.0.1" in text
    # What the image brought is not taken for ours.
    (tmp_path / "link.network").write_text("[Match]\nName=e*\n[Network]\nAddress=1.2.3.4/8\n")
    assert unit.link_settings() is None


@pytest.mark.mosquitto
def test_a_request_is_tried_signed_and_taken(mosquitto: Any, tmp_path: Path) -> None:
    files = make_unit(tmp_path)
    unit = real(files)
    assert unit.test_mqtt()["reached"] is False
    signed = {"mqtt.host": "127.0.0.1", "mqtt.port": mosquitto.port}
    told = unit.test_mqtt(signed)
    assert told["reached"] is None
    # Nothing proves who answers there: no name and password are sent.
    assert told["steps"][-1]["good"] is None
    assert told["steps"][-1]["detail"].startswith("not tried")
    data = unit.requested(signed)
    why = {"who": "anna", "reason": "another broker"}
    assert code_of(unit.push, Parcel.CONFIG, data, **why) == "console.push.unsigned"
    signature = sign_file(DocumentType.CONFIG, data, CITY, number=1)
    assert unit.push(Parcel.CONFIG, data, signature, **why)["counts"] == "from the next start"
    assert real(files).test_mqtt()["steps"][-1]["step"] == "login"
    assert code_of(unit.requested, {"mqtt.port": 0}) == "config.invalid"
    assert code_of(unit.requested, {"nowhere.host": "x"}) == "config.edit"


@pytest.mark.mosquitto
def test_a_typed_broker_gets_no_password_whatever_its_certificate(
    mosquitto: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = tmp_path / "city"
    for made in (("ca", city), ("broker", city, "--host", "localhost")):
        subprocess.run([sys.executable, PROVISION, *made], check=True, capture_output=True)
    mosquitto.stop()
    mosquitto.base = (
        f"user root\nlistener {mosquitto.port} 127.0.0.1\nallow_anonymous true\n"
        f"cafile {city / 'ca.pem'}\ncertfile {city / 'broker.pem'}\nkeyfile {city / 'broker.key'}\n"
    )
    mosquitto.start()
    files = make_unit(tmp_path)
    text = files.config.read_text()
    text = text.replace("[mqtt]\n", '[mqtt]\nusername_env = "WHO"\npassword_env = "SAYS"\n')
    files.config.write_text(text + '[mqtt.tls]\nca = "city/ca.pem"\n')
    unit = Unit(tmp_path, files)
    unit.environment.update(WHO="cam-of-elm-street", SAYS="secret")
    theirs = {"mqtt.host": "localhost", "mqtt.port": mosquitto.port}
    told = unit.real.test_mqtt(theirs, who="anna")
    steps = [(one["step"], one["good"]) for one in told["steps"]]
    assert steps[1:] == [("connection", True), ("certificate", True), ("login", None)]
    assert told["reached"] is None
    # Once it is the broker in force, it is one to log in to; the log shows the name then.
    assert "cam-of-elm-street" not in mosquitto.log.read_text()
    digest = hashlib.sha256(unit.real.requested(theirs)).hexdigest()
    tried = [b for b in unit.bodies() if isinstance(b, FileMoved)]
    assert [(b.act, b.what, b.who, b.digest) for b in tried] == [
        ("tried", "request", "anna", digest)
    ]
    files.config.write_bytes(unit.real.requested(theirs))
    unit = Unit(tmp_path, files)
    unit.environment.update(WHO="cam-of-elm-street", SAYS="secret")
    assert unit.real.test_mqtt(theirs, who="anna")["reached"] is True
    assert "cam-of-elm-street" in mosquitto.log.read_text()


def test_a_bench_without_a_store_has_its_settings_and_commits_no_masks(tmp_path: Path) -> None:
    bench = real(make_unit(tmp_path))
    bench._place = replace(bench._place, store=None)
    assert bench.reference()["file"] is None
    terminal = Terminal(tmp_path / "desk")
    terminal.session = Session(
        bench, terminal.accounts, terminal.seat, on_defect=terminal.defects.append
    )
    terminal.screen = b"".join(terminal.session.open()).decode()
    terminal.log_in("anna")
    out = terminal.type(f"configure\nset mqtt port 8883\n{ADDRESS}\nshow settings")
    assert "mqtt.port: 8883" in out
    assert "address: 10.0.0.5/24" in out
    assert NOT_HERE in terminal.type("set mask door points 0.1,0.1 0.2,0.1 0.2,0.2\ncompare")
    assert NOT_HERE in terminal.type("commit\nbecause of a bench\nyes\nyes")
    terminal.type("exit\nno")
    assert "alpr-edge> " in terminal.type("")
    assert terminal.defects == []
