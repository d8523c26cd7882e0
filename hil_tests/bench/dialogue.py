"""The unit's console, as a person types on it. Knows no labgrid and opens no port.

    dialogue = Dialogue(wire)
    dialogue.wake()
    dialogue.log_in("anna", password, code)
    text = dialogue.command("show status")

Rules: every wait is bounded in time and in bytes, and ends in a `BenchError` that says what was
waited for. What a unit prints is text to be judged, never obeyed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hil_tests.bench import verdict
from hil_tests.bench.verdict import BenchError

PROMPT = re.compile(r"(?:^|[\r\n])(?:\[[^\]\r\n]*\] ?)?alpr-edge[>#] $")
LOGIN = re.compile(r"(?:^|[\r\n])login: $")
FIRST_SECRET = re.compile(r"(?:^|[\r\n])first-boot secret: $")
ANY_ASK = re.compile(r"(?:^|[\r\n])[^\r\n]{1,120}: $")
MOST_BYTES = 262_144
"""More than that before a prompt is no console of ours: the longest page is a tenth of it."""
_MORE = "--More--"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Wire(Protocol):
    """What carries bytes to and from the unit."""

    def read(self, timeout_s: float) -> bytes:
        """What came within so many seconds; empty: nothing.

        Raises:
            EOFError: the unit is gone.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send it.

        Raises:
            EOFError: the unit is gone.
        """
        ...


@dataclass
class Person:
    """Someone with an account on the unit.

    Attributes:
        totp: the second factor's secret, base32.
        key: the public half of the key that the unit made for the person.
        recovery: codes that each count once, in place of the second factor.
    """

    name: str
    password: str
    totp: str = ""
    key: str = ""
    recovery: list[str] = field(default_factory=list)
    last_step: int = -1


class Dialogue:
    """See the module's docstring.

    Args:
        timeout_s: how long one answer may take; slow units need more.

    Attributes:
        wire: for what needs the bytes themselves; nothing else may read meanwhile.
    """

    def __init__(self, wire: Wire, *, timeout_s: float = 30.0) -> None:
        self.wire = wire
        self.timeout_s = timeout_s
        self.transcript = ""
        self._who = ""

    # --- waiting -----------------------------------------------------------------------------

    def expect(
        self, what: str, patterns: Sequence[re.Pattern[str]], *, timeout_s: float | None = None
    ) -> tuple[int, str]:
        """Wait until the end of what came matches one of the patterns.

        Returns:
            Which one, and all that came.

        Raises:
            BenchError: nothing came, something else came, too much came, or the unit is gone.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + limit_s
        seen, size = "", 0
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise verdict.late(what, limit_s, seen) if seen else verdict.silent(what, limit_s)
            try:
                data = self.wire.read(min(left, 1.0))
            except EOFError as err:
                raise verdict.died(what) from err
            if not data:
                continue
            size += len(data)
            if size > MOST_BYTES:
                raise verdict.babbling(size)
            text = data.decode("utf-8", "replace")
            self.transcript = (self.transcript + text)[-MOST_BYTES:]
            seen = _ESCAPES.sub("", seen + text)
            if seen.endswith(_MORE):
                self.send(" ")
                continue
            for number, pattern in enumerate(patterns):
                if pattern.search(seen[-200:]):
                    return number, seen

    def send(self, text: str) -> None:
        """Type it.

        Raises:
            BenchError: the unit is gone.
        """
        try:
            self.wire.write(text.encode())
        except EOFError as err:
            raise verdict.died("the line to take what is typed") from err

    def drain(self, quiet_s: float = 0.3, most_s: float = 10.0) -> str:
        """Take what still comes, until it is quiet.

        Raises:
            BenchError: it never is.
        """
        end, seen = time.monotonic() + most_s, b""
        while time.monotonic() < end:
            try:
                data = self.wire.read(quiet_s)
            except EOFError as err:
                raise verdict.died("quiet on the line") from err
            if not data:
                return seen.decode("utf-8", "replace")
            seen += data
        raise verdict.babbling(len(seen))

    # --- coming in ---------------------------------------------------------------------------

    def wake(self, *, timeout_s: float | None = None) -> str:
        """Press Enter until the console answers.

        Returns:
            `login`, `new` (no user yet) or `inside`.

        Raises:
            BenchError: see `expect`; `bench.wrong_device`: what answers is no console of ours.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        end = time.monotonic() + limit_s
        last: BenchError | None = None
        while (left := end - time.monotonic()) > 0:
            self.send("\x03\r")
            try:
                found, seen = self.expect(
                    "the console", [LOGIN, FIRST_SECRET, PROMPT], timeout_s=min(left, 5.0)
                )
            except BenchError as err:
                if err.code not in ("bench.silent", "bench.late"):
                    raise
                last = err
                continue
            if found == 0 and "alpr-edge" not in self.transcript:
                raise verdict.wrong_device("alpr-edge", seen[-60:])
            return ("login", "new", "inside")[found]
        raise last or verdict.silent("the console", limit_s)

    def identity(self) -> str:
        """The unit's name, as the greeting says it.

        Raises:
            BenchError: it says none.
        """
        found = re.findall(r"alpr-edge[^\r\n]{0,60} on (\S+)", self.transcript)
        if not found:
            raise verdict.wrong_device("alpr-edge", self.transcript[-60:])
        return str(found[-1]).rstrip(",.;:")

    def log_in(self, person: Person) -> str:
        """Log in with password and code.

        Raises:
            BenchError: `bench.refused`: not let in.
        """
        self.fresh_login()
        self.send(f"{person.name}\r")
        self.expect("the question for the password", [ANY_ASK])
        self.send(f"{person.password}\r")
        self.expect("the question for the code", [ANY_ASK])
        self.send(f"{any_code(person)}\r")
        found, seen = self.expect("the prompt", [PROMPT, LOGIN])
        if found == 1:
            raise BenchError(
                f"{person.name} was not let in: {seen[-160:].strip()!r}",
                code="bench.refused",
                hint="password, second factor, or locked after failures",
            )
        self.command("terminal dumb")
        self._who = person.name
        return seen

    def be(self, person: Person) -> None:
        """Have that person sit here: whoever logged in last stays, if the console is still theirs,
        in configure mode, too.

        Raises:
            BenchError: see `log_in`.
        """
        if self._who != person.name or self.wake() != "inside":
            self.log_in(person)

    def fresh_login(self) -> None:
        """Get to `login:`, whoever sat here before.

        Raises:
            BenchError: see `wake`.
        """
        self._who = ""
        state = self.wake()
        if state == "inside":
            self.send("logout\r")
            self.expect("the login", [LOGIN])
        elif state == "new":
            raise BenchError(
                "the unit has no user yet", code="bench.new", hint="commission it first"
            )

    def try_password(self, name: str, password: str, code: str) -> str:
        """One attempt; what the unit says."""
        self.fresh_login()
        self.send(f"{name}\r")
        self.expect("the question for the password", [ANY_ASK])
        self.send(f"{password}\r")
        self.expect("the question for the code", [ANY_ASK])
        self.send(f"{code}\r")
        return self.expect("an answer", [PROMPT, LOGIN])[1]

    def make_first_user(self, person: Person) -> None:
        """On a new unit: take its first-boot secret from the screen and become its supervisor.

        Raises:
            BenchError: `bench.refused`: the secret does not count or is not shown any more.
        """
        if self.wake() != "new":
            raise BenchError(
                "the unit has users already", code="bench.not_new", hint="reset it to the factory"
            )
        shown = re.findall(r"[Ss]ecret of this unit: (\S+)", self.transcript)
        if not shown:
            raise BenchError(
                "the first-boot secret is not shown", code="bench.refused", hint="read the label"
            )
        self.send(f"{shown[-1]}\r")
        self.expect("the question for a name", [ANY_ASK])
        self.send(f"{person.name}\r")
        self._set_up(person)

    def first_login(self, person: Person, word: str) -> None:
        """The first login of a user that a supervisor made, with the password for once."""
        self.fresh_login()
        for answer in (person.name, word, "000000"):
            self.send(f"{answer}\r")
            self.expect("a question", [ANY_ASK])
        self._set_up(person, asked=True)

    def _set_up(self, person: Person, *, asked: bool = False) -> None:
        if not asked:
            self.expect("the question for a new password", [ANY_ASK])
        self.send(f"{person.password}\r")
        self.expect("the question once more", [ANY_ASK])
        self.send(f"{person.password}\r")
        _, seen = self.expect("the second factor", [re.compile(r"code that the app shows now: $")])
        secret = re.search(r"or type it in: ([A-Z2-7 ]+)", seen)
        if secret is None:
            raise verdict.late("the second factor's secret", self.timeout_s, seen)
        person.totp = secret[1].replace(" ", "")
        shown = seen.rpartition("Recovery codes")[2]
        person.recovery = re.findall(r"(?m)^  (\S{10,40})\r?$", shown)
        self.send(f"{next_code(person)}\r")
        found, seen = self.expect("the prompt", [PROMPT, LOGIN])
        key = re.search(r"Your key on this unit: (\S+)", seen)
        if found == 1 or key is None:
            raise BenchError(
                f"{person.name} could not be set up: {seen[-160:].strip()!r}",
                code="bench.refused",
                hint="compare the clocks of bench and unit",
            )
        person.key = key[1]
        self._who = person.name
        self.command("terminal dumb")

    # --- commands ----------------------------------------------------------------------------

    def command(self, line: str, *, timeout_s: float | None = None) -> str:
        """Type a command and take its answer, up to the next prompt.

        Raises:
            BenchError: see `expect`.
        """
        self.send(f"{line}\r")
        _, seen = self.expect(f"the answer to {line!r}", [PROMPT], timeout_s=timeout_s)
        return _without_echo(seen, line)

    def document(self, line: str, *, timeout_s: float | None = None) -> Any:
        """The answer of a command that prints JSON.

        Raises:
            BenchError: `bench.late`: it is none.
        """
        text = self.command(f"{line} | json", timeout_s=timeout_s)
        start = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
        try:
            return json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else json.loads("")
        except ValueError as err:
            raise verdict.late(f"a document for {line!r}", self.timeout_s, text) from err

    def answers(self, line: str, answers: Sequence[str], *, timeout_s: float | None = None) -> str:
        """A command that asks: type the answers, one a question, until the prompt is back.

        Raises:
            BenchError: see `expect`; `bench.late`: it asks for more than there is.
        """
        self.send(f"{line}\r")
        waiting, out = list(answers), ""
        while True:
            found, seen = self.expect(
                f"a question or the end of {line!r}", [PROMPT, ANY_ASK], timeout_s=timeout_s
            )
            out += seen
            if found == 0:
                return _without_echo(out, line)
            if not waiting:
                self.send("\x03")
                raise verdict.late(f"the end of {line!r}", self.timeout_s, seen)
            self.send(f"{waiting.pop(0)}\r")


def _without_echo(seen: str, line: str) -> str:
    text = seen.replace("\r", "")
    head, newline, rest = text.partition("\n")
    text = rest if newline and line.strip() in head else text
    return text.rpartition("\n")[0]


# --- second factors --------------------------------------------------------------------------


def code_of(secret: str, step: int) -> str:
    """Six digits. Source: RFC 6238 with SHA-1, RFC 4226 section 5.3."""
    mac = hmac.new(base64.b32decode(secret), step.to_bytes(8, "big"), hashlib.sha1).digest()
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def any_code(person: Person, *, clock: Any = time.time) -> str:
    """A code that counts now: of the second factor, else a recovery code, so that nobody waits for
    the next half minute; that is left for when those are used up."""
    now = int(clock() // 30)
    if person.last_step >= now and len(person.recovery) > 1:
        return person.recovery.pop()
    return next_code(person, clock=clock)


def next_code(person: Person, *, clock: Any = time.time, sleep: Any = time.sleep) -> str:
    """A code that this person has not used yet: a code counts once.

    Never one of the step to come: the unit's clock may be a little behind. Waits for the next step
    where both are used.
    """
    while True:
        now = int(clock() // 30)
        for step in (now - 1, now):
            if step > person.last_step:
                person.last_step = step
                return code_of(person.totp, step)
        sleep(30 - clock() % 30 + 0.5)
