"""Random bytes against the console, guided by coverage (atheris): no crash, no hang, no login.

    python scripts/fuzz_console.py -max_total_time=600 [CORPUS]
    python scripts/fuzz_console.py -runs=3000          a few seconds; what the tests run

Options are libFuzzer's. An input that fails is written to the current folder; give it as an
argument to see it again. Bits of the first byte say whether a technician is logged in, and whether
the rest is what is typed or requests of the machine channel, put into sound frames here, for chance
finds no checksum. A line where nobody is logged in must stay locked, and on none may a command or a
request fail as it never should, nor a mask record come into being.
"""

from __future__ import annotations

import atexit
import json
import logging
import shutil
import struct
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["alpr_edge.console"]):
    from alpr_edge.console.access import Level, User
    from alpr_edge.console.accounts import Accounts
    from alpr_edge.console.channel.end import ChannelEnd
    from alpr_edge.console.channel.frames import encode
    from alpr_edge.console.channel.packets import Command, Op
    from alpr_edge.console.commands import GRAMMAR
    from alpr_edge.console.grammar import Mode
    from alpr_edge.console.memory_unit import MemoryUnit
    from alpr_edge.console.seat import Seat
    from alpr_edge.console.session import Session
from alpr_edge.delivery.clocks import SetClocks

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-console-"))
_CLOCKS = SetClocks()
# Not synced to disk: a failed login costs no more than its password's hash.
_ACCOUNTS = Accounts(
    _FOLDER / "console", _CLOCKS, write=lambda path, data: path.write_bytes(data) and None
)
_ACCOUNTS.add("anna", Level.TECHNICIAN)


class Defects(logging.Handler):
    """What the channel logs of a request that failed as it never should."""

    def emit(self, record: logging.LogRecord) -> None:
        """Fail."""
        raise record.exc_info[1] if record.exc_info and record.exc_info[1] else AssertionError


_LOG = logging.getLogger("alpr_edge.console.channel.end")
_LOG.addHandler(Defects())
_LOG.propagate = False


def frames(data: bytes) -> bytes:
    """Requests of the channel: one a line, each a command's byte, JSON, and a file after a zero."""
    out = b""
    for number, line in enumerate(data.split(b"\n")[:40]):
        if not line:
            continue
        text, _, blob = line[1:1500].partition(b"\0")
        body = len(text).to_bytes(2, "big") + text + blob
        command = line[0] % len(Command)
        head = struct.pack(">BBHHBB", Op.WRITE | 8, 0, len(body), 64, number, command)
        out += encode(head + body)
    return out


def one(data: bytes) -> None:
    """One input; see the module's docstring."""
    if not data:
        return
    defects: list[Exception] = []
    unit, seat = MemoryUnit(_CLOCKS), Seat(_ACCOUNTS, _CLOCKS)
    channel = ChannelEnd(unit, seat)
    session = Session(unit, _ACCOUNTS, seat, channel=channel, on_defect=defects.append)
    logged_in = bool(data[0] & 1)
    sent = b"".join(session.open())
    if logged_in:
        seat.admit(User("anna", Level.TECHNICIAN))
        session._who = seat.user
        sent += b"".join(session.feed(b"\x03"))
    typed = frames(data[1:]) if data[0] & 2 else data[1:]
    for begin in range(0, len(typed), 64):
        sent += b"".join(session.feed(typed[begin : begin + 64]))
        sent += b"".join(session.tick())
    session.unplugged()
    if defects:
        raise defects[0]
    if unit.records or (unit.done and not logged_in):
        raise AssertionError("something was done")
    if not logged_in and b"alpr-edge> " in sent:
        raise AssertionError("somebody came in")
    if seat.user is not None:
        raise AssertionError("somebody is still there")


_ZONES = {"masks": [{"name": "m", "polygon": [[0, 0], [1, 0], [1, 1]]}]}
_DIGEST = "0" * 64
_REQUESTS = (
    (Command.HELLO, {"nonce": "a"}),
    (Command.LOGIN, {"name": "anna", "password": "a", "code": "1"}),
    (Command.LOGOUT, {}),
    (Command.BYE, {}),
    (Command.LIST, {}),
    (Command.OPEN, {"what": "log", "reason": "because of"}),
    (Command.READ, {"id": 1, "at": 0, "length": 10}),
    (Command.CREATE, {"size": 4, "sha256": _DIGEST}),
    (Command.WRITE, {"at": 0}),
    (Command.FINISH, {"what": "masks", "sha256": _DIGEST, "signature": ""}),
    (Command.CALL, {"what": "preview", "args": {"zones": _ZONES}}),
    (Command.CALL, {"what": "commit", "args": {"zones": _ZONES, "reason": "r", "password": "p"}}),
    (Command.CALL, {"what": "commit_order", "args": {"order": "{}", "minutes": 5}}),
    (Command.CALL, {"what": "record_zones", "args": {"number": 1}}),
    (Command.CALL, {"what": "still", "args": {"width": 640}}),
    (Command.CALL, {"what": "save_calibration", "args": {"answers": [["camera", "c"]]}}),
    (Command.CALL, {"what": "complete", "args": {"line": "show "}}),
    (Command.CALL, {"what": "reference", "args": {}}),
)


def main() -> None:
    """Run libFuzzer."""
    atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
    seeds = _FOLDER / "seeds"
    seeds.mkdir()
    for number, command in enumerate(GRAMMAR.commands):
        mode = b"configure\r" if Mode.LOOK not in command.modes else b""
        (seeds / str(number)).write_bytes(b"\x01" + mode + command.example.encode() + b" | json\r")
    for number, (command, body) in enumerate(_REQUESTS):
        line = bytes([command]) + json.dumps(body).encode() + b"\0file\n"
        (seeds / f"request-{number}").write_bytes(b"\x03" + line + b"\x02" + line)
    has_corpus = any(not one.startswith("-") for one in sys.argv[1:])
    atheris.Setup(sys.argv if has_corpus else [*sys.argv, str(seeds)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
