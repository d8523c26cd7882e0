from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.console.console_samples import (
    LEVELS,
    PASSWORD,
    Terminal,
    make_users,
    ring_of,
    shown,
    users_of_all_roles,
)

from alpr_edge.authority.record import open_record
from alpr_edge.console import secrets_of
from alpr_edge.console.access import Level, User
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.lockout import ALL_FREE, ALL_MOST_S, FREE, MOST_S, delay_s
from alpr_edge.console.memory_unit import MemoryUnit
from alpr_edge.console.seat import SetUpNeeded
from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.errors import AlprEdgeError, ConsoleError
from alpr_edge.zone_set import ZoneSet


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "console")


def code_of(wanted: str, does: object, *args: object) -> str:
    with pytest.raises(ConsoleError) as told:
        does(*args)  # type: ignore[operator]
    assert told.value.code == wanted
    return str(told.value)


def test_first_boot_from_secret_to_a_supervisor(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "console", users={})
    # Not into the void: a line is greeted at power on, and nobody may be there.
    assert terminal.screen.endswith("press Enter to set it up: ")
    assert terminal.bytes(b"\x03").endswith("press Enter to set it up: ")
    assert "First-boot" not in terminal.screen
    terminal.type("")
    secret = terminal.screen.split("First-boot secret of this unit: ")[1].split("\r\n")[0]
    assert len(secrets_of.plain_words(secret)) == 20
    label = tmp_path / "console" / "first-boot-secret"
    assert secret in label.read_text()
    assert stat.S_IMODE(label.stat().st_mode) == 0o600
    # Shown once: another look at the line does not tell it.
    again = terminal.bytes(b"\x03")
    assert secret not in again
    assert "This unit has no user yet" in again
    assert "console.login.refused" in terminal.type("wrong")
    out = terminal.type(f"{secret}\nno such NAME")
    assert "console.users.name" in out
    out = terminal.type(f"{secret}\nsam\nshort\nabcdefghijklmn\nother")
    assert "console.password.weak" in out
    assert "they differ" in out
    out = terminal.type(f"{PASSWORD}\n{PASSWORD}")
    totp = out.split("or type it in: ")[1].split("\r\n")[0]
    qr = [line for line in out.splitlines() if "##" in line]
    assert len(qr) > 24
    assert max(map(len, qr)) <= 80
    assert len({len(line) for line in qr}) <= 2
    out = terminal.type("123456")
    assert "console.login.code" in out
    out = terminal.type(secrets_of.totp_code(totp, terminal.clocks.wall_s()))
    assert "Your key on this unit: ed25519:" in out
    assert out.endswith("alpr-edge> ")
    assert not label.exists()
    assert terminal.accounts.users()[0]["role"] == "supervisor"
    # The next one: made by the supervisor, own password and second factor at the first login.
    out = terminal.type("user add anna technician")
    first = out.split("for the first login: ")[1].split("\r\n")[0]
    out = terminal.type(f"logout\nanna\n{first}\n")
    assert "Welcome, anna" in out
    assert shown(out).startswith("new password")
    terminal.bytes(b"\x03")
    assert terminal.seat.user is None


def first_boot(terminal: Terminal, name: str) -> str:
    """From the login line to the code of the second factor; its secret."""
    if not terminal.accounts.is_secret_shown:
        terminal.type("")
    secret, _ = terminal.accounts.first_secret_unlocked()
    out = terminal.type(f"{secret}\n{name}\n{PASSWORD}\n{PASSWORD}")
    return out.split("or type it in: ")[1].split("\r\n")[0]


@pytest.mark.parametrize("how", ["ctrl-c", "unplugged", "power", "codes"])
def test_a_first_set_up_that_breaks_off_begins_anew(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "console"
    terminal = Terminal(folder, users={})
    first_boot(terminal, "sam")
    if how == "ctrl-c":
        terminal.bytes(b"\x03")
    elif how == "unplugged":
        terminal.session.unplugged()
        terminal.bytes(b"\r")
    elif how == "power":
        terminal = Terminal(folder, users={})
    else:
        assert "console.login.code" in terminal.type("000000\n000000\n000000")
    assert [one["set_up"] for one in terminal.accounts.users()] == [False]
    assert terminal.accounts.is_new
    assert "This unit has no user yet" in terminal.screen
    # Not without the secret; then under the same name or another, and the unfinished one is gone.
    assert "console.login.refused" in terminal.type("wrong")
    totp = first_boot(terminal, "sam" if how == "ctrl-c" else "tom")
    out = terminal.type(secrets_of.totp_code(totp, terminal.clocks.wall_s()))
    assert out.endswith("alpr-edge> ")
    assert not terminal.accounts.is_new
    assert len(terminal.accounts.users()) == 1
    assert not (folder / "first-boot-secret").exists()
    assert terminal.defects == []


def test_a_reset_of_the_only_supervisor_does_not_reopen_first_boot(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "console", users={})
    terminal.type("")
    secret, _ = terminal.accounts.first_secret_unlocked()
    totp = first_boot(terminal, "sam")
    terminal.type(secrets_of.totp_code(totp, terminal.clocks.wall_s()))
    # As a power cut between the account and the secret would leave it.
    label = tmp_path / "console" / "first-boot-secret"
    label.write_text(f"{secret} shown\n")
    assert not terminal.accounts.is_new
    first = terminal.accounts.reset("sam")
    assert not label.exists()
    assert not terminal.accounts.is_new
    code_of("console.login.refused", terminal.accounts.check_first_secret, secret)
    with pytest.raises(SetUpNeeded):
        terminal.accounts.login("sam", first, "")
    # Who comes too late makes no second first user.
    terminal = Terminal(tmp_path / "late", users={})
    terminal.type("")
    secret, _ = terminal.accounts.first_secret_unlocked()
    terminal.type(secret)
    make_users(Accounts(tmp_path / "late", terminal.clocks), terminal.clocks, LEVELS)
    assert "Somebody else was faster" in terminal.type("tom")
    assert "tom" not in {one["name"] for one in terminal.accounts.users()}


class Overtaken(Accounts):
    """Another process does something just before this one gets the lock."""

    first: Callable[[], object] | None = None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        first, self.first = self.first, None
        if first is not None:
            first()
        with super()._locked():
            yield


def test_another_process_that_was_faster_is_not_undone(terminal: Terminal) -> None:
    folder, clocks, other = terminal.accounts._folder, terminal.clocks, terminal.accounts
    anna = terminal.logins["anna"]
    ours = Overtaken(folder, clocks)
    # A recovery code counts once, here or there.
    one, two = anna.recovery[:2]
    ours.first = lambda: other.login("anna", PASSWORD, one)
    code_of("console.login.refused", ours.login, "anna", PASSWORD, one)
    clocks.pass_s(60)
    ours.first = lambda: other.reset("anna")
    code_of("console.login.refused", ours.login, "anna", PASSWORD, two)
    assert {u["name"]: u["set_up"] for u in other.users()}["anna"] is False
    clocks.pass_s(60)
    ours.first = lambda: other.reset("sam")
    code_of("console.login.refused", ours.set_password, "sam", PASSWORD, "another four words now")
    assert {u["name"]: u["key"] for u in other.users()}["sam"] == ""
    clocks.pass_s(60)
    ours.first = lambda: other.reset("vera")
    fresh = ours.enrolment("vera", "unit-1")
    ours.set_second_factor("vera", fresh, secrets_of.totp_code(fresh.totp, clocks.wall_s()))
    assert {u["name"]: u["set_up"] for u in other.users()}["vera"] is False
    # Nor is somebody who was taken away made again.
    code = secrets_of.totp_code(fresh.totp, clocks.wall_s())
    for overtake, wanted in ((other.reset, "overtaken"), (other.delete, "unknown")):
        first = other.add("tom", Level.VIEWER)
        ours.first = partial(overtake, "tom")
        set_up = partial(ours.set_up, first=first)
        code_of(f"console.users.{wanted}", set_up, "tom", PASSWORD, fresh, code)
        assert {u["name"]: u["set_up"] for u in other.users()}.get("tom") in (False, None)
        if wanted == "overtaken":
            other.delete("tom")


def test_a_code_counts_once_and_so_does_a_recovery_code(terminal: Terminal) -> None:
    code = terminal.code("anna")
    assert terminal.accounts.login("anna", PASSWORD, code).level is Level.TECHNICIAN
    code_of("console.login.refused", terminal.accounts.login, "anna", PASSWORD, code)
    # Back in time it does not count either.
    terminal.clocks.wall -= 30
    before = secrets_of.totp_code(terminal.logins["anna"].totp, terminal.clocks.wall_s())
    code_of("console.login.refused", terminal.accounts.login, "anna", PASSWORD, before)
    recovery = terminal.logins["anna"].recovery[0]
    terminal.accounts.login("anna", PASSWORD, recovery.upper())
    code_of("console.login.refused", terminal.accounts.login, "anna", PASSWORD, recovery)
    left = {one["name"]: one["recovery_codes_left"] for one in terminal.accounts.users()}
    assert left["anna"] == secrets_of.RECOVERY_CODES - 1


def test_the_wait_doubles_and_survives_restart_reboot_and_clock(terminal: Terminal) -> None:
    clocks, folder = terminal.clocks, terminal.accounts._folder
    for _ in range(FREE):
        code_of("console.login.refused", terminal.accounts.login, "anna", "wrong", "000000")
    # Locked, for the right password too, and in another process.
    for accounts in (terminal.accounts, Accounts(folder, clocks)):
        told = code_of(
            "console.login.locked", accounts.login, "anna", PASSWORD, terminal_code(terminal)
        )
        assert "wait 6 seconds" in told or "wait 5 seconds" in told
    clocks.wall += 1e6
    code_of("console.login.locked", terminal.accounts.login, "anna", PASSWORD, "000000")
    # A reboot begins the wait anew.
    clocks.reboot(off_s=1000, boot=1.0)
    code_of("console.login.locked", Accounts(folder, clocks).login, "anna", PASSWORD, "000000")
    clocks.pass_s(5)
    code_of("console.login.refused", terminal.accounts.login, "anna", "wrong", "000000")
    clocks.pass_s(6)
    code_of("console.login.locked", terminal.accounts.login, "anna", PASSWORD, "000000")
    # Others come in meanwhile.
    terminal.accounts.login("sam", PASSWORD, terminal.code("sam"))
    clocks.pass_s(60)
    terminal.accounts.login("anna", PASSWORD, terminal.code("anna"))
    assert terminal.accounts.last_login("anna").failures == FREE + 1
    assert [delay_s(n) for n in (0, 2, 3, 4, 5)] == [0, 0, 5, 10, 20]
    assert delay_s(10_000) == MOST_S


def terminal_code(terminal: Terminal) -> str:
    return secrets_of.totp_code(terminal.logins["anna"].totp, terminal.clocks.wall_s())


def test_names_that_nobody_has_are_refused_alike(terminal: Terminal) -> None:
    told = {
        code_of("console.login.refused", terminal.accounts.login, name, password, "000000")
        for name, password in (("nobody", "x"), ("anna", "x"), ("sam", PASSWORD))
    }
    assert len(told) == 1
    # The delays are the same for names that somebody has and for those that nobody has.
    waits = []
    for name in ("anna", "nobody-has-this"):
        for _ in range(FREE):
            with pytest.raises(ConsoleError):
                terminal.accounts.login(name, "x", "")
        waits.append(code_of("console.login.locked", terminal.accounts.login, name, "x", ""))
    assert waits[0] == waits[1]


def test_many_names_fill_nothing_and_keep_nobody_out_for_long(terminal: Terminal) -> None:
    codes = []
    for number in range(ALL_FREE + 3):
        with pytest.raises(ConsoleError) as told:
            terminal.accounts.login(f"name{number}", "x", "")
        codes.append(told.value.code)
    assert codes.count("console.login.refused") == ALL_FREE
    attempts = json.loads((terminal.accounts._folder / "attempts.json").read_text())
    assert len(attempts["failures"]) <= ALL_FREE + 1
    assert set(attempts["last"]) <= {"anna", "sam", "vera"}
    terminal.clocks.pass_s(ALL_MOST_S)
    terminal.accounts.login("anna", PASSWORD, terminal.code("anna"))


def test_an_attempt_counts_before_it_is_judged(tmp_path: Path) -> None:
    clocks = SetClocks()
    logins = users_of_all_roles(tmp_path / "console", clocks)

    def cut(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    accounts = Accounts(tmp_path / "console", clocks, write=cut)
    code = secrets_of.totp_code(logins["anna"].totp, clocks.wall_s())
    code_of("console.users.file", accounts.login, "anna", PASSWORD, code)
    # The power goes off while the password is looked at: the attempt is used up.
    written: list[bytes] = []

    def once(path: Path, data: bytes) -> None:
        written.append(data)
        path.write_bytes(data)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Accounts(tmp_path / "console", clocks, write=once).login("anna", PASSWORD, code)
    assert {one["count"] for one in json.loads(written[0])["failures"].values()} == {1}


def test_damaged_files_let_nobody_in_and_say_so(tmp_path: Path) -> None:
    clocks = SetClocks()
    for name in ("users.json", "attempts.json"):
        folder = tmp_path / name
        users_of_all_roles(folder, clocks)
        (folder / name).write_text('{"users": [{"name": 3}]}')
        accounts = Accounts(folder, clocks)
        code_of("console.users.file", accounts.login, "anna", PASSWORD, "000000")
    accounts = Accounts(tmp_path / "users.json", clocks)
    with pytest.raises(ConsoleError) as told:
        _ = accounts.is_new
    # What the hint says is what helps, without a login.
    assert "users.json" in told.value.hint
    assert "factory reset" not in told.value.hint
    (tmp_path / "users.json" / "users.json").unlink()
    assert accounts.is_new
    assert accounts.first_secret()[1]
    (tmp_path / "attempts.json" / "attempts.json").unlink()
    accounts = Accounts(tmp_path / "attempts.json", clocks)
    anna = users_of_all_roles(tmp_path / "more", clocks)["anna"]
    accounts.login("anna", PASSWORD, secrets_of.totp_code(anna.totp, clocks.wall_s()))


def test_no_secret_is_readable_and_a_key_needs_its_password(terminal: Terminal) -> None:
    folder = terminal.accounts._folder
    text = (folder / "users.json").read_text()
    assert stat.S_IMODE((folder / "users.json").stat().st_mode) == 0o600
    assert PASSWORD not in text
    assert "ENCRYPTED PRIVATE KEY" in text
    assert terminal.logins["anna"].recovery[0] not in text
    unit = MemoryUnit(terminal.clocks, ring_of(terminal.logins))
    payload = unit.draft(ZoneSet(nothing_protected=True), ["anna"], "x")
    code_of("console.login.refused", terminal.accounts.sign, "anna", "wrong", payload)
    signed = terminal.accounts.sign("anna", PASSWORD, payload)
    assert len(open_record(signed, unit.ring).signers) == 1
    both = terminal.accounts.sign("sam", PASSWORD, signed)
    assert len(open_record(both, unit.ring).signers) == 2
    # Another password opens the same key.
    terminal.accounts.set_password("anna", PASSWORD, "another four words now")
    again = terminal.accounts.sign("anna", "another four words now", payload)
    assert open_record(again, unit.ring).signers == open_record(signed, unit.ring).signers
    # A reset takes key and second factor away.
    first = terminal.accounts.reset("anna")
    for _ in range(FREE + 2):
        with pytest.raises(SetUpNeeded):
            terminal.accounts.login("anna", first, "")
    code_of("console.key.missing", terminal.accounts.sign, "anna", first, payload)


@pytest.mark.parametrize("between", ["reset", "set up", "deleted"])
def test_a_set_up_that_was_overtaken_counts_for_nothing(terminal: Terminal, between: str) -> None:
    accounts, clocks = terminal.accounts, terminal.clocks
    first = accounts.add("tom", Level.TECHNICIAN)
    with pytest.raises(SetUpNeeded):
        accounts.login("tom", first, "")
    mine, theirs = (accounts.enrolment("tom", "unit-1") for _ in range(2))
    if between == "reset":
        accounts.reset("tom")
    elif between == "deleted":
        accounts.delete("tom")
    else:
        code = secrets_of.totp_code(theirs.totp, clocks.wall_s())
        accounts.set_up("tom", "their own long password", theirs, code, first=first)
    before = (accounts._folder / "users.json").read_bytes()
    code = secrets_of.totp_code(mine.totp, clocks.wall_s())
    with pytest.raises(ConsoleError) as caught:
        accounts.set_up("tom", PASSWORD, mine, code, first=first)
    wanted = "unknown" if between == "deleted" else "overtaken"
    assert caught.value.code == f"console.users.{wanted}"
    assert (accounts._folder / "users.json").read_bytes() == before


def test_users_are_managed_and_one_supervisor_stays(terminal: Terminal) -> None:
    accounts = terminal.accounts
    code_of("console.users.exists", accounts.add, "anna", Level.VIEWER)
    code_of("console.users.unknown", accounts.delete, "nobody")
    code_of("console.users.last", accounts.delete, "sam")
    accounts.add("tom", Level.SUPERVISOR)
    code_of("console.users.last", accounts.delete, "sam")
    terminal.log_in("sam")
    assert "console.users.self" in terminal.type("user delete sam")
    assert "anna is gone" in terminal.type("user delete anna")
    out = terminal.type("user reset vera\nyes\nshow users | json")
    assert "for the first login" in out
    assert PASSWORD not in terminal.screen
    assert [one["name"] for one in accounts.users()] == ["vera", "sam", "tom"]
    terminal.type("user add vera viewer\nuser add X viewer")
    assert "console.users.exists" in terminal.screen
    assert terminal.defects == []


def test_own_password_and_second_factor_change(terminal: Terminal) -> None:
    terminal.log_in("anna")
    new = "quite another password"
    assert "changed" in terminal.type(f"password\n{PASSWORD}\n{new}\n{new}")
    assert "console.login.refused" in terminal.type(f"password\n{PASSWORD}\n{new}\n{new}")
    out = terminal.type(f"second-factor\n{new}")
    out = terminal.type(terminal.logins["anna"].recovery[1])
    totp = out.split("or type it in: ")[1].split("\r\n")[0]
    terminal.clocks.pass_s(30)
    assert "counts no more" in terminal.type(secrets_of.totp_code(totp, terminal.clocks.wall_s()))
    terminal.clocks.pass_s(30)
    code = secrets_of.totp_code(totp, terminal.clocks.wall_s())
    assert terminal.accounts.login("anna", new, code) == User(
        "anna", Level.TECHNICIAN, terminal.logins["anna"].key
    )


def test_the_last_login_is_told(terminal: Terminal) -> None:
    terminal.log_in("anna")
    terminal.type("logout\nanna\nwrong\n000000")
    terminal.type("")
    out = terminal.log_in("anna")
    assert "last login 2026-01-01T" in out
    assert "1 failed attempts since" in out
    assert ("anna", "refused", 0, "console.login.refused") in terminal.unit.noted


def test_totp_is_rfc_6238() -> None:
    # Source: RFC 6238, appendix B, SHA-1, the last six of eight digits.
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for now, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert secrets_of.totp_code(secret, now) == code
        assert secrets_of.totp_step(secret, code, now) == now // 30
        assert secrets_of.totp_step(secret, code, now + 90) is None
    wide = secrets_of.qr_lines(secrets_of.totp_uri(secret, "a" * 32, "u" * 64))
    assert {len(line) for line in wide} == {len(wide[0])}
    assert len(wide[0]) <= 80
    for odd in ("", "12345", "１２３４５６", "12345a", "1234567"):
        assert secrets_of.totp_step(secret, odd, 59) is None
    with pytest.raises(AlprEdgeError):
        secrets_of.open_key("zz:x", "password")
