"""Tests on a unit. Without a labgrid environment they are skipped, and say so."""

from __future__ import annotations

from typing import Protocol

import pytest

REASON = "no unit to test: give one with `make hil HIL_ENV=hil_tests/env/NAME.yaml`"


class Unit(Protocol):
    """A shell on the unit: what labgrid's CommandProtocol offers and these tests use."""

    def run_check(self, command: str, *, timeout: float = 30.0) -> list[str]: ...

    def run(self, command: str, *, timeout: float = 30.0) -> tuple[list[str], list[str], int]: ...


@pytest.fixture(scope="session")
def unit(request: pytest.FixtureRequest) -> Unit:
    """The shell of the environment's target `main`."""
    if not request.config.getoption("lg_env", default=None):
        pytest.skip(REASON)
    target = request.getfixturevalue("target")
    shell: Unit = target.get_driver("CommandProtocol")  # connects and logs in
    return shell
