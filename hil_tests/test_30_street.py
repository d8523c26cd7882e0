"""Stations `street`, `broker` and `place`: the scenario into the camera port, the link's faults, a
satellite receiver that drives the scenario's route."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hil_tests.bench import scenario as scenarios
from hil_tests.bench.city import NO_SITE
from hil_tests.bench.receiver import Receiver

MOVING = """\
premises = "{etc}/premises.json"
position = "nmea"
nmea_device = "{port}"
nmea_baud = 9600
hfov_deg = 60.0
"""


@pytest.mark.quick
@pytest.mark.station("street")
def test_street_is_read_and_nothing_of_the_premises(
    running: Any,
    truth: Any,
    scenario: Any,
    facts: Any,
    reviewed: Callable[..., None],
    request: pytest.FixtureRequest,
) -> None:
    """Ground truth of the scenario: reads right, leaked 0; on replay as in the reference."""
    broker, readable = running.broker, {scenarios.fold(one) for one in truth["readable"]}

    def read() -> set[str]:
        return {scenarios.fold(one) for one in broker.plates} & readable

    # From the scenario's first frame on: what comes round again is judged by what the gate
    # remembers of the pass before.
    running.maintenance.service("restart")
    running.wait_for("reading", running.reads_now, 60)
    talk = running.alpr.dialogue
    talk.be(running.people["anna"])
    serial = {line: talk.command(line) for line in scenario["serial"]}
    for fault in scenario["link"]:
        running.wait_for("reads", lambda n=fault["after_reads"]: len(broker.reads) >= n, 90)
        running.link.fault(fault["fault"])
        running.wait_for("the fault's time", _after(fault["for_s"]), 10 + fault["for_s"])
        running.link.fault("up")
    # Where the reference is compared, what it names must come; else most of what may be read.
    enough = len(readable) if _compares(request) else max(1, (len(readable) + 1) // 2)
    took = running.wait_for(
        lambda: f"{enough} of {sorted(readable)} read (now {sorted(broker.plates)})",
        lambda: len(read()) >= enough,
        120,
    )
    found = _found(running, truth)
    # What the ledger still has to be told comes within moments.
    end = time.monotonic() + 30 * running.patience
    while request.config.getoption("replay") and time.monotonic() < end:
        if not scenarios.compare(scenario["folder"], found):
            break
        found = _found(running, truth)
    facts.note(street={"read": found["read"], "of": sorted(readable), "leaked": found["leaked"]})
    request.node.user_properties += [("seconds_to_reads", round(took, 1))]
    assert scenarios.leaks(broker.plates, truth) == []
    assert scenarios.residue(broker.raw, truth) == []
    assert scenarios.residue(json.dumps(serial).encode(), truth) == []
    reviewed(found)


@pytest.mark.quick
@pytest.mark.station("broker")
def test_broker_away_and_back(running: Any, facts: Any) -> None:
    """The broker dies; what is read meanwhile waits on the unit and comes when it is back."""
    back = _outage(running, running.broker.kill, running.broker.start)
    facts.note(broker_back_s=round(back, 1))


@pytest.mark.station("broker")
def test_stalled_link_loses_nothing(running: Any) -> None:
    """Nothing moves on the link for a while; what was read meanwhile comes afterwards."""
    _outage(running, lambda: running.link.fault("stalled"), lambda: running.link.fault("up"))


@pytest.mark.station("broker")
def test_slow_link_loses_nothing(running: Any) -> None:
    """Every piece on the link is a second late; what is read comes all the same."""
    before = len(running.broker.reads)
    running.link.fault("slow", delay_s=1.0)
    try:
        running.wait_for("a read", lambda: len(running.broker.reads) > before, 120)
    finally:
        running.link.fault("up")


@pytest.mark.station("broker")
def test_cut_link_loses_nothing(running: Any) -> None:
    """The connection breaks, none is taken; what was read meanwhile comes afterwards."""
    _outage(running, lambda: running.link.fault("cut"), lambda: running.link.fault("up"))


@pytest.mark.station("place")
def test_a_vehicle_that_passes_premises(
    running: Any, scenario: Any, facts: Any, reviewed: Callable[..., None]
) -> None:
    """The receiver drives past premises: no read while they are in view, nor once it is silent."""
    if not scenario.get("gnss"):
        pytest.skip("not applicable: the scenario has no route")
    port, write = running.maintenance.gnss()
    if not port:
        pytest.skip("not applicable: the bench has no line to the unit's receiver")
    etc = running.maintenance.places().etc
    register = running.city.premises(scenario["folder"] / "premises.geojson")
    running.maintenance.put(f"{etc}/premises.json", register)
    running.reconfigure(site=MOVING.format(etc=etc, port=port))
    phases: list[str] = []

    def seen(goal: str) -> Callable[[], bool]:
        def look() -> bool:
            state = running.status_now()
            codes = {stop["code"] for stop in state.get("stops", [])}
            now = "reads" if running.reads_now() else next(iter(sorted(codes)), "")
            told = now == "reads" or now.startswith("exclusion.site")
            if told and phases[-1:] != [now]:
                phases.append(now)
            return now == goal

        return look

    receiver = None
    try:
        running.wait_for("no fix: a stop", seen("exclusion.site.position"), 60)
        receiver = Receiver(scenario["gnss"], write)
        running.wait_for("reading away from the premises", seen("reads"), 60)
        running.wait_for("a stop beside them", seen("exclusion.site.in_view"), 60)
        running.wait_for("reading behind them", seen("reads"), 60)
        receiver.close()
        running.wait_for("a silent receiver: a stop", seen("exclusion.site.position"), 60)
    finally:
        if receiver is not None:
            receiver.close()
        facts.note(place=phases)
        running.reconfigure(site=NO_SITE)
    reviewed({"place": phases})
    running.wait_for("reading", running.reads_now, 60)


def _found(unit: Any, truth: dict[str, Any]) -> dict[str, Any]:
    """What is compared with the reference, as it stands now."""
    command = f"alpr-edge ledger show --config {unit.config}"
    shown = unit.maintenance.run(command, 60 * unit.patience).checked("ledger show")
    entries = [json.loads(one)["body"] for one in shown.splitlines() if one.startswith("{")]
    return scenarios.outcome(unit.broker.plates, truth, entries)


def _outage(unit: Any, begin: Callable[[], Any], end: Callable[[], Any]) -> float:
    """Something breaks, until the unit has released a read meanwhile, and is whole again.

    Returns:
        Seconds until that read was there, from the repair on.
    """
    talk, broker = unit.alpr.dialogue, unit.broker
    talk.be(unit.people["anna"])

    def released() -> int:
        told = talk.document("show health")
        return sum(int(told.get(x) or 0) for x in ("settled", "pending", "pending_in_memory"))

    began = time.time()
    begin()
    before = released()
    try:
        unit.wait_for("a read in the outage", lambda: released() > before, 120)
    finally:
        ended = time.time()
        end()
    return float(
        unit.wait_for(
            "what was read in the outage",
            lambda: broker.released_between(began, ended) > 0,
            120,
        )
    )


def _compares(request: pytest.FixtureRequest) -> bool:
    config = request.config
    return bool(config.getoption("replay") or config.getoption("update_references"))


def _after(seconds: float) -> Any:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
