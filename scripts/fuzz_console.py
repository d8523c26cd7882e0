"""Random bytes against the console, guided by coverage (atheris): no crash, no hang, no login.

    python scripts/fuzz_console.py -max_total_time=600 [CORPUS]
    python scripts/fuzz_console.py -runs=3000          a few seconds; what the tests run

Options are libFuzzer's. An input that fails is written to the current folder; give it as an
argument to see it again. Half of the inputs meet a line where nobody is logged in, half one where a
technician is: the first must stay locked, and on neither may a command fail as it never should, nor
a mask record come into being.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["alpr_edge.console"]):
    from alpr_edge.console.access import Level, User
    from alpr_edge.console.accounts import Accounts
    from alpr_edge.console.channel.end import ChannelEnd
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


def one(data: bytes) -> None:
    """One input: its first byte says whether somebody is logged in."""
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
    for begin in range(1, len(data), 64):
        sent += b"".join(session.feed(data[begin : begin + 64]))
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


def main() -> None:
    """Run libFuzzer."""
    atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
    seeds = _FOLDER / "seeds"
    seeds.mkdir()
    for number, command in enumerate(GRAMMAR.commands):
        mode = b"configure\r" if Mode.LOOK not in command.modes else b""
        (seeds / str(number)).write_bytes(b"\x01" + mode + command.example.encode() + b" | json\r")
    has_corpus = any(not one.startswith("-") for one in sys.argv[1:])
    atheris.Setup(sys.argv if has_corpus else [*sys.argv, str(seeds)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
