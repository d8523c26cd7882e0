"""Edge: the console's users on disk, and who comes in.

    FOLDER/users.json         names, roles, password hashes, second factors, sealed keys; mode 0600
    FOLDER/attempts.json      failures, the last code of each user, last logins; mode 0600
    FOLDER/first-boot-secret  for the label, until the first user is set up; mode 0600
    FOLDER/lock               one process at a time

Rules:
- Whatever was wrong, the answer is the same; a name that nobody has costs the same time.
- An attempt is on disk as a failure before it is judged (`lockout`). If it cannot be written, it is
  refused.
- What is written is what was read under the same lock: another process may have changed it before.
- First boot lasts until somebody is set up, not until somebody is named: whatever breaks off the
  first set-up, it can be begun anew. It needs the secret's file, so that nothing reopens it.
- A code counts once: its step is stored, and only later steps count, whatever the clock does.
- A user's key is made here, sealed by the password, and never leaves; what it may sign is for the
  city's list of persons to say (`authority`).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.console import secrets_of
from alpr_edge.console.access import Level, User
from alpr_edge.console.lockout import ALL, ALL_FREE, ALL_MOST_S, Failures, bucket
from alpr_edge.console.seat import Enrolment, LastLogin, SetUpNeeded
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.errors import ConsoleError
from alpr_edge.trust.checks import format_time
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import sync_folder, write_durably
from alpr_edge.trust.envelope import countersign, sign
from alpr_edge.trust.keys import PrivateKey, PublicKey

MAX_USERS: Final = 64
_MAX_BYTES: Final = 1 << 20
_DUMMY: Final = (
    "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""No password fits it: what is compared for a name that nobody has, so that it takes as long."""

Write = Callable[[Path, bytes], None]


@dataclass(frozen=True, slots=True)
class Account:
    """One user as stored.

    Attributes:
        level: the role's word.
        password: PHC string.
        totp: base32 secret; empty until the first login set one up.
        recovery: hashes of the recovery codes that are left.
        sealed_key, public_key: the person's key on this unit; empty until the first login.
        must_set_up: the password is one for the first login.
    """

    name: str
    level: str
    password: str
    totp: str = ""
    recovery: tuple[str, ...] = ()
    sealed_key: str = ""
    public_key: str = ""
    must_set_up: bool = True

    @property
    def user(self) -> User:
        """As the rest of the console sees it."""
        return User(self.name, Level[self.level.upper()], self.public_key)


class Accounts:
    """See the module's docstring. Safe from several processes.

    Args:
        folder: made with mode 0700.
        write: how a file is replaced; tests break it.
    """

    def __init__(
        self, folder: str | os.PathLike[str], clocks: Clocks, *, write: Write | None = None
    ):
        self._folder = Path(folder)
        self._clocks = clocks
        self._write = write or (lambda path, data: write_durably(path, data, mode=0o600))

    # --- the first user ----------------------------------------------------------------------

    @property
    def is_new(self) -> bool:
        """Whether there is no user yet, or the first one's set-up broke off."""
        return self._is_first_boot(self._users())

    @property
    def is_secret_shown(self) -> bool:
        """See `seat.People`."""
        return self.first_secret_unlocked()[1]

    def first_secret(self) -> tuple[str, bool]:
        """The secret that makes the first user, and whether nobody was shown it yet.

        Raises:
            ConsoleError: `console.users.file`: it cannot be kept.
        """
        with self._locked():
            path = self._folder / "first-boot-secret"
            data = read_regular_file(path, limit_bytes=256)
            text = "" if isinstance(data, FileTrouble) else data.decode("ascii", "replace")
            secret, _, shown = text.strip().partition(" ")
            fresh = not secret
            if fresh:
                secret = secrets_of.new_words()
            if shown != "shown":
                # Marked before it is shown: a power cut may cost the sight of it, not the secret.
                self._put(path, f"{secret} shown\n".encode("ascii"))
                return secret, True
            return secret, False

    def check_first_secret(self, typed: str) -> None:
        """Refuse a wrong first-boot secret; attempts are counted as logins are.

        Raises:
            ConsoleError: `console.login.refused` or `.locked`.
        """
        with self._attempt("") as attempt:
            secret, _ = self.first_secret_unlocked()
            if secret and secrets_of.plain_words(typed) == secrets_of.plain_words(secret):
                attempt.granted()

    def first_secret_unlocked(self) -> tuple[str, bool]:
        """As on disk, without making or marking one."""
        data = read_regular_file(self._folder / "first-boot-secret", limit_bytes=256)
        text = "" if isinstance(data, FileTrouble) else data.decode("ascii", "replace")
        secret, _, shown = text.strip().partition(" ")
        return secret, shown == "shown"

    # --- coming in ---------------------------------------------------------------------------

    def login(self, name: str, password: str, code: str) -> User:
        """See `seat.Gatekeeper`.

        Raises:
            ConsoleError: `console.login.refused`, `.locked`, or `SetUpNeeded`.
        """
        with self._attempt(name) as attempt:
            account = self._find(name)
            phc = account.password if account else _DUMMY
            fits = secrets_of.password_fits(password, phc)
            if account is None or not fits:
                raise _refused()
            if account.must_set_up:
                attempt.granted()
                raise SetUpNeeded(
                    f"{name} logs in for the first time", hint="set a password and a second factor"
                )
            self._check_code(account, code, attempt)
            attempt.granted()
            return account.user

    def last_login(self, name: str) -> LastLogin:
        """The login before this one; forgotten, and this one noted, by `note_seen`."""
        entry = self._attempts()["last"].get(name, {})
        return LastLogin(str(entry.get("at", "")), int(entry.get("failures", 0)))

    def note_seen(self, name: str) -> None:
        """This login is the last one from now on."""
        with self._locked():
            attempts = self._attempts()
            now = datetime.fromtimestamp(self._clocks.wall_s(), UTC).replace(microsecond=0)
            attempts["last"][name] = {"at": format_time(now), "failures": 0}
            self._save_attempts(attempts)

    def sign(self, name: str, password: str, envelope: bytes | dict[str, object]) -> bytes:
        """See `seat.Gatekeeper`.

        Raises:
            ConsoleError: `console.login.refused`, `.locked`, or `console.key.missing`.
        """
        with self._attempt(name) as attempt:
            account = self._find(name)
            if account is None or not secrets_of.password_fits(password, account.password):
                raise _refused()
            attempt.granted()
        if not account.sealed_key:
            raise ConsoleError(
                f"{name} has no key on this unit",
                code="console.key.missing",
                hint="a supervisor resets the user: a key is made at the next first login",
            )
        key = secrets_of.open_key(account.sealed_key, password)
        if isinstance(envelope, bytes):
            known = [PublicKey.parse(a.public_key) for a in self._users() if a.public_key]
            return countersign(envelope, DocumentType.MASK_RECORD, known, key)
        return sign(DocumentType.MASK_RECORD, envelope, key)

    # --- the list of users -------------------------------------------------------------------

    def users(self) -> list[dict[str, Any]]:
        """Names, roles, public keys and last logins; no secret."""
        attempts = self._attempts()
        last, fails = attempts["last"], attempts["failures"]
        salt = str(attempts["salt"].get("salt", ""))
        return [
            {
                "name": a.name,
                "role": a.level,
                "set_up": not a.must_set_up,
                "recovery_codes_left": len(a.recovery),
                "last_login": last.get(a.name, {}).get("at", ""),
                "failures": fails.get(bucket(a.name, salt), {}).get("count", 0),
                "key": a.public_key,
            }
            for a in self._users()
        ]

    def add(self, name: str, level: Level) -> str:
        """A new user; at first boot the only one, whoever was begun before.

        Returns:
            The password for the first login.

        Raises:
            ConsoleError: `console.users.exists` or `.full`.
        """
        password = secrets_of.new_words()
        with self._locked():
            users = self._users()
            if self._is_first_boot(users):
                users = []
            if any(a.name == name for a in users):
                raise ConsoleError(
                    f"there is a user {name} already",
                    code="console.users.exists",
                    hint="user reset gives a new first password",
                )
            if len(users) >= MAX_USERS:
                raise ConsoleError(
                    f"{MAX_USERS} users are the most there can be", code="console.users.full"
                )
            made = Account(name, level.word, secrets_of.hash_password(password))
            self._save_users([*users, made])
        return password

    def reset(self, name: str) -> str:
        """A new first password; second factor and key are gone.

        Raises:
            ConsoleError: `console.users.unknown`.
        """
        password = secrets_of.new_words()
        phc = secrets_of.hash_password(password)
        with self._locked():
            old = self._known(name)
            if not self._is_first_boot(self._users()):
                # One that a power cut left behind must not reopen first boot.
                self._drop_first_secret()
            self._replace(Account(name, old.level, phc))
        self._forget(name)
        return password

    def delete(self, name: str) -> None:
        """Take a user away; the last supervisor stays.

        Raises:
            ConsoleError: `console.users.unknown` or `.last`.
        """
        with self._locked():
            users = self._users()
            gone = [a for a in users if a.name == name]
            if not gone:
                raise _unknown(name)
            left = [a for a in users if a.name != name]
            top = Level.SUPERVISOR.word
            if gone[0].level == top and not any(a.level == top and not a.must_set_up for a in left):
                raise ConsoleError(
                    f"{name} is the last supervisor",
                    code="console.users.last",
                    hint="make another one first, and let them log in",
                )
            self._save_users(left)

    def enrolment(self, name: str, unit: str) -> Enrolment:
        """A new second factor to be shown; it counts when `set_up` has seen a code of it."""
        totp = secrets_of.new_totp_secret()
        uri = secrets_of.totp_uri(totp, name, unit)
        qr = tuple(secrets_of.qr_lines(uri))
        return Enrolment(totp, uri, qr, tuple(secrets_of.new_recovery_codes()))

    def check_password(self, password: str, name: str) -> None:
        """Refuse a password that is too easy.

        Raises:
            ConsoleError: `console.password.weak`.
        """
        secrets_of.check_new_password(password, name)

    def set_up(
        self, name: str, password: str, enrolment: Enrolment, code: str, *, first: str
    ) -> User:
        """Give a user the own password, a second factor that was proven once, and a key.

        Args:
            code: of the new second factor, now.
            first: the password that `add` or `reset` gave. It must still be the user's: in the
                meantime somebody else may have set the user up, or a supervisor reset it.

        Raises:
            ConsoleError: `console.password.weak`, `console.login.code` or `console.users.*`.
        """
        secrets_of.check_new_password(password, name)
        self._begun(name, first)
        totp, recovery = enrolment.totp, enrolment.recovery
        step = self._proven(totp, code)
        key = PrivateKey.generate()
        phc, sealed = secrets_of.hash_password(password), secrets_of.seal_key(key, password)
        with self._locked():
            account = replace(
                self._begun(name, first),
                password=phc,
                totp=totp,
                recovery=tuple(secrets_of.recovery_hash(one) for one in recovery),
                sealed_key=sealed,
                public_key=str(key.public),
                must_set_up=False,
            )
            self._replace(account)
            self._note_step(name, step)
            self._drop_first_secret()
        return account.user

    def set_password(self, name: str, old: str, new: str) -> None:
        """Another password; the key is sealed anew.

        Raises:
            ConsoleError: `console.login.refused`, `.locked` or `console.password.weak`.
        """
        self._known(name)
        with self._attempt(name) as attempt:
            account = self._known(name)
            if not secrets_of.password_fits(old, account.password):
                raise _refused()
            attempt.granted()
            secrets_of.check_new_password(new, name)
            key = secrets_of.open_key(account.sealed_key, old)
            self._replace(
                replace(
                    account,
                    password=secrets_of.hash_password(new),
                    sealed_key=secrets_of.seal_key(key, new),
                )
            )

    def set_second_factor(self, name: str, enrolment: Enrolment, code: str) -> None:
        """Another second factor that was proven once.

        Raises:
            ConsoleError: `console.login.code` or `console.users.unknown`.
        """
        self._known(name)
        step = self._proven(enrolment.totp, code)
        hashes = tuple(secrets_of.recovery_hash(one) for one in enrolment.recovery)
        with self._locked():
            self._replace(replace(self._known(name), totp=enrolment.totp, recovery=hashes))
            self._note_step(name, step)

    def erase(self) -> None:
        """Every user, secret and count is gone.

        Raises:
            OSError: a file stays.
        """
        with self._locked():
            for name in ("users.json", "first-boot-secret", "attempts.json"):
                with contextlib.suppress(FileNotFoundError):
                    (self._folder / name).unlink()

    # --- inside ------------------------------------------------------------------------------

    def _is_first_boot(self, users: list[Account]) -> bool:
        if not users:
            return True
        begun = all(a.must_set_up for a in users)
        return begun and os.path.lexists(self._folder / "first-boot-secret")

    def _begun(self, name: str, first: str) -> Account:
        """A user who is still to be set up, and whose first password this still is.

        Raises:
            ConsoleError: `console.users.unknown` or `.overtaken`.
        """
        account = self._known(name)
        if not account.must_set_up or not secrets_of.password_fits(first, account.password):
            raise ConsoleError(
                f"{name} was set up or reset elsewhere meanwhile",
                code="console.users.overtaken",
                hint="log in again; a supervisor gives a new first password: user reset",
            )
        return account

    def _drop_first_secret(self) -> None:
        try:
            (self._folder / "first-boot-secret").unlink()
            sync_folder(self._folder)
        except FileNotFoundError:
            pass
        except OSError as err:
            raise _file_trouble(f"first-boot-secret stays: {err.strerror}") from err

    def _note_step(self, name: str, step: int) -> None:
        """The lock is held."""
        attempts = self._attempts()
        attempts["steps"][name] = step
        self._save_attempts(attempts)

    def _check_code(self, account: Account, code: str, attempt: _Attempt) -> None:
        step = secrets_of.totp_step(account.totp, code.strip(), self._clocks.wall_s())
        if step is not None:
            if step <= attempt.last_step(account.name):
                raise _refused()
            attempt.steps[account.name] = step
            return
        used = secrets_of.recovery_hash(code)
        if used not in account.recovery:
            raise _refused()
        left = tuple(one for one in account.recovery if one != used)
        self._replace(replace(account, recovery=left))

    def _proven(self, totp: str, code: str) -> int:
        step = secrets_of.totp_step(totp, code.strip(), self._clocks.wall_s())
        if step is None:
            raise ConsoleError(
                "the code is not the one of now",
                code="console.login.code",
                hint="look at the clock of the telephone, and at the unit's: show status",
            )
        return step

    @contextlib.contextmanager
    def _attempt(self, name: str) -> Iterator[_Attempt]:
        """Counts a failure first; the body calls `granted` to take it back.

        Raises:
            ConsoleError: `console.login.locked`, `.refused`, or what the body raises.
        """
        boot_id, now_s = self._clocks.boot_id(), self._clocks.boot_s()
        with self._locked():
            attempts = self._attempts()
            counts = attempts["failures"]
            own = bucket(name, str(attempts["salt"].setdefault("salt", secrets_of.new_words())))
            mine, everybody = _failures(counts.get(own)), _failures(counts.get(ALL))
            wait_s = max(
                mine.wait_s(boot_id, now_s),
                everybody.wait_s(boot_id, now_s, free=ALL_FREE, most_s=ALL_MOST_S),
            )
            if wait_s > 0:
                raise ConsoleError(
                    f"too many failures: wait {int(wait_s) + 1} seconds",
                    code="console.login.locked",
                    hint="the delay doubles with every failure and begins anew after a reboot",
                )
            counts[own] = asdict(mine.one_more(boot_id, now_s))
            counts[ALL] = asdict(everybody.one_more(boot_id, now_s))
            seen = {"failures": 0}
            if self._find(name) is not None:
                seen = attempts["last"].setdefault(name, {"at": "", "failures": 0})
            seen["failures"] = int(seen.get("failures", 0)) + 1
            self._save_attempts(attempts)
            attempt = _Attempt(attempts)
            try:
                yield attempt
            finally:
                _give_memory_back()
                # Also where more is asked of who came in (`SetUpNeeded`).
                if attempt.was_granted:
                    counts.pop(own, None)
                    counts.pop(ALL, None)
                    seen["failures"] -= 1
                    self._save_attempts(attempts)
            if not attempt.was_granted:
                raise _refused()

    def _find(self, name: str) -> Account | None:
        return next((a for a in self._users() if a.name == name), None)

    def _known(self, name: str) -> Account:
        account = self._find(name)
        if account is None:
            raise _unknown(name)
        return account

    def _replace(self, account: Account) -> None:
        """The lock is held, and was when the account was read."""
        users = [account if a.name == account.name else a for a in self._users()]
        self._save_users(users)

    def _forget(self, name: str) -> None:
        with self._locked():
            attempts = self._attempts()
            salt = str(attempts["salt"].get("salt", ""))
            attempts["failures"].pop(bucket(name, salt), None)
            attempts["steps"].pop(name, None)
            self._save_attempts(attempts)

    def _users(self) -> list[Account]:
        data = read_regular_file(self._folder / "users.json", limit_bytes=_MAX_BYTES)
        if isinstance(data, FileTrouble):
            if data.detail == "does not exist":
                return []
            raise _file_trouble(f"users.json {data.detail}")
        try:
            return [_account(entry) for entry in json.loads(data)["users"]]
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise _file_trouble("users.json is damaged") from err

    def _save_users(self, users: list[Account]) -> None:
        text = json.dumps({"version": 1, "users": [asdict(a) for a in users]}, indent=1)
        self._put(self._folder / "users.json", text.encode())

    def _attempts(self) -> dict[str, dict[str, Any]]:
        empty: dict[str, dict[str, Any]] = {"salt": {}, "failures": {}, "steps": {}, "last": {}}
        data = read_regular_file(self._folder / "attempts.json", limit_bytes=_MAX_BYTES)
        if isinstance(data, FileTrouble):
            if data.detail == "does not exist":
                return empty
            raise _file_trouble(f"attempts.json {data.detail}")
        try:
            found = json.loads(data)
            return {key: dict(found[key]) for key in empty}
        except (ValueError, KeyError, TypeError) as err:
            raise _file_trouble("attempts.json is damaged") from err

    def _save_attempts(self, attempts: dict[str, dict[str, Any]]) -> None:
        self._put(self._folder / "attempts.json", json.dumps(attempts).encode())

    def _put(self, path: Path, data: bytes) -> None:
        try:
            self._write(path, data)
        except OSError as err:
            raise _file_trouble(f"{path.name} cannot be written: {err.strerror}") from err

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._folder / "lock", flags, 0o600)
        except OSError as err:
            raise _file_trouble(f"the folder cannot be used: {err.strerror}") from err
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class _Attempt:
    def __init__(self, attempts: dict[str, dict[str, Any]]) -> None:
        self.steps = attempts["steps"]
        self.was_granted = False

    def granted(self) -> None:
        self.was_granted = True

    def last_step(self, name: str) -> int:
        return int(self.steps.get(name, -1))


def _give_memory_back() -> None:
    """Argon2's seven megabytes to the system: glibc would keep them for the rest of the run."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _failures(entry: Any) -> Failures:
    if not isinstance(entry, dict):
        return Failures()
    try:
        return Failures(int(entry["count"]), str(entry["boot_id"]), float(entry["at_s"]))
    except (KeyError, TypeError, ValueError):
        raise _file_trouble("attempts.json is damaged") from None


def _account(entry: dict[str, Any]) -> Account:
    account = Account(**{**entry, "recovery": tuple(entry["recovery"])})
    _ = account.user
    return account


def _refused() -> ConsoleError:
    return ConsoleError(
        "name, password or code is wrong",
        code="console.login.refused",
        hint="after three failures every further one doubles the wait",
    )


def _unknown(name: str) -> ConsoleError:
    return ConsoleError(f"there is no user {name}", code="console.users.unknown", hint="show users")


def _file_trouble(what: str) -> ConsoleError:
    return ConsoleError(
        f"nobody can log in: {what}",
        code="console.users.file",
        hint="look at the disk; as root, move a damaged file out of the console's folder: without "
        "users.json first boot begins anew, without attempts.json the counts do",
    )
