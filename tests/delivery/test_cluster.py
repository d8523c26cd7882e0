"""A small run of what `make bench-cluster` does large: cameras, a killed broker, an account."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.cluster import Load, run
from bench.cluster_engines import Mosquitto


@pytest.mark.mosquitto
def test_a_handful_of_cameras_loses_nothing_when_the_broker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process of cameras imports the bench a second time.
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    engine = Mosquitto(tmp_path)
    try:
        load = Load(cameras=6, seconds=3.0, rate=4.0, settle_on="receipt", processes=2, cycle_s=1.0)
        steps = [
            ("quiet", lambda: None),
            ("killed", lambda: engine.kill(1)),
            ("back", lambda: engine.start(1)),
        ]
        account = run(engine, load, steps, tmp_path)
    finally:
        engine.close()
    assert account["events"] > 10
    assert account["missing"] == 0
    assert account["stored_once"]
    assert account["cluster_cpu_ms_a_read"] >= 0
    assert len(account["node_rss_mib"]) == 1
    assert account["engine"].startswith("mosquitto")
