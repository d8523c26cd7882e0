"""The program on the unit: present, complete, and able to start."""

from __future__ import annotations

from hil_tests.conftest import Unit


def test_the_program_says_what_it_is(unit: Unit) -> None:
    assert any("alpr-edge" in line for line in unit.run_check("alpr-edge --version"))


def test_the_models_are_the_listed_ones(unit: Unit) -> None:
    unit.run_check("alpr-edge models verify", timeout=60)


def test_no_training_or_window_library_is_installed(unit: Unit) -> None:
    for module in ("torch", "PyQt5", "PySide6"):
        _, _, status = unit.run(f"python3 -c 'import {module}'")
        assert status != 0, f"{module} is on the unit"


def test_the_outbox_disk_is_not_full(unit: Unit) -> None:
    used = unit.run_check("df --output=pcent / | tail -1")[-1].strip().rstrip("%")
    assert int(used) < 90
