"""The bench on the console: with the real session, and with lines that are no console at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hil_tests.bench.dialogue import Dialogue, Person, code_of, next_code
from hil_tests.bench.verdict import BenchError
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.console.console_samples import CITY

from alpr_edge.console.accounts import Accounts
from alpr_edge.console.memory_unit import MemoryUnit
from alpr_edge.console.seat import Seat
from alpr_edge.console.session import Session
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.trust.keyring import Keyring

NOTHING = object()


class SessionWire:
    """The unit's session at the other end of the line."""

    def __init__(self, folder: Path) -> None:
        clocks = SystemClocks()
        accounts = Accounts(folder, clocks)
        unit = MemoryUnit(clocks, Keyring((CITY.public,), (), 1))
        self.session = Session(unit, accounts, Seat(accounts, clocks))
        self._out = bytearray()

    def read(self, timeout_s: float) -> bytes:
        data, self._out = bytes(self._out), bytearray()
        return data

    def write(self, data: bytes) -> None:
        for out in self.session.feed(data):
            self._out += out


class Script:
    """A line that says what it is told to, whatever is typed; then nothing, or it is gone."""

    def __init__(self, said: Iterator[bytes], *, dies: bool = False) -> None:
        self._said, self._dies = said, dies

    def read(self, timeout_s: float) -> bytes:
        data = next(self._said, None)
        if data is None and self._dies:
            raise EOFError("gone")
        return data or b""

    def write(self, data: bytes) -> None:
        pass


def test_from_a_new_unit_to_a_technician_with_a_role(tmp_path: Path) -> None:
    talk = Dialogue(SessionWire(tmp_path / "console"), timeout_s=30)
    assert talk.wake() == "new"
    assert talk.identity() == "unit-1"
    sam, anna = Person("sam", "correct horse battery"), Person("anna", "staple granite willow")
    talk.make_first_user(sam)
    assert sam.key.startswith("ed25519:")
    word = talk.command("user add anna technician").rsplit(" ", 1)[-1].strip()
    talk.first_login(anna, word)
    assert "console.not_allowed" in talk.command("show users")
    talk.fresh_login()
    assert "anna, technician" in talk.log_in(anna)
    assert talk.document("show masks")["number"] == 0
    assert "console.login" in talk.try_password("sam", "wrong", "123456")
    with pytest.raises(BenchError, match=r"bench\.not_new"):
        talk.make_first_user(sam)
    with pytest.raises(BenchError, match=r"bench\.refused"):
        talk.log_in(Person("sam", "wrong horse battery", sam.totp))


@pytest.mark.parametrize(
    ("said", "dies", "code"),
    [
        ([], False, "bench.silent"),
        ([b"U-Boot 2023.01\r\n"], False, "bench.late"),
        ([b"x" * 65536] * 9, False, "bench.babbling"),
        ([b"alpr-edge 1 on"], True, "bench.died"),
        ([b"Debian GNU/Linux 12 other ttyAMA0\r\n\r\nother login: ", b"\r\nlogin: "], False,
         "bench.wrong_device"),
    ],
)  # fmt: skip
def test_each_kind_of_bad_line_has_its_verdict(said: list[bytes], dies: bool, code: str) -> None:
    talk = Dialogue(Script(iter(said), dies=dies), timeout_s=0.5)
    with pytest.raises(BenchError) as caught:
        talk.wake()
    assert caught.value.code == code
    assert caught.value.hint


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=80), max_size=12), st.booleans())
def test_any_bytes_end_in_an_answer_or_a_verdict(said: list[bytes], dies: bool) -> None:
    talk = Dialogue(Script(iter(said), dies=dies), timeout_s=0.02)
    for act in (talk.wake, lambda: talk.document("show masks"), lambda: talk.drain(0.01, 0.02)):
        with contextlib.suppress(BenchError):  # anything else fails the test
            assert act() is not NOTHING


def test_who_sits_here_stays_and_recovery_codes_spare_the_wait(tmp_path: Path) -> None:
    talk = Dialogue(SessionWire(tmp_path / "console"), timeout_s=30)
    sam = Person("sam", "correct horse battery")
    talk.make_first_user(sam)
    assert len(sam.recovery) == 8
    before = talk.transcript.count("login: ")
    talk.be(sam)
    assert talk.transcript.count("login: ") == before
    # More logins than codes of this half minute: each counts, none waits.
    for _ in range(4):
        talk.log_in(sam)
    assert 2 <= len(sam.recovery) < 8
    talk.fresh_login()
    talk.be(sam)
    assert "sam" in str(talk.document("show login"))


def test_a_code_is_used_once() -> None:
    # Source of the value: RFC 6238, appendix B, 59 s, SHA-1, its last six digits.
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert code_of(secret, 59 // 30) == "287082"
    person, now, waits = Person("anna", "", secret), [1000.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    codes = [next_code(person, clock=lambda: now[0], sleep=sleep) for _ in range(5)]
    assert len(set(codes)) == 5
    assert all(0 < wait <= 31 for wait in waits)
