"""Every environment file that is shipped loads, and its drivers find each other, as labgrid does it
without a device. Needs labgrid; `tests/hil/test_loopback.py` runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hil_tests.bench.drivers import MaintenanceProtocol, ShellMaintenance
from hil_tests.bench.programs import REPOSITORY
from labgrid import Environment
from labgrid.driver import NetworkPowerDriver, SerialDriver, SSHDriver
from labgrid.protocol import ConsoleProtocol, PowerProtocol

FOLDER = REPOSITORY / "hil_tests" / "env"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_it_loads_and_its_strategy_is_bound(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LG_BENCH_RUN", str(tmp_path))
    monkeypatch.setenv("LG_HIL_IMAGE", str(tmp_path))
    # What labgrid asks of the emulator while it binds is its version only.
    environment = Environment(str(FOLDER / name))
    target = environment.get_target("main")
    strategy = target.get_driver("AlprUnitStrategy", activate=False)
    assert isinstance(strategy.power, PowerProtocol)
    assert isinstance(strategy.maintenance, MaintenanceProtocol)
    assert isinstance(strategy.alpr.console, ConsoleProtocol)
    assert environment.config.get_option("kind", "") == Path(name).stem
    assert strategy.status.name == "unknown"


def test_a_desk_has_cable_socket_and_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LG_BENCH_RUN", str(tmp_path))
    target = Environment(str(FOLDER / "bench.yaml")).get_target("main")
    strategy = target.get_driver("AlprUnitStrategy", activate=False)
    assert isinstance(strategy.power, NetworkPowerDriver)
    assert isinstance(strategy.maintenance, ShellMaintenance)
    assert isinstance(strategy.maintenance.shell, SSHDriver)
    assert isinstance(strategy.alpr.console, SerialDriver)
    assert strategy.maintenance.places().host == "bench.example"
