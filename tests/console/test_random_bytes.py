"""Random bytes never crash the session, never hang it, never log in."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.console.console_samples import PASSWORD, Terminal

from alpr_edge.console.access import Level, User
from alpr_edge.console.device import Still

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(
                b"\r",
                b"\n",
                b"\t",
                b"?",
                b"\x03",
                b"\x1b[A",
                b"\x1b[3~",
                b"\x1b[",
                b"\x7f",
                b"\x15",
            ),
            *(
                b"anna\r",
                PASSWORD.encode() + b"\r",
                b"000000\r",
                b"sam\r\r\r",
                b"|",
                b'"',
                b"q",
                b" ",
            ),
            *(b"receive masks\r", b"send picture\r", b"C", b"\x06", b"\x04", b"\x18\x18"),
            *(b"reference take\r", b"set network address dhcp\r", b"set mqtt port 1\r"),
            *(b"show masks\r", b"configure\r", b"commit\r", b"logout\r", b"\xff\xfe", b"\xc3"),
        ]
    ),
)


@given(st.lists(PIECES, max_size=25).map(b"".join))
@settings(max_examples=40)
def test_without_a_login_nothing_comes_in(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "console")
        terminal.bytes(data)
        assert terminal.seat.user is None
        assert terminal.defects == []
        assert terminal.unit.done == []
        assert terminal.unit.records == []
        # It still answers: Ctrl-C begins the login anew.
        assert terminal.bytes(b"\x03").endswith("login: ")


@given(st.lists(PIECES, max_size=40).map(b"".join))
@settings(max_examples=40)
def test_with_a_login_nothing_breaks(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder) / "console")
        terminal.seat.admit(User("anna", Level.TECHNICIAN, terminal.logins["anna"].key))
        terminal.session._who = terminal.seat.user
        terminal.unit.picture = Still(b"jpeg", 64, 36, "now", "d", plates_blurred=True)
        terminal.bytes(b"\x03")
        terminal.bytes(data)
        assert terminal.defects == []
        assert terminal.unit.records == []
        # Whatever has the wire lets go of it, once half a block is over.
        for _ in range(12):
            terminal.tick()
        terminal.bytes(b"\x18\x18")
        assert terminal.bytes(b"\x03\x03").endswith(("alpr-edge> ", "alpr-edge# ", "login: "))
