"""The energy of a training: CPU time of the process and of those at work for it, times watts."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="module")
def energy(repository):
    path = repository / "scripts" / "train" / "energy.py"
    spec = importlib.util.spec_from_file_location("energy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def burn(conn) -> None:
    while time.process_time() < 0.3:
        pass
    conn.send("done")
    conn.recv()


def test_the_time_of_a_process_at_work_counts(energy):
    ours, theirs = multiprocessing.Pipe()
    before = energy.cpu_seconds()
    child = multiprocessing.get_context("fork").Process(target=burn, args=(theirs,))
    child.start()
    try:
        assert ours.poll(60)
        at_work = energy.cpu_seconds() - before
        ours.send("end")
    finally:
        child.join(60)
        ours.close()
        theirs.close()
    assert at_work >= 0.2
    assert energy.cpu_seconds() - before >= 0.2


def test_it_adds_up_what_the_logs_tell(repository, tmp_path):
    for name, seconds in (("reader", 7200), ("detector", 3600)):
        (tmp_path / name).mkdir()
        lines = [{"step": 100, "ctc": 1.0}, {"step": 200, "end": True, "cpu_s": seconds}]
        (tmp_path / name / "log.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    script = str(repository / "scripts" / "train" / "energy.py")
    runs = [str(tmp_path / name) for name in ("reader", "detector")]
    done = subprocess.run(
        [sys.executable, script, *runs, "--watts", "5"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "reader: 7200 CPU s, 10.0 Wh",
        "detector: 3600 CPU s, 5.0 Wh",
        "together 15.0 Wh at 5 W a core (assumed)",
    ]


def test_a_training_that_tells_nothing_is_said(repository, tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 100}\n')
    script = str(repository / "scripts" / "train" / "energy.py")
    done = subprocess.run([sys.executable, script, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "says nothing of CPU time" in done.stderr
