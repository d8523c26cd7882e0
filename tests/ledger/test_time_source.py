"""What sets the clock: on a made-up machine's files, and with what chrony 4.3 really prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import HandClock, TestSigner, boot

from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.ledger.entry import decode
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import TimeCorrection
from alpr_edge.ledger.recorder import Recorder
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.time_source import Machine, find_clock_setter, parse_tracking

ALONE = (
    "7F7F0101,,5,1795533231.343489674,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,"
    "0.000000000,0.000000000,0.0,Normal\n"
)
"""Printed by chronyc 4.3 of a chronyd with `local stratum 5` and no source."""
SERVER = ALONE.replace("7F7F0101,,5", "A9FEA97B,192.0.2.7,4")
GPS = ALONE.replace("7F7F0101,,5", "47505300,GPS,1")
PHC = ALONE.replace("7F7F0101,,5", "50484330,PHC0,1")
LOST = SERVER.replace("Normal", "Not synchronised")


class Made:
    """A machine with these programs."""

    def __init__(self, folder: Path, *programs: str, tracking: str = ALONE) -> None:
        self.folder, self.disciplined = folder, True
        for number, name in enumerate(("init", *programs), 1):
            (folder / "proc" / str(number)).mkdir(parents=True)
            (folder / "proc" / str(number) / "comm").write_text(f"{name}\n")
        (folder / "proc" / "77").mkdir()  # ended meanwhile
        (folder / "proc" / "self").mkdir()
        self.tracking = (sys.executable, "-c", f"print({tracking!r}, end='')")

    def found(self) -> tuple[str, str]:
        machine = Machine(
            lambda: self.disciplined,
            self.folder / "proc",
            self.folder / "run",
            self.folder / "rtc0",
            self.tracking,
        )
        setter = find_clock_setter(machine)
        return setter.kind, setter.text


@pytest.mark.parametrize(
    ("tracking", "kind", "text"),
    [
        (SERVER, "ntp", "ntp, by chrony (a server of stratum 3)"),
        (GPS, "gnss", "gnss, by chrony (reference clock GPS, stratum 1)"),
        (PHC, "ptp", "ptp, by chrony (reference clock PHC, stratum 1)"),
        (ALONE, "unknown", "unknown, by chrony (follows nobody)"),
        (LOST, "unknown", "unknown, by chrony (follows nobody)"),
        ("506 Cannot talk to daemon\n", "ntp", "ntp, by chrony (does not say what it follows)"),
    ],
)
def test_chrony_says_what_it_follows(tmp_path: Path, tracking: str, kind: str, text: str) -> None:
    assert Made(tmp_path, "chronyd", "gpsd", tracking=tracking).found() == (kind, text)


def test_other_programs_are_known_by_their_names(tmp_path: Path) -> None:
    made = Made(tmp_path / "a", "systemd-timesyn")
    assert made.found() == ("ntp", "ntp, by systemd-timesyncd")
    (tmp_path / "a/run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "a/run/systemd/timesync/synchronized").touch()
    assert made.found()[1].endswith("(has had an answer since the start)")
    assert Made(tmp_path / "b", "ntpd").found() == ("ntp", "ntp, by ntpd")
    both = Made(tmp_path / "c", "chronyd", "phc2sys", tracking=SERVER)
    assert both.found() == ("ptp", "ptp, by linuxptp")
    nobody = ("unknown", "disciplined, by a program that is not known here")
    assert Made(tmp_path / "d").found() == nobody


def test_a_clock_that_nobody_disciplines(tmp_path: Path) -> None:
    made = Made(tmp_path, "chronyd", tracking=LOST)
    made.disciplined = False
    assert made.found() == (
        "unknown",
        "nothing disciplines it; chrony runs and has not set it (follows nobody)",
    )
    (tmp_path / "rtc0").mkdir()
    (tmp_path / "rtc0/hctosys").write_text("1\n")
    assert made.found()[0] == "rtc"
    assert made.found()[1].startswith("rtc: a hardware clock set it at the start; chrony runs")
    made.tracking = (str(tmp_path / "no-such-command"),)
    assert "does not say" in made.found()[1]


def test_this_machine() -> None:
    setter = find_clock_setter(Machine(SystemClocks().believed))
    assert setter.text
    assert setter.disciplined is SystemClocks().believed()


@given(st.text(max_size=80), st.sampled_from(["", SERVER, GPS]), st.integers(0, 80))
def test_a_strange_answer_stops_nothing(text: str, good: str, at: int) -> None:
    kind, words = parse_tracking(good[:at] + text + good[at:])
    assert kind in ("ntp", "gnss", "ptp", "unknown")
    assert words


@pytest.mark.parametrize(("disciplined", "source"), [(True, "gnss"), (False, "unknown")])
def test_a_step_is_blamed_on_who_disciplines_the_clock(
    tmp_path: Path, disciplined: bool, source: str
) -> None:
    made = Made(tmp_path, "chronyd", tracking=GPS)
    machine = Machine(
        lambda: disciplined, tmp_path / "proc", tmp_path, tmp_path / "none", made.tracking
    )
    hand = HandClock()
    ledger = Ledger(tmp_path / "ledger", Identity("cam-0001", (TestSigner(),)), clock=hand.clock())
    recorder = Recorder(ledger, clock=hand.clock(), clock_setter=lambda: find_clock_setter(machine))
    recorder.begin(boot())
    hand.go(1)
    recorder.frame()
    hand.go(1)
    hand.up_s -= 30.0
    recorder.frame()
    ledger.close()
    told = [decode(one).body for one in LedgerFolder(tmp_path / "ledger").tail(0)]
    (step,) = [one for one in told if isinstance(one, TimeCorrection)]
    assert (step.source, step.step_ms) == (source, 30_000)
