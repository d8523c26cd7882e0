"""Station `masks`: what one person may do, what takes two, and what no power cut undoes."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.station("masks")


@pytest.fixture
def editing(unit: Any) -> Any:
    """anna in configure mode, with the masks in force as her candidate."""
    unit.transition("commissioned")
    talk = unit.alpr.dialogue
    talk.be(unit.people["anna"])
    talk.command("configure")
    talk.command("discard")
    return talk


def number_of(talk: Any) -> tuple[int, bool]:
    """Number of the newest record in force, and whether it waits for its confirmation."""
    found = talk.document("show masks")
    return int(found["number"]), bool(found.get("confirm_before"))


@pytest.mark.quick
def test_one_person_widens_at_once(unit: Any, editing: Any) -> None:
    """A wider mask is in force on one signature."""
    before, _ = number_of(editing)
    editing.command("add mask sky rectangle 0.01,0.02 0.05,0.05")
    editing.command("widen mask sky 0.005")
    said = unit.commit("wider")
    assert "in force, it alone" in said, said
    assert number_of(editing) == (before + 1, False)


@pytest.mark.quick
def test_one_person_cannot_narrow(unit: Any, editing: Any) -> None:
    """Without a second person nothing changes, however it is typed."""
    before = number_of(editing)
    editing.command("set mask premises-1 points 0.3,0.3 0.4,0.3 0.4,0.4")
    said = editing.answers("commit reason less", ["anna", ""])
    assert "console.commit.same_person" in said, said
    editing.command("discard")
    assert number_of(editing) == before


def test_narrowing_waits_for_its_confirmation_and_a_power_cut_never_narrows(
    unit: Any, editing: Any, facts: Any
) -> None:
    """Two persons narrow; the power goes before they confirm; old and new protect together."""
    before, _ = number_of(editing)
    editing.command("add mask kerb rectangle 0.01,0.9 0.05,0.98")
    assert "in force" in unit.commit("kerb")
    editing.command("delete mask kerb")
    said = unit.commit("no kerb", second=unit.people["sam"])
    assert "old and new masks protect together" in said, said
    pending = number_of(editing)
    assert pending == (before + 2, True)
    digest = editing.document("show masks")["digest"]
    unit.transition("off")
    unit.transition("commissioned")
    editing.log_in(unit.people["anna"])
    after = editing.document("show masks")
    assert int(after["number"]) == pending[0]
    assert after["digest"] == digest
    assert "kerb" in str(after), "the wider mask must still protect"
    said = editing.command("confirm")
    facts.note(confirm_after_power_cut=said.strip().splitlines()[-1] if said.strip() else "")
    # Confirmed in time by a person, or still together: never narrower by itself.
    assert "kerb" not in str(editing.document("show masks")) or "authority." in said


def test_power_cut_in_mid_commit(unit: Any, editing: Any) -> None:
    """The power goes while a commit is being typed in: what was in force is in force."""
    before = number_of(editing)
    editing.command("widen mask premises-1 0.002")
    editing.send("commit reason cut\r")
    unit.transition("off")
    unit.transition("commissioned")
    editing.log_in(unit.people["anna"])
    assert number_of(editing) == before
