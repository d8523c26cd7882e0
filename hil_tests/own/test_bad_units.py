"""The bench with units that are none, or bad ones, on a real pseudo-terminal: a verdict each, in
bounded time, and the strategy stays broken. Needs labgrid; `tests/hil/test_loopback.py` runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hil_tests.bench.drivers import AlprConsoleDriver, BrokerLink, LoopbackUnit
from hil_tests.bench.strategy import AlprUnitStrategy
from hil_tests.bench.verdict import BenchError
from labgrid import Target
from labgrid.strategy import StrategyError

ANSWER_S = 1.0
MOST_S = 60.0
"""Far more than any wait of these tests, for a loaded machine."""


@pytest.fixture
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A provisioned unit of that kind."""
    target = Target("bad")
    LoopbackUnit(target, "unit", folder=str(tmp_path / "unit"), stand_in=request.param)
    AlprConsoleDriver(target, "console", answer_s=ANSWER_S)
    BrokerLink(target, "link")
    strategy = AlprUnitStrategy(
        target, "strategy", unit="bad-0001", patience=0.05, run_folder=str(tmp_path)
    )
    strategy._is_provisioned, strategy.city = True, object()
    strategy.transition("booted")
    strategy.maintenance.service("start")
    try:
        yield strategy
    finally:
        target.deactivate(strategy.maintenance)


def cause(error: BaseException | None) -> BenchError:
    """The bench's own word behind labgrid's."""
    while error is not None and not isinstance(error, BenchError):
        error = error.__cause__
    assert isinstance(error, BenchError)
    return error


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("silent", "bench.silent"),
        ("late", "bench.silent"),
        ("slow", "bench.late"),
        ("babbling", "bench.babbling"),
        ("wrong", "bench.wrong_device"),
        ("another", "bench.wrong_device"),
        ("dying", "bench.died"),
    ],
    indirect=["bad"],
)
def test_a_bad_unit_has_its_verdict_in_time_and_stays_broken(bad: Any, code: str) -> None:
    began = time.monotonic()
    with pytest.raises((BenchError, StrategyError)) as caught:
        bad.transition("commissioned")
    assert time.monotonic() - began < MOST_S
    error = cause(caught.value)
    assert error.code == code
    assert error.hint
    # Whatever comes now: nobody goes on with a unit of which nothing is known.
    with pytest.raises(StrategyError):
        bad.transition("running")
    with pytest.raises(StrategyError):
        bad.transition("off")


def test_a_unit_that_is_off_is_told_so(tmp_path: Path) -> None:
    target = Target("off")
    unit = LoopbackUnit(target, "unit", folder=str(tmp_path / "unit"))
    target.activate(unit)
    try:
        with pytest.raises(BenchError, match=r"bench\.silent"):
            unit.wait_ready(0.1)
    finally:
        target.deactivate(unit)
