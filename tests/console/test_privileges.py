"""Role × command, every pair of them, typed into a real session. Generated from the grammar."""

from __future__ import annotations

from typing import Any

import pytest
from tests.console.console_samples import Terminal

from alpr_edge.console.access import NEEDS, Level, User
from alpr_edge.console.commands import GRAMMAR
from alpr_edge.console.grammar import Command, Mode
from alpr_edge.zone_set import ZonePolygon, ZoneSet

PAIRS = [(level, command) for level in Level for command in GRAMMAR.commands]
NAMES = [f"{level.word}: {command.usage}" for level, command in PAIRS]


class Watched:
    """A unit that notes which of its methods were asked."""

    def __init__(self, unit: Any) -> None:
        self._unit = unit
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._unit, name)
        if name in NEEDS:
            self.asked.add(name)
        return found


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("privileges") / "console")


@pytest.mark.parametrize(("level", "command"), PAIRS, ids=NAMES)
def test_a_role_may_do_what_it_may_and_asks_the_unit_for_nothing_else(
    terminal: Terminal, level: Level, command: Command
) -> None:
    terminal.seat.admit(User("anna", level, terminal.logins["anna"].key))
    session = terminal.session
    session._who = terminal.seat.user
    sitting = session._sitting
    watched = Watched(terminal.unit)
    sitting.device = watched  # type: ignore[assignment]
    sitting.mode = sorted(command.modes)[-1]
    session.tick()
    terminal.bytes(b"\x03")
    if sitting.mode is Mode.CHANGE:
        corners = ((0.2, 0.2), (0.4, 0.2), (0.4, 0.4))
        sitting.candidate = sitting.candidate or _candidate(corners)
    watched.asked.clear()
    sitting.screen.length = 0
    out = terminal.type(command.example)
    terminal.bytes(b"\x03")
    if level < command.level:
        assert "console.not_allowed" in out
        assert watched.asked == set()
    else:
        assert "console.not_allowed" not in out
        # What it asks is what it says that it needs, and no more than the role gives.
        assert all(NEEDS[name] <= level for name in watched.asked if name != "note_login")
    assert terminal.defects == []


def _candidate(corners: tuple[tuple[float, float], ...]) -> Any:
    from alpr_edge.console.candidate import Candidate

    return Candidate.of(ZoneSet((ZonePolygon("door", corners),)), (64, 36))
