"""Stations `street` and `broker`: the scenario into the camera port, and the link's faults."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hil_tests.bench import scenario as scenarios

OUTAGE_S = 8.0
"""Times the unit's patience: a pass of the scenario's street, about, so that something is read."""


@pytest.mark.station("street")
def test_street_is_read_and_nothing_of_the_premises(
    running: Any, truth: Any, scenario: Any, facts: Any, request: pytest.FixtureRequest
) -> None:
    """Ground truth of the scenario: reads right, leaked 0; on replay as in the reference."""
    broker, readable = running.broker, {scenarios.fold(one) for one in truth["readable"]}

    def read() -> set[str]:
        return {scenarios.fold(one) for one in broker.plates} & readable

    talk = running.alpr.dialogue
    talk.log_in(running.people["anna"])
    serial = {line: talk.command(line) for line in scenario["serial"]}
    for fault in scenario["link"]:
        running.wait_for("reads", lambda n=fault["after_reads"]: len(broker.reads) >= n, 90)
        running.link.fault(fault["fault"])
        running.wait_for("the fault's time", _after(fault["for_s"]), 10 + fault["for_s"])
        running.link.fault("up")
    took = running.wait_for(
        f"most of {sorted(readable)} read",
        lambda: len(read()) >= max(1, (len(readable) + 1) // 2),
        120,
    )
    config = running.config
    shown = running.maintenance.run(
        f"alpr-edge ledger show --config {config}", 60 * running.patience
    )
    entries = [
        json.loads(line)["body"]
        for line in shown.checked("ledger show").splitlines()
        if line.startswith("{")
    ]
    found = scenarios.outcome(broker.plates, truth, entries)
    facts.note(street={"read": found["read"], "of": sorted(readable), "leaked": found["leaked"]})
    request.node.user_properties += [("seconds_to_reads", round(took, 1))]
    assert scenarios.leaks(broker.plates, truth) == []
    assert scenarios.residue(broker.raw, truth) == []
    assert scenarios.residue(json.dumps(serial).encode(), truth) == []
    if request.config.getoption("update_references"):
        print(scenarios.compare(scenario["folder"], found))
        scenarios.update(scenario["folder"], found)
    elif request.config.getoption("replay"):
        assert not scenarios.compare(scenario["folder"], found)


@pytest.mark.station("broker")
def test_broker_away_and_back(running: Any, facts: Any) -> None:
    """The broker dies; what is read meanwhile waits on the unit and comes when it is back."""
    broker = running.broker
    began = time.time()
    broker.kill()
    running.wait_for("the outage's time", _after(OUTAGE_S * running.patience), 2 * OUTAGE_S)
    ended = time.time()
    broker.start()
    back = running.wait_for(
        "what was read in the outage", lambda: broker.released_between(began + 1, ended) > 0, 120
    )
    facts.note(broker_back_s=round(back, 1))


@pytest.mark.station("broker")
def test_stalled_link_loses_nothing(running: Any) -> None:
    """Nothing moves on the link for a while; what was read meanwhile comes afterwards."""
    began = time.time()
    running.link.fault("stalled")
    running.wait_for("the outage's time", _after(OUTAGE_S * running.patience), 2 * OUTAGE_S)
    ended = time.time()
    running.link.fault("up")
    running.wait_for(
        "what was read in the outage",
        lambda: running.broker.released_between(began + 1, ended) > 0,
        120,
    )


def _after(seconds: float) -> Any:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
