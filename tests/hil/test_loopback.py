"""The bench itself, in its own environment: a loopback unit accepted, bad ones refused, references.

`.venv-hil` has labgrid; `make test` makes it. The whole suite is `make hil`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

# The bench never waits this long; a loaded machine may.
MOST_S = 900
pytestmark = pytest.mark.timeout(2 * MOST_S)
BAD = """\
targets:
  main:
    drivers:
      LoopbackUnit:
        folder: !template "$LG_BENCH_RUN/unit"
        stand_in: babbling
      AlprConsoleDriver:
        answer_s: 2.0
      BrokerLink: {}
      AlprUnitStrategy:
        unit: bad-0001
        patience: 0.02
        run_folder: !template "$LG_BENCH_RUN"
options:
  kind: loopback
imports:
  - hil_tests.bench.drivers
  - hil_tests.bench.strategy
"""


@pytest.fixture(scope="module")
def python(repository: Path) -> Path:
    """The bench's Python."""
    named = os.environ.get("ALPR_EDGE_HIL_PYTHON")
    found = Path(named) if named else repository / ".venv-hil" / "bin" / "python"
    if not found.exists():
        pytest.skip("the bench's environment is not there: make .venv-hil/.set-up")
    return found


def bench(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A module run by the bench's Python, in the repository."""
    root = Path(__file__).resolve().parents[2]
    # The program under test is the one that runs this test, wherever it is installed.
    more = {"ALPR_EDGE_PYTHON": sys.executable, "PYTHONPATH": str(root / "src")}
    command = [str(python), "-m", *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=MOST_S)
        finally:
            if process.poll() is None:
                # Not killed: it has a unit and a broker to end.
                process.send_signal(signal.SIGINT)
                process.wait(120)
    return subprocess.CompletedProcess(command, process.returncode, said)


OWN = ("pytest", "-q", "-c", "hil_tests/pytest.ini", "--rootdir", ".")


@pytest.mark.mosquitto
def test_a_loopback_unit_passes_and_a_babbling_one_is_refused(python: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    out = tmp_path / "out"
    command = ("hil_tests.bench.accept", "accept", "--quick", "--scenario", "crossing")
    envs = ("--env", "hil_tests/env/loopback.yaml", "--env", tmp_path / "bad.yaml")
    done = bench(python, *command, *envs, "--out", out)
    said = done.stdout
    assert done.returncode == 1, said
    assert "unit 2 of 2" in said
    assert "passed  test_street_is_read_and_nothing_of_the_premises" in said
    assert "loopback-0001: PASSED IN PART" in said
    assert "bad-0001: REFUSED" in said
    assert "bench.babbling" in said
    # Each has its three files, and the signature holds and says the same.
    for unit, verdict in (("loopback-0001", "passed in part"), ("bad-0001", "refused")):
        checked = bench(
            python, "hil_tests.bench.accept", "verify", out / unit / "report.json",
            "--key", out / "bench.pub",
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout
        assert f"{unit}: {verdict}" in checked.stdout
        assert f"<title>{unit}</title>" in (out / unit / "report.html").read_text()
        suite = ET.parse(out / unit / "junit.xml").getroot()[0]
        failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
        assert (failed > 0) == (verdict == "refused")
        assert int(suite.attrib["tests"]) >= 6
    damaged = json.loads((out / "bad-0001" / "report.json").read_text())
    damaged["payload"] = damaged["payload"][4:]
    (tmp_path / "damaged.json").write_text(json.dumps(damaged))
    checked = bench(
        python, "hil_tests.bench.accept", "verify", tmp_path / "damaged.json",
        "--key", out / "bench.pub",
    )  # fmt: skip
    assert checked.returncode == 1


def test_bad_units_have_their_verdicts_and_every_environment_loads(python: Path) -> None:
    done = bench(
        python, *OWN, "hil_tests/own/test_bad_units.py", "hil_tests/own/test_environments.py"
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_a_reference_is_replayed_and_updated_after_showing_the_difference(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "scenario.json").write_text("{}")
    reference = tmp_path / "reference.json"
    reference.write_text(json.dumps({"read": ["A"], "ledger": ["boot"]}, indent=1))
    command = (*OWN, "hil_tests/own/test_reviewed.py", "--scenario", tmp_path)
    differs = bench(python, *command, "--replay")
    assert differs.returncode == 1
    assert '-  "A"' in differs.stdout
    assert json.loads(reference.read_text())["read"] == ["A"]
    updated = bench(python, *command, "--update-references")
    assert updated.returncode == 0, updated.stdout
    assert '-  "A"' in updated.stdout
    assert '+  "B"' in updated.stdout
    assert json.loads(reference.read_text()) == {"read": ["B"], "ledger": ["boot"], "leaked": 0}
    same = bench(python, *command, "--replay")
    assert same.returncode == 0, same.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("accept", "--env", "no-such.yaml"), 2),
        (("accept",), 2),
        (("verify", "no-such.json", "--key", "no-such.pub"), 2),
        (("--help",), 0),
    ],
)
def test_wrong_usage_has_status_2(python: Path, arguments: tuple[str, ...], status: int) -> None:
    assert bench(python, "hil_tests.bench.accept", *arguments).returncode == status
