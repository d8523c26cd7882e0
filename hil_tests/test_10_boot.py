"""Station `boot`: the unit comes up, is what it must be, and reads nothing before it may."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.station("boot")


def test_it_boots(unit: Any, facts: Any) -> None:
    """From power on until it takes commands."""
    unit.transition("booted")
    facts.note(boot_s=round(unit.timings["booted"], 1))
    facts.note(machine=unit.maintenance.run("uname -srm").checked("uname").strip())


def test_software_and_models_are_the_listed_ones(unit: Any, facts: Any) -> None:
    """Version, models against their manifest, no face or biometric software."""
    unit.transition("booted")
    patience = 60 * unit.patience
    version = unit.maintenance.run("alpr-edge --version", patience).checked("--version").strip()
    unit.maintenance.run("alpr-edge models verify", patience).checked("models verify")
    unit.maintenance.run("alpr-edge attest scan", patience).checked("attest scan")
    facts.note(software=version)


def test_it_reads_nothing_before_it_is_commissioned(unit: Any) -> None:
    """Provisioned, without a mask record: the service says why it stops, and reads nothing."""
    unit.transition("provisioned")
    unit.wait_for("a status", lambda: bool(unit.status_now().get("stops")), 60)
    codes = {stop["code"] for stop in unit.status_now()["stops"]}
    assert "exclusion.mask.missing" in codes or any("mask" in code for code in codes), codes
    assert not unit.reads_now()
    unit.wait_for("a state on the broker", lambda: bool(unit.broker.states), 60)
    assert unit.broker.reads == []
    assert "reads" not in json.dumps(unit.broker.states[-1].get("plates", []))
